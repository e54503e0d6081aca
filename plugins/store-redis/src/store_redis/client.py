"""``store.client()``: redis-py's own client, its commands travelling through ``store.execute``.

Every method that redis-py has, module commands included, ends in ``execute_command``; here that is ``store.execute``,
followed by redis-py's own response callbacks. Pipelines, transactions and WATCH are in ``pipeline.py``. redis-py's
PubSub and MONITOR take a connection each from ``pool.py``; ``client.client()`` has one link of the store's own.
Errors of the server have redis-py's own class and text.
"""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import redis.asyncio
from redis.asyncio.connection import ConnectionPool
from redis.client import EMPTY_RESPONSE, NEVER_DECODE

from store_core import ReplyError
from store_redis.connection import RedisConnection
from store_redis.encoding import decoded, split_name
from store_redis.errors import in_redis_pys_words
from store_redis.link import Link
from store_redis.pipeline import StorePipeline
from store_redis.pool import StoreMonitor, forget_connections, make_pool

if TYPE_CHECKING:
    from store_redis.store import RedisStore


class StoreRedis(redis.asyncio.Redis):
    """A ``redis.asyncio.Redis`` on a store.

    Args:
        store: Where its commands travel.
        connection_pool: For what needs a connection for itself.
    """

    def __init__(self, store: RedisStore, connection_pool: ConnectionPool) -> None:
        super().__init__(connection_pool=connection_pool)
        self.store = store
        self._singles: WeakSet[SingleConnectionRedis] = WeakSet()

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        try:
            response = await run(self.store, args, options)
        except ReplyError as error:
            if EMPTY_RESPONSE in options:
                return options[EMPTY_RESPONSE]
            raise in_redis_pys_words(error) from error.__cause__
        return await self.parsed(args[0], response, options)

    async def parsed(self, name: str, response: Any, options: dict[str, Any]) -> Any:
        """The response as redis-py's callback for the command makes it."""
        callback = self.response_callbacks.get(name)
        if callback is None:
            return response
        meant_for_us = (EMPTY_RESPONSE, NEVER_DECODE, "keys")
        value = callback(response, **{key: option for key, option in options.items() if key not in meant_for_us})
        return await value if inspect.isawaitable(value) else value

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> StorePipeline:
        return StorePipeline(self, transaction, shard_hint)

    def monitor(self) -> StoreMonitor:
        return StoreMonitor(self.connection_pool)

    def client(self) -> SingleConnectionRedis:
        """A client whose commands all travel on one connection of its own; close it after use."""
        single = SingleConnectionRedis(self.store, self.connection_pool)
        self._singles.add(single)
        return single

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        """Close what this client opened for itself, where asked to; the store and its connections stay open."""
        await super().aclose(close_connection_pool)
        if self.store.closed:
            for single in list(self._singles):
                await single.aclose()

    def forget_loop(self) -> None:
        """Drop everything that belongs to an event loop that is gone."""
        forget_connections(self.connection_pool)
        for single in list(self._singles):
            single.forget_loop()
        self._usage_counter = 0
        self._usage_lock = asyncio.Lock()
        self._single_conn_lock = asyncio.Lock()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.store!r}>"


class SingleConnectionRedis(StoreRedis):
    """``client.client()``: every command on one connection, which SELECT, CLIENT TRACKING and the like may change."""

    _link: Link | None = None
    _own: RedisConnection | None = None

    async def initialize(self) -> SingleConnectionRedis:
        await self._connected()
        return self

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        connection = await self._connected()
        decoding = self.store.params["decode_responses"] and NEVER_DECODE not in options
        try:
            response = await connection.execute(*split_name(args))
        except ReplyError as error:
            if EMPTY_RESPONSE in options:
                return options[EMPTY_RESPONSE]
            raise in_redis_pys_words(error) from error.__cause__
        return await self.parsed(args[0], decoded(response, self.store.encoding) if decoding else response, options)

    def client(self) -> SingleConnectionRedis:
        return self

    async def aclose(self, close_connection_pool: bool | None = None) -> None:
        """Close the connection; the next command opens another."""
        link, self._link, self._own = self._link, None, None
        if link is not None:
            link.close()

    def forget_loop(self) -> None:
        link, self._link, self._own = self._link, None, None
        if link is not None:
            link.abandon()
        self._single_conn_lock = asyncio.Lock()

    async def _connected(self) -> RedisConnection:
        self.store.bind()
        async with self._single_conn_lock:
            if self._own is None or self._link is None or self._link.closed:
                self._link = await self.store.open_link()
                # Some replies stay bytes whatever ``decode_responses`` says, so all are decoded here.
                self._link.leave_bytes()
                self._own = RedisConnection(self.store, self._link)
            return self._own


async def run(store: RedisStore, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """One command of redis-py's on the store."""
    if NEVER_DECODE in options:
        return await store.execute_undecoded(split_name(args))
    return await store.execute(*split_name(args))


def make_client(store: RedisStore) -> StoreRedis:
    """The redis-py client of a store."""
    return StoreRedis(store, make_pool(store))
