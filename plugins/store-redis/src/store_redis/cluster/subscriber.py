"""The subscriber of a cluster.

Channels and patterns go through one node: a cluster carries every message to all of its nodes. When that node is
lost, the connection is made again to another one.
"""

from __future__ import annotations

from store_redis.subscriber import RedisSubscriber


class ClusterSubscriber(RedisSubscriber):
    """The store's side of pub/sub in a cluster."""

    async def publish(self, channel: str, data: bytes) -> int:
        # The server counts the subscribers of the one node that was told, which says nothing of the cluster's.
        await super().publish(channel, data)
        return -1
