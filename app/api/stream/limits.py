"""What one stream may ask of the server."""

from __future__ import annotations

from dataclasses import dataclass

from app.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamLimits:
    """What one stream may ask of the server."""

    backlog: int
    """Windows in flight."""
    speed: float
    """Samples of each sensor, as a multiple of its rate."""
    idle_s: float
    """Longest time without samples."""
    send_s: float
    """Longest time for which the client may leave its answers unread."""

    @classmethod
    def of(cls, settings: Settings) -> StreamLimits:
        """Read them from the settings."""
        return cls(
            backlog=settings.stream_backlog,
            speed=settings.stream_speed,
            idle_s=settings.stream_idle_s,
            send_s=settings.stream_send_s,
        )
