"""The subscriber: a store's side of pub/sub, for all its PubSub objects.

It knows who wants what, in the callers' names; a ``Listener`` is the connection that carries it, opened with the
first subscription. A store of one server needs one. A cluster has one more for the shard channels of each node: it
overrides how names are spread over listeners, and what happens when a shard channel moves.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from store_core import PubSub, StoreClosed
from store_core.pubsub import Kind, Subscriber, Subscriptions
from store_redis.channels import add_to_channel, remove_from_channel
from store_redis.errors import make
from store_redis.listener import Listener, OpenLink

if TYPE_CHECKING:
    from store_redis.store import RedisStore

_PUBLISH = {Kind.CHANNEL: "PUBLISH", Kind.SHARD: "SPUBLISH"}


class RedisSubscriber(Subscriber):
    """The store's side of pub/sub.

    Args:
        store: The store whose connections and namespace it uses.
    """

    def __init__(self, store: RedisStore) -> None:
        self._store = store
        self._subscriptions = Subscriptions()
        self._listener = self.new_listener(store.open_link)

    async def publish(self, channel: str, data: bytes, *, kind: Kind) -> int:
        return int(await self._store.execute(_PUBLISH[kind], channel, data))

    async def subscribe(self, pubsub: PubSub, names: Iterable[str], *, kind: Kind) -> None:
        self._store.bind()
        wired = {self._wire(name, kind): name for name in names}
        attempt = self._subscriptions.begin(pubsub, wired.items(), kind=kind)
        try:
            await self.listen(kind, list(wired))
        except BaseException:
            self.ignore(kind, self._subscriptions.undo(attempt))
            raise
        self._subscriptions.settle(attempt)

    async def unsubscribe(self, pubsub: PubSub, names: Iterable[str], *, kind: Kind) -> None:
        wires = [self._wire(name, kind) for name in names]
        self.ignore(kind, self._subscriptions.remove(pubsub, wires, kind=kind))

    async def count(self, channels: Iterable[str]) -> dict[str, int]:
        names = list(channels)
        wires = (self._wire(name, Kind.CHANNEL) for name in names)
        reply = await self._store.execute_raw("PUBSUB", "NUMSUB", *wires)
        counts = list(reply.values()) if isinstance(reply, dict) else reply[1::2]
        return dict(zip(names, counts, strict=True))

    async def channels(self, pattern: str | None) -> list[str]:
        reply = await self._store.execute_raw("PUBSUB", "CHANNELS", self._wire(pattern or "*", Kind.PATTERN))
        return sorted(self._name(wire) for wire in reply)

    async def close(self) -> None:
        """Close the connections and end every PubSub."""
        self._end()
        for listener in self.listeners():
            await listener.close(make(StoreClosed, f"{self._store!r} was closed"))

    def abandon(self) -> None:
        """End every PubSub, and drop everything else that belongs to an event loop that is gone."""
        self._end()
        for listener in self.listeners():
            listener.abandon()

    # How names are spread over listeners: all over one, unless a subclass knows better.

    def listeners(self) -> list[Listener]:
        """Every listener there is."""
        return [self._listener]

    async def listen(self, kind: Kind, wires: list[bytes]) -> None:
        """Have the server send these names; returns once it has confirmed them. Names that have it are harmless."""
        await self._listener.listen(kind, wires)

    def ignore(self, kind: Kind, wires: list[bytes]) -> None:
        """Have it send these no more."""
        self._listener.ignore(kind, wires)

    def new_listener(self, open_link: OpenLink) -> Listener:
        """A listener on a connection that ``open_link`` opens; its messages go to this store's PubSubs."""
        timeout = self._store.params["timeout"]
        listener = Listener(self._store, open_link, timeout, self._subscriptions, self._name)
        listener.on_restored = self.restored
        return listener

    def restored(self, listener: Listener) -> None:
        """Tell the PubSubs of a listener that messages may have been missed."""
        for pubsub in self._subscriptions.pubsubs(listener.names):
            pubsub.resubscribed()

    def _end(self) -> None:
        for pubsub in self._subscriptions.pubsubs():
            pubsub.end()
        self._subscriptions.clear()

    def _wire(self, name: str, kind: Kind) -> bytes:
        prefix = self._store.namespace
        text = add_to_channel(name, prefix, pattern=kind is Kind.PATTERN) if prefix else name
        return text.encode(self._store.encoding)

    def _name(self, wire: bytes) -> str:
        name, prefix = wire.decode(self._store.encoding, "replace"), self._store.namespace
        return remove_from_channel(name, prefix) if prefix else name
