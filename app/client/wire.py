"""What passes between the core, which decides, and the clients, which send and wait."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeAlias, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer as it came over HTTP, whatever its status."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case, or a mapping that does not mind."""
    content: bytes


@dataclass(frozen=True, slots=True)
class Failure:
    """No answer came.

    ``unreached``: the request never got to a server. ``dropped``: the connection ended before
    the answer began. ``cut``: it ended within the answer. ``timeout``: time ran out.
    """

    kind: Literal["unreached", "dropped", "cut", "timeout"]
    message: str


Outcome: TypeAlias = Reply | Failure


@dataclass(frozen=True, slots=True)
class Send:
    """Send this request, and return its outcome within ``timeout_s``."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    content: bytes
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Sleep:
    """Wait; the outcome is None."""

    seconds: float


Program: TypeAlias = Generator[Send | Sleep, Outcome | None, T]
"""Yields what is to be done, is sent what came of it, and returns the result."""


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One operation of the service, ready to be sent as often as it takes."""

    method: str
    path: str
    read: Callable[[Reply], T]
    """Reads an answer with status 200."""
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes = b""
    latency_s: float | None = None
    """Latency budget; what is sent is never more than what is left of the deadline."""
    repeatable: bool = True
    """Whether it may be sent again when nobody knows if it was carried out."""
