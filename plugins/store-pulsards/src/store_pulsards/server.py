"""The server: listeners, the clients they bring, and the timers that all of them share.

Nothing here polls. Dead keys are the sweeper's business, idle clients are looked for when the oldest of them may have
become idle; without volatile keys and a timeout an idle server sleeps.
The server runs no task of its own: everything happens in callbacks of the event loop that ``Server`` was made in.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from dataclasses import dataclass, replace
from functools import partial
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Final

from store_pulsards.connection import DENIED, TOO_MANY_CLIENTS, Connection, show_address
from store_pulsards.encoder import encode
from store_pulsards.engine.config import OUTPUT_LIMIT, PROTECTED_MODE
from store_pulsards.listening import bind_tcp, bind_unix, keep_alive
from store_pulsards.migration import exchange
from store_pulsards.protocol import MAX_BUFFER, MAX_BULK
from store_pulsards.sweeper import Sweeper

if TYPE_CHECKING:
    from store_pulsards.engine.engine import Engine
    from store_pulsards.engine.replies import Reply

FAREWELL: Final = 1.0  # seconds that a closing server gives its clients to take their last replies
# Of the limits, those that are parameters of CONFIG by themselves.
LIMITS: Final = {
    b"client-query-buffer-limit": "query",
    b"maxclients": "clients",
    b"proto-max-bulk-len": "bulk",
    b"timeout": "idle",
}
_UNIX: Final = getattr(socket, "AF_UNIX", None)  # Windows has none
WILDCARDS: Final = ("0.0.0.0", "::")  # noqa: S104 - a client's own address is not told by such a listener's
ACCEPTING: Final = 3  # turns of the loop, at most, from a socket that was accepted to its connection_made


@dataclass(frozen=True)
class Limits:
    """What one client may cost; sizes in bytes.

    Attributes:
        clients: Connections at a time; 0 for any number.
        idle: Seconds after which a client that says nothing is dropped (not a subscriber, not a blocked one); 0 never.
        bulk: One argument (``proto-max-bulk-len``).
        query: A request that is not complete, or requests behind a blocked one (``client-query-buffer-limit``).
        output: Replies that a client has not read, above which it is not read from.
        subscriber_output: Messages that a subscriber has not read, above which it is dropped.
        subscriber_lag: The same, when it lasts for ``subscriber_lag_seconds``.
    """

    clients: int = 10_000
    idle: float = 0
    bulk: int = MAX_BULK
    query: int = MAX_BUFFER
    output: int = 64 * 1024 * 1024
    subscriber_output: float = 32 * 1024 * 1024
    subscriber_lag: float = 8 * 1024 * 1024
    subscriber_lag_seconds: float = 60


class Server:
    """Serves one engine to any number of clients. Made in, and bound to, the running event loop."""

    def __init__(
        self,
        engine: Engine,
        *,
        limits: Limits | None = None,
        backlog: int = 511,
        keepalive: int = 300,
        protected: bool = True,
        sweeper: Sweeper | None = None,
        denied: bytes = DENIED,
    ) -> None:
        """
        Args:
            engine: What executes the commands; it may be shared with other servers and embedded sessions of the same
                thread.
            limits: What one client may cost.
            backlog: Connections that may wait to be accepted.
            keepalive: Seconds after which the kernel probes a silent TCP peer; 0 never.
            protected: Without a password, serve the clients of this machine only.
            sweeper: The engine's, where it has one already; closing the server leaves it alone.
            denied: What a client hears that ``protected`` keeps out.
        """
        self.engine = engine
        self.loop = asyncio.get_running_loop()
        self.clock = engine.keyspace.clock
        self.limits = limits or Limits()
        self.keepalive = keepalive
        self.protected = protected
        self._backlog = backlog
        self._denied = denied
        self._listeners: list[asyncio.Server] = []
        self._bound: list[socket.socket] = []  # what they listen on
        self._sockets: dict[Path, int] = {}  # unix sockets of ours, and their inodes
        self._connections: set[Connection] = set()
        self._unflushed: list[Connection] = []
        self.sweeper = sweeper or Sweeper(engine, self.loop)
        self._own_sweeper = sweeper is None
        self._idle_check: asyncio.TimerHandle | None = None
        self._encoded: tuple[Reply, int, bytes] = (None, 0, b"")
        engine.exchange = exchange
        engine.observe_chunks()

    @property
    def clients(self) -> int:
        """How many are connected."""
        return len(self._connections)

    def _tell_limits(self) -> None:
        """Let CONFIG GET and INFO say what holds here."""
        tell, limits = self.engine.config.tell, self.limits
        tell(b"maxclients", limits.clients)
        tell(b"proto-max-bulk-len", limits.bulk)
        tell(b"tcp-keepalive", self.keepalive)
        tell(b"dir", os.fsencode(Path.cwd()))
        tell(b"protected-mode", b"yes" if self.protected else b"no")
        tell(b"tcp-backlog", self._backlog)
        tell(b"timeout", int(limits.idle))
        tell(b"client-query-buffer-limit", limits.query)
        lag = int(limits.subscriber_lag), int(limits.subscriber_lag_seconds)
        self.engine.config.output_limits[b"pubsub"] = (int(limits.subscriber_output), *lag)

    def _reconfigure(self, name: bytes) -> None:
        """CONFIG SET has changed something that servers do: let it hold from now on."""
        config, limits = self.engine.config, self.limits
        if name == b"tcp-keepalive":
            self.keepalive = config.number(name)
            for sock in self._bound:  # who is connected already keeps what held before, as in Redis
                keep_alive(sock, self.keepalive)
        elif name == PROTECTED_MODE:
            self.protected = config.switch(name)
        elif name == OUTPUT_LIMIT:
            hard, soft, seconds = config.output_limits[b"pubsub"]
            self.limits = replace(
                limits,
                subscriber_output=hard or inf,
                subscriber_lag=soft or inf,
                subscriber_lag_seconds=seconds,
            )
        else:
            self.limits = replace(limits, **{LIMITS[name]: config.number(name)})
        for connection in self._connections:
            connection.relimit()
        if name == b"timeout":
            self._watch_idle()

    # Where clients come from

    async def listen_tcp(self, host: str = "127.0.0.1", port: int = 0) -> tuple[str, int]:
        """Listen on an address; return it with the port that was bound, for 0 a free one.

        Raises:
            OSError: The address is in use, or not one of this machine.
        """
        bound = await bind_tcp(host, port)
        await self._listen(bound)
        here: tuple[str, int] = bound[0].getsockname()[:2]
        self.engine.config.tell(b"port", here[1])
        return here

    async def listen_unix(self, path: str | os.PathLike[str], mode: int | None = None) -> str:
        """Listen on a unix socket, with these permissions from the first moment on.

        A socket that a dead server left behind is replaced, one that answers is not.

        Raises:
            OSError: Somebody listens there, or the path is something else.
        """
        place = Path(path)
        sock, self._sockets[place] = bind_unix(place, mode)
        await self._listen([sock])
        self.engine.config.tell(b"unixsocket", os.fsencode(place))
        return str(place)

    async def _listen(self, bound: list[socket.socket]) -> None:
        """Take clients in from sockets that are bound; all of them, or none."""
        self._bound += bound
        begun: list[asyncio.Server] = []
        try:
            for sock in bound:
                create = self.loop.create_unix_server if sock.family == _UNIX else self.loop.create_server
                keep_alive(sock, self.keepalive)
                factory = partial(Connection, self, _local_address(sock))
                begun.append(await create(factory, sock=sock, backlog=self._backlog, start_serving=False))
            for listener in begun:
                await listener.start_serving()
        except BaseException:
            # Also when the caller is cancelled: each listener is in our hands before it listens.
            for listener in begun:
                listener.close()
            for sock in bound:
                self._bound.remove(sock)
                sock.close()
            raise
        self._listeners += begun
        self._tell_limits()
        if self._reconfigure not in self.engine.config.watch_servers:
            self.engine.config.watch_servers.append(self._reconfigure)

    async def serve_socket(self, sock: socket.socket) -> None:
        """Serve a socket that is connected already, one end of a ``socketpair``; returns when it is attached.

        The socket belongs to the server from then on. Its client is this very program, which needs no password.
        """
        sock.setblocking(False)
        await self.loop.connect_accepted_socket(lambda: Connection(self, trusted=True), sock)

    # What connections ask

    def admit(self, connection: Connection, *, local: bool) -> bytes | None:
        """Take a client in; or say why not."""
        if self.limits.clients and len(self._connections) >= self.limits.clients:
            return TOO_MANY_CLIENTS
        if self.protected and not local and not self.engine.config.password:
            return self._denied
        self._connections.add(connection)
        if self.limits.idle and self._idle_check is None:
            self._idle_check = self.loop.call_later(self.limits.idle, self._drop_idle)
        return None

    def _watch_idle(self) -> None:
        """Look for idle clients by the timeout that holds now."""
        if self._idle_check is not None:
            self._idle_check.cancel()
            self._idle_check = None
        if self.limits.idle:
            self._drop_idle()

    def forget(self, connection: Connection) -> None:
        self._connections.discard(connection)

    def encode_push(self, message: Reply, resp: int) -> bytes:
        """A message goes to many subscribers: encode it once."""
        last, version, data = self._encoded
        if last is not message or version != resp:
            data = encode(message, resp)
            self._encoded = (message, resp, data)
        return data

    def flush_soon(self, connection: Connection) -> None:
        """Write a connection's output at the end of this turn of the loop."""
        if not self._unflushed:
            self.loop.call_soon(self._flush)
        self._unflushed.append(connection)

    def _flush(self) -> None:
        unflushed, self._unflushed = self._unflushed, []
        self._encoded = (None, 0, b"")
        for connection in unflushed:
            connection.flush()

    # Idle clients

    def _drop_idle(self) -> None:
        """Drop who has been idle for too long; look again when the next one may have."""
        self._idle_check = None
        now = self.clock()
        oldest = now
        for connection in tuple(self._connections):
            session = connection.session
            if session.subscribed or session.blocked is not None:
                continue
            if now - session.last_active >= self.limits.idle:
                connection.close()
            else:
                oldest = min(oldest, session.last_active)
        if self._connections:
            self._idle_check = self.loop.call_later(max(1.0, oldest + self.limits.idle - now), self._drop_idle)

    # The end

    async def close(self) -> None:
        """Stop listening, let the clients go, and wait until all of it is gone."""
        self._unwatch()
        self._stop_timers()
        listeners, self._listeners = self._listeners, []
        await self._stop_accepting(listeners)
        for listener in listeners:
            listener.close()
        self._unlink_sockets()
        connections = tuple(self._connections)
        for connection in connections:
            connection.close()
        if connections:
            _, late = await asyncio.wait([connection.closed for connection in connections], timeout=FAREWELL)
            for connection in connections:
                if connection.closed in late:
                    connection.abort()
            await asyncio.gather(*late)
        for listener in listeners:
            await listener.wait_closed()
        self._bound.clear()

    def abandon(self) -> None:
        """Let everything go at once, waiting for nothing: the event loop has ended."""
        self._unwatch()
        self._stop_timers()
        self._listeners.clear()
        bound, self._bound = self._bound, []
        for sock in bound:
            sock.close()
        self._unlink_sockets()
        for connection in tuple(self._connections):
            connection.abandon()

    def _unwatch(self) -> None:
        """CONFIG SET has nothing to tell here any more."""
        with contextlib.suppress(ValueError):  # it never listened, or was closed before
            self.engine.config.watch_servers.remove(self._reconfigure)

    def _stop_timers(self) -> None:
        if self._own_sweeper:
            self.sweeper.close()
        if self._idle_check is not None:
            self._idle_check.cancel()
            self._idle_check = None

    async def _stop_accepting(self, listeners: list[asyncio.Server]) -> None:
        """Take nobody else in, and wait for those who were accepted a moment ago.

        asyncio forgets such a socket, open, when its listener is closed before it has become a connection; and one
        that becomes a connection after the others were closed would be closed by nobody.
        """
        with contextlib.suppress(NotImplementedError):  # a loop on Windows accepts in another way
            for listener in listeners:
                for sock in listener.sockets:
                    self.loop.remove_reader(sock)
        for _ in range(ACCEPTING):
            await asyncio.sleep(0)

    def _unlink_sockets(self) -> None:
        """Remove the unix sockets that still are ours: another server may have taken a path over."""
        for place, inode in self._sockets.items():
            with contextlib.suppress(FileNotFoundError):
                if place.stat().st_ino == inode:
                    place.unlink()
        self._sockets.clear()


def _local_address(sock: socket.socket) -> str:
    """The server's end of every connection that a listener accepts; empty where that differs."""
    name = sock.getsockname()
    return "" if name[0] in WILDCARDS else show_address(name)
