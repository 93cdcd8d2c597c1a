"""Models that are served no more: each stays until the last request that holds it is over."""

from __future__ import annotations

import asyncio
import logging
import weakref
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

from app.inference.heap import give_back_free_pages
from app.inference.lineups import Lineups
from app.inference.model import ServedModel

logger = logging.getLogger(__name__)

_Identity = tuple[str, str]


class Departures:
    """Sees models off. Lives on one event loop.

    Requests are not counted: each holds its model for as long as it needs it, and the model goes
    with the last reference. That is certain in CPython as long as nothing that a model owns
    refers back to it, which a test watches.

    Args:
        deadline_s: After so long its variants leave memory even if somebody holds the model; such
            a request has what it needs built again.
    """

    def __init__(self, *, deadline_s: float) -> None:
        self._deadline_s = deadline_s
        self._leaving: Counter[_Identity] = Counter()
        self._watched: dict[asyncio.TimerHandle, Lineups] = {}

    def __contains__(self, identity: _Identity) -> bool:
        """Whether a model of this name and version is on its way out."""
        return identity in self._leaving

    def add(self, model: ServedModel) -> None:
        """See a model off that no new request will find."""
        model.registry.hide()
        identity, lineups = (model.name, model.version), model.lineups
        loop = asyncio.get_running_loop()
        self._leaving[identity] += 1
        timer = loop.call_later(self._deadline_s, self._overdue, identity, lineups)
        self._watched[timer] = lineups
        gone = weakref.finalize(model, _on_loop, loop, lambda: self._gone(identity, lineups, timer))
        gone.atexit = False

    async def close(self) -> None:
        """Stop watching, and what is still being built for those who are late."""
        for timer, lineups in self._watched.items():
            timer.cancel()
            await lineups.stop_building()

    def _gone(self, identity: _Identity, lineups: Lineups, timer: asyncio.TimerHandle) -> None:
        timer.cancel()
        del self._watched[timer]
        self._leaving[identity] -= 1
        if not self._leaving[identity]:
            del self._leaving[identity]
        lineups.close()
        give_back_free_pages()
        logger.info("%s version %s has left memory", *identity)

    def _overdue(self, identity: _Identity, lineups: Lineups) -> None:
        logger.warning("%s version %s is still held; its variants are dropped", *identity)
        lineups.drop()


def _on_loop(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
    """Call on the event loop: the last reference may go on any thread."""
    with suppress(RuntimeError):  # the loop is closed: all memory is about to go
        loop.call_soon_threadsafe(call)
