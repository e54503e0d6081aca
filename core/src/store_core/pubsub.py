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
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from types import TracebackType
from typing import Any, Protocol, Self

from store_core.errors import ArgumentError, StoreClosed
from store_core.mailbox import Mailbox, Message
from store_core.subscriptions import Attempt, Direct, Kind, Subscriptions, dropped

__all__ = [
    "DEFAULT_LIMIT",
    "Attempt",
    "Client",
    "Codec",
    "JsonCodec",
    "Kind",
    "Mailbox",
    "Message",
    "PubSub",
    "RawCodec",
    "Subscriber",
    "Subscriptions",
    "make_codec",
]

logger = logging.getLogger(__name__)

#: Messages that one reader may leave unread.
DEFAULT_LIMIT = 10_000


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

    def direct(self, mailboxes: tuple[Mailbox, ...]) -> Direct:
        """Payloads decode to what nobody can change, so all whose codec is like this one share them."""
        decode = self.decode if self._decode else None
        return Direct(decode, (RawCodec, self._encoding if decode else None), mailboxes)


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
        self._on_resubscribed: list[Callable[[], Any]] = []
        #: Set by who keeps the subscriptions; called when messages have to go another way than ``direct`` said.
        self.on_rerouted: Callable[[], None] | None = None

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
        self._rerouted()

    def remove_client(self, client: Client) -> None:
        """Stop calling a client; harmless when it is not there."""
        self._forget(client)
        mailbox, task = self._tasks.pop(client, (None, None))
        if mailbox is None or task is None:
            return
        mailbox.discard()
        if task is not _current_task():
            task.cancel()

    def on_resubscribed(self, callback: Callable[[], Any]) -> None:
        """Call ``callback()`` whenever the subscriptions are there again after the connection was lost.

        What was published in between is gone, and nobody knows how much: whoever keeps a state up to date with
        messages reads it anew. A plain function, called on the event loop; messages from before the loss may still
        be unread.
        """
        if _is_coroutine_function(callback):
            raise TypeError("on_resubscribed takes a plain function; let it set an event, or create a task")
        self._on_resubscribed.append(callback)

    def __aiter__(self) -> AsyncIterator[Message]:
        """Messages, until ``close``; what arrived before is not missed, unless there were only clients to take it."""
        if not self._iterated:
            self._iterated = True
            if self._clients:
                self._rerouted()
        return self._mailbox

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
            dropped(channel, error)
            return
        if self._iterated or not self._clients:
            self._mailbox.put(message)
        for client, deliver in list(self._clients.items()) if self._clients else ():
            try:
                deliver(message)
            except Exception:
                logger.exception("removed the pub/sub client %r, which raised", client)
                self._forget(client)

    def direct(self) -> Direct | None:
        """Where messages may be queued without ``receive``; None when each has to go through it."""
        if type(self).receive is not PubSub.receive or len(self._tasks) != len(self._clients):
            return None  # a plain function is called with each message
        mailboxes = [mailbox for mailbox, _ in self._tasks.values()]
        if self._iterated or not mailboxes:
            mailboxes.append(self._mailbox)
        if type(self._codec) is RawCodec:
            return self._codec.direct(tuple(mailboxes))
        return Direct(self._codec.decode, self, tuple(mailboxes))

    def resubscribed(self) -> None:
        """Messages may have been missed; called by the backend on the event loop."""
        for callback in self._on_resubscribed:
            try:
                callback()
            except Exception:
                logger.exception("the callback %r failed after a subscription came back", callback)

    def end(self) -> None:
        """No more messages will come; called by the backend when the store closes."""
        self._closed = True
        if self._clients:
            self._clients.clear()
            self._rerouted()
        self._mailbox.close()
        for mailbox, _ in self._tasks.values():
            mailbox.close()

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
                self._forget(client)

    def _forget(self, client: Client) -> None:
        self._clients.pop(client, None)
        self._rerouted()

    def _rerouted(self) -> None:
        if self.on_rerouted is not None:
            self.on_rerouted()

    def _check_open(self) -> None:
        if self._closed:
            raise StoreClosed("this PubSub is closed; open another with store.pubsub()")


def _current_task() -> asyncio.Task[Any] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:  # no event loop runs
        return None


def _is_coroutine_function(client: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(client) or inspect.iscoroutinefunction(getattr(client, "__call__", None))  # noqa: B004
