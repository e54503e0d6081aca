"""Redis and Valkey whose primary is named by sentinels: ``redis+sentinel://host:port,host:port/service``."""

from store_redis.sentinel.store import SentinelStore

__all__ = ["SentinelStore"]
