"""What outlives a request: masks and host profiles, in this process and in Redis."""

from app.storage.breaker import Breaker
from app.storage.keys import MaskKey, ProfileKey
from app.storage.mask_cache import MaskCache, OnOutcome, Outcome, Tier, ignore_outcome
from app.storage.memory import MemoryMaskCache
from app.storage.profiles import SharedProfiles
from app.storage.redis_access import RedisAccess
from app.storage.redis_failure import Failure, OnFailure
from app.storage.redis_link import RedisLink, Unavailable
from app.storage.redis_masks import RedisMaskCache
from app.storage.site_store import SiteStore, Stored
from app.storage.tiered import TieredMaskCache

__all__ = [
    "Breaker",
    "Failure",
    "MaskCache",
    "MaskKey",
    "MemoryMaskCache",
    "OnFailure",
    "OnOutcome",
    "Outcome",
    "ProfileKey",
    "RedisAccess",
    "RedisLink",
    "RedisMaskCache",
    "SharedProfiles",
    "SiteStore",
    "Stored",
    "Tier",
    "TieredMaskCache",
    "Unavailable",
    "ignore_outcome",
]
