"""``store.client()``: redis-py's own client, its commands travelling through ``store.execute``.

Every method that redis-py has, module commands included, ends in ``execute_command``; here that is ``store.execute``,
followed by redis-py's own response callbacks. Pipelines and transactions go in one write. What needs a connection
for itself (WATCH, its PubSub, MONITOR) takes one from a redis-py pool, with the same credentials and namespace.
"""

from __future__ import annotations

import asyncio
import inspect
from threading import get_ident
from typing import TYPE_CHECKING, Any

import redis.asyncio
from redis.asyncio.client import Pipeline
from redis.asyncio.connection import (
    AbstractConnection,
    Connection,
    ConnectionPool,
    SSLConnection,
    UnixDomainSocketConnection,
)
from redis.client import EMPTY_RESPONSE, NEVER_DECODE
from redis.credentials import CredentialProvider

from store_core import Command, ReplyError
from store_redis.credentials import login

if TYPE_CHECKING:
    from store_redis.dial import Dialer
    from store_redis.store import RedisStore

#: What redis-py tells its own cache with most commands.
_KEYS = {"keys"}

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
        # Callback by name, of the commands that need nothing but their link; an extension wants to see them all.
        self._plain: dict[Any, Any] = {}
        self._direct = store.unwrapped

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
            or (options and options.keys() != _KEYS)
            or link.thread != get_ident()
            or not link.loop_runs()
        ):
            return await self._execute_command(args, options)
        response = await link.send(args)
        return response if callback is None else callback(response)

    async def _execute_command(self, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        try:
            response = await run(self._store, args, options)
        except ReplyError:
            if EMPTY_RESPONSE in options:
                return options[EMPTY_RESPONSE]
            raise
        self._learn(args[0])
        return await self.parsed(args[0], response, options)

    def _learn(self, name: Any) -> None:
        """Remember a command that ``execute_command`` may send at once, with redis-py's callback for it."""
        if self._direct and type(name) is str and self._store.is_shared(name) and len(self._plain) < _PLAIN_KEPT:
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

    def client(self) -> StoreRedis:
        return self


class StorePipeline(Pipeline):
    """redis-py's pipeline; what it collected goes to the store in one write, unless keys are watched."""

    def __init__(self, client: StoreRedis, transaction: bool, shard_hint: str | None) -> None:
        super().__init__(client.connection_pool, client.response_callbacks, transaction, shard_hint)
        self._client = client

    async def execute(self, raise_on_error: bool = True) -> list[Any]:
        stack = self.command_stack
        if self.watching or self.connection is not None or any(NEVER_DECODE in options for _, options in stack):
            watched: list[Any] = await super().execute(raise_on_error)
            return watched
        try:
            return await self._execute_on_store(stack, raise_on_error) if stack else []
        finally:
            await self.reset()  # type: ignore[no-untyped-call]

    async def _execute_on_store(self, stack: list[Any], raise_on_error: bool) -> list[Any]:
        store = self._client._store
        if self.scripts:
            await self._load_scripts()
        commands = [Command(split_name(args)) for args, _ in stack]
        if self.is_transaction or self.explicit_transaction:
            replies = await store.execute_transaction(commands)
        else:
            replies = await store.execute_pipeline(commands)
        if raise_on_error:
            self.raise_first_error(stack, replies)
        parsed = self._client.parse
        values = [
            reply if isinstance(reply, Exception) else parsed(args[0], reply, options)
            for (args, options), reply in zip(stack, replies, strict=True)
        ]
        return [await value if inspect.isawaitable(value) else value for value in values]

    async def _load_scripts(self) -> None:
        for script in self.scripts:
            script.sha = await self._client.script_load(script.script)


async def run(store: RedisStore, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """One command of redis-py's on the store."""
    if NEVER_DECODE in options:
        return await store.execute_undecoded(split_name(args))
    return await store.execute(*split_name(args))


def split_name(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """The arguments with a name of several words ("CLIENT LIST") as several arguments."""
    name = args[0]
    return (*name.split(), *args[1:]) if isinstance(name, str) and " " in name else args


class _Prefixed(AbstractConnection):
    """What a connection of redis-py's does in a store with a namespace: prefix keys, strip channels."""

    store: RedisStore

    async def _connect(self) -> None:
        # Learned through the store, before the first command has to be packed.
        await self.store.prepare(("PING",))
        await super()._connect()  # type: ignore[safe-super, no-untyped-call]

    def pack_command(self, *args: Any) -> list[bytes]:
        return super().pack_command(*self.store.prefixed(split_name(args)))

    async def read_response(self, *args: Any, **kwargs: Any) -> Any:
        return self.store.without_prefix(await super().read_response(*args, **kwargs))


def make_client(store: RedisStore) -> StoreRedis:
    """The redis-py client of a store."""
    return StoreRedis(store, make_pool(store))


def make_pool(store: RedisStore) -> ConnectionPool:
    """A redis-py pool that connects where the store does."""
    kind, where = store.redis_connection()
    if store.namespace:
        kind = type(f"Prefixed{kind.__name__}", (_Prefixed, kind), {"store": store})
    params = store.params
    return ConnectionPool(
        connection_class=kind,
        db=params["db"],
        **_credentials(store),
        client_name=params["client_name"],
        encoding=params["encoding"],
        decode_responses=params["decode_responses"],
        protocol=params["protocol"],
        socket_timeout=params["timeout"] or None,
        socket_connect_timeout=store.dialer.connect_timeout or None,
        **where,
    )


def _credentials(store: RedisStore) -> dict[str, Any]:
    if store.params["credentials"] is not None:
        return {"credential_provider": _Credentials(store.dialer)}
    return {"username": store.params["username"], "password": store.params["password"]}


class _Credentials(CredentialProvider):
    """The store's credentials callable, as redis-py asks for it at each connect."""

    def __init__(self, dialer: Dialer) -> None:
        self._dialer = dialer

    async def get_credentials_async(self) -> tuple[str] | tuple[str, str]:
        dialer = self._dialer
        try:
            async with asyncio.timeout(dialer.connect_timeout or None):
                user = await login(dialer.params, dialer.address)
        except TimeoutError as error:
            raise dialer.translated(error, dialer.address) from error
        password = user.password or ""
        return (user.username, password) if user.username else (password,)


class _Named(SSLConnection):
    """redis-py's TLS connection, to a server whose certificate carries another name than its host."""

    server_name: str

    def _connection_arguments(self) -> dict[str, Any]:
        return {**super()._connection_arguments(), "server_hostname": self.server_name}


def connection_kind(store: RedisStore) -> tuple[type[AbstractConnection], dict[str, Any]]:
    """redis-py's connection class for the store's address, and its arguments."""
    dialer, params = store.dialer, store.params
    if dialer.path:
        return UnixDomainSocketConnection, {"path": dialer.path}
    where: dict[str, Any] = {"host": dialer.host, "port": dialer.port}
    if not dialer.tls:
        return Connection, where
    name = params["tls_server_name"]
    kind = type("NamedSSLConnection", (_Named,), {"server_name": name}) if name else SSLConnection
    return kind, {
        **where,
        "ssl_ca_certs": params["tls_ca_file"],
        "ssl_certfile": params["tls_cert_file"],
        "ssl_keyfile": params["tls_key_file"],
        "ssl_password": params["tls_key_password"],
        "ssl_cert_reqs": "required" if params["tls_verify"] else "none",
        "ssl_check_hostname": params["tls_verify"],
    }
