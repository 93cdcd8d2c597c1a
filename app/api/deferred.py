"""An app that is made when somebody first asks for what only it can do."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from starlette.types import ASGIApp, Receive, Scope, Send

logger = logging.getLogger(__name__)


class Deferred:
    """ASGI app that makes the app behind it on the first request, beside the event loop.

    Requests that come meanwhile wait for it; if it can't be made, the next one tries again.

    Args:
        make: Imports and builds the app. Called in a thread.
    """

    def __init__(self, make: Callable[[], ASGIApp]) -> None:
        self._make = make
        self._app: ASGIApp | None = None
        self._making: asyncio.Task[ASGIApp] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on."""
        app = self._app
        if app is None:
            if self._making is None:
                self._making = asyncio.create_task(self._made())
            # Whoever has come first may leave: the others still wait for it.
            app = await asyncio.shield(self._making)
        await app(scope, receive, send)

    async def _made(self) -> ASGIApp:
        began_s = time.perf_counter()
        try:
            with ThreadPoolExecutor(1, thread_name_prefix="web") as thread:  # it ends with its work
                self._app = await asyncio.get_running_loop().run_in_executor(thread, self._make)
        finally:
            self._making = None
        gc.freeze()  # it stays: no collection needs to look at it
        logger.debug("web framework ready after %.2f s", time.perf_counter() - began_s)
        return self._app
