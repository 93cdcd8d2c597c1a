"""The SentryFuse inference service."""
