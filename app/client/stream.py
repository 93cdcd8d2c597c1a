"""Sensors streamed to the service, and answers back, over one WebSocket.

The service cuts what it is sent into windows (docs/streaming.md). Needs the package
``websockets``, which is imported when the first stream is opened.
"""

from __future__ import annotations

import json
import struct
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlencode

import numpy as np
from numpy.typing import ArrayLike

from app.client.arrays import present_arrays
from app.client.core import LATENCY_HEADER
from app.client.errors import (
    ClientError,
    ConnectionFailedError,
    ProtocolError,
    StreamClosedError,
)
from app.client.options import StreamOptions, headers_of, latency_s
from app.client.reading import read
from app.client.refusals import error_of
from app.client.values import SkippedWindow, StreamOpening, WindowAnswer
from app.client.wire import Reply

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

_MOST_BYTES = 2**22
_NORMAL = 1000


class Stream:
    """An open stream: send samples, and iterate over what becomes of the windows.

    Sending and iterating may go on side by side, in two tasks. Iterating ends when the service
    has closed the stream after :meth:`end`.
    """

    def __init__(self, connection: ClientConnection, opening: StreamOpening) -> None:
        self._connection = connection
        self.opening = opening
        """What was agreed, and which sensors the model knows."""

    async def send(
        self,
        samples: Mapping[str, ArrayLike] | None = None,
        /,
        *,
        t: float | None = None,
        **sensors: ArrayLike,
    ) -> None:
        """Send samples, each sensor's as ``[time, channels]``.

        Args:
            samples: By sensor.
            t: When the first of each was taken, in seconds on a clock of one's own; give it with
                every message of a stream or with none.
            sensors: By sensor, too.

        Raises:
            WrongInputError: Values are not finite numbers.
            StreamClosedError: The stream is over.
            ConnectionFailedError: The connection broke.
        """
        arrays = present_arrays({**(samples or {}), **sensors})
        await self._send(encode(arrays, t))

    async def end(self) -> None:
        """Say that no more samples will come; answers that are due still do.

        Raises:
            StreamClosedError: The stream is over.
            ConnectionFailedError: The connection broke.
        """
        await self._send('{"end": true}')

    def __aiter__(self) -> Self:
        """Iterate over windows in their order."""
        return self

    async def __anext__(self) -> WindowAnswer | SkippedWindow:
        """Return what became of the next window, or windows.

        Raises:
            ClientError: The service refused a message, in its own words; the stream goes on.
            StreamClosedError: It closed the stream.
            ConnectionFailedError: The connection broke.
        """
        try:
            text = await self._connection.recv()
        except _closed() as closed:
            if closed.rcvd is not None and closed.rcvd.code == _NORMAL:
                raise StopAsyncIteration from None
            raise _over(closed) from None
        return decode(text)

    async def _send(self, message: str | bytes) -> None:
        try:
            await self._connection.send(message)
        except _closed() as closed:
            raise _over(closed) from None


@asynccontextmanager
async def open_stream(
    url: str, headers: Mapping[str, str], options: StreamOptions
) -> AsyncIterator[Stream]:
    """Open a stream; it is closed at the end of the block.

    Args:
        url: ``ws://`` or ``wss://``, without query.
        headers: Beside those that the options make.
        options: Terms of the stream.

    Raises:
        ClientError: The service refused it.
        ConnectionFailedError: It can't be reached.
    """
    from websockets.asyncio.client import connect
    from websockets.exceptions import InvalidHandshake, InvalidStatus

    opening = connect(
        f"{url}?{urlencode(query_of(options))}",
        additional_headers={**headers, **_headers(options)},
        compression=None,
        max_size=_MOST_BYTES,
    )
    try:
        connection = await opening
    except InvalidStatus as refused:
        response = refused.response
        reply = Reply(response.status_code, response.headers, bytes(response.body))
        raise error_of(reply, datetime.now(UTC)) from None
    except (OSError, InvalidHandshake) as error:
        raise ConnectionFailedError(f"the service can't be reached: {error}") from error
    async with connection:
        yield Stream(connection, await _opened(connection))


def query_of(options: StreamOptions) -> dict[str, str]:
    """Write what a stream's query holds."""
    query = {}
    for name in ("hop_s", "id"):
        value = options.get(name)
        if value is not None:
            query[name] = str(value)
    silence_s = options.get("silence_s")
    if isinstance(silence_s, Mapping):
        query |= {f"silence_s.{sensor}": str(value) for sensor, value in silence_s.items()}
    elif silence_s is not None:
        query["silence_s"] = str(silence_s)
    return query


def encode(arrays: Mapping[str, np.ndarray[Any, Any]], t: float | None) -> bytes:
    """Write samples as a binary message."""
    header: dict[str, Any] = {"samples": {name: rows.shape for name, rows in arrays.items()}}
    if t is not None:
        header["t"] = t
    text = json.dumps(header, separators=(",", ":"), allow_nan=False).encode()
    return b"".join((struct.pack("<I", len(text)), text, *(a.tobytes() for a in arrays.values())))


def decode(text: str | bytes) -> WindowAnswer | SkippedWindow:
    """Read a message of the service.

    Raises:
        ProtocolError: It is not one.
        ClientError: It says what is wrong with a message of ours.
    """
    content = _object(text)
    if "error" in content:
        raise _refused(content["error"])
    content |= {"from_s": content.get("from"), "to_s": content.get("to")}
    if "skipped" in content:
        content.setdefault("through", content.get("window"))
        return read(SkippedWindow, content)
    content["answer"] = content
    return read(WindowAnswer, content)


async def _opened(connection: ClientConnection) -> StreamOpening:
    try:
        content = _object(await connection.recv())
    except _closed() as closed:
        raise _over(closed) from None
    return read(StreamOpening, content.get("open"))


def _refused(error: Any) -> ClientError:
    status = error.get("status") if isinstance(error, dict) else None
    reply = Reply(status if isinstance(status, int) else 0, {}, json.dumps(error).encode())
    return error_of(reply, datetime.now(UTC))


def _object(text: str | bytes) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except ValueError as error:
        raise ProtocolError(f"the message is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise ProtocolError("the message is not a JSON object")
    return content


def _headers(options: StreamOptions) -> dict[str, str]:
    headers = headers_of(options)
    budget_s = latency_s(options)
    if budget_s is not None:
        headers[LATENCY_HEADER] = f"{1e3 * budget_s:.6g}"
    return headers


def _closed() -> Any:
    from websockets.exceptions import ConnectionClosed

    return ConnectionClosed


def _over(closed: Any) -> StreamClosedError | ConnectionFailedError:
    if closed.rcvd is None:
        return ConnectionFailedError("the stream broke off")
    return StreamClosedError(closed.rcvd.code, closed.rcvd.reason)
