"""The Redis and Valkey backend of store-core; ``create_store("redis://…")`` finds it."""

from store_redis.store import RedisStore

__all__ = ["RedisStore"]
