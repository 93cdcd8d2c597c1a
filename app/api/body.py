"""Reading a request body, no further than its limit."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from starlette.requests import Request
from starlette.types import Receive

from app.api.inflating import Inflater, body_encoding
from app.api.payload import load_json
from app.errors import (
    BodyTooLargeError,
    ClientGoneError,
    UnsupportedMediaError,
    WrongFieldError,
)
from app.protocol import diagnosis

RawHeaders = Iterable[tuple[bytes, bytes]]


def check_is_json(headers: RawHeaders) -> None:
    """Refuse a body that does not say it is JSON in UTF-8.

    Raises:
        UnsupportedMediaError: It says something else, or nothing.
    """
    content_type = next((value for name, value in headers if name == b"content-type"), b"")
    media_type, *parameters = content_type.lower().split(b";")
    media_type = media_type.strip()
    is_json = media_type == b"application/json" or (
        media_type.startswith(b"application/") and media_type.endswith(b"+json")
    )
    foreign = [p for p in parameters if p.strip().startswith(b"charset=") and b"utf-8" not in p]
    if not is_json or foreign:
        received = content_type[:80].decode("latin-1")
        raise UnsupportedMediaError(
            f"Content-Type must be application/json in UTF-8, got {received!r}",
            expected="application/json",
            received=received,
        )


async def read_body(headers: RawHeaders, receive: Receive, *, limit: int) -> bytes:
    """Read the whole body, and unpack it if it is compressed.

    Raises:
        BodyTooLargeError: It is larger than ``limit`` bytes, as it comes or unpacked; a body that
            says so beforehand is not read at all.
        UnsupportedMediaError: It is compressed in a way that is not read here.
        MalformedError: It is not compressed as it says.
        ClientGoneError: The client went away before the end.
    """
    compressed = False
    for name, value in headers:
        if name == b"content-length" and value.isdigit() and int(value) > limit:
            raise _too_large(limit)
        if name == b"content-encoding":
            compressed = True
    encoding = body_encoding(headers) if compressed else None
    if encoding is not None:
        return await _read_compressed(receive, Inflater(encoding, limit), limit=limit)
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise _too_large(limit)
        if not message.get("more_body", False):
            return b"".join([*chunks, chunk]) if chunks else chunk
        chunks.append(chunk)


async def _read_compressed(receive: Receive, inflater: Inflater, *, limit: int) -> bytes:
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        inflater.feed(chunk)
        if inflater.full or size > limit:
            raise _too_large(limit)
        if not message.get("more_body", False):
            return inflater.finish()


async def read_object(request: Request, *, limit: int) -> dict[str, Any]:
    """Read a body that is a JSON object.

    Raises:
        RequestError: It is too large, not JSON, or something else than an object.
    """
    headers = request.scope["headers"]
    check_is_json(headers)
    content = load_json(await read_body(headers, request.receive, limit=limit))
    if not isinstance(content, dict):
        raise WrongFieldError(
            f"the body must be a JSON object, got {diagnosis.kind(content)}", field="body"
        )
    return content


def _too_large(limit: int) -> BodyTooLargeError:
    return BodyTooLargeError(f"the body may hold at most {limit} bytes", limit_bytes=limit)
