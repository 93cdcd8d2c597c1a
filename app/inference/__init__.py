"""Models that are served, their variants, and the threads that run them."""
