"""Publish and subscribe: the object that callers hold, and the contract that a backend fulfils.

A ``PubSub`` is a set of subscriptions with readers: clients (callables) and one bounded queue, which ``async for``
reads. Any number of them share the ``Subscriber`` of their store, which talks to the data store and keeps the
subscriptions alive when a connection is lost. A slow reader loses the oldest messages, never another reader's, and
the next message that it gets says how many.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from enum import IntEnum
from types import TracebackType
from typing import Any, NamedTuple, Protocol, Self

from store_core.capabilities import Capability
from store_core.errors import ArgumentError, StoreClosed, StoreError

logger = logging.getLogger(__name__)

#: Messages that one reader may leave unread.
DEFAULT_LIMIT = 10_000


class Kind(IntEnum):
    """What a name of a subscription is."""

    CHANNEL = 0  #: a channel, which every server of a cluster carries
    PATTERN = 1  #: a glob pattern of channels
    SHARD = 2  #: a shard channel, which belongs to one shard of a cluster, as a key does

    @property
    def capability(self) -> Capability:
        """What a backend declares that has it."""
        return _CAPABILITIES[self]


_CAPABILITIES = (Capability.PUBSUB, Capability.PATTERNS, Capability.SHARDED)


class Message(NamedTuple):
    """One message.

    Attributes:
        channel: The channel it was published to.
        data: The payload, as the PubSub's protocol decodes it.
        pattern: The pattern that matched, for a ``psubscribe``; else None.
        lost: How many messages this reader lost just before this one.
    """

    channel: str
    data: Any
    pattern: str | None = None
    lost: int = 0


Client = Callable[[Message], Any]


class Codec(Protocol):
    """How payloads become bytes and come back; what ``protocol=`` takes beside the name of a known one."""

    def encode(self, data: Any) -> bytes:
        """Bytes for the wire."""

    def decode(self, data: bytes) -> Any:
        """The value that was published."""


class RawCodec:
    """Bytes as they are; text is encoded. Decodes to ``bytes``, or to ``str`` where an encoding is given to decode."""

    def __init__(self, encoding: str = "utf-8", decode: bool = False) -> None:
        self._encoding = encoding
        self._decode = decode

    def encode(self, data: Any) -> bytes:
        if isinstance(data, str):
            return data.encode(self._encoding)
        if isinstance(data, bytes | bytearray | memoryview):
            return bytes(data)
        if isinstance(data, int | float) and not isinstance(data, bool):
            return str(data).encode()
        raise ArgumentError(f"cannot publish {type(data).__name__}; use protocol='json', or encode it")

    def decode(self, data: bytes) -> Any:
        return data.decode(self._encoding) if self._decode else data


class JsonCodec:
    """JSON, compact, UTF-8."""

    def __init__(self) -> None:
        import json  # a fifth of what `import store_core` would cost

        self._dumps = json.JSONEncoder(separators=(",", ":")).encode
        self._loads = json.loads

    def encode(self, data: Any) -> bytes:
        return self._dumps(data).encode()

    def decode(self, data: bytes) -> Any:
        return self._loads(data)


def make_codec(protocol: str | Codec | None, encoding: str = "utf-8", decode: bool = False) -> Codec:
    """The codec of a ``protocol=`` argument: None, ``"json"``, or an object with ``encode`` and ``decode``."""
    if protocol is None:
        return RawCodec(encoding, decode)
    if protocol == "json":
        return JsonCodec()
    if isinstance(protocol, str):
        raise ValueError(f"no pub/sub protocol {protocol!r}; use None, 'json' or an object with encode and decode")
    return protocol


class Subscriber(ABC):
    """A backend's side: one for each store. Channels are text here; a namespace is the backend's business.

    A kind that the backend lacks raises ``Unsupported`` with ``kind.capability``, except where it is unsubscribed.
    """

    @abstractmethod
    async def publish(self, channel: str, data: bytes, *, kind: Kind) -> int:
        """Send a message; returns how many subscribers of the data store received it, -1 where it does not tell."""

    @abstractmethod
    async def subscribe(self, pubsub: PubSub, names: Iterable[str], *, kind: Kind) -> None:
        """Subscribe; returns once the data store has confirmed it. A call that fails has subscribed to nothing."""

    @abstractmethod
    async def unsubscribe(self, pubsub: PubSub, names: Iterable[str], *, kind: Kind) -> None:
        """Unsubscribe; no names means all of that kind. Harmless where there is nothing to end."""

    @abstractmethod
    async def count(self, channels: Iterable[str]) -> dict[str, int]:
        """Subscribers of each channel in the whole data store, patterns not counted."""

    @abstractmethod
    async def channels(self, pattern: str | None) -> list[str]:
        """Channels with subscribers in the whole data store."""


class Mailbox:
    """A bounded queue of one reader; the oldest message goes when it is full."""

    __slots__ = ("_closed", "_limit", "_lost", "_messages", "_waiter")

    def __init__(self, limit: int) -> None:
        self._messages: deque[Message] = deque()
        self._limit = limit
        self._lost = 0
        self._closed = False
        self._waiter: asyncio.Future[None] | None = None

    def put(self, message: Message) -> None:
        """Add a message; called on the event loop."""
        if len(self._messages) >= self._limit:
            self._messages.popleft()
            self._lost += 1
        self._messages.append(message)
        if self._waiter is not None:
            self._wake()

    def discard(self) -> None:
        """Let the reader end now, whatever is there."""
        self._messages.clear()
        self.close()

    def close(self) -> None:
        """Let the reader end once it has read what is there."""
        self._closed = True
        self._wake()

    async def get(self) -> Message | None:
        """The next message; None when closed and empty."""
        while not self._messages:
            if self._closed:
                return None
            if self._waiter is not None:
                raise StoreError("two tasks read one PubSub at once; open a PubSub for each")
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        message = self._messages.popleft()
        if self._lost:
            message, self._lost = message._replace(lost=self._lost), 0
        return message

    def _wake(self) -> None:
        waiter = self._waiter
        # A reader whose event loop has been closed cannot be woken, and needs it no more.
        if waiter is not None and not waiter.done() and not waiter.get_loop().is_closed():
            waiter.set_result(None)


class PubSub:
    """Subscriptions and their readers; get one from ``store.pubsub()``.

    Args:
        subscriber: The backend's side.
        codec: How payloads are encoded.
        limit: Messages that one reader may leave unread.
    """

    def __init__(self, subscriber: Subscriber, codec: Codec, limit: int = DEFAULT_LIMIT) -> None:
        if limit < 1:
            raise ValueError(f"limit is {limit}; a reader needs room for one message")
        self._subscriber = subscriber
        self._codec = codec
        self._limit = limit
        self._clients: dict[Client, Callable[[Message], None]] = {}
        self._tasks: dict[Client, tuple[Mailbox, asyncio.Task[None]]] = {}
        self._mailbox = Mailbox(limit)
        self._iterated = False
        self._closed = False

    async def publish(self, channel: str, message: Any) -> int:
        """Publish a message; returns how many subscribers received it, -1 without the capability ``receivers``."""
        self._check_open()
        return await self._subscriber.publish(channel, self._codec.encode(message), kind=Kind.CHANNEL)

    async def spublish(self, channel: str, message: Any) -> int:
        """Publish a message to a shard channel; returns what ``publish`` does."""
        self._check_open()
        return await self._subscriber.publish(channel, self._codec.encode(message), kind=Kind.SHARD)

    async def subscribe(self, channel: str, *channels: str) -> None:
        """Subscribe to channels; once this returns, every message published to them arrives."""
        self._check_open()
        await self._subscriber.subscribe(self, (channel, *channels), kind=Kind.CHANNEL)

    async def psubscribe(self, pattern: str, *patterns: str) -> None:
        """Subscribe to the channels that match glob patterns (``news.*``)."""
        self._check_open()
        await self._subscriber.subscribe(self, (pattern, *patterns), kind=Kind.PATTERN)

    async def ssubscribe(self, channel: str, *channels: str) -> None:
        """Subscribe to shard channels: in a cluster, a message to one stays within the shard that owns its name."""
        self._check_open()
        await self._subscriber.subscribe(self, (channel, *channels), kind=Kind.SHARD)

    async def unsubscribe(self, *channels: str) -> None:
        """Unsubscribe from channels; from all of them when none is named."""
        self._check_open()
        await self._subscriber.unsubscribe(self, channels, kind=Kind.CHANNEL)

    async def punsubscribe(self, *patterns: str) -> None:
        """Unsubscribe from patterns; from all of them when none is named."""
        self._check_open()
        await self._subscriber.unsubscribe(self, patterns, kind=Kind.PATTERN)

    async def sunsubscribe(self, *channels: str) -> None:
        """Unsubscribe from shard channels; from all of them when none is named."""
        self._check_open()
        await self._subscriber.unsubscribe(self, channels, kind=Kind.SHARD)

    async def count(self, *channels: str) -> dict[str, int]:
        """How many subscribers each channel has in the whole data store; patterns are not counted."""
        self._check_open()
        return await self._subscriber.count(channels)

    async def channels(self, pattern: str | None = None) -> list[str]:
        """Channels that have subscribers in the whole data store, those that match the pattern."""
        self._check_open()
        return await self._subscriber.channels(pattern)

    def add_client(self, client: Client) -> None:
        """Call ``client(message)`` with every message.

        A coroutine function runs in a task of its own, one message after another, behind a bounded queue. A client
        that raises is logged and removed; the others go on.
        """
        self._check_open()
        if client in self._clients:
            return
        if _is_coroutine_function(client):
            mailbox = Mailbox(self._limit)
            task = asyncio.get_running_loop().create_task(self._run_client(client, mailbox))
            self._tasks[client] = (mailbox, task)
            self._clients[client] = mailbox.put
        else:
            self._clients[client] = client

    def remove_client(self, client: Client) -> None:
        """Stop calling a client; harmless when it is not there."""
        self._clients.pop(client, None)
        mailbox, task = self._tasks.pop(client, (None, None))
        if mailbox is None or task is None:
            return
        mailbox.discard()
        if task is not _current_task():
            task.cancel()

    def __aiter__(self) -> AsyncIterator[Message]:
        """Messages, until ``close``; what arrived before is not missed, unless there were only clients to take it."""
        self._iterated = True
        return self._messages()

    async def close(self) -> None:
        """Drop every subscription, end the readers; closing twice is harmless."""
        if self._closed:
            return
        self._closed = True
        tasks = [task for _, task in self._tasks.values() if task is not _current_task()]
        try:
            for kind in Kind:
                await self._subscriber.unsubscribe(self, (), kind=kind)
        finally:
            self.end()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    # What the backend's Subscriber calls.

    def receive(self, channel: str, data: bytes, pattern: str | None = None) -> None:
        """Hand a message to the readers; called by the backend on the event loop."""
        try:
            message = Message(channel, self._codec.decode(data), pattern)
        except Exception as error:  # noqa: BLE001 - whatever a codec raises
            # Anybody may publish anything: one payload that is not in this protocol must not stop the rest.
            logger.warning("dropped a message on %r that is not in this protocol: %s", channel, type(error).__name__)
            return
        if self._iterated or not self._clients:
            self._mailbox.put(message)
        for client, deliver in list(self._clients.items()) if self._clients else ():
            try:
                deliver(message)
            except Exception:
                logger.exception("removed the pub/sub client %r, which raised", client)
                self._clients.pop(client, None)

    def end(self) -> None:
        """No more messages will come; called by the backend when the store closes."""
        self._closed = True
        self._clients.clear()
        self._mailbox.close()
        for mailbox, _ in self._tasks.values():
            mailbox.close()

    async def _messages(self) -> AsyncIterator[Message]:
        while (message := await self._mailbox.get()) is not None:
            yield message

    async def _run_client(self, client: Callable[[Message], Awaitable[Any]], mailbox: Mailbox) -> None:
        try:
            while (message := await mailbox.get()) is not None:
                await client(message)
        except Exception:
            logger.exception("removed the pub/sub client %r, which raised", client)
        finally:
            # The client may have been removed, and added again, in the meantime.
            if self._tasks.get(client, (None, None))[0] is mailbox:
                del self._tasks[client]
                self._clients.pop(client, None)

    def _check_open(self) -> None:
        if self._closed:
            raise StoreClosed("this PubSub is closed; open another with store.pubsub()")


def _current_task() -> asyncio.Task[Any] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:  # no event loop runs
        return None


def _is_coroutine_function(client: Client) -> bool:
    return inspect.iscoroutinefunction(client) or inspect.iscoroutinefunction(getattr(client, "__call__", None))  # noqa: B004


class Attempt:
    """One call of ``subscribe`` that is under way.

    Attributes:
        wires: The wire names that the PubSub does not have yet, as far as anybody knows.
        fresh: Those of them that nobody had before.
    """

    __slots__ = ("fresh", "kind", "pubsub", "wires")

    def __init__(self, pubsub: PubSub, kind: Kind) -> None:
        self.pubsub = pubsub
        self.kind = kind
        self.wires: list[bytes] = []
        self.fresh: list[bytes] = []


class Subscriptions:
    """Who listens to what: the bookkeeping that every ``Subscriber`` needs. Pure; returns what is left to do.

    A channel is known by its name on the wire (bytes), so that delivery is one look-up. A backend that has to wait
    for its data store calls ``begin``, and then ``settle`` or ``undo``; what it gets in between is delivered already.
    """

    def __init__(self) -> None:
        self._tables: tuple[dict[bytes, _Entry], ...] = tuple({} for _ in Kind)
        # Calls under way for a name that their PubSub does not surely have; the last one that fails takes it away.
        self._unsettled: dict[tuple[Kind, bytes, PubSub], set[Attempt]] = {}

    def add(self, pubsub: PubSub, names: Iterable[tuple[bytes, str]], *, kind: Kind) -> list[bytes]:
        """Record (wire name, name) pairs; returns the wire names that nobody had before."""
        attempt = self.begin(pubsub, names, kind=kind)
        self.settle(attempt)
        return attempt.fresh

    def begin(self, pubsub: PubSub, names: Iterable[tuple[bytes, str]], *, kind: Kind) -> Attempt:
        """Record (wire name, name) pairs for the time being."""
        table, attempt = self._tables[kind], Attempt(pubsub, kind)
        for wire, name in dict(names).items():
            entry = table.get(wire)
            if entry is None:
                entry = table[wire] = _Entry(name, [])
                attempt.fresh.append(wire)
            key = (kind, wire, pubsub)
            if pubsub not in entry.pubsubs:
                entry.pubsubs.append(pubsub)
                self._unsettled[key] = set()
            if key in self._unsettled:
                self._unsettled[key].add(attempt)
                attempt.wires.append(wire)
        return attempt

    def settle(self, attempt: Attempt) -> None:
        """The data store has confirmed it."""
        for wire in attempt.wires:
            key = (attempt.kind, wire, attempt.pubsub)
            if attempt in self._unsettled.get(key, ()):
                del self._unsettled[key]

    def undo(self, attempt: Attempt) -> list[bytes]:
        """It failed: the PubSub has what it had before; returns the wire names nobody has any more."""
        failed = []
        for wire in attempt.wires:
            calls = self._unsettled.get((attempt.kind, wire, attempt.pubsub), set())
            if attempt in calls:
                calls.discard(attempt)
                if not calls:
                    failed.append(wire)
        return self._remove(attempt.pubsub, failed, attempt.kind)

    def remove(self, pubsub: PubSub, wires: Iterable[bytes], *, kind: Kind) -> list[bytes]:
        """Forget subscriptions (all of one PubSub when none is named); returns the wire names nobody has any more."""
        return self._remove(pubsub, list(wires) or list(self._tables[kind]), kind)

    def names(self, *, kind: Kind) -> list[bytes]:
        """Every wire name: what to subscribe to again after a loss."""
        return list(self._tables[kind])

    def pubsubs(self) -> list[PubSub]:
        """Everybody who is subscribed to anything."""
        return list(
            dict.fromkeys(pubsub for table in self._tables for entry in table.values() for pubsub in entry.pubsubs)
        )

    def clear(self) -> None:
        """Forget everything."""
        for table in self._tables:
            table.clear()
        self._unsettled.clear()

    def deliver(self, wire: bytes, data: bytes, *, kind: Kind = Kind.CHANNEL) -> None:
        """Hand a message to the subscribers of its channel, or shard channel."""
        entry = self._tables[kind].get(wire)
        if entry is not None:
            for pubsub in tuple(entry.pubsubs):
                pubsub.receive(entry.name, data)

    def deliver_pattern(self, wire: bytes, channel: str, data: bytes) -> None:
        """Hand a message to the subscribers of a pattern."""
        entry = self._tables[Kind.PATTERN].get(wire)
        if entry is not None:
            for pubsub in tuple(entry.pubsubs):
                pubsub.receive(channel, data, entry.name)

    def _remove(self, pubsub: PubSub, wires: Iterable[bytes], kind: Kind) -> list[bytes]:
        table, gone = self._tables[kind], []
        for wire in wires:
            entry = table.get(wire)
            if entry is None or pubsub not in entry.pubsubs:
                continue
            entry.pubsubs.remove(pubsub)
            self._unsettled.pop((kind, wire, pubsub), None)
            if not entry.pubsubs:
                del table[wire]
                gone.append(wire)
        return gone


class _Entry(NamedTuple):
    name: str
    pubsubs: list[PubSub]
