"""A thread that reads a slow sensor, so that no request has to."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

logger = logging.getLogger(__name__)


class Sampler:
    """Calls a function at a steady pace in a daemon thread.

    Args:
        tick: What to call. Should it raise, the error is logged and the thread ends; the meter
            then falls silent, which is a fault it can tell.
        period_s: Time between calls; a call that takes longer delays the next.
        name: Name of the thread.
    """

    def __init__(self, tick: Callable[[], None], period_s: float, *, name: str) -> None:
        self._tick = tick
        self._period_s = period_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Begin, with a first call at once."""
        self._thread.start()

    def close(self, timeout_s: float = 1.0) -> None:
        """Stop and wait for a call in progress, but no longer than ``timeout_s``."""
        self._stop.set()
        if self.alive and self._thread is not threading.current_thread():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        due_s = time.monotonic()
        try:
            while not self._stop.is_set():
                self._tick()
                due_s = max(due_s + self._period_s, time.monotonic())
                self._stop.wait(due_s - time.monotonic())
        except Exception:
            logger.exception("%s failed", self._thread.name)
