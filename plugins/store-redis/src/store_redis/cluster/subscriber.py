"""The subscriber of a cluster.

Channels and patterns go through one node: a cluster carries every message to all of its nodes. When that node is lost,
or leaves the cluster, the connection is made again to another one. A shard channel belongs to a slot as a key does, so
there is one more connection to each node that serves some of them; they move when their slots move.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any

from store_core import ConnectionFailed, StoreClosed, StoreError, Timeout
from store_core.pubsub import Kind
from store_redis.cluster.following import follow
from store_redis.cluster.node import ClusterNode
from store_redis.cluster.redirects import Patience
from store_redis.cluster.slots import tagged_slot
from store_redis.cluster.topology import Address
from store_redis.errors import copied, make
from store_redis.link import Link
from store_redis.listener import FIRST_PAUSE, LONGEST_PAUSE, Listener
from store_redis.subscriber import RedisSubscriber

if TYPE_CHECKING:
    from store_redis.cluster.store import ClusterStore

logger = logging.getLogger(__name__)


class ClusterSubscriber(RedisSubscriber):
    """The store's side of pub/sub in a cluster."""

    def __init__(self, store: ClusterStore) -> None:
        super().__init__(store)
        self._cluster_store = store
        self._cluster = store.cluster
        self._shards: dict[Address, Listener] = {}
        # Where each shard channel is subscribed; one that is on its way there has a task.
        self._places: dict[bytes, Address] = {}
        self._joins: dict[bytes, asyncio.Task[None]] = {}
        self._returns: dict[bytes, asyncio.Task[None]] = {}
        self._closings: set[asyncio.Task[None]] = set()
        self._cluster.on_change = self._topology_changed

    async def publish(self, channel: str, data: bytes, *, kind: Kind) -> int:
        # The server counts the subscribers of the one node that was told, which says nothing of the cluster's.
        await super().publish(channel, data, kind=kind)
        return -1

    async def close(self) -> None:
        """Close the connections and end every PubSub."""
        returns = list(self._returns.values())
        for task in returns:
            task.cancel()
        await super().close()
        await asyncio.gather(*returns, *self._joins.values(), *self._closings, return_exceptions=True)

    def abandon(self) -> None:
        """End every PubSub, and drop everything else that belongs to an event loop that is gone."""
        super().abandon()
        for table in (self._shards, self._places, self._joins, self._returns, self._closings):
            table.clear()

    # How names are spread over listeners.

    def listeners(self) -> list[Listener]:
        return [self._listener, *self._shards.values()]

    async def listen(self, kind: Kind, wires: list[bytes]) -> None:
        if kind is not Kind.SHARD:
            await super().listen(kind, wires)
            return
        try:
            await asyncio.gather(*map(self._there, wires))
        except StoreError as error:
            raise copied(error) from error.__cause__

    def ignore(self, kind: Kind, wires: list[bytes]) -> None:
        if kind is not Kind.SHARD:
            super().ignore(kind, wires)
            return
        for wire in wires:
            for tasks in (self._returns, self._joins):
                task = tasks.pop(wire, None)
                if task is not None:
                    task.cancel()
            self._leave(wire)

    async def _there(self, wire: bytes) -> None:
        """Returns once a shard channel is subscribed; who asks meanwhile waits for the same."""
        address = self._places.get(wire)
        if address is not None:
            await self._shards[address].listen(Kind.SHARD, [wire])
            return
        join = self._joins.get(wire)
        if join is None:
            join = self._joins[wire] = asyncio.create_task(self._join(wire))
            join.add_done_callback(partial(self._joined, wire))
        await asyncio.shield(join)

    async def _join(self, wire: bytes) -> None:
        async def attempt(node: ClusterNode, asking: bool) -> None:
            listener = self._shard_listener(node.address)
            try:
                await listener.listen(Kind.SHARD, [wire])
            except BaseException:
                listener.ignore(Kind.SHARD, [wire])
                raise
            self._places[wire] = node.address

        await follow(self._cluster, tagged_slot(wire), attempt, Patience(self._store.params["timeout"]))

    def _joined(self, wire: bytes, task: asyncio.Task[None]) -> None:
        if self._joins.get(wire) is task:
            del self._joins[wire]
        if not task.cancelled():
            task.exception()  # told to those who wait; nobody may be left

    def _leave(self, wire: bytes) -> None:
        address = self._places.pop(wire, None)
        if address is not None:
            self._shards[address].ignore(Kind.SHARD, [wire])

    def _shard_listener(self, address: Address) -> Listener:
        found = self._shards.get(address)
        if found is None:
            found = self._shards[address] = self.new_listener(partial(self._open, address))
            found.on_moved = self._moved
        return found

    async def _open(self, address: Address) -> Link:
        try:
            return await self._cluster_store.open_link_to(self._cluster.node(address))
        except (ConnectionFailed, Timeout):
            self._cluster.read_soon()  # who serves its slots now?
            raise

    # What moves.

    def _moved(self, listener: Listener, wires: list[bytes]) -> None:
        """Called by a listener, which has forgotten them."""
        for wire in wires:
            self._places.pop(wire, None)
            self._return(wire)

    def _topology_changed(self) -> None:
        for wire, address in list(self._places.items()):
            if self._cluster.place(tagged_slot(wire)).address != address:
                self._leave(wire)
                self._return(wire)
        for address in [each for each in self._shards if not self._cluster.has(each)]:
            if address not in self._places.values():
                self._spawn(self._shards.pop(address).close(self._closed()))
        here = self._listener.address
        if here and not self._cluster.has(Address.parse(here)):
            self._listener.reconnect()

    def _return(self, wire: bytes) -> None:
        if wire not in self._returns and not self._store.closed:
            self._returns[wire] = asyncio.create_task(self._bring_back(wire))

    async def _bring_back(self, wire: bytes) -> None:
        """Subscribe to a shard channel where it belongs now, however long that takes; then tell its PubSubs."""
        pause = FIRST_PAUSE
        while True:
            try:
                await self._there(wire)
                break
            except StoreClosed:
                return
            except StoreError as error:
                logger.warning("%r: cannot subscribe again yet: %s", self._store, error)
            except Exception:
                # An extension may raise anything where it connects; it may be well the next time.
                logger.exception("%r: cannot subscribe again yet", self._store)
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(pause * 2, LONGEST_PAUSE)
        self._returns.pop(wire, None)
        for pubsub in self._subscriptions.pubsubs(lambda kind: [wire] if kind is Kind.SHARD else []):
            pubsub.resubscribed()

    def _closed(self) -> StoreError:
        return make(StoreClosed, f"{self._store!r} was closed")

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._closings.add(task)
        task.add_done_callback(self._closings.discard)
