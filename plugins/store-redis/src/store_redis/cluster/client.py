"""``store.client()`` of a cluster: redis-py's own client, its commands travelling through the cluster store.

redis-py's PubSub and MONITOR take a connection each from a pool, to any node that can be reached. WATCH of a pipeline
goes to the node of its keys; ``client.client()`` has a link of its own to each node that its keys need.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.client import NEVER_DECODE

from store_core import ReplyError
from store_redis.client import KEYS_ONLY, SingleConnectionRedis, StoreRedis
from store_redis.cluster.connection import ClusterConnection
from store_redis.cluster.topology import Address
from store_redis.connection import RedisConnection
from store_redis.encoding import split_name
from store_redis.errors import in_redis_pys_words
from store_redis.pipeline import Stack, StorePipeline
from store_redis.pool import connection_kind, make_pool

if TYPE_CHECKING:
    from store_redis.cluster.store import ClusterStore


class ClusterRedis(StoreRedis):
    """A ``redis.asyncio.Redis`` on a cluster store."""

    def __init__(self, store: ClusterStore, connection_pool: ConnectionPool) -> None:
        super().__init__(store, connection_pool)
        self.cluster_store = store
        # What needs nothing but its reply goes to store.execute at once, where extensions see it.
        self._direct = True

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        try:
            callback = self._plain[args[0]]
        except (KeyError, TypeError):
            return await self._execute_command(args, options)
        if options and options.keys() != KEYS_ONLY:
            return await self._execute_command(args, options)
        try:
            response = await self._store.execute(*args)
        except ReplyError as error:
            raise in_redis_pys_words(error) from error.__cause__
        return response if callback is None else callback(response)

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> ClusterPipeline:
        return ClusterPipeline(self, transaction, shard_hint)

    def client(self) -> SingleConnectionRedis:
        single = ClusterSingleRedis(self.cluster_store, self.connection_pool)
        self._singles.add(single)
        return single


class ClusterSingleRedis(SingleConnectionRedis):
    """``client.client()`` of a cluster: links of its own, one for each node that its keys need."""

    _roaming: ClusterConnection | None = None

    def __init__(self, store: ClusterStore, connection_pool: ConnectionPool) -> None:
        super().__init__(store, connection_pool)
        self._cluster_store = store

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        roaming, self._roaming = self._roaming, None
        await super().aclose(close_connection_pool)
        if roaming is not None:
            await roaming.close()

    def forget_loop(self) -> None:
        roaming, self._roaming = self._roaming, None
        super().forget_loop()
        if roaming is not None:
            roaming.abandon()

    async def _connected(self) -> RedisConnection:
        self.store.bind()
        async with self._single_conn_lock:
            if self._roaming is None or self._roaming.closed:
                if self._roaming is not None:
                    await self._roaming.close()
                link = await self.store.open_link()
                place = Address.parse(link.address)
                self._roaming = ClusterConnection(self._cluster_store, link, place, undecoded=True)
                self._link, self._own = link, self._roaming
            return self._roaming


class ClusterPipeline(StorePipeline):
    """redis-py's pipeline on a cluster: what needs a connection for itself goes to the node of its keys."""

    def __init__(self, client: ClusterRedis, transaction: bool, shard_hint: str | None) -> None:
        super().__init__(client, transaction, shard_hint)
        self._cluster_client = client

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> ClusterPipeline:
        return ClusterPipeline(self._cluster_client, transaction, shard_hint)

    async def _leave_bytes(self, stack: Stack) -> bool:
        if self._watch is None and self._has_undecoded(stack):
            store = self._cluster_client.cluster_store
            slots = [await store.slot_of(await store.prepare(split_name(args))) for args, _ in stack]
            # The first that there is; keys of other slots are refused when the transaction is sent.
            self._watch = await store.take_undecoded(next((slot for slot in slots if slot is not None), None))
        return await super()._leave_bytes(stack)

    async def _in_pipeline(self, stack: Stack) -> list[Any]:
        if not self._has_undecoded(stack):
            return await super()._in_pipeline(stack)
        # One after another: their nodes have no one connection whose replies could be left as bytes.
        return [await self._alone(split_name(args), NEVER_DECODE in options) for args, options in stack]

    async def _alone(self, args: tuple[Any, ...], undecoded: bool) -> Any:
        try:
            return await (self.store.execute_undecoded(args) if undecoded else self.store.execute(*args))
        except ReplyError as error:
            return error

    def _has_undecoded(self, stack: Stack) -> bool:
        return self.store.params["decode_responses"] and any(NEVER_DECODE in options for _, options in stack)


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
