"""The subscriber: one connection of a store that carries the subscriptions of all its PubSub objects.

The connection opens with the first subscription. When it is lost, it is opened again after a pause that doubles up
to a limit (with jitter, so that a restarted server is not met by all its clients at once), and every subscription
is made again; what was published in between is gone, as Redis's pub/sub has it. A call of ``subscribe`` that was
under way waits for that.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from store_core import PubSub, ReplyError, StoreClosed, StoreError, Timeout
from store_core.pubsub import Subscriber, Subscriptions
from store_redis.channels import add_to_channel, remove_from_channel
from store_redis.errors import make
from store_redis.link import Link

if TYPE_CHECKING:
    from store_redis.store import RedisStore

logger = logging.getLogger(__name__)

#: Seconds before the first attempt to reconnect, and the longest pause between two.
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 5.0

_SUBSCRIBE = ("SUBSCRIBE", "PSUBSCRIBE")
_UNSUBSCRIBE = ("UNSUBSCRIBE", "PUNSUBSCRIBE")


class RedisSubscriber(Subscriber):
    """The store's side of pub/sub.

    Args:
        store: The store whose connections and namespace it uses.
    """

    def __init__(self, store: RedisStore) -> None:
        self._store = store
        self._subscriptions = Subscriptions()
        self._link: Link | None = None
        self._lock = asyncio.Lock()
        self._confirmations: dict[tuple[bool, bytes], asyncio.Future[None]] = {}
        self._reconnecting: asyncio.Task[None] | None = None

    async def publish(self, channel: str, data: bytes) -> int:
        return int(await self._store.execute("PUBLISH", channel, data))

    async def subscribe(self, pubsub: PubSub, names: Iterable[str], *, pattern: bool) -> None:
        self._store.bind()
        wired = [(self._wire(name, pattern), name) for name in names]
        async with self._lock:
            fresh = self._subscriptions.add(pubsub, wired, pattern=pattern)
            if not fresh:
                return
            try:
                await self._confirmed(fresh, pattern)
            except BaseException:
                self._subscriptions.remove(pubsub, fresh, pattern=pattern)
                self._post(_UNSUBSCRIBE[pattern], fresh)
                raise

    async def unsubscribe(self, pubsub: PubSub, names: Iterable[str], *, pattern: bool) -> None:
        names = list(names)
        wires = [self._wire(name, pattern) for name in names]
        gone = self._subscriptions.remove(pubsub, wires, pattern=pattern)
        if gone:
            self._post(_UNSUBSCRIBE[pattern], gone)

    async def count(self, channels: Iterable[str]) -> dict[str, int]:
        names = list(channels)
        reply = await self._store.execute_raw("PUBSUB", "NUMSUB", *(self._wire(name, False) for name in names))
        counts = list(reply.values()) if isinstance(reply, dict) else reply[1::2]
        return dict(zip(names, counts, strict=True))

    async def channels(self, pattern: str | None) -> list[str]:
        reply = await self._store.execute_raw("PUBSUB", "CHANNELS", self._wire(pattern or "*", True))
        return sorted(self._name(wire) for wire in reply)

    async def close(self) -> None:
        """Close the connection and end every PubSub."""
        for pubsub in self._subscriptions.pubsubs():
            pubsub.end()
        self._subscriptions.clear()
        for confirmation in self._confirmations.values():
            if not confirmation.done():
                confirmation.set_exception(make(StoreClosed, f"{self._store!r} was closed"))
        task, self._reconnecting = self._reconnecting, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        link, self._link = self._link, None
        if link is not None:
            link.on_lost = None
            link.close()

    def abandon(self) -> None:
        """End every PubSub, and drop everything else that belongs to an event loop that is gone."""
        for pubsub in self._subscriptions.pubsubs():
            pubsub.end()
        self._subscriptions.clear()
        self._confirmations.clear()
        self._reconnecting = None
        self._lock = asyncio.Lock()
        link, self._link = self._link, None
        if link is not None:
            link.abandon()

    async def _confirmed(self, wires: list[bytes], pattern: bool) -> None:
        loop = asyncio.get_running_loop()
        waiting = [self._confirmations.setdefault((pattern, wire), loop.create_future()) for wire in wires]
        seconds = self._store.params["timeout"]
        try:
            async with asyncio.timeout(seconds or None):
                if self._link is None and self._reconnecting is None:
                    await self._connect()
                self._post(_SUBSCRIBE[pattern], wires)
                await asyncio.gather(*waiting)
        except TimeoutError as error:
            if isinstance(error, StoreError):
                raise
            raise make(Timeout, f"{self._store!r}: no confirmation of a subscription within {seconds:g} s") from error
        finally:
            for wire in wires:
                self._confirmations.pop((pattern, wire), None)

    async def _connect(self) -> None:
        link = await self._store.open_link()
        link.leave_bytes()
        link.listening = True
        link.on_push = self._on_push
        link.on_lost = self._on_lost
        self._link = link

    def _post(self, command: str, wires: list[bytes]) -> None:
        if self._link is not None and not self._link.closed:
            self._link.post((command, *wires))

    def _on_push(self, message: Any) -> None:
        if isinstance(message, Exception):
            self._refused(message)
            return
        kind = message[0]
        if kind == b"message":
            self._subscriptions.deliver(message[1], message[2])
        elif kind == b"pmessage":
            self._subscriptions.deliver_pattern(message[1], self._name(message[2]), message[3])
        elif kind in (b"subscribe", b"psubscribe"):
            confirmation = self._confirmations.get((kind == b"psubscribe", message[1]))
            if confirmation is not None and not confirmation.done():
                confirmation.set_result(None)

    def _refused(self, error: Exception) -> None:
        # The server answers the oldest command with an error; only one call is under way, the lock sees to that.
        waiting = [confirmation for confirmation in self._confirmations.values() if not confirmation.done()]
        for confirmation in waiting:
            confirmation.set_exception(error)
        if not waiting:
            logger.warning("%r: the server refused a subscription: %s", self._store, error)

    def _on_lost(self, link: Link) -> None:
        self._link = None
        if self._reconnecting is None and self._subscriptions.pubsubs() and not self._store.closed:
            self._reconnecting = link.loop.create_task(self._reconnect())

    async def _reconnect(self) -> None:
        pause = FIRST_PAUSE
        try:
            while self._link is None:
                await asyncio.sleep(pause * random.uniform(0.5, 1.0))
                if not self._subscriptions.pubsubs():
                    return  # nobody listens any more; the next subscription connects
                pause = min(pause * 2, LONGEST_PAUSE)
                try:
                    await self._connect()
                except (StoreError, ReplyError) as error:
                    logger.warning("%r: cannot subscribe again yet: %s", self._store, error)
        finally:
            self._reconnecting = None
        for pattern in (False, True):
            names = self._subscriptions.names(pattern=pattern)
            if names:
                self._post(_SUBSCRIBE[pattern], names)

    def _wire(self, name: str, pattern: bool) -> bytes:
        prefix = self._store.namespace
        return (add_to_channel(name, prefix, pattern=pattern) if prefix else name).encode(self._store.encoding)

    def _name(self, wire: bytes) -> str:
        name, prefix = wire.decode(self._store.encoding, "replace"), self._store.namespace
        return remove_from_channel(name, prefix) if prefix else name
