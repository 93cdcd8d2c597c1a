"""The read path of masks: this process, then Redis, then the gate, once for each key."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from app.storage.keys import MaskKey
from app.storage.mask_cache import MaskCache, OnOutcome, ignore_outcome
from app.storage.memory import MemoryMaskCache
from sentryfuse.pruning import Mask

DEFAULT_PATIENCE_S = 0.005
"""Several times what a healthy Redis takes, and what the gate takes."""


class TieredMaskCache:
    """Looks in memory, then in the shared cache, then computes. Belongs to one event loop.

    However many requests ask for a key at once, it is looked up and computed once (single
    flight), and goes on even if the request that started it gives up. A computed mask is shared
    in the background: no request waits for a write. Nor does it wait long for a look-up: after
    ``patience_s`` the mask is computed, whatever becomes of the look-up.

    Args:
        memory: The cache of this process.
        shared: The cache of all replicas; None without one.
        patience_s: Longest wait for the shared cache where the mask can be computed.
        on_outcome: Told ``gate`` ``hit`` or ``error`` of every computation; the tiers report
            for themselves.
    """

    def __init__(
        self,
        memory: MemoryMaskCache,
        shared: MaskCache | None = None,
        *,
        patience_s: float = DEFAULT_PATIENCE_S,
        on_outcome: OnOutcome = ignore_outcome,
    ) -> None:
        self._memory = memory
        self._shared = shared
        self._patience_s = patience_s
        self._on_outcome = on_outcome
        self._flights: dict[MaskKey, asyncio.Task[Mask]] = {}
        self._background: set[asyncio.Task[Mask | None] | asyncio.Task[None]] = set()

    async def get(self, key: MaskKey) -> Mask | None:
        """Return the mask from the nearest tier that has it."""
        mask = await self._memory.get(key)
        if mask is None and self._shared is not None:
            mask = await self._shared.get(key)
            if mask is not None:
                await self._memory.put(key, mask)
        return mask

    async def put(self, key: MaskKey, mask: Mask) -> None:
        """Keep a mask in every tier."""
        await self._memory.put(key, mask)
        if self._shared is not None:
            await self._shared.put(key, mask)

    async def preload(self, keys: Iterable[MaskKey]) -> dict[MaskKey, Mask]:
        """Return those of the masks that are in any tier, and keep them in memory."""
        wanted = list(keys)
        found = await self._memory.preload(wanted)
        if self._shared is not None:
            missing = [key for key in wanted if key not in found]
            shared = await self._shared.preload(missing) if missing else {}
            for key, mask in shared.items():
                await self._memory.put(key, mask)
            found |= shared
        return found

    async def get_or_compute(self, key: MaskKey, compute: Callable[[], Mask]) -> Mask:
        """Return the mask, computing it where no tier has it.

        Args:
            key: Which mask.
            compute: Makes it; run in a thread, so that the event loop goes on.

        Raises:
            Exception: Whatever ``compute`` raises, and nothing else; it is not remembered.
        """
        mask = await self._memory.get(key)
        if mask is not None:
            return mask
        flight = self._flights.get(key)
        if flight is None:
            flight = asyncio.create_task(self._fly(key, compute))
            self._flights[key] = flight
            flight.add_done_callback(lambda ended: self._landed(key, ended))
        return await asyncio.shield(flight)

    async def close(self) -> None:
        """Finish what is under way, then close the tiers."""
        await asyncio.gather(*self._flights.values(), return_exceptions=True)
        await asyncio.gather(*self._background)
        if self._shared is not None:
            await self._shared.close()
        await self._memory.close()

    async def _fly(self, key: MaskKey, compute: Callable[[], Mask]) -> Mask:
        mask = await self._looked_up(key)
        if mask is None:
            mask = await self._computed(compute)
            if self._shared is not None:
                self._keep(asyncio.create_task(self._shared.put(key, mask)))
        await self._memory.put(key, mask)
        return mask

    async def _looked_up(self, key: MaskKey) -> Mask | None:
        """Return what the shared cache says soon enough."""
        if self._shared is None:
            return None
        look_up = asyncio.create_task(self._shared.get(key))
        self._keep(look_up)
        await asyncio.wait({look_up}, timeout=self._patience_s)
        return look_up.result() if look_up.done() else None

    def _keep(self, task: asyncio.Task[Mask | None] | asyncio.Task[None]) -> None:
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _computed(self, compute: Callable[[], Mask]) -> Mask:
        try:
            mask = await asyncio.to_thread(compute)
        except Exception:
            self._on_outcome("gate", "error")
            raise
        self._on_outcome("gate", "hit")
        return mask

    def _landed(self, key: MaskKey, flight: asyncio.Task[Mask]) -> None:
        del self._flights[key]
        if not flight.cancelled():
            flight.exception()  # seen, also when every request that waited has given up
