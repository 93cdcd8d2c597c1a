"""Opens what is shared between replicas, as settings say: Redis, masks, the site's power."""

from __future__ import annotations

from secrets import token_hex
from typing import get_args

from pydantic import SecretStr

from app.peers import Crew
from app.power.membership import Follower, Membership
from app.settings import Settings
from app.site import Terms
from app.storage import (
    Failure,
    MemoryMaskCache,
    OnFailure,
    Outcome,
    RedisAccess,
    RedisLink,
    RedisMaskCache,
    Tier,
    TieredMaskCache,
)
from app.telemetry.metrics import Metrics
from sentryfuse.errors import ConfigError

_SITE_TIMEOUT_S = 0.25


def open_redis(settings: Settings, metrics: Metrics) -> RedisLink | None:
    """Prepare the way to Redis, if there is one; nothing is sent yet.

    Raises:
        ConfigError: A setting makes no sense, or the redis package is missing.
    """
    if settings.redis_url is None:
        return None
    for known in get_args(Failure):  # from zero, so that the first one shows as an increase
        metrics.redis_failures.labels(known)
    return RedisLink(_access(settings, settings.redis_url), on_failure=_counted(metrics))


def open_site(
    settings: Settings, metrics: Metrics, idle_power_w: float, crew: Crew | None
) -> Membership | Follower | None:
    """Prepare to share the site's power, if there is a site; nothing is sent yet.

    Args:
        settings: Name the site and the node's share.
        metrics: Told of failures of Redis.
        idle_power_w: Of the node: it draws that whatever it is allowed.
        crew: The other processes of the service, of which one speaks for the node.

    Raises:
        ConfigError: A setting makes no sense, or the redis package is missing.
    """
    share_w, cap_w, guaranteed_w = (
        settings.site_share_w,
        settings.site_cap_w,
        settings.site_guaranteed_w,
    )
    if share_w is None or cap_w is None or guaranteed_w is None or settings.redis_url is None:
        return None
    if share_w <= idle_power_w:
        raise ConfigError(
            f"SENTRYFUSE_SITE_SHARE_W must be above the idle power of {idle_power_w:g} W, "
            f"got {share_w:g} W"
        )
    if crew is not None and not crew.place.leads:
        return Follower(share_w, crew.rundir)
    terms = Terms(
        node=settings.site_node,
        process=token_hex(8),
        cap_w=cap_w,
        guaranteed_w=guaranteed_w,
        share_w=share_w,
    )
    # Of its own: no request waits for it, so it may wait longer before it calls Redis lost.
    link = RedisLink(
        _access(settings, settings.redis_url),
        timeout_s=_SITE_TIMEOUT_S,
        on_failure=_counted(metrics),
    )
    return Membership(terms, settings.site_name, link, board=None if crew is None else crew.rundir)


def _counted(metrics: Metrics) -> OnFailure:
    return lambda failure: metrics.redis_failures.labels(failure).inc()


def _access(settings: Settings, url: SecretStr) -> RedisAccess:
    return RedisAccess(
        url=url.get_secret_value(),
        username=settings.redis_username,
        password_file=settings.redis_password_file,
        ca_file=settings.redis_ca_file,
        cert_file=settings.redis_cert_file,
        key_file=settings.redis_key_file,
        server_name=settings.redis_server_name,
    )


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
