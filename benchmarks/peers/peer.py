"""What the run must know of a system: how to install, start, ask and understand it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Windows = Mapping[str, NDArray[np.float32]]
"""One window of each sensor, ``[time, channels]``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where one server of a system runs."""

    python: Path
    """Interpreter of its environment."""
    graph: Path
    """The dense graph, an ONNX file."""
    models: Path
    """Directory of bundles, for those who read such."""
    folder: Path
    """Empty, for files of its own."""
    cache: Path
    """Stays from turn to turn."""
    ports: tuple[int, ...]
    """Free ones; requests go to the first."""
    cores: int

    @property
    def port(self) -> int:
        """Where requests go."""
        return self.ports[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """One system under test."""

    name: str
    title: str
    """What it is called in tables."""
    body: str
    """How windows are sent: ``binary`` or ``JSON``."""
    configuration: str
    """How it is set up, and why."""
    advice: str
    """The documentation that this follows."""
    command: Callable[[Place], Sequence[str | Path]]
    """What starts it."""
    message: Callable[[Windows], bytes]
    """A whole HTTP/1.1 request with one window of each sensor."""
    answer: Callable[[Mapping[str, str], bytes], NDArray[np.float32]]
    """Logits or probabilities, from headers (lower case) and body of a 200."""
    requirements: Path | None = None
    """What its environment holds; None for our own environment."""
    environment: Callable[[Place], Mapping[str, str]] = field(default=lambda place: {})
    """Variables that it needs."""
    is_ours: bool = False
    adapts: bool = False
    """Whether it may answer with another variant than the dense one."""


def server_file(module: str) -> Path:
    """The ``server.py`` beside a system's ``__init__.py``."""
    return Path(module).parent / "server.py"


def requirements_file(module: str) -> Path:
    """The ``requirements.txt`` beside a system's ``__init__.py``."""
    return Path(module).parent / "requirements.txt"
