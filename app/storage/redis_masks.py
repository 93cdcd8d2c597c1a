"""Masks in Redis, shared by all replicas."""

from __future__ import annotations

from collections.abc import Iterable

from app.storage.keys import MaskKey
from app.storage.mask_cache import OnOutcome, ignore_outcome
from app.storage.redis_link import DEFAULT_TTL_S, RedisLink, Unavailable
from sentryfuse.errors import MaskMismatchError
from sentryfuse.pruning import Mask


class RedisMaskCache:
    """Masks as headed, digested bytes; a value that fails its check counts as absent.

    Args:
        link: The way to Redis; its owner closes it, or :meth:`close` does.
        ttl_s: Time to live of an entry, spread by a tenth.
        on_outcome: Told how every look-up and failed write went.
    """

    def __init__(
        self,
        link: RedisLink,
        *,
        ttl_s: float = DEFAULT_TTL_S,
        on_outcome: OnOutcome = ignore_outcome,
    ) -> None:
        self._link = link
        self._ttl_s = ttl_s
        self._on_outcome = on_outcome
        self._damaged: set[MaskKey] = set()

    async def get(self, key: MaskKey) -> Mask | None:
        """Read one mask."""
        return (await self.preload([key])).get(key)

    async def put(self, key: MaskKey, mask: Mask) -> None:
        """Write a mask; the first writer wins, unless what is there was seen to be damaged."""
        replace = key in self._damaged
        try:
            await self._link.store(
                key.redis_key, mask.to_bytes(), ttl_s=self._ttl_s, replace=replace
            )
        except Unavailable as unavailable:
            self._on_outcome("redis", unavailable.outcome)
        else:
            self._damaged.discard(key)

    async def preload(self, keys: Iterable[MaskKey]) -> dict[MaskKey, Mask]:
        """Read many masks at once."""
        wanted = list(dict.fromkeys(keys))
        try:
            values = await self._link.fetch([key.redis_key for key in wanted])
        except Unavailable as unavailable:
            self._on_outcome("redis", unavailable.outcome)
            return {}
        found = {key: self._checked(key, value) for key, value in zip(wanted, values, strict=True)}
        return {key: mask for key, mask in found.items() if mask is not None}

    async def close(self) -> None:
        """Close the link."""
        await self._link.close()

    def _checked(self, key: MaskKey, value: bytes | None) -> Mask | None:
        if value is None:
            self._on_outcome("redis", "miss")
            return None
        try:
            mask = Mask.from_bytes(
                value, presence=key.presence, permille=key.permille, num_units=key.num_units
            )
        except MaskMismatchError:
            self._damaged.add(key)
            self._on_outcome("redis", "corrupt")
            return None
        self._on_outcome("redis", "hit")
        return mask
