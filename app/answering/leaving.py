"""Work that is given up when nobody waits for it any more."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from app.errors import ClientGoneError

T = TypeVar("T")


async def unless_gone(
    work: Coroutine[Any, Any, T], gone: Callable[[], Awaitable[None]] | None
) -> T:
    """Wait for work, as long as somebody waits for it.

    Args:
        work: Cancelled if nobody does.
        gone: Returns when nobody does; None if that can't be known.

    Raises:
        ClientGoneError: Nobody does.
    """
    if gone is None:
        return await work
    task, left = asyncio.ensure_future(work), asyncio.ensure_future(gone())
    try:
        await asyncio.wait((task, left), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientGoneError
        return task.result()
    finally:
        task.cancel()
        left.cancel()
