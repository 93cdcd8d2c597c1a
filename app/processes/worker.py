"""What runs in each of several processes."""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

from app.settings import Settings
from sentryfuse.errors import SentryFuseError

_PR_SET_PDEATHSIG = 1
_CONFIG_STATUS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Berth:
    """Where a worker works."""

    slot: int
    cores: tuple[int, ...]
    """Its own; none if it shares one with others."""
    rundir: str
    settings: Settings


def work(berth: Berth, listener: socket.socket) -> None:
    """Serve until SIGTERM; the target of a new process."""
    os.setpgid(0, 0)  # Ctrl-C is the supervisor's: it passes one signal on, not a second one
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    settings = berth.settings
    if berth.cores:
        os.sched_setaffinity(0, berth.cores)
    settings = settings.model_copy(update={"cores": len(berth.cores) or settings.threads})
    gc.disable()  # until the service is ready, as in app.server
    from app.peers import Crew, Place, RunDir
    from app.serving import serve_on

    place = Place(slot=berth.slot, slots=settings.processes, leads=berth.slot == 0)
    try:
        serve_on(settings, crew=Crew(RunDir(Path(berth.rundir)), place), listener=listener)
    except SentryFuseError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        sys.exit(_CONFIG_STATUS)
