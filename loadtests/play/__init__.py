"""Scenarios as files: what one may say, how it is played, and the page that comes of it."""
