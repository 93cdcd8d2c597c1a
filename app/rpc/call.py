"""One call and what answers it, free of gRPC's own objects."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from google.protobuf.message import DecodeError, Message

from app.errors import MalformedError
from app.security import Scope
from app.tracing import RequestTrace

M = TypeVar("M", bound=Message)

RawMetadata = tuple[tuple[bytes, bytes], ...]


@dataclass(slots=True, kw_only=True)
class Call:
    """How a call came, and what becomes known about it while it is answered."""

    headers: RawMetadata
    """Its metadata, as headers; what is left of its deadline is among them as ``grpc-timeout``."""
    received_s: float
    """When its message had been read."""
    model: str = ""
    """The model that was found for it, for metrics."""
    principal: str | None = None
    """Name of the API key it came with; None where it was not looked at."""
    trailers: list[tuple[str, str]] = field(default_factory=list)
    """Metadata that goes back with the answer."""
    trace: RequestTrace | None = None
    """Told what became of it, if somebody wants to know."""


Answer = Callable[[bytes, Call], Awaitable[bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One call that clients can make."""

    service: str
    name: str
    answer: Answer
    scope: Scope | None
    """That an API key needs for it; None if it is open to all."""
    quiet: bool = False
    """A probe: not worth a line in the log."""

    @property
    def path(self) -> str:
        """As it goes over the wire."""
        return f"/{self.service}/{self.name}"


def parse(kind: type[M], data: bytes) -> M:
    """Read a message.

    Raises:
        MalformedError: It is none of this kind.
    """
    try:
        message: M = kind.FromString(data)
    except DecodeError as error:
        raise MalformedError(f"the message is no {kind.DESCRIPTOR.name}: {error}"[:400]) from None
    return message


def answering(kind: type[M], answer: Callable[[M, Call], Awaitable[Message]]) -> Answer:
    """Turn a function of messages into one of bytes."""

    async def answer_bytes(data: bytes, call: Call) -> bytes:
        answered: bytes = (await answer(parse(kind, data), call)).SerializeToString()
        return answered

    return answer_bytes
