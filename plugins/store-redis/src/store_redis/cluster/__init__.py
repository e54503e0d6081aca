"""Redis Cluster and Valkey Cluster: the backend of ``redis+cluster://host:port,host:port,…``."""

from store_redis.cluster.store import ClusterStore

__all__ = ["ClusterStore"]
