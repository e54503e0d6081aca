"""PulsardsStore: the pulsards engine behind the Store API, by connection string.

``pulsards://`` is a private engine in this process; ``pulsards://host:port`` and ``pulsards+unix:///path`` are a
pulsards server. The server speaks Redis's protocol, so its store is store-redis's with another port; the embedded
store is the same again, with links that call the engine instead of a socket; ``serve`` opens ports onto its engine.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from threading import get_ident
from typing import TYPE_CHECKING, Any, ClassVar

from store_core import DSN, Capability, DSNError, Parameter, ReplyError, Store, Unsupported
from store_core.parameters import Params
from store_pulsards.direct import NOT_RUN, packed_arguments, run
from store_pulsards.embedded import TURN_AFTER, EmbeddedLink, Turns
from store_pulsards.engine.config import POLICIES, memory_size
from store_pulsards.engine.engine import Engine
from store_pulsards.engine.replies import BLOCKED, ErrorReply
from store_pulsards.migration import exchange
from store_pulsards.native import PLAIN, PLAIN_DECODED, native
from store_pulsards.server import Limits, Server
from store_pulsards.serving import Place, Ports, StoreServer, places
from store_pulsards.sweeper import Sweeper
from store_redis import RedisStore
from store_redis.connection import RedisConnection
from store_redis.single_flight import SingleFlight

if TYPE_CHECKING:
    from redis.asyncio.connection import AbstractConnection

    from store_core.store import Server as StartedServer

DEFAULT_PORT = 6410

#: What the data is held in, where this process makes the engine: embedded, or a server that ``start_store`` starts.
_OWN = (
    Parameter("maxmemory", str, "0", "memory of the data (100mb), embedded or of a server that is started; 0 for any"),
    Parameter(
        "maxmemory_policy",
        str,
        "noeviction",
        "which keys go when there is no room",
        choices=tuple(policy.decode() for policy in POLICIES),
    ),
)


class PulsardsStore(RedisStore):
    """A pulsards server."""

    parameters: ClassVar[tuple[Parameter, ...]] = (
        *RedisStore.parameters,
        *_OWN,
        Parameter(
            "listen", str, None, "ports onto an embedded store: host:port or /path/to/socket, several with commas"
        ),
    )
    default_port: ClassVar[int] = DEFAULT_PORT
    name = "pulsards"

    def __init__(self, dsn: DSN, params: Params) -> None:
        try:
            memory_size(b"maxmemory", params["maxmemory"].encode())
        except ErrorReply:
            size = params["maxmemory"]
            raise DSNError(
                f"pulsards: the parameter 'maxmemory' is {size!r}, which is not a size such as 100mb"
            ) from None
        super().__init__(dsn, params)
        self._listen = places(params["listen"])
        if self._listen and not isinstance(self, EmbeddedStore):
            raise DSNError("pulsards: 'listen' opens ports onto an embedded store, pulsards://; this one is a server's")

    async def serve(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        path: str | None = None,
        mode: int | None = None,
        password: str | None = None,
        protected: bool = True,
        limits: Limits | None = None,
    ) -> StoreServer:
        """Open a port onto the engine of an embedded store, for redis-cli and any other Redis client.

        The clients see all of the engine's databases, without the store's namespace. It closes with the store, or by
        ``close()``; it belongs to the running event loop, and ends with it.

        Args:
            host: The address, or a name of this machine.
            port: 0 takes a free one.
            path: A unix socket instead.
            mode: The permissions of the unix socket.
            password: What clients have to give, one for all ports of the store; by default the store's own parameter.
            protected: Without a password, serve the clients of this machine only.
            limits: What its clients may cost.

        Raises:
            Unsupported: The store is not an embedded one.
            ConnectionFailed: Nobody can listen there: the address is in use, or not this machine's.
            ValueError: The store has a port with another password.
            StoreClosed: The store was closed.
            LoopError: The store is in use on another event loop.
        """
        raise Unsupported(self.name, "serve", "a port is opened onto an embedded store, pulsards://")

    @classmethod
    def for_dsn(cls, dsn: DSN) -> type[Store]:
        if dsn.scheme == "pulsards" and not dsn.hosts:
            return EmbeddedStore
        return PulsardsStore

    @classmethod
    async def start_server(cls, dsn: DSN, params: Params) -> StartedServer:
        from store_pulsards.process import start_pulsards  # processes are rarely started

        return await start_pulsards(dsn, params)


class EmbeddedStore(PulsardsStore):
    """An engine of this store's own, in this process.

    The data lives as long as the store, whatever event loops come and go. Parameters that concern a network
    connection are accepted, so that a program can move to a server by its connection string alone; there is no
    connection here for them to change.
    """

    capabilities = PulsardsStore.capabilities - {Capability.START}

    def __init__(self, dsn: DSN, params: Params) -> None:
        super().__init__(dsn, params)
        self.engine = Engine()
        self.engine.exchange = exchange
        self.engine.config.set(
            [(name.replace("_", "-").encode(), params[name].encode()) for name in ("maxmemory", "maxmemory_policy")]
        )
        self._encoding = params["encoding"] if params["decode_responses"] else None
        self._plain = PLAIN if self._encoding is None else PLAIN_DECODED
        self._resp: int = params["protocol"]
        self._sweeper: Sweeper | None = None
        # The link that execute uses when nothing stands between a caller and the engine; else None.
        self._direct: EmbeddedLink | None = None
        self._turns = 0  # commands on that link since the event loop had a turn
        self._slow_turns = Turns()
        self._socket_server: Server | None = None
        self._ports = Ports(self.engine)
        self._missing = tuple(self._listen)  # places of the parameter that are not open yet
        self._open_missing = SingleFlight(self._serve_missing)

    @classmethod
    def path_parameters(cls, dsn: DSN) -> Mapping[str, str]:
        if dsn.path.strip("/"):
            raise Unsupported("pulsards", "a file", "this version keeps data in memory; use pulsards://")
        return {}

    async def connect(self) -> RedisConnection:
        self.bind()
        if self._missing:
            await self._open_missing()
        link = EmbeddedLink(self.engine, self._sweep(), self._slow_turns, self._resp, self._encoding)
        try:
            if self.params["db"]:
                await link.send(("SELECT", self.params["db"]))
            if self.params["client_name"]:
                await link.send(("CLIENT", "SETNAME", self.params["client_name"]))
        except BaseException:
            link.close()
            raise
        return RedisConnection(self, link)

    async def execute(self, *args: Any, timeout: float | None = None) -> Any:
        link = self._direct
        if (
            link is None
            or timeout is not None
            or link.blocking is not None
            or link.thread != get_ident()
            or not link.loop_runs()
        ):
            return await self._execute(args, timeout)
        reply = run(self.engine, link.session, args)
        if reply is NOT_RUN:
            if not self._knows(args):
                return await self._execute(args, timeout)
            reply = self.engine.execute(link.session, packed_arguments(args))
        if not link.sweeper.stirred:
            link.sweeper.stir()
        turns = self._turns = self._turns + 1
        if turns < TURN_AFTER and type(reply) in self._plain:
            return reply
        if reply is BLOCKED:
            return await link.blocked()
        value = native(reply, self._resp, self._encoding)
        if turns >= TURN_AFTER:
            # After the command, not before it: who calls after this caller comes after it.
            self._turns = 0
            await asyncio.sleep(0)
        if isinstance(value, ReplyError):
            raise value
        return value

    def _knows(self, args: tuple[Any, ...]) -> bool:
        """Whether the command is one for the shared link; a name not seen before is the slow path's to learn."""
        try:
            return self.is_shared(args[0])
        except (IndexError, TypeError):  # no name at all, or one that cannot be looked up
            return False

    def _make_tracking(self, params: Params) -> None:
        """There is nothing to cache: the data is in this process already."""

    def redis_connection(self) -> tuple[type[AbstractConnection], dict[str, Any]]:
        from store_pulsards.client import connection_kind

        return connection_kind(self)

    async def serve(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        path: str | None = None,
        mode: int | None = None,
        password: str | None = None,
        protected: bool = True,
        limits: Limits | None = None,
    ) -> StoreServer:
        self.bind()
        server = await self._ports.add(
            Place(path=path) if path else Place(host, port),
            self._sweep(),
            password=self.params["password"] if password is None else password,
            mode=mode,
            protected=protected,
            limits=limits,
        )
        if self._closed:
            await server.close()
            self.check_open()
        return server

    @property
    def servers(self) -> tuple[StoreServer, ...]:
        """The ports that are open, in the order in which they were opened."""
        return self._ports.open

    async def _serve_missing(self) -> None:
        while self._missing:
            place, *left = self._missing
            await self.serve(place.host, place.port, path=place.path)
            self._missing = tuple(left)

    def _sweep(self) -> Sweeper:
        if self._sweeper is None:
            self._sweeper = Sweeper(self.engine, asyncio.get_running_loop())
        return self._sweeper

    async def serve_socket(self, sock: socket.socket) -> None:
        """Serve the engine on a connected socket: how redis-py's own connections reach it."""
        self.bind()
        if self._socket_server is None:
            self._socket_server = Server(self.engine, sweeper=self._sweep())
        await self._socket_server.serve_socket(sock)

    def _links_changed(self) -> None:
        super()._links_changed()
        link = self._link
        self._direct = link if isinstance(link, EmbeddedLink) else None

    async def _close(self) -> None:
        await super()._close()
        await self._open_missing.settled()
        await self._ports.close()
        if self._socket_server is not None:
            await self._socket_server.close()
        if self._sweeper is not None:
            self._sweeper.close()

    def _abandon(self) -> None:
        super()._abandon()
        self._sweeper = None
        self._ports.leave()
        self._missing = tuple(self._listen)
        self._open_missing.forget()
        server, self._socket_server = self._socket_server, None
        if server is not None and server.loop.is_closed():
            server.abandon()
        elif server is not None:
            asyncio.run_coroutine_threadsafe(server.close(), server.loop)
