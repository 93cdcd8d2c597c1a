"""SentryFuse: prune a multimodal transformer for the sensors that are alive."""
