"""Sensors streamed over WebSocket: handshake, messages, session (docs/streaming.md)."""
