"""Host profiles in Redis: a replica on a like host need not measure again."""

from __future__ import annotations

import logging
from hashlib import blake2b

from app.storage.keys import ProfileKey
from app.storage.redis_link import DEFAULT_TTL_S, RedisLink, Unavailable

logger = logging.getLogger(__name__)

_MAGIC = b"SFPF\x01"
_DIGEST_BYTES = 16


class SharedProfiles:
    """Profiles as text under bundle and host fingerprint; never in the way of a start.

    Args:
        link: The way to Redis; None without one, then nothing is ever found. Its owner closes it.
        ttl_s: Time to live of a profile, spread by a tenth.
    """

    def __init__(self, link: RedisLink | None, *, ttl_s: float = DEFAULT_TTL_S) -> None:
        self._link = link
        self._ttl_s = ttl_s

    async def get(self, key: ProfileKey) -> str | None:
        """Return a profile as it was put, or None where there is none that is whole."""
        if self._link is None:
            return None
        try:
            (value,) = await self._link.fetch([key.redis_key], patient=True)
        except Unavailable:
            return None
        text = None if value is None else _unsealed(value)
        if value is not None and text is None:
            logger.warning("the shared host profile %s is damaged: ignored", key.redis_key)
        return text

    async def put(self, key: ProfileKey, text: str, *, replace: bool = True) -> None:
        """Share a profile.

        Args:
            key: Whose.
            text: The profile.
            replace: Whether a newer measurement takes the place of an older one.
        """
        if self._link is None:
            return
        try:
            await self._link.store(key.redis_key, _sealed(text), ttl_s=self._ttl_s, replace=replace)
        except Unavailable:
            logger.info("the host profile could not be shared")


def _sealed(text: str) -> bytes:
    body = text.encode()
    return _MAGIC + _digest(body) + body


def _unsealed(value: bytes) -> str | None:
    head = len(_MAGIC) + _DIGEST_BYTES
    body = value[head:]
    return body.decode() if value[:head] == _MAGIC + _digest(body) else None


def _digest(body: bytes) -> bytes:
    return blake2b(body, digest_size=_DIGEST_BYTES).digest()
