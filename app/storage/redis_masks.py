"""Masks in Redis, shared by all replicas."""

from __future__ import annotations

from collections.abc import Iterable

from app.storage.keys import MaskKey
from app.storage.mask_cache import OnOutcome, ignore_outcome
from app.storage.redis_link import DEFAULT_TTL_S, RedisLink, Unavailable
from sentryfuse.errors import MaskMismatchError
from sentryfuse.pruning import MASK_VERSION, Mask, stored_version


class RedisMaskCache:
    """Masks as headed, digested bytes; a value that fails its check counts as absent.

    What is damaged or of an older version is replaced by the next :meth:`put`; what a newer
    release wrote is left to it (docs/decisions/0014).

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
        self._useless: set[MaskKey] = set()

    async def get(self, key: MaskKey) -> Mask | None:
        """Read one mask."""
        return (await self._read([key], patient=False)).get(key)

    async def put(self, key: MaskKey, mask: Mask) -> None:
        """Write a mask; the first writer wins, unless what is there was seen to be of no use."""
        replace = key in self._useless
        try:
            await self._link.store(
                key.redis_key, mask.to_bytes(key.redis_key), ttl_s=self._ttl_s, replace=replace
            )
        except Unavailable as unavailable:
            self._on_outcome("redis", unavailable.outcome)
        else:
            self._useless.discard(key)

    async def preload(self, keys: Iterable[MaskKey]) -> dict[MaskKey, Mask]:
        """Read many masks at once; takes its time, for no request waits."""
        return await self._read(keys, patient=True)

    async def close(self) -> None:
        """Close the link."""
        await self._link.close()

    async def _read(self, keys: Iterable[MaskKey], *, patient: bool) -> dict[MaskKey, Mask]:
        wanted = list(dict.fromkeys(keys))
        try:
            values = await self._link.fetch([key.redis_key for key in wanted], patient=patient)
        except Unavailable as unavailable:
            self._on_outcome("redis", unavailable.outcome)
            return {}
        found = {key: self._checked(key, value) for key, value in zip(wanted, values, strict=True)}
        return {key: mask for key, mask in found.items() if mask is not None}

    def _checked(self, key: MaskKey, value: bytes | None) -> Mask | None:
        if value is None:
            self._on_outcome("redis", "miss")
            return None
        try:
            mask = Mask.from_bytes(
                value,
                key.redis_key,
                presence=key.presence,
                permille=key.permille,
                num_units=key.num_units,
            )
        except MaskMismatchError:
            version = stored_version(value)
            foreign = version is not None and version != MASK_VERSION
            if version is None or version <= MASK_VERSION:
                self._useless.add(key)
            self._on_outcome("redis", "foreign" if foreign else "corrupt")
            return None
        self._on_outcome("redis", "hit")
        return mask
