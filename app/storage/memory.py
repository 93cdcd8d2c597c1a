"""Masks in this process: a least-recently-used cache bounded in bytes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

from app.storage.keys import MaskKey
from app.storage.mask_cache import OnOutcome, ignore_outcome
from sentryfuse.errors import ConfigError
from sentryfuse.pruning import Mask

_ENTRY_BYTES = 512  # key, mask object and dictionary slot, rounded up


class MemoryMaskCache:
    """Holds the masks used last, as many as fit. Belongs to one event loop.

    Args:
        max_bytes: Upper bound on what is held.
        on_outcome: Told ``hit`` or ``miss`` of every look-up.
    """

    def __init__(self, max_bytes: int, *, on_outcome: OnOutcome = ignore_outcome) -> None:
        if max_bytes < 1:
            raise ConfigError(f"max_bytes of the mask cache must be positive, got {max_bytes}")
        self._max_bytes = max_bytes
        self._on_outcome = on_outcome
        self._masks: OrderedDict[MaskKey, Mask] = OrderedDict()
        self._size_bytes = 0

    @property
    def size_bytes(self) -> int:
        """Bytes held now."""
        return self._size_bytes

    def __len__(self) -> int:
        return len(self._masks)

    async def get(self, key: MaskKey) -> Mask | None:
        """Return the mask and mark it as used."""
        mask = self._masks.get(key)
        if mask is None:
            self._on_outcome("memory", "miss")
            return None
        self._masks.move_to_end(key)
        self._on_outcome("memory", "hit")
        return mask

    async def put(self, key: MaskKey, mask: Mask) -> None:
        """Keep a mask, dropping those unused for longest; one too big for all is not kept."""
        replaced = self._masks.pop(key, None)
        if replaced is not None:
            self._size_bytes -= _held_bytes(replaced)
        if _held_bytes(mask) > self._max_bytes:
            return
        self._masks[key] = mask
        self._size_bytes += _held_bytes(mask)
        while self._size_bytes > self._max_bytes:
            _, dropped = self._masks.popitem(last=False)
            self._size_bytes -= _held_bytes(dropped)

    async def preload(self, keys: Iterable[MaskKey]) -> dict[MaskKey, Mask]:
        """Return those of the masks that are held."""
        found = {key: await self.get(key) for key in keys}
        return {key: mask for key, mask in found.items() if mask is not None}

    async def close(self) -> None:
        """Forget everything."""
        self._masks.clear()
        self._size_bytes = 0


def _held_bytes(mask: Mask) -> int:
    return mask.keep.nbytes + _ENTRY_BYTES
