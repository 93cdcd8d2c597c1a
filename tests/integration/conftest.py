from tests.integration.redis_server import bundle_digest, redis_server, start_redis

__all__ = ["bundle_digest", "redis_server", "start_redis"]
