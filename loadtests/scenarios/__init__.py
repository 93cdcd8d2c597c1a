"""What is asked of the real server: one module for each question."""
