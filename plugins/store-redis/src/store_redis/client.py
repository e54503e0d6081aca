"""``store.client()``: redis-py's own client, its commands travelling through ``store.execute``.

Every method that redis-py has, module commands included, ends in ``execute_command``; here that is ``store.execute``,
followed by redis-py's own response callbacks. Pipelines, transactions and WATCH are in ``pipeline.py``. redis-py's
PubSub and MONITOR take a connection each from ``pool.py``; ``client.client()`` has one link of the store's own.
Errors of the server have redis-py's own class and text.
"""

from __future__ import annotations

import asyncio
import inspect
import warnings
from threading import get_ident
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import redis.asyncio
from redis.asyncio.connection import ConnectionPool
from redis.client import EMPTY_RESPONSE, NEVER_DECODE

from store_core import ReplyError, Timeout
from store_redis.commands import WAITS, upper
from store_redis.connection import RedisConnection
from store_redis.encoding import decoded, split_name
from store_redis.errors import in_redis_pys_words
from store_redis.link import Link
from store_redis.pipeline import StorePipeline
from store_redis.pool import StoreMonitor, forget_connections, make_pool
from store_redis.retry import FAILURES

if TYPE_CHECKING:
    from store_redis.store import RedisStore

#: What redis-py tells its own cache with most commands.
KEYS_ONLY = {"keys"}

#: Options that are no business of a callback's.
_MEANT_FOR_US = (EMPTY_RESPONSE, NEVER_DECODE, "keys")

#: Names remembered; a caller who makes up names costs time, never memory.
_PLAIN_KEPT = 1024


class StoreRedis(redis.asyncio.Redis):
    """A ``redis.asyncio.Redis`` on a store.

    Args:
        store: Where its commands travel.
        connection_pool: For what needs a connection for itself.
    """

    def __init__(self, store: RedisStore, connection_pool: ConnectionPool) -> None:
        super().__init__(connection_pool=connection_pool)
        self._store = store
        self._singles: WeakSet[SingleConnectionRedis] = WeakSet()
        # Callback by name, of the commands that need nothing but their link; an extension wants to see them all.
        self._plain: dict[Any, Any] = {}
        self._direct = store.unwrapped

    @property
    def store(self) -> RedisStore:
        """The store that its commands go to."""
        return self._store

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        # The hot path, as in RedisStore.execute; a coroutine between the two would cost as much as the rest.
        store = self._store
        link = store._link
        try:
            callback = self._plain[args[0]]
        except (KeyError, TypeError):
            return await self._execute_command(args, options)
        if (
            link is None
            or link.writable is not None
            or (options and options.keys() != KEYS_ONLY)
            or link.thread != get_ident()
            or not link.loop_runs()
        ):
            return await self._execute_command(args, options)
        try:
            response = await link.send(args)
        except FAILURES as error:
            try:
                response = await store.go_on(error, args)
            except ReplyError as final:
                raise in_redis_pys_words(final) from final.__cause__
        return response if callback is None else callback(response)

    async def _execute_command(self, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        try:
            response = await run(self._store, args, options)
        except ReplyError as error:
            if EMPTY_RESPONSE in options:
                return options[EMPTY_RESPONSE]
            raise in_redis_pys_words(error) from error.__cause__
        self._learn(args[0])
        return await self.parsed(args[0], response, options)

    def _learn(self, name: Any) -> None:
        """Remember a command that ``execute_command`` may send at once, with redis-py's callback for it."""
        # A name of several words ("CLIENT ID") goes on the wire as several.
        one_word = type(name) is str and " " not in name
        if self._direct and one_word and self._store.is_shared(name) and len(self._plain) < _PLAIN_KEPT:
            callback = self.response_callbacks.get(name)
            # One that was set by the caller may be a coroutine function, and is asked for each time.
            if callback is None or callback.__module__.startswith("redis."):
                self._plain[name] = callback

    def set_response_callback(self, command: str, callback: Any) -> None:
        super().set_response_callback(command, callback)
        self._plain.clear()

    def set(self, name: Any, value: Any, *args: Any, **options: Any) -> Any:
        # Without options redis-py's method does nothing but look at each of them.
        if args or options:
            return super().set(name, value, *args, **options)
        return self.execute_command("SET", name, value)

    async def parsed(self, name: str, response: Any, options: dict[str, Any]) -> Any:
        """The response as redis-py's callback for the command makes it."""
        value = self.parse(name, response, options)
        return await value if inspect.isawaitable(value) else value

    def parse(self, name: str, response: Any, options: dict[str, Any]) -> Any:
        """The same, or what is to be awaited for it where the callback is a coroutine function."""
        callback = self.response_callbacks.get(name)
        if callback is None:
            return response
        meant = {key: option for key, option in options.items() if key not in _MEANT_FOR_US} if options else options
        return callback(response, **meant)

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

    def __del__(self) -> None:  # type: ignore[override]
        link = self._link
        if link is not None and not link.closed:
            warnings.warn(f"unclosed {self!r}", ResourceWarning, stacklevel=2, source=self)
            if not link.loop.is_closed():
                link.loop.call_soon_threadsafe(link.close)

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
        except (asyncio.CancelledError, Timeout):
            if upper(split_name(args)[0]) in WAITS:
                # Its reply may come in an hour, and all the others behind it.
                connection.link.close()
            raise
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
