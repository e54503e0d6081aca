"""The redis-py pool of a store: where redis-py's PubSub and MONITOR get their connections.

They connect where the store does, with the same credentials, database and namespace. On a connection of a store with
a namespace keys and channels get the prefix on the way out, and messages lose it; other replies do not, since
redis-py's connection does not know which command a reply answers. Whatever the client does itself goes another way.
"""

from __future__ import annotations

import asyncio
import copy
import inspect
from typing import TYPE_CHECKING, Any

import redis.asyncio
import redis.utils
from redis.asyncio.client import Monitor
from redis.asyncio.connection import (
    AbstractConnection,
    Connection,
    ConnectionPool,
    SSLConnection,
    UnixDomainSocketConnection,
)
from redis.credentials import CredentialProvider

from store_redis.credentials import login
from store_redis.encoding import split_name

if TYPE_CHECKING:
    from store_redis.dial import Dialer
    from store_redis.store import RedisStore


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


class _Named(SSLConnection):
    """What a connection of redis-py's lacks: a name of its own that the server's certificate must carry."""

    server_name: str

    def _connection_arguments(self) -> dict[str, Any]:
        return {**super()._connection_arguments(), "server_hostname": self.server_name}


class StoreMonitor(Monitor):
    """redis-py's MONITOR, which waits for the next command however long a quiet server has none."""

    async def __aenter__(self) -> StoreMonitor:
        await super().__aenter__()  # type: ignore[no-untyped-call]
        assert self.connection is not None
        self._timeout = self.connection.socket_timeout
        self.connection.socket_timeout = None
        return self

    async def __aexit__(self, *args: object) -> None:
        assert self.connection is not None
        self.connection.socket_timeout = self._timeout
        await super().__aexit__(*args)  # type: ignore[no-untyped-call]


def make_pool(store: RedisStore) -> ConnectionPool:
    """A redis-py pool that connects where the store does."""
    kind, where = store.redis_connection()
    if store.namespace:
        kind = type(f"Prefixed{kind.__name__}", (_Prefixed, kind), {"store": store})
    params, defaults = store.params, inspect.signature(redis.asyncio.Redis.__init__).parameters
    # Before redis-py 8 a subscription that hears nothing for so long fails; there its own default is none.
    waits = defaults["socket_timeout"].default is not None
    return ConnectionPool(
        connection_class=kind,
        db=params["db"],
        **_credentials(store),
        client_name=params["client_name"],
        encoding=params["encoding"],
        decode_responses=params["decode_responses"],
        protocol=_protocol(store),
        retry=copy.deepcopy(defaults["retry"].default),
        socket_timeout=(params["timeout"] or None) if waits else None,
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


def _protocol(store: RedisStore) -> int | None:
    """The protocol, or None where nobody asked for one: then redis-py gives the reply shapes of its own default."""
    speaks_resp3 = getattr(redis.utils, "DEFAULT_RESP_VERSION", 2) == 3
    protocol: int = store.params["protocol"]
    return protocol if store.names_parameter("protocol") or not speaks_resp3 else None


def forget_connections(pool: ConnectionPool) -> None:
    """Drop the connections of an event loop that is gone; the pool opens others."""
    for connection in (*pool._available_connections, *pool._in_use_connections):
        writer = connection._writer
        connection._reader = connection._writer = None
        if writer is None:
            continue
        # The loop runs nothing any more: what it would have called is called here, or the socket stays open.
        transport: Any = writer.transport
        close = getattr(transport, "_call_connection_lost", None)
        if close is not None and not transport.is_closing():
            transport._closing = True
            close(None)
    pool.reset()  # type: ignore[no-untyped-call]
    pool._lock = asyncio.Lock()


def connection_kind(store: RedisStore) -> tuple[type[AbstractConnection], dict[str, Any]]:
    """redis-py's connection class for the store's address, and its arguments."""
    dialer, params = store.dialer, store.params
    if dialer.path:
        return UnixDomainSocketConnection, {"path": dialer.path}
    where: dict[str, Any] = {"host": dialer.host, "port": dialer.port}
    if not dialer.tls:
        return Connection, where
    kind: type[AbstractConnection] = SSLConnection
    if params["tls_server_name"]:
        kind = type("NamedSSLConnection", (_Named,), {"server_name": params["tls_server_name"]})
    return kind, {
        **where,
        "ssl_ca_certs": params["tls_ca_file"],
        "ssl_certfile": params["tls_cert_file"],
        "ssl_keyfile": params["tls_key_file"],
        "ssl_password": params["tls_key_password"],
        "ssl_cert_reqs": "required" if params["tls_verify"] else "none",
        "ssl_check_hostname": params["tls_verify"],
    }
