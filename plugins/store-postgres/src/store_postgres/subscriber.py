"""The subscriber: one connection of a store that listens for all its PubSub objects.

It opens with the first subscription. When it is lost, it is opened again after a pause that doubles up to a limit (with
jitter, so that a restarted server is not met by all its clients at once), and every channel is listened to again;
what was published in between is gone, as LISTEN has it.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Coroutine, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

import asyncpg

from store_core import Capability, PubSub, StoreError, Timeout, Unsupported
from store_core.pubsub import Attempt, Kind, Subscriber, Subscriptions
from store_postgres.connection import hang_up
from store_postgres.errors import LIBRARY, lost, while_executing
from store_postgres.payload import channel_name, to_bytes, to_text

if TYPE_CHECKING:
    from store_postgres.store import PostgresStore

_Result = TypeVar("_Result")

logger = logging.getLogger(__name__)

#: Seconds before the first attempt to reconnect, and the longest pause between two.
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 5.0


class PostgresSubscriber(Subscriber):
    """The store's side of pub/sub.

    Args:
        store: The store whose connections and namespace it uses.
    """

    def __init__(self, store: PostgresStore) -> None:
        self._store = store
        self._subscriptions = Subscriptions()
        self._raw: asyncpg.Connection | None = None
        # A connection takes one statement at a time.
        self._turn = asyncio.Lock()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._reconnecting: asyncio.Task[None] | None = None

    async def publish(self, channel: str, data: bytes, *, kind: Kind) -> int:
        self._check(kind)
        await self._store.execute("SELECT pg_notify($1, $2)", self._wire(channel), to_text(data))
        return -1

    async def subscribe(self, pubsub: PubSub, names: Iterable[str], *, kind: Kind) -> None:
        self._check(kind)
        self._store.bind()
        wired = [(self._wire(name).encode(), name) for name in names]
        work = self._later(self._subscribe(pubsub, wired))
        try:
            self._subscriptions.settle(await asyncio.shield(work))
        except asyncio.CancelledError:
            self._later(self._undo(work))
            raise

    async def unsubscribe(self, pubsub: PubSub, names: Iterable[str], *, kind: Kind) -> None:
        if kind is not Kind.CHANNEL:
            return  # nobody has one
        names = list(names)
        # At once: a PubSub that is closing gets nothing more.
        gone = self._subscriptions.remove(pubsub, [self._wire(name).encode() for name in names], kind=Kind.CHANNEL)
        if gone and self._raw is not None:
            await asyncio.shield(self._later(self._unsubscribe(gone)))

    async def count(self, channels: Iterable[str]) -> dict[str, int]:
        raise Unsupported(self._store.name, Capability.RECEIVERS, "PostgreSQL tells each session only its own")

    async def channels(self, pattern: str | None) -> list[str]:
        raise Unsupported(self._store.name, Capability.RECEIVERS, "PostgreSQL tells each session only its own")

    async def close(self) -> None:
        """Close the connection and end every PubSub."""
        for pubsub in self._subscriptions.pubsubs():
            pubsub.end()
        self._subscriptions.clear()
        task, self._reconnecting = self._reconnecting, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        raw, self._raw = self._raw, None
        if raw is not None:
            await hang_up(raw)
        if self._tasks:
            # They end by themselves: there is no connection any more, and no other can be opened.
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def abandon(self) -> None:
        """Drop everything that belongs to an event loop that is gone."""
        self._subscriptions.clear()
        self._raw = None
        self._turn = asyncio.Lock()
        self._tasks.clear()
        self._reconnecting = None

    # What is said on the listening connection is said in tasks of their own: a caller that is cancelled would cancel
    # its statement there, and asyncpg may have to give up the connection for that, which is everybody's.

    def _later(self, work: Coroutine[Any, Any, _Result]) -> asyncio.Task[_Result]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # told to who waits; nobody may be left

    async def _subscribe(self, pubsub: PubSub, wired: list[tuple[bytes, str]]) -> Attempt:
        async with self._turn:
            attempt = self._subscriptions.begin(pubsub, wired, kind=Kind.CHANNEL)
            try:
                if attempt.fresh:
                    await self._within_timeout(self._listen(attempt.fresh))
            except BaseException:
                self._subscriptions.undo(attempt)
                raise
            return attempt

    async def _unsubscribe(self, wires: list[bytes]) -> None:
        async with self._turn:
            with suppress(StoreError):  # whoever is not connected listens to nothing
                await self._within_timeout(self._unlisten(wires))

    async def _undo(self, work: asyncio.Task[Attempt]) -> None:
        """Take back a subscription whose caller was cancelled."""
        with suppress(StoreError):
            gone = self._subscriptions.undo(await work)
            if gone:
                await self._unsubscribe(gone)

    async def _listen(self, wires: list[bytes]) -> None:
        """Listen to these channels; on a new connection to all that somebody subscribed to. Called in turn."""
        raw = self._raw
        if raw is None or raw.is_closed():
            self._raw = await self._listening(self._subscriptions.names(kind=Kind.CHANNEL))
            return
        for wire in wires:
            await raw.add_listener(wire.decode(), self._on_notification)

    async def _listening(self, wires: list[bytes]) -> asyncpg.Connection:
        """A new connection that listens to these channels, to all or none."""
        raw = await self._store.open()
        try:
            raw.add_termination_listener(self._on_lost)
            for wire in wires:
                await raw.add_listener(wire.decode(), self._on_notification)
            if raw.is_closed():
                raise lost(self._store.dialer.address)
        except BaseException:
            raw.terminate()
            raise
        return raw

    async def _unlisten(self, wires: list[bytes]) -> None:
        # Somebody may have subscribed to one of them again, while this waited for its turn.
        wanted = set(self._subscriptions.names(kind=Kind.CHANNEL))
        raw = self._raw
        for wire in wires:
            if raw is not None and wire not in wanted:
                await raw.remove_listener(wire.decode(), self._on_notification)

    async def _within_timeout(self, work: Any) -> None:
        seconds = self._store.params["timeout"]
        try:
            async with asyncio.timeout(seconds or None):
                await work
        except TimeoutError as error:
            if isinstance(error, StoreError):
                raise
            raise Timeout(f"{self._store!r}: no confirmation of a subscription within {seconds:g} s") from error
        except LIBRARY as error:
            if isinstance(error, StoreError):
                raise
            self._store.check_open()
            closed = self._raw is None or self._raw.is_closed()
            raise while_executing(error, self._store.dialer.address, closed=closed) from error

    def _on_notification(self, _raw: Any, _pid: int, channel: str, payload: Any) -> None:
        self._subscriptions.deliver(channel.encode(), to_bytes(payload))

    def _on_lost(self, raw: Any) -> None:
        if raw is not self._raw or self._store.closed:
            return
        self._raw = None
        if self._reconnecting is None and self._subscriptions.pubsubs():
            self._reconnecting = asyncio.get_running_loop().create_task(self._reconnect())

    async def _reconnect(self) -> None:
        pause = FIRST_PAUSE
        try:
            while not self._store.closed:
                await asyncio.sleep(pause * random.uniform(0.5, 1.0))
                pause = min(pause * 2, LONGEST_PAUSE)
                async with self._turn:
                    if not self._subscriptions.pubsubs():
                        return  # nobody listens any more; the next subscription connects
                    try:
                        await self._within_timeout(self._listen([]))
                        break
                    except StoreError as error:
                        logger.warning("%r: cannot listen again yet: %s", self._store, error)
        finally:
            self._reconnecting = None
        for pubsub in self._subscriptions.pubsubs():
            pubsub.resubscribed()

    def _check(self, kind: Kind) -> None:
        if kind is Kind.PATTERN:
            raise Unsupported(self._store.name, kind.capability, "LISTEN takes the name of one channel")
        if kind is Kind.SHARD:
            raise Unsupported(self._store.name, kind.capability, "there are no shards; use a channel")

    def _wire(self, name: str) -> str:
        return channel_name(self._store.namespace + name)
