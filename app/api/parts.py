"""What the web app is built around."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from typing import Protocol

from app.inference.control import ModelControl
from app.peers import Crew
from app.running.lifecycle import Lifecycle
from app.security import Admission, KeyFollower
from app.service import InferenceService
from app.settings import Settings
from app.tracing import Tracer


class Companion(Protocol):
    """A server on the same event loop."""

    async def start(self) -> None:
        """Listen."""
        ...

    async def stop(self) -> None:
        """Listen no more; return when what was accepted has been answered. May come twice."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The service behind the web app, and who may ask it."""

    settings: Settings
    service: InferenceService
    lifecycle: Lifecycle
    control: ModelControl
    admission: Admission
    keys: KeyFollower | None
    """Keeps its keys up to date; None where there are none."""
    default_model: str
    """Answers ``/v1/infer``."""
    tracer: Tracer | None = None
    """Told of each request, if somebody wants to know."""
    crew: Crew | None = None
    """The other processes of the service, if there are any."""
    rpc: Companion | None = None
    """Another port beside HTTP's, if there is one."""

    @property
    def version(self) -> str:
        """Of the service."""
        return version("sentryfuse")
