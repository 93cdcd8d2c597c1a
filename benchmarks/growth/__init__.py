"""How latency and memory of the service grow with what it is given."""
