"""One client's connection: chunks in, replies out.

A chunk's requests are executed at once and answered with one write. What is not so plain:

- A client that is blocked (``BLPOP``) executes nothing more; its later requests wait, in order, and no other client
  notices. It goes on in a turn of the event loop of its own, never inside the command that served it.
- Messages and late replies, which come while another client's command runs, are written at the end of that turn of the
  loop, all of them in one write.
- A client that does not read its replies is not read from (above ``Limits.output``); a subscriber that does not read
  its messages is dropped, since nothing else would stop them.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections import deque
from typing import TYPE_CHECKING, Final, cast

from store_pulsards.batch import run
from store_pulsards.encoder import ENCODERS
from store_pulsards.engine.replies import Reply
from store_pulsards.protocol import UNANSWERED, Request, RequestParser, protocol_error
from store_pulsards.session import Buffers

if TYPE_CHECKING:
    from store_pulsards.server import Server

log: Final = logging.getLogger("store_pulsards")

TOO_MANY_CLIENTS: Final = b"-ERR max number of clients reached\r\n"
BATCH: Final = 64  # requests between two looks at how much output has come together
DENIED: Final = (
    b"-DENIED Running in protected mode because protected mode is enabled and no password is set. In this mode "
    b"connections are only accepted from the loopback interface. Set a password (PULSARDS_REQUIREPASS or "
    b"--requirepass), or start the server with --protected-mode no if nobody else can reach it.\r\n"
)


class Connection(asyncio.Protocol):
    """The protocol object of one client."""

    __slots__ = (
        "_batch",
        "_chunks",
        "_deadline",
        "_engine",
        "_executing",
        "_held",
        "_local",
        "_observation",
        "_out",
        "_over_since",
        "_parser",
        "_paused",
        "_postponed",
        "_ready",
        "_resuming",
        "_server",
        "_traffic",
        "_transport",
        "_trusted",
        "closed",
        "session",
    )

    def __init__(self, server: Server, local: str = "", *, trusted: bool = False) -> None:
        """
        Args:
            server: Whose client this is.
            local: The address of the server's end, where the listener knows it; to ask the kernel takes a while.
            trusted: Needs no password.
        """
        self._server = server
        self._local = local
        self._trusted = trusted
        self._engine = server.engine
        self._observation = server.engine.observation
        self._traffic = server.engine.traffic
        self._out: list[bytes] = []
        self._batch: list[Request] = []  # parsed, but not yet its turn
        self._chunks: deque[bytes] = deque()  # not yet parsed
        self._deadline: asyncio.TimerHandle | None = None
        self._held: list[bytes] = []  # messages that came while a command of this client ran
        self._executing = False
        self._paused = False
        self._postponed = 0  # bytes in _chunks
        self._ready = False  # a chunk may be executed at once, unless the session has something against it
        self._resuming = False
        self._over_since = 0.0
        self.closed: asyncio.Future[None] = server.loop.create_future()

    # What the transport tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        server = self._server
        self._transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        local = self._local or show_address(transport.get_extra_info("sockname"))
        # The peer of a unix socket has no name: as in Redis, the socket's own path stands for both.
        address = show_address(peer) if peer else local
        self.session = self._engine.session(self._push, address=address, local_address=local, trusted=self._trusted)
        self.session.deliver = self._deliver
        self.session.hang_up = self._hang_up
        self.session.measure = self._measure
        self._parser = RequestParser(
            max_bulk=server.limits.bulk, max_buffer=server.limits.query, restricted=not self.session.authenticated
        )
        self._transport.set_write_buffer_limits(high=server.limits.output)
        refusal = server.admit(self, local=not isinstance(peer, tuple) or _is_loopback(peer[0]))
        if refusal is not None:
            log.info("refused a client at %s", self.session.address)
            self._traffic.refused += 1
            self._out.append(refusal)
            self.close()
            return
        self._look()
        log.debug("accepted a client at %s", self.session.address)

    def data_received(self, data: bytes) -> None:
        session, server = self.session, self._server
        session.last_active = began = server.clock()
        self._traffic.received += len(data)
        if self._ready and session.blocked is None and not session.gate:
            parser = self._parser
            requests = parser.feed(data)
            if len(requests) > BATCH:
                self._run(requests)
            else:
                self._executing = True
                self._batch = run(self._engine, session, requests, self._out, self._held)
                self._executing = False
                if session.blocked is not None:
                    self._await_deadline()
            if self._batch or parser.error is not None or session.closing:
                self._go_on()
                self._look()
        else:
            requests = self._receive(data)
        elapsed = server.clock() - began
        if elapsed >= self._observation.slow_chunk and requests:
            self._observation.chunk(session, requests[0], len(requests), elapsed)
        self._flush()
        if not server.sweeper.stirred:
            server.sweeper.stir()

    def _receive(self, data: bytes) -> list[Request]:
        """Take a chunk that may have to wait, or of a client whose requests are looked at one by one."""
        session, parser = self.session, self._parser
        if self._paused or self._resuming or self._batch or session.blocked is not None:
            self._postpone(data)
            return []
        if session.gate:  # RESET may have taken the password back
            parser.restricted = not session.authenticated
        requests = parser.feed(data)
        self._run(requests)
        if parser.restricted or parser.error is not None or session.closing:
            self._go_on()
        self._look()
        return requests

    def _look(self) -> None:
        """Find out anew whether a chunk may be executed at once; after each change that bears on it."""
        self._ready = not (self._paused or self._resuming or self._batch or self._parser.restricted)

    def pause_writing(self) -> None:
        self._paused = True
        self._ready = False
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._paused = False
        self._over_since = 0.0
        if not self._transport.is_closing():
            self._transport.resume_reading()
        self._resume_soon()
        self._look()

    def connection_lost(self, error: Exception | None) -> None:
        self._cancel_deadline()
        self._batch = []
        self._chunks.clear()
        self._out.clear()
        self._engine.close_session(self.session)
        self.session.detach()
        self._server.forget(self)
        if not self.closed.done():
            self.closed.set_result(None)
        log.debug("client at %s has gone%s", self.session.address, f" ({error})" if error else "")

    # Requests

    def _run(self, requests: list[Request]) -> None:
        """Execute requests in order, until the client blocks, leaves, or does not take its replies."""
        session = self.session
        self._executing = True
        if len(requests) <= BATCH:
            self._batch = run(self._engine, session, requests, self._out, self._held)
        else:
            self._batch = requests
            while self._batch and session.blocked is None and not session.closing and not self._overflows():
                left = run(self._engine, session, self._batch[:BATCH], self._out, self._held)
                self._batch = left + self._batch[BATCH:]
        self._executing = False
        if session.blocked is not None:
            self._await_deadline()

    def _go_on(self) -> None:
        """Execute what has come in, until the client has to wait; then see whether it has to leave."""
        session, parser = self.session, self._parser
        while not (self._paused or session.closing or session.blocked is not None):
            parser.restricted = not session.authenticated
            if self._batch:
                requests, self._batch = self._batch, []
            elif self._chunks:
                requests = parser.feed(self._chunks.popleft())
            else:
                requests = parser.feed(b"")
                if not requests:
                    break
            self._run(requests)
        if session.closing:
            self.close()
        elif parser.error is not None and not self._batch and session.blocked is None:
            self._refuse(parser.error)

    def _refuse(self, error: bytes) -> None:
        log.info("protocol error from client at %s: %s", self.session.address, error.decode("latin-1"))
        if self.session.mute == b"ON" and error not in UNANSWERED:
            self._out.append(protocol_error(error))
        self.close()

    def _postpone(self, data: bytes) -> None:
        self._chunks.append(data)
        self._postponed += len(data)
        if self._postponed > self._server.limits.query:
            log.warning("client at %s sent too much while it had to wait: dropped", self.session.address)
            self._traffic.dropped_for_input += 1
            self.abort()

    def _resume_soon(self) -> None:
        parser = self._parser
        waiting = self._batch or self._chunks or parser.error is not None or (parser.restricted and parser.buffered)
        if waiting and not self._resuming:
            self._resuming = True
            self._ready = False
            self._server.loop.call_soon(self._resume)

    def _resume(self) -> None:
        """Go on with what had to wait, in a turn of its own."""
        self._resuming = False
        self._go_on()
        if not self._chunks:
            self._postponed = 0
        self._look()
        self._flush()
        self._server.sweeper.stir()

    # Blocked

    def _await_deadline(self) -> None:
        blocked = self.session.blocked
        if blocked is not None and blocked.deadline is not None:
            delay = max(0.0, blocked.deadline - self._server.clock())
            self._deadline = self._server.loop.call_later(delay, self._overdue)

    def _overdue(self) -> None:
        self._deadline = None
        self._deliver(self._engine.unblock(self.session))
        if self.session.blocked is not None:  # held up once more, with a new deadline
            self._await_deadline()

    def _cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    # What the engine tells

    def _deliver(self, reply: Reply) -> None:
        """The reply of a command that had blocked."""
        self._cancel_deadline()
        data = ENCODERS[self.session.resp][type(reply)](reply)
        if data:
            self._emit(data)
        self._resume_soon()

    def _push(self, message: Reply) -> None:
        data = self._server.encode_push(message, self.session.resp)
        if self._executing:  # a message to oneself stands behind the reply of the command that sent it
            self._held.append(data)
        else:
            self._emit(data)

    def _hang_up(self) -> None:
        self.abort()

    def _measure(self) -> Buffers:
        found, parser, transport = Buffers(), self._parser, self._transport
        sock = transport.get_extra_info("socket")
        found.fd = -1 if sock is None else sock.fileno()
        found.arguments = parser.arguments
        found.query = parser.buffered - parser.arguments + self._postponed
        found.query += sum(len(arg) for request in self._batch for arg in request)
        unsent = transport.get_write_buffer_size()
        found.output = unsent + sum(map(len, self._out))
        found.replies = len(self._out)
        found.events = ("" if self._paused else "r") + ("w" if unsent else "")
        return found

    # Output

    def _emit(self, data: bytes) -> None:
        """Write at the end of this turn of the loop."""
        if not self._out:
            self._server.flush_soon(self)
        self._out.append(data)

    def flush(self) -> None:
        """Write what messages and late replies have come together, unless the subscriber is too slow for them."""
        self._flush()
        if self.session.hears and self._too_slow():
            log.warning("subscriber at %s does not read its messages: dropped", self.session.address)
            self._traffic.dropped_for_output += 1
            self.abort()

    def _flush(self) -> None:
        out = self._out
        if out:
            data = out[0] if len(out) == 1 else b"".join(out)
            out.clear()
            if data:
                self._traffic.sent += len(data)
                self._transport.write(data)

    def _overflows(self) -> bool:
        """Write early when much has come together; whether the client does not take it."""
        if sum(map(len, self._out)) > self._server.limits.output // 4:
            self._flush()
        return self._paused

    def _too_slow(self) -> bool:
        limits, size = self._server.limits, self._transport.get_write_buffer_size()
        if size > limits.subscriber_output:
            return True
        if size <= limits.subscriber_lag:
            self._over_since = 0.0
            return False
        now = self._server.loop.time()
        self._over_since = self._over_since or now
        return now - self._over_since > limits.subscriber_lag_seconds

    def relimit(self) -> None:
        """The server's limits have changed."""
        limits = self._server.limits
        self._parser.limit(limits.bulk, limits.query)

    # The end

    def close(self) -> None:
        """Leave, once what was answered has gone out."""
        self.session.closing = True
        self._flush()
        self._transport.close()

    def abort(self) -> None:
        """Leave at once."""
        self.session.closing = True
        self._transport.abort()

    def abandon(self) -> None:
        """Leave now: the event loop has ended, and will tell of nothing more.

        The transport's public close would fail, and its socket stay open until it is collected. uvloop closes its
        sockets with the loop.
        """
        close = getattr(self._transport, "_call_connection_lost", None)
        if close is not None:
            close(None)
        else:
            self.connection_lost(None)


def show_address(name: object) -> str:
    """``127.0.0.1:6410``, ``[::1]:6410``, or ``/path:0``."""
    if isinstance(name, tuple):
        host, port = name[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return f"{os.fsdecode(name)}:0" if isinstance(name, (str, bytes)) else ""


def _is_loopback(host: str) -> bool:
    return host == "::1" or host.removeprefix("::ffff:").startswith("127.")
