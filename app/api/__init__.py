"""HTTP: the native API, health, documentation and the one table from error to response."""
