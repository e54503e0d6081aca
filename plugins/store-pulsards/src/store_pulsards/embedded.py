"""The embedded link: a client of an engine in this process. No socket, no bytes on a wire.

It stands where store-redis has a connection, with the same methods, so that transactions, WATCH, pub/sub, namespaces
and blocking commands are the very same code over both. A command runs at once, in the call; only one that blocks
is waited for, by a future that the engine fulfils. What was called after it waits behind it.

A future that is done gives the event loop no turn, and who awaits nothing else would starve all other tasks: now and
then a reply comes a turn late. The command has run by then, so that commands take effect in the order of the calls;
a blocking pop alone runs a turn late, since what it has popped must not be lost with a caller that is cancelled.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Final, NamedTuple

from store_core import ConnectionFailed, ConnectionLost, StoreError
from store_pulsards.direct import packed_arguments
from store_pulsards.engine.engine import Engine
from store_pulsards.engine.replies import BLOCKED, Many, Reply
from store_pulsards.native import native
from store_pulsards.sweeper import Sweeper
from store_redis.commands import WAITS, upper
from store_redis.errors import make
from store_redis.link import Link

#: Commands after which a caller that never waits gives the event loop a turn: others must not starve.
TURN_AFTER: Final = 128

_LOST: Final = "the connection to the embedded engine was closed"


class Turns:
    """Counts what all links of a store are asked for."""

    def __init__(self) -> None:
        self._count = 0

    def due(self, commands: int = 1) -> bool:
        """Whether the event loop is to have a turn."""
        self._count += commands
        if self._count < TURN_AFTER:
            return False
        self._count = 0
        return True


class _Waiting(NamedTuple):
    """What waits behind a command that blocks; the rest of a batch that has begun, too."""

    future: asyncio.Future[Any]
    run: Callable[[], None]
    begun: bool = False


class EmbeddedLink(Link):
    """One client of an engine.

    Args:
        engine: The engine.
        sweeper: Told of every command.
        turns: Says when the event loop is to have one.
        resp: The version of the protocol whose reply shapes callers see.
        encoding: Decode replies with it; None leaves bytes.
    """

    def __init__(self, engine: Engine, sweeper: Sweeper, turns: Turns, resp: int, encoding: str | None) -> None:
        super().__init__()
        # What reads addresses (redis-py's MONITOR) looks for a port.
        self.session = engine.session(self._push, address="embedded:0", local_address="embedded:0", trusted=True)
        self.session.resp = resp
        self.session.deliver = self._deliver
        self.session.hang_up = self.close
        self.address = "the embedded engine"
        self._engine = engine
        self.sweeper = sweeper
        self._turns = turns
        self._resp = resp
        self._encoding = self.encoding = encoding
        #: While a command blocks, its future; what was called after it waits.
        self.blocking: asyncio.Future[Any] | None = None
        self._posted = False  # what blocks is a subscription, whose confirmations are messages
        self._waiting: deque[_Waiting] = deque()
        self._deadline: asyncio.TimerHandle | None = None

    def send(self, args: tuple[Any, ...]) -> asyncio.Future[Any]:
        future, packed = self.loop.create_future(), packed_arguments(args)
        self._run_in_order(future, partial(self._run, future, packed))
        return future

    def send_patient(self, args: tuple[Any, ...]) -> asyncio.Future[Any]:
        if upper(args[0]) not in WAITS:
            return self.send(args)
        future, packed = self.loop.create_future(), packed_arguments(args)
        run = partial(self._run, future, packed, blocks=True)
        if self._turns.due():
            self._waiting.append(_Waiting(future, run))
            self.loop.call_soon(self._go_on)
        else:
            self._run_in_order(future, run)
        return future

    def send_batch(self, commands: list[tuple[Any, ...]]) -> asyncio.Future[list[Any]]:
        packed = deque(packed_arguments(args) for args in commands)
        future: asyncio.Future[list[Any]] = self.loop.create_future()
        self._run_in_order(future, partial(self._run_batch, future, packed, []))
        return future

    def post(self, args: tuple[Any, ...]) -> None:
        heard: asyncio.Future[None] = self.loop.create_future()
        heard.add_done_callback(asyncio.Future.exception)  # nobody waits for it
        self._run_in_order(heard, partial(self._run_post, heard, packed_arguments(args)))

    def run(self, args: list[bytes]) -> Reply:
        """Run one command; returns the engine's reply."""
        reply = self._engine.execute(self.session, args)
        if not self.sweeper.stirred:
            self.sweeper.stir()
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
        if self.blocking is not None and not self.blocking.done():
            self.blocking.set_exception(make(ConnectionLost, _LOST))
        for future, _, begun in self._waiting:
            if not future.done():
                unsent = make(ConnectionFailed, f"{_LOST}; the command was not run")
                future.set_exception(make(ConnectionLost, _LOST) if begun else unsent)
        self.blocking = None
        self._waiting.clear()
        if self.on_lost is not None:
            self.on_lost(self)

    def abandon(self) -> None:
        self.closed = True
        self._engine.close_session(self.session)
        self.blocking = None
        self._waiting.clear()

    def _run_in_order(self, future: asyncio.Future[Any], run: Callable[[], None]) -> None:
        if self.blocking is not None or self._waiting:
            self._waiting.append(_Waiting(future, run))
        else:
            run()

    def _run(self, future: asyncio.Future[Any], args: list[bytes], *, blocks: bool = False) -> None:
        reply = self.run(args)
        if reply is BLOCKED:
            self._block(future)
            return
        if blocks or not self._turns.due():
            _settle(future, self._value(reply))
        else:
            self.loop.call_soon(_settle, future, self._value(reply))
        if self.session.closing:  # QUIT
            self.close()

    def _run_batch(self, future: asyncio.Future[list[Any]], left: deque[list[bytes]], replies: list[Any]) -> None:
        """Run a batch, or the rest of one of which a command had blocked (CLIENT PAUSE)."""
        late = self._turns.due(len(left))
        while left and not (self.closed or self.session.closing):
            reply = self.run(left.popleft())
            if reply is BLOCKED:
                blocking: asyncio.Future[Any] = self.loop.create_future()
                blocking.add_done_callback(lambda done: replies.append(done.exception() or done.result()))
                self._block(blocking)
                self._waiting.appendleft(_Waiting(future, partial(self._run_batch, future, left, replies), begun=True))
                return
            replies.append(self._value(reply))
        outcome: Any = next((each for each in replies if isinstance(each, UnicodeDecodeError)), replies)
        if left:  # one of them killed this client
            outcome = make(ConnectionLost, _LOST)
        if late:
            self.loop.call_soon(_settle, future, outcome)
        else:
            _settle(future, outcome)
        if self.session.closing:
            self.close()

    def _run_post(self, heard: asyncio.Future[None], args: list[bytes]) -> None:
        reply = self.run(args)
        if reply is BLOCKED:
            self._block(heard)
            self._posted = True
        else:
            self._hear(reply)

    def _hear(self, reply: Reply) -> None:
        for message in reply if isinstance(reply, Many) else (reply,):
            if self.on_push is not None:
                self.on_push(native(message, 3, None))

    def _block(self, future: asyncio.Future[Any]) -> None:
        self.blocking = future
        future.add_done_callback(self._forget)
        blocked = self.session.blocked
        if blocked is not None:
            retry = blocked.retry
            # Between a caller's cancellation and our hearing of it, nothing may be popped for it.
            blocked.retry = lambda: None if future.done() else retry()
        self._await_deadline()

    def _value(self, reply: Reply) -> Any:
        """What the caller gets, or the exception: nothing may be raised where another client's command runs."""
        try:
            return native(reply[-1] if isinstance(reply, Many) else reply, self._resp, self._encoding)
        except UnicodeDecodeError as error:
            return error.with_traceback(None)

    def _forget(self, future: asyncio.Future[Any]) -> None:
        if future.cancelled() and future is self.blocking and self.session.blocked is not None:
            self.close()

    def _deliver(self, reply: Reply) -> None:
        self._cancel_deadline()
        if self._posted:
            self._posted = False
            self._hear(reply)
        elif self.blocking is not None:
            _settle(self.blocking, self._value(reply))
        # What waited goes on in a turn of its own, never inside the command that served us; until then it is first.
        if self._waiting:
            self.loop.call_soon(self._go_on)
        else:
            self.blocking = None

    def _go_on(self) -> None:
        if self.session.blocked is None:
            self.blocking = None
        while self._waiting and self.blocking is None:
            future, run, begun = self._waiting.popleft()
            # Who was cancelled has not asked; what it would pop now would be lost.
            if begun or not future.done():
                run()

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


def _settle(future: asyncio.Future[Any], value: Any) -> None:
    if future.done():
        return
    if isinstance(value, (StoreError, UnicodeDecodeError)):
        future.set_exception(value)
    else:
        future.set_result(value)
