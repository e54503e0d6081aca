"""Ports onto an embedded engine: what ``store.serve()`` and the parameter ``listen`` open.

A port is a server in this process, on the store's own engine and event loop. Its clients and the program see one
state: a command of either runs between two commands of the other. The program has its engine with or without a
password; the password is the engine's, one for all of its ports, as ``requirepass`` is a server's.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from store_core import DSN, ConnectionFailed, DSNError, LoopError
from store_core.dsn import Host
from store_pulsards.engine.engine import Engine
from store_pulsards.server import Limits, Server
from store_pulsards.sweeper import Sweeper
from store_redis.errors import make

DENIED: Final = (
    b"-DENIED Running in protected mode because protected mode is enabled and no password is set. In this mode "
    b"connections are only accepted from the loopback interface. Give the store that opened this port a password, or "
    b"serve it with protected=False if nobody else can reach it.\r\n"
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where to listen: a host and a port, or the path of a unix socket."""

    host: str = ""
    port: int = 0
    path: str = ""

    @classmethod
    def parse(cls, text: str) -> Place:
        """``host:port``, ``[::1]:port``, or the path of a unix socket, with its leading ``/``.

        Raises:
            DSNError: It is none of these.
        """
        if text.startswith("/"):
            return cls(path=text)
        hosts: tuple[Host, ...] = ()
        if not set("/?#@,") & set(text):
            with suppress(DSNError):
                hosts = DSN.parse(f"pulsards://{text}").hosts
        if len(hosts) != 1 or not hosts[0].name or hosts[0].port is None:
            raise DSNError(f"pulsards: listen={text!r} is no place to listen; write host:port or /path/to/socket")
        return cls(hosts[0].name, hosts[0].port)

    def dsn(self, password: str | None) -> DSN:
        """The connection string of a server there."""
        if self.path:
            return DSN("pulsards+unix", password=password, path=str(Path(self.path).absolute()))
        return DSN("pulsards", password=password, hosts=(Host(self.host, self.port),))

    def __str__(self) -> str:
        return self.path or str(Host(self.host, self.port))


def places(listen: str | None) -> list[Place]:
    """The places of the parameter ``listen``, separated by commas."""
    return [Place.parse(text) for text in listen.split(",")] if listen else []


class StoreServer:
    """A port onto the engine of an embedded store; closes by itself, or with the store.

    Attributes:
        dsn: Its connection string, password included: ``create_store(server.dsn)`` is a client of it.
        port: The TCP port that it has; 0 for a unix socket.
    """

    def __init__(self, server: Server, place: Place, password: str, on_close: Callable[[StoreServer], None]) -> None:
        self._server = server
        self._dsn = place.dsn(password or None)
        self._on_close = on_close
        self._closed = False
        self._closing: asyncio.Task[None] | None = None
        self.dsn = str(self._dsn)
        self.port = place.port

    @property
    def clients(self) -> int:
        """How many clients are connected to it."""
        return self._server.clients

    @property
    def closed(self) -> bool:
        """Whether it was closed, by itself or with the store."""
        return self._closed

    async def close(self) -> None:
        """Stop listening, close the connections of its clients, and wait until they are gone.

        Closing twice is harmless. The store, its data and its other ports stay.

        Raises:
            LoopError: The event loop that it belongs to is another one, and lives.
        """
        loop = self._server.loop
        if loop is not asyncio.get_running_loop():
            if not loop.is_closed() and not self._closed:
                raise LoopError(f"{self!r} belongs to another event loop that still lives; close it there")
            self.leave()
            return
        closing = self._close_soon()
        if closing is not None:
            await asyncio.shield(closing)  # a caller that is cancelled does not leave half of it open

    def leave(self) -> None:
        """Let go of it without waiting: it belongs to another event loop, which has ended, most likely."""
        loop = self._server.loop
        if not loop.is_closed():
            loop.call_soon_threadsafe(self._close_soon)
        elif not self._closed:
            self._end()
            self._server.abandon()

    def _close_soon(self) -> asyncio.Task[None] | None:
        if not self._closed:
            self._end()
            self._closing = self._server.loop.create_task(self._server.close())
        return self._closing

    def _end(self) -> None:
        self._closed = True
        self._on_close(self)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        state = "closed" if self._closed else f"clients: {self.clients}"
        return f"<StoreServer {self._dsn.masked()}, {state}>"


class Ports:
    """The ports of one engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._open: dict[StoreServer, None] = {}
        self._users = 0  # ports that are open, or about to be
        self._password_before = b""
        # There is a program around this engine, and DEBUG SLEEP stops it.
        engine.config.tell(b"enable-debug-command", b"no")

    @property
    def open(self) -> tuple[StoreServer, ...]:
        """Those that are open, in the order in which they were opened."""
        return tuple(self._open)

    async def add(
        self,
        place: Place,
        sweeper: Sweeper,
        *,
        password: str | None = None,
        mode: int | None = None,
        protected: bool = True,
        limits: Limits | None = None,
    ) -> StoreServer:
        """Open one.

        Raises:
            ConnectionFailed: Nobody can listen there.
            ValueError: There are ports with another password.
        """
        self._begin(password)
        try:
            server = Server(self._engine, limits=limits, protected=protected, sweeper=sweeper, denied=DENIED)
            place = await _listen(server, place, mode)
        except BaseException:
            self._end()
            raise
        opened = StoreServer(server, place, self._engine.config.password.decode(), self._remove)
        self._open[opened] = None
        return opened

    async def close(self) -> None:
        """Close all of them."""
        await asyncio.gather(*(server.close() for server in self.open))

    def leave(self) -> None:
        """Let go of all of them without waiting: they belong to another event loop."""
        left, self._open = self._open, {}
        for server in left:
            server.leave()

    def _begin(self, password: str | None) -> None:
        config = self._engine.config
        if self._users:
            if password is not None and password.encode() != config.password:
                raise ValueError("the store has a port with another password; one password holds for all of its ports")
        else:
            self._password_before = config.password
            if password is not None:
                config.password = password.encode()
        self._users += 1

    def _end(self) -> None:
        self._users -= 1
        if not self._users:
            self._engine.config.password = self._password_before

    def _remove(self, server: StoreServer) -> None:
        self._open.pop(server, None)
        left = [each.port for each in self._open if each.port]
        self._engine.config.tell(b"port", left[-1] if left else 0)
        self._end()


async def _listen(server: Server, place: Place, mode: int | None) -> Place:
    """Listen there; return it with the port that was bound."""
    try:
        if place.path:
            await server.listen_unix(place.path, mode)
            return place
        return replace(place, port=(await server.listen_tcp(place.host, place.port))[1])
    except OSError as error:
        # A name that does not resolve has a number of another kind, and words of its own.
        known = error.errno is not None and error.errno > 0
        reason = os.strerror(error.errno) if known and error.errno is not None else error.strerror or str(error)
        raise make(ConnectionFailed, f"cannot listen on {place}: {reason}") from error
