"""The multiplexed connection: one socket that carries everybody's commands.

Rules: commands are written in the order of the calls, those of one turn of the event loop together; replies come
back in the same order and go to the callers that wait, oldest first. A caller that no longer waits (cancelled, timed
out) keeps its place in the queue, and its reply is read and dropped, so replies never shift. When the connection
breaks, every caller gets exactly one outcome: ``ConnectionLost`` where its command was written, ``ConnectionFailed``
where it was not.

``send`` and ``data_received`` are the hot path of the whole client: hiredis packs and parses, a command costs one
future, one append to each of two queues, and nothing else. Two measures keep both sides of the socket awake, because
being woken costs more than a command does: a turn that gathers many commands writes every ``CHUNK`` of them, so that
the server works while the rest is packed; and a loop with a reply on the way looks again for a moment before it
sleeps (``busy_poll``), as long as that pays.
"""

from __future__ import annotations

import asyncio
from asyncio import InvalidStateError
from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Any, Protocol

from hiredis import PushNotification, Reader, pack_command

from store_core import ConnectionFailed, ConnectionLost, ReplyError, StoreError, Timeout
from store_core.pubsub import Subscriptions
from store_redis.encoding import pack
from store_redis.errors import copied, make, reply_error
from store_redis.health import HealthCheck
from store_redis.large import LARGE, LargeWrites, is_large, parts
from store_redis.link import Link
from store_redis.message_stream import MessageStream
from store_redis.waiting import BusyPoll, Deadlines

NOTHING = object()

#: Types of most replies: none of them is an error or a push message.
PLAIN = frozenset({bytes, str, int, float, bool, type(None), list, dict, set})

#: Commands that are written at once when they have gathered within one turn.
CHUNK = 28


class Waiter(Protocol):
    """What waits for a reply: an ``asyncio.Future``, or a ``Batch`` that takes several."""

    def done(self) -> bool:
        """Whether the caller has gone."""

    def set_result(self, result: Any, /) -> None:
        """Take a reply."""

    def set_exception(self, exception: BaseException, /) -> None:
        """Take an error."""


class Batch:
    """Waits for the replies of several commands; ``future`` gets them as a list, error replies in place."""

    __slots__ = ("_replies", "_size", "future")

    def __init__(self, future: asyncio.Future[list[Any]], size: int) -> None:
        self.future = future
        self._replies: list[Any] = []
        self._size = size

    def done(self) -> bool:
        return self.future.done()

    def set_result(self, result: Any, /) -> None:
        self._replies.append(result)
        if len(self._replies) == self._size:
            self.future.set_result(self._replies)

    def set_exception(self, exception: BaseException, /) -> None:
        if isinstance(exception, ReplyError):
            self.set_result(exception)
        else:
            self.future.set_exception(exception)


class Patient:
    """Waits for a reply whatever the link's timeout: for a caller that has a time of its own, or none."""

    __slots__ = ("future",)

    def __init__(self, future: asyncio.Future[Any]) -> None:
        self.future = future

    def done(self) -> bool:
        return self.future.done()

    def set_result(self, result: Any, /) -> None:
        self.future.set_result(result)

    def set_exception(self, exception: BaseException, /) -> None:
        if not isinstance(exception, Timeout):
            self.future.set_exception(exception)


