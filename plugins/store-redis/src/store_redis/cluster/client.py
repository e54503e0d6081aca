"""``store.client()`` of a cluster: redis-py's own client, its commands travelling through the cluster store.

What needs a connection for itself takes one from redis-py's own pools: PubSub and MONITOR to any node that can be
reached, WATCH to the one that serves the key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.exceptions import MovedError

from store_redis.client import KEYS_ONLY, StorePipeline, StoreRedis, connection_kind, make_pool, split_name
from store_redis.cluster.redirects import REDIRECTIONS
from store_redis.cluster.topology import Address

if TYPE_CHECKING:
    from store_redis.cluster.store import ClusterStore


class ClusterRedis(StoreRedis):
    """A ``redis.asyncio.Redis`` on a cluster store."""

    def __init__(self, store: ClusterStore, connection_pool: ConnectionPool) -> None:
        super().__init__(store, connection_pool)
        self.cluster_store = store
        self._pools: dict[Address, ConnectionPool] = {}
        # What needs nothing but its reply goes to store.execute at once, where extensions see it.
        self._direct = True

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        try:
            callback = self._plain[args[0]]
        except (KeyError, TypeError):
            return await self._execute_command(args, options)
        if options and options.keys() != KEYS_ONLY:
            return await self._execute_command(args, options)
        response = await self._store.execute(*args)
        return response if callback is None else callback(response)

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> ClusterPipeline:
        return ClusterPipeline(self, transaction, shard_hint)

    def pool(self, address: Address) -> ConnectionPool:
        """The pool of one node."""
        found = self._pools.get(address)
        if found is None:
            kind, where = connection_kind(self.cluster_store)
            where |= {"host": address.host, "port": address.port}
            found = self._pools[address] = make_pool(self.cluster_store, (kind, where))
        return found

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        await super().aclose(close_connection_pool)
        for pool in self._pools.values():
            await pool.aclose()


class ClusterPipeline(StorePipeline):
    """redis-py's pipeline; its WATCH connects to the node of the first key."""

    def __init__(self, client: ClusterRedis, transaction: bool, shard_hint: str | None) -> None:
        super().__init__(client, transaction, shard_hint)
        self._cluster_client = client

    async def immediate_execute_command(self, *args: Any, **options: Any) -> Any:
        if self.connection is not None:
            return await super().immediate_execute_command(*args, **options)  # type: ignore[no-untyped-call]
        client = self._cluster_client
        store = client.cluster_store
        slot = await store.slot_of(await store.prepare(split_name(args)))
        for left in range(REDIRECTIONS, -1, -1):
            self.connection_pool = client.pool(store.cluster.place(slot).address)
            try:
                return await super().immediate_execute_command(*args, **options)  # type: ignore[no-untyped-call]
            except MovedError as error:
                if not left:
                    raise
                store.cluster.moved(error.slot_id, Address(error.host, error.port))
                await self._forget_connection()
        return None

    async def _forget_connection(self) -> None:
        connection, self.connection = self.connection, None
        if connection is not None:
            await self.connection_pool.release(connection)


class _Anywhere(AbstractConnection):
    """A connection of redis-py's to any node that can be reached."""

    store: ClusterStore
    host: str
    port: int

    async def _connect(self) -> None:
        self.host, self.port = await self.store.live_address()
        await super()._connect()  # type: ignore[safe-super, no-untyped-call]


def connection_anywhere(store: ClusterStore) -> tuple[type[AbstractConnection], dict[str, Any]]:
    """redis-py's connection class for any node, and its arguments."""
    kind, where = connection_kind(store)
    return type(f"Anywhere{kind.__name__}", (_Anywhere, kind), {"store": store}), where


def make_cluster_client(store: ClusterStore) -> ClusterRedis:
    """The redis-py client of a cluster store."""
    return ClusterRedis(store, make_pool(store))
