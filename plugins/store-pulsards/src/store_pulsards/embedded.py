"""The embedded link: a client of an engine in this process. No socket, no bytes on a wire.

It stands where store-redis has a connection, with the same methods, so that transactions, WATCH, pub/sub, namespaces
and blocking commands are the very same code over both. A command runs at once, in the call; only one that blocks
is waited for, by a future that the engine fulfils.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

from store_core import ConnectionFailed, ConnectionLost, ReplyError
from store_pulsards.engine.engine import Engine
from store_pulsards.engine.replies import BLOCKED, Many, Reply
from store_pulsards.native import native
from store_pulsards.sweeper import Sweeper
from store_redis.encoding import plain
from store_redis.errors import make
from store_redis.link import Link


class EmbeddedLink(Link):
    """One client of an engine.

    Args:
        engine: The engine.
        sweeper: Told of every command.
        resp: The version of the protocol whose reply shapes callers see.
        encoding: Decode replies with it; None leaves bytes.
    """

    def __init__(self, engine: Engine, sweeper: Sweeper, resp: int, encoding: str | None) -> None:
        super().__init__()
        self.session = engine.session(self._push, address="embedded", local_address="embedded")
        self.session.resp = resp
        self.session.deliver = self._deliver
        self.session.hang_up = self.close
        self.address = "the embedded engine"
        self._engine = engine
        self._sweeper = sweeper
        self._resp = resp
        self._encoding = self.encoding = encoding
        #: While a command blocks, its future; what was called after it waits.
        self.blocking: asyncio.Future[Any] | None = None
        self._waiting: deque[tuple[asyncio.Future[Any], list[bytes]]] = deque()
        self._deadline: asyncio.TimerHandle | None = None

    def send(self, args: tuple[Any, ...]) -> asyncio.Future[Any]:
        future = self.loop.create_future()
        packed = packed_arguments(args)
        if self.blocking is not None:
            self._waiting.append((future, packed))
        else:
            self._run(future, packed)
        return future

    def send_patient(self, args: tuple[Any, ...]) -> asyncio.Future[Any]:
        return self.send(args)

    def send_batch(self, commands: list[tuple[Any, ...]]) -> asyncio.Future[list[Any]]:
        packed = [packed_arguments(args) for args in commands]
        future: asyncio.Future[list[Any]] = self.loop.create_future()
        replies = [native(self.run(args), self._resp, self._encoding) for args in packed]
        future.set_result(replies)
        return future

    def post(self, args: tuple[Any, ...]) -> None:
        reply = self.run(packed_arguments(args))
        for message in reply if isinstance(reply, Many) else (reply,):
            if self.on_push is not None:
                self.on_push(native(message, 3, None))

    def run(self, args: list[bytes]) -> Reply:
        """Run one command; returns the engine's reply."""
        reply = self._engine.execute(self.session, args)
        if not self._sweeper.stirred:
            self._sweeper.stir()
        return reply

    async def blocked(self) -> Any:
        """The reply of a command that ``run`` said is BLOCKED."""
        future = self.loop.create_future()
        self._block(future)
        return await future

    def leave_bytes(self) -> None:
        self._encoding = None

    def load(self) -> int:
        return len(self._waiting) + (self.blocking is not None)

    def check_health(self, interval: float) -> None:
        """Nothing to check: the engine is in this process."""

    def close(self) -> None:
        if self.closed:
            return
        self.closed = True
        self._engine.close_session(self.session)
        self._cancel_deadline()
        lost = "the connection to the embedded engine was closed"
        if self.blocking is not None and not self.blocking.done():
            self.blocking.set_exception(make(ConnectionLost, lost))
        for future, _ in self._waiting:
            if not future.done():
                future.set_exception(make(ConnectionFailed, f"{lost}; the command was not run"))
        self.blocking = None
        self._waiting.clear()
        if self.on_lost is not None:
            self.on_lost(self)

    def abandon(self) -> None:
        self.closed = True
        self._engine.close_session(self.session)
        self.blocking = None
        self._waiting.clear()

    def _run(self, future: asyncio.Future[Any], args: list[bytes]) -> None:
        reply = self.run(args)
        if reply is BLOCKED:
            self._block(future)
        else:
            self._settle(future, reply)

    def _block(self, future: asyncio.Future[Any]) -> None:
        self.blocking = future
        future.add_done_callback(self._forget)
        blocked = self.session.blocked
        if blocked is not None:
            retry = blocked.retry
            # Between a caller's cancellation and our hearing of it, nothing may be popped for it.
            blocked.retry = lambda: None if future.done() else retry()
        self._await_deadline()

    def _settle(self, future: asyncio.Future[Any], reply: Reply) -> None:
        if isinstance(reply, Many):
            reply = reply[-1]
        value = native(reply, self._resp, self._encoding)
        if future.done():
            return
        if isinstance(value, ReplyError):
            future.set_exception(value)
        else:
            future.set_result(value)

    def _forget(self, future: asyncio.Future[Any]) -> None:
        if future.cancelled() and future is self.blocking:
            self.close()

    def _deliver(self, reply: Reply) -> None:
        self._cancel_deadline()
        future, self.blocking = self.blocking, None
        if future is not None:
            self._settle(future, reply)
        # What waited goes on in a turn of its own, never inside the command that served us.
        if self._waiting:
            self.loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        while self._waiting and self.blocking is None:
            self._run(*self._waiting.popleft())

    def _await_deadline(self) -> None:
        blocked = self.session.blocked
        if blocked is not None and blocked.deadline is not None:
            delay = max(0.0, blocked.deadline - self._engine.keyspace.clock())
            self._deadline = self.loop.call_later(delay, self._overdue)

    def _overdue(self) -> None:
        self._deadline = None
        reply = self._engine.unblock(self.session)
        if reply is BLOCKED:
            self._await_deadline()
        else:
            self._deliver(reply)

    def _cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _push(self, message: Reply) -> None:
        if self.on_push is not None:
            self.on_push(message)


def packed_arguments(args: tuple[Any, ...]) -> list[bytes]:
    """The arguments as the engine takes them: as hiredis would have written them on a wire.

    Raises:
        ArgumentError: One is of a type that cannot be sent.
    """
    packed: list[bytes] = []
    try:
        for arg in args:  # half the time of a comprehension with the same conditions
            if type(arg) is str:
                packed.append(arg.encode())
            elif type(arg) is bytes:
                packed.append(arg)
            else:
                packed.append(_bytes(args, len(packed)))
    except UnicodeEncodeError:
        return [_bytes(args, index) for index in range(len(args))]
    return packed


def _bytes(args: tuple[Any, ...], index: int) -> bytes:
    value = plain(args, index)
    return value if isinstance(value, bytes) else str(value).encode()
