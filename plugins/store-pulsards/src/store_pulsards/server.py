"""The server: listeners, the clients they bring, and the timers that all of them share.

Nothing here polls. Dead keys are the sweeper's business, idle clients are looked for when the oldest of them may have
become idle; without volatile keys and a timeout an idle server sleeps.
The server runs no task of its own: everything happens in callbacks of the event loop that ``Server`` was made in.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from store_pulsards.connection import DENIED, TOO_MANY_CLIENTS, Connection, show_address
from store_pulsards.encoder import encode
from store_pulsards.protocol import MAX_BUFFER, MAX_BULK
from store_pulsards.sweeper import Sweeper

if TYPE_CHECKING:
    from store_pulsards.engine.engine import Engine
    from store_pulsards.engine.replies import Reply

FAREWELL: Final = 1.0  # seconds that a closing server gives its clients to take their last replies
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
    subscriber_output: int = 32 * 1024 * 1024
    subscriber_lag: int = 8 * 1024 * 1024
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
    ) -> None:
        """
        Args:
            engine: What executes the commands; it may be shared with embedded sessions of the same thread.
            limits: What one client may cost.
            backlog: Connections that may wait to be accepted.
            keepalive: Seconds after which the kernel probes a silent TCP peer; 0 never.
            protected: Without a password, serve the clients of this machine only.
        """
        self.engine = engine
        self.loop = asyncio.get_running_loop()
        self.clock = engine.keyspace.clock
        self.limits = limits or Limits()
        self.keepalive = keepalive
        self.protected = protected
        self._backlog = backlog
        self._listeners: list[asyncio.Server] = []
        self._sockets: dict[Path, int] = {}  # unix sockets of ours, and their inodes
        self._connections: set[Connection] = set()
        self._unflushed: list[Connection] = []
        self.sweeper = Sweeper(engine, self.loop)
        self._idle_check: asyncio.TimerHandle | None = None
        self._encoded: tuple[Reply, int, bytes] = (None, 0, b"")
        self._tell_limits()
        engine.observe_chunks()

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

    # Where clients come from

    async def listen_tcp(self, host: str = "127.0.0.1", port: int = 0) -> tuple[str, int]:
        """Listen on an address; return it with the port that was bound, for 0 a free one.

        Raises:
            OSError: The address is in use, or not one of this machine.
        """
        local = ""
        listener = await self.loop.create_server(
            lambda: Connection(self, local), host, port, backlog=self._backlog, reuse_address=True, start_serving=False
        )
        self._listeners.append(listener)
        for sock in listener.sockets:  # what is set here, the kernel sets for every client that it accepts
            _keep_alive(sock, self.keepalive)
        bound = listener.sockets[0].getsockname()
        if len(listener.sockets) == 1 and bound[0] not in WILDCARDS:
            local = show_address(bound)
        await listener.start_serving()
        self.engine.config.tell(b"port", bound[1])
        return bound[0], bound[1]

    async def listen_unix(self, path: str | os.PathLike[str], mode: int | None = None) -> str:
        """Listen on a unix socket, with these permissions from the first moment on.

        A socket that a dead server left behind is replaced, one that answers is not.

        Raises:
            OSError: Somebody listens there, or the path is something else.
        """
        place = Path(path)
        sock, inode = _bind_unix(place, mode)
        local = show_address(str(place))
        listener = await self.loop.create_unix_server(lambda: Connection(self, local), sock=sock, backlog=self._backlog)
        self._listeners.append(listener)
        self._sockets[place] = inode
        self.engine.config.tell(b"unixsocket", os.fsencode(place))
        return str(place)

    async def serve_socket(self, sock: socket.socket) -> None:
        """Serve a socket that is connected already, such as one end of a ``socketpair``; returns when it is attached.

        The socket belongs to the server from then on.
        """
        sock.setblocking(False)
        await self.loop.connect_accepted_socket(lambda: Connection(self), sock)

    # What connections ask

    def admit(self, connection: Connection, *, local: bool) -> bytes | None:
        """Take a client in; or say why not."""
        if self.limits.clients and len(self._connections) >= self.limits.clients:
            return TOO_MANY_CLIENTS
        if self.protected and not local and not self.engine.config.password:
            return DENIED
        self._connections.add(connection)
        if self.limits.idle and self._idle_check is None:
            self._idle_check = self.loop.call_later(self.limits.idle, self._drop_idle)
        return None

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
        self.sweeper.close()
        if self._idle_check is not None:
            self._idle_check.cancel()
            self._idle_check = None
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


def _keep_alive(sock: socket.socket, seconds: int) -> None:
    """Have the kernel find out about peers that vanished, as Redis does: a probe, then 3 at a third of that."""
    if not seconds:
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", seconds), ("TCP_KEEPINTVL", max(1, seconds // 3)), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, option):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


def _bind_unix(place: Path, mode: int | None) -> tuple[socket.socket, int]:
    """A socket to listen on, and the inode of its path."""
    _remove_stale(place)
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.bind(str(place))
        if mode is not None:
            place.chmod(mode)  # nobody can connect before listen()
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock, place.stat().st_ino


def _remove_stale(place: Path) -> None:
    if not place.exists():
        return
    if not place.is_socket():
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(place))
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(place))
        except ConnectionRefusedError:
            place.unlink()
        else:
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE), str(place))