class MultiplexedLink(Link, asyncio.Protocol):
    """One connection, shared by any number of callers of one event loop.

    Args:
        timeout: Seconds to a reply; 0 for none.
        encoding: Decode replies with it; None leaves bytes.
        busy_poll: Seconds for which the loop is kept awake while replies are due; 0 lets it sleep at once.
    """

    # Of the class until they are needed: see ``waiting`` for why.
    _last_words: StoreError | None = None
    _stream: MessageStream | None = None

    def __init__(self, timeout: float = 0.0, encoding: str | None = None, busy_poll: float = 0.0) -> None:
        super().__init__(timeout)
        self._reader = self._make_reader(encoding)
        self._health: HealthCheck | None = None
        self.encoding = encoding
        self._transport: asyncio.Transport | None = None
        self._waiters: deque[Waiter] = deque()
        self._unsent: list[bytes] = []
        self._large = LargeWrites()
        self._paused = False
        self._received = 0
        self._create_future = self.loop.create_future
        self._deadlines = Deadlines(self, timeout) if timeout else None
        self._poll = BusyPoll(self, busy_poll) if busy_poll else None

    @staticmethod
    def _make_reader(encoding: str | None, make_error: Callable[[str], ReplyError] = reply_error) -> Reader:
        return Reader(
            protocolError=_NotRESP,
            replyError=make_error,
            encoding=encoding,
            notEnoughData=NOTHING,
        )

    # Sending.

    def send(self, args: tuple[Any, ...]) -> asyncio.Future[Any]:
        try:
            packed = pack_command(args)
        except (TypeError, UnicodeEncodeError):
            packed = pack(args)
        unsent = self._unsent
        if not unsent:
            self.loop.call_soon(self._flush)
        unsent.append(packed)
        future = self._create_future()
        self._waiters.append(future)
        if len(unsent) == CHUNK or len(packed) > LARGE:
            self._flush()
        return future

    def _send_around(self, args: tuple[Any, ...]) -> asyncio.Future[Any]:
        """``send`` on a link that has carried large values: it looks before it packs, which copies."""
        if self.closed or not is_large(args):
            return type(self).send(self, args)
        buffers = parts(args)
        self._flush()
        future = self._create_future()
        self._waiters.append(future)
        self._write_large(buffers)
        return future

    def send_batch(self, commands: list[tuple[Any, ...]]) -> asyncio.Future[list[Any]]:
        try:
            packed = [pack_command(args) for args in commands]
        except (TypeError, UnicodeEncodeError):
            packed = [pack(args) for args in commands]
        if not self._unsent:
            self.loop.call_soon(self._flush)
        self._unsent.extend(packed)
        future: asyncio.Future[list[Any]] = self._create_future()
        batch = Batch(future, len(packed))
        self._waiters.extend([batch] * len(packed))
        if len(self._unsent) >= CHUNK:
            # Only what was written can make the link unwritable, and the next caller of this turn wait.
            self._flush()
        return future

    def send_patient(self, args: tuple[Any, ...]) -> asyncio.Future[Any]:
        future = self.send(args)
        self._waiters[-1] = Patient(future)
        return future

    def post(self, args: tuple[Any, ...]) -> None:
        if not self._unsent:
            self.loop.call_soon(self._flush)
        self._unsent.append(pack(args))

    def listen(self, subscriptions: Subscriptions, on_push: Callable[[Any], None]) -> None:
        super().listen(subscriptions, on_push)
        if self._transport is not None:
            # Not ``on_push`` itself: a health check looks there for its answer.
            self._stream = MessageStream(self._reader, NOTHING, self, self._fail, subscriptions, self._push)
            # uvloop chooses how it reads when it begins to.
            self._transport.pause_reading()
            self._transport.set_protocol(self._stream)
            self._transport.resume_reading()

    def leave_bytes(self) -> None:
        self._reader.set_encoding(None)
        self.encoding = None

    def load(self) -> int:
        return len(self._waiters)

    def answers_next(self, reply: asyncio.Future[Any]) -> bool:
        first = self._waiters[0] if self._waiters else None
        return first is reply or (isinstance(first, Patient) and first.future is reply)

    def received(self) -> int:
        """How many replies have come."""
        return self._received

    def heard(self) -> int:
        """A number that grows with all that comes."""
        return self._received + (self._stream.reads if self._stream is not None else 0)

    def somebody_waits(self) -> bool:
        """Whether the caller of the oldest command still waits for its reply."""
        return bool(self._waiters) and not self._waiters[0].done()

    def check_health(self, interval: float) -> None:
        self._health = HealthCheck(self, interval, lambda reason: self._fail(make(ConnectionLost, reason)))

    def _flush(self) -> None:
        unsent = self._unsent
        if not unsent or self._transport is None:
            if self.closed:
                self.loop.call_soon(self._refuse_late)  # not within ``send``, whose caller still counts on the queue
            return
        if len(unsent[-1]) > LARGE:
            self.send = self._send_around  # type: ignore[method-assign]
            large = unsent.pop()
            buffers = [b"".join(unsent), large] if unsent else [large]
        else:
            buffers = [b"".join(unsent) if len(unsent) > 1 else unsent[0]]
        unsent.clear()
        if self._large or len(buffers[-1]) > LARGE:
            self._write_large(buffers)
        else:
            self._transport.write(buffers[0])
            self._await_replies()

    def _write_large(self, buffers: list[bytes]) -> None:
        self._large.add(buffers)
        self._write_slices()
        self._await_replies()

    def _write_slices(self) -> None:
        large, transport = self._large, self._transport
        while large and not self._paused and transport is not None:
            transport.write(large.next_slice())

    def _await_replies(self) -> None:
        if self._deadlines is not None:
            self._deadlines.start()
        if self._poll is not None:
            self._poll.start()

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        reader = self._reader
        reader.feed(data)
        gets = reader.gets
        waiters = self._waiters
        popleft = waiters.popleft
        due = len(waiters)
        while True:
            try:
                reply = gets()
            except StoreError as error:
                self._fail(error)
                return
            except UnicodeDecodeError as error:
                # One reply that does not decode; the next one is intact.
                reply = error
            except (ValueError, TypeError) as error:
                # A map whose keys Python cannot hash: hiredis has lost its place in the stream.
                self._fail(make(ConnectionLost, f"{self.address} sent a reply that Python cannot hold: {error}"))
                return
            if reply is NOTHING:
                break
            if type(reply) in PLAIN:
                try:
                    popleft().set_result(reply)
                except InvalidStateError:
                    continue  # a caller that has gone
                except IndexError:
                    self._unasked(reply)
                    if self.closed:
                        return
            elif not self._hand_out(reply):
                return
        self._received += due - len(waiters)

    def _hand_out(self, reply: Any) -> bool:
        """Hand out a push message, an error, or a reply of a rare type; False when the link is closed."""
        if type(reply) is PushNotification:
            self._push(reply)
        elif not self._waiters:
            self._unasked(reply)
        else:
            waiter = self._waiters.popleft()
            if not waiter.done():
                if isinstance(reply, Exception):
                    waiter.set_exception(reply)
                else:
                    waiter.set_result(reply)
        return not self.closed

    def pause_writing(self) -> None:
        self._paused = True
        self.unwritable_since = self.loop.time()
        if self.writable is None:
            self.writable = self._create_future()

    def resume_writing(self) -> None:
        self._paused = False
        if self._large:
            self._write_slices()
            if self._paused:
                return
        self._take_more()

    def _take_more(self) -> None:
        writable, self.writable = self.writable, None
        if writable is not None and not writable.done():
            writable.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        cause = f": {exc.strerror or exc}" if isinstance(exc, OSError) else ""
        lost = self._last_words or make(ConnectionLost, f"the connection to {self.address} was lost{cause}")
        lost.__cause__ = lost.__cause__ or exc
        self._fail(lost)

    # Endings.

    def close(self) -> None:
        self._fail(make(ConnectionLost, f"the connection to {self.address} was closed"))

    def abandon(self) -> None:
        self.closed = True
        self._waiters.clear()
        transport, self._transport = self._transport, None
        # The loop runs nothing any more, so the transport's public close would fail and the socket stay open until it
        # is collected; what the loop would have called is called here. uvloop closes its sockets with the loop.
        close = getattr(transport, "_call_connection_lost", None)
        if close is not None:
            close(None)

    def _fail(self, error: StoreError) -> None:
        if self.closed:
            return
        if isinstance(error, _NotRESP):
            error = make(ConnectionLost, f"the server does not speak RESP: {error}")
        self.closed = True
        self._last_words = error
        if self._deadlines is not None:
            self._deadlines.stop()
        if self._health is not None:
            self._health.stop()
        # A listening link has commands without waiters among the unsent; nobody waits for those.
        written = max(len(self._waiters) - len(self._unsent), 0)
        self._unsent.clear()
        self._large.clear()
        waiters, self._waiters = self._waiters, deque()
        for index, waiter in enumerate(waiters):
            if not waiter.done():
                waiter.set_exception(copied(error) if index < written else self._not_sent(error))
        self.resume_writing()
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()
        if self.on_lost is not None:
            self.on_lost(self)

    def _refuse_late(self) -> None:
        """Tell those whose commands came when the link had broken: a server can speak, and be cut off, before them."""
        error = self._last_words or make(ConnectionLost, f"the connection to {self.address} was closed")
        self._unsent.clear()
        waiters, self._waiters = self._waiters, deque()
        for waiter in waiters:
            if not waiter.done():
                waiter.set_exception(self._not_sent(error))

    def _not_sent(self, error: StoreError) -> StoreError:
        failed = make(ConnectionFailed, f"{error}; the command was not sent")
        failed.__cause__ = error
        return failed

    def _push(self, message: list[Any]) -> None:
        if self.on_push is not None:
            self.on_push(message)

    def _unasked(self, reply: Any) -> None:
        if self.listening:
            self._push(reply)
            return
        # A server that turns a client away says why before it closes ("-ERR max number of clients reached").
        if isinstance(reply, ReplyError):
            self._last_words = make(
                ConnectionLost, f"{self.address or 'the server'} turned the connection away: {reply}"
            )
            self._fail(self._last_words)
        else:
            self._fail(make(ConnectionLost, f"{self.address or 'the server'} sent a reply that nobody asked for"))

    def time_out(self, overdue: int) -> None:
        """Give up the oldest replies that are due; they are dropped when they come."""
        for waiter in islice(self._waiters, overdue):
            if not waiter.done():
                waiter.set_exception(make(Timeout, f"no reply from {self.address} within {self.timeout:g} s"))


class _NotRESP(StoreError):
    """What hiredis raises: it makes the error anew from the class and the bare message, so ``make`` comes later."""
