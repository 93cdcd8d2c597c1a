"""The ledger of a site in Redis: read as a whole, and replaced if nobody has meanwhile."""

from __future__ import annotations

from dataclasses import dataclass

from app.storage.keys import site_key
from app.storage.redis_link import RedisLink, Unavailable

_TTL_MS = 86_400_000  # long after every loan: only what nobody uses any more is forgotten

# The run's name tells a server from its replica and from itself before a restart: either may hold
# an old copy of the ledger.
_RUN = "local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')\n"
_READ = _RUN + "return {run, redis.call('GET', KEYS[1])}"
_SWAP = (
    _RUN
    + """if run ~= ARGV[1] or (redis.call('GET', KEYS[1]) or '') ~= ARGV[2] then return 0 end
redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[4])
return 1"""
)


@dataclass(frozen=True, slots=True)
class Stored:
    """What was read, and where."""

    server: str
    """Run of the server that answered."""
    value: bytes
    """Empty where there is nothing."""


class SiteStore:
    """Keeps one value that many replace.

    Args:
        link: The way to Redis; its owner closes it.
        site: Name of the site.
    """

    def __init__(self, link: RedisLink, site: str) -> None:
        self._link = link
        self._key = site_key(site)

    async def read(self) -> Stored:
        """Return what there is.

        Raises:
            Unavailable: Redis was not asked, or gave no usable answer in time.
        """
        answer = await self._link.evaluate(_READ, [self._key], [])
        match answer:
            case [bytes(run), bytes(value)]:
                return Stored(run.decode("ascii", "replace"), value)
            case [bytes(run), None]:
                return Stored(run.decode("ascii", "replace"), b"")
            case _:
                raise Unavailable("error")

    async def swap(self, read: Stored, value: bytes) -> bool:
        """Put a value in the place of what was read; whether that was still there.

        Raises:
            Unavailable: There is no usable answer, and the value may have been written or not.
        """
        arguments: list[str | bytes | int] = [read.server, read.value, value, _TTL_MS]
        return await self._link.evaluate(_SWAP, [self._key], arguments) == 1
