"""One request and what came back, as the client sees it while it is busy: bytes and times."""

from __future__ import annotations

from dataclasses import dataclass

_HEAD_END = b"\r\n\r\n"
_LENGTH = b"content-length:"


@dataclass(slots=True)
class Exchange:
    """Filled in as it goes; times are readings of ``time.monotonic()``."""

    scheduled_s: float
    message: bytes
    sent_s: float | None = None
    first_byte_s: float | None = None
    response: bytes = b""
    """Head and body, once all of it is here."""
    error: str = ""
    """Why there is no response."""

    @property
    def over(self) -> bool:
        """Whether there is nothing more to wait for."""
        return bool(self.response or self.error)


def closes(received: bytes) -> bool:
    """Whether a response asks for its connection to be closed."""
    head = received[: received.find(_HEAD_END)].lower()
    return b"\r\nconnection: close" in head


class FramingError(ValueError):
    """A response that does not say how long it is."""


def response_length(received: bytes) -> int | None:
    """Return the length of head and body together; None until the head is complete.

    Raises:
        FramingError: The head is complete and has no valid ``Content-Length``.
    """
    head_end = received.find(_HEAD_END)
    if head_end < 0:
        return None
    head = received[:head_end].lower()
    at = head.find(_LENGTH)
    value = head[at + len(_LENGTH) :].partition(b"\r\n")[0].strip() if at >= 0 else b""
    if not value.isdigit():
        raise FramingError(f"a response must have a Content-Length, got head {head[:200]!r}")
    return head_end + len(_HEAD_END) + int(value)
