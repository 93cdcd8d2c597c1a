"""What the service tells about itself: Prometheus metrics and JSON log lines."""
