from tests.integration.http_server import (
    service,
    shipped,
    shipped_service,
    start_http,
    untouched,
)
from tests.integration.redis_server import bundle_digest, redis_server, start_redis

__all__ = [
    "bundle_digest",
    "redis_server",
    "service",
    "shipped",
    "shipped_service",
    "start_http",
    "start_redis",
    "untouched",
]
