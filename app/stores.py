"""Opens what is shared between replicas, as settings say: Redis, and the masks before it."""

from __future__ import annotations

from typing import get_args

from app.settings import Settings
from app.storage import (
    Failure,
    MemoryMaskCache,
    Outcome,
    RedisAccess,
    RedisLink,
    RedisMaskCache,
    Tier,
    TieredMaskCache,
)
from app.telemetry.metrics import Metrics


def open_redis(settings: Settings, metrics: Metrics) -> RedisLink | None:
    """Prepare the way to Redis, if there is one; nothing is sent yet.

    Raises:
        ConfigError: A setting makes no sense, or the redis package is missing.
    """
    if settings.redis_url is None:
        return None
    for known in get_args(Failure):  # from zero, so that the first one shows as an increase
        metrics.redis_failures.labels(known)

    def count(failure: Failure) -> None:
        metrics.redis_failures.labels(failure).inc()

    access = RedisAccess(
        url=settings.redis_url.get_secret_value(),
        username=settings.redis_username,
        password_file=settings.redis_password_file,
        ca_file=settings.redis_ca_file,
        cert_file=settings.redis_cert_file,
        key_file=settings.redis_key_file,
        server_name=settings.redis_server_name,
    )
    return RedisLink(access, on_failure=count)


def open_masks(settings: Settings, link: RedisLink | None, metrics: Metrics) -> TieredMaskCache:
    """Put the caches of masks in front of each other."""

    def count(tier: Tier, outcome: Outcome) -> None:
        metrics.mask_cache.labels(tier, outcome).inc()

    outcomes: dict[Tier, tuple[Outcome, ...]] = {
        "memory": ("hit", "miss"),
        "gate": ("hit", "error"),
        **({"redis": get_args(Outcome)} if link is not None else {}),
    }
    for known, possible in outcomes.items():
        for outcome in possible:
            metrics.mask_cache.labels(known, outcome)

    shared = None
    if link is not None:
        shared = RedisMaskCache(link, ttl_s=settings.mask_ttl_s, on_outcome=count)
    memory = MemoryMaskCache(settings.mask_memory_bytes, on_outcome=count)
    return TieredMaskCache(memory, shared, on_outcome=count)
