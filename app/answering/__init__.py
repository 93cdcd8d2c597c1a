"""What answering one request within its budget is made of: the parts of the service's use case."""
