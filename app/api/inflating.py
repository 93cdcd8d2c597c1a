"""Unpacking a compressed body as it comes, no further than the limit for plain ones."""

from __future__ import annotations

import zlib
from collections.abc import Iterable

from app.errors import MalformedError, UnsupportedMediaError

ENCODINGS = ("gzip", "deflate")
_NAMES = {b"gzip": "gzip", b"x-gzip": "gzip", b"deflate": "deflate"}
_GZIP, _ZLIB, _RAW = 31, 15, -15


def body_encoding(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """Return how a body is compressed; None if it is not.

    Raises:
        UnsupportedMediaError: In a way that is not read here, or several times over.
    """
    stated = [value.strip().lower() for name, value in headers if name == b"content-encoding"]
    used = [value for value in stated if value not in (b"", b"identity")]
    if not used:
        return None
    if len(used) == 1 and used[0] in _NAMES:
        return _NAMES[used[0]]
    received = b", ".join(used)[:40].decode("latin-1")
    expected = " or ".join(ENCODINGS)
    raise UnsupportedMediaError(
        f"Content-Encoding must be {expected}, or none, got {received!r}",
        expected=expected,
        received=received,
    )


class Inflater:
    """Unpacks one body.

    Args:
        encoding: One of ``ENCODINGS``.
        limit: Most bytes that are unpacked; one more shows that there are more.
    """

    def __init__(self, encoding: str, limit: int) -> None:
        self._encoding = encoding
        self._room = limit + 1
        self._parts: list[bytes] = []
        self._stream: zlib._Decompress | None = None

    @property
    def full(self) -> bool:
        """Whether there is more than the limit."""
        return self._room <= 0

    def feed(self, chunk: bytes) -> None:
        """Unpack what has come, unless there is too much already.

        Raises:
            MalformedError: It is not compressed as it says.
        """
        try:
            while chunk and not self.full:
                if self._stream is None:
                    self._stream = zlib.decompressobj(self._window_bits(chunk))
                part = self._stream.decompress(chunk, self._room)
                self._room -= len(part)
                self._parts.append(part)
                chunk = b""
                if self._stream.eof and self._stream.unused_data:
                    chunk = self._next_member(self._stream.unused_data)
        except zlib.error as error:
            raise MalformedError(f"the body is not {self._encoding}: {error}") from error

    def finish(self) -> bytes:
        """Return the whole body, once all of it has come.

        Raises:
            MalformedError: It ends too early.
        """
        if self._stream is None or not self._stream.eof:
            raise MalformedError(f"the body is not whole: its {self._encoding} has no end")
        return b"".join(self._parts)

    def _window_bits(self, chunk: bytes) -> int:
        if self._encoding == "gzip":
            return _GZIP
        # "deflate" means zlib's format; some clients take it at its word and send the bare one.
        return _ZLIB if chunk[0] & 0x0F == 8 else _RAW

    def _next_member(self, rest: bytes) -> bytes:
        """Go on with the next member: a gzip may consist of several."""
        if self._encoding != "gzip":
            raise MalformedError("the body goes on after the end of its deflate")
        self._stream = None
        return rest
