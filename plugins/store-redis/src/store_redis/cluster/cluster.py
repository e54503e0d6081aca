"""Cluster: the servers that a store knows, and which of them serves each slot.

Rules: there is one ``ClusterNode`` for each server (and one for reading from it as a replica), kept as long as the
cluster has it. ``slots`` is what a command's way asks: one look-up. A ``MOVED`` corrects one entry at once and has the
whole read again in the background; only one reading is ever under way. Whoever answers first is believed: known nodes
are asked before the seeds, one after another in quick succession, so that one that is gone costs a moment.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Iterable
from itertools import count
from typing import Any

from store_core import ConnectionFailed, ReplyError, StoreError
from store_redis.cluster.node import ClusterNode
from store_redis.cluster.redirects import GIVE_UP
from store_redis.cluster.slots import SLOTS
from store_redis.cluster.topology import Address, Topology, read_topology
from store_redis.errors import copied, make
from store_redis.single_flight import SingleFlight

logger = logging.getLogger(__name__)

#: Seconds that a node has to tell the topology before another one is asked beside it.
STAGGER = 0.25

#: Seconds between two readings of the topology in the background.
REFRESH_GAP = 0.25

#: Seconds for which a topology is not read again for callers who wait for a failover, each with pauses of its own.
FRESH = 0.02

#: Makes a node: its address, and whether it is read from as a replica.
MakeNode = Callable[[Address, bool], ClusterNode]


class Nowhere:
    """Stands for the node of a slot that nobody is known to serve."""

    direct = None


class Cluster:
    """The nodes of a cluster.

    Args:
        seeds: Where to begin.
        make_node: Makes a node; no I/O.
        ask: Runs a command on a node.
        read_from: ``primary``, ``replica`` or ``any``.
        timeout: Seconds that a node which left the cluster has to answer its last callers; 0 for ``GIVE_UP``.

    Attributes:
        slots: For each slot the node that serves it.
        topology: As it was read last; None before.
    """

    def __init__(
        self,
        seeds: Iterable[Address],
        make_node: MakeNode,
        ask: Callable[[ClusterNode, tuple[Any, ...]], Awaitable[Any]],
        read_from: str,
        timeout: float,
    ) -> None:
        self.slots: list[ClusterNode | Nowhere] = [Nowhere()] * SLOTS
        self.topology: Topology | None = None
        #: Called when the topology was read.
        self.on_change: Callable[[], None] | None = None
        self._seeds = tuple(dict.fromkeys(seeds))
        self._make_node = make_node
        self._ask = ask
        self._read_from = read_from
        self._timeout = timeout
        self._nodes: dict[tuple[Address, bool], ClusterNode] = {}
        self._leaving: set[ClusterNode] = set()
        self._turns = count()
        self._home = random.randrange(SLOTS)
        self._read = SingleFlight(self._read_topology)
        self._read_at = 0.0
        # Who a MOVED pointed to: that node knows at least about itself, where others may not have heard of it yet.
        self._hint: Address | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._reading_soon: asyncio.Task[None] | None = None
        self._closed = False

    # Who serves what.

    def node(self, address: Address, readonly: bool = False) -> ClusterNode:
        """The node at an address; as a replica that is read from, where ``readonly``."""
        found = self._nodes.get((address, readonly))
        if found is None:
            found = self._nodes[address, readonly] = self._make_node(address, readonly)
        return found

    def place(self, slot: int | None, read: bool = False) -> ClusterNode:
        """The node for a command on a slot (None: on any); ``read`` says that a replica may answer it.

        The topology has been read.
        """
        owner = self.slots[self._home if slot is None else slot]
        if not isinstance(owner, ClusterNode):
            return self._anybody()
        return self._reader(owner) if read and self._read_from != "primary" else owner

    def primaries(self) -> list[int]:
        """One slot of each primary: commands for all of them go to whoever serves it by then."""
        assert self.topology is not None
        return list(self.topology.first_slots.values())

    def shuffled_primaries(self) -> list[int]:
        """The same in random order."""
        slots = self.primaries()
        return random.sample(slots, len(slots))

    def replicas(self) -> list[Address]:
        """Every replica."""
        assert self.topology is not None
        return [address for address in self.topology.addresses() if address not in self.topology.shards]

    def has(self, address: Address) -> bool:
        """Whether the cluster has a server at this address."""
        return self.topology is not None and address in self.topology.addresses()

    def moved(self, slot: int, address: Address) -> ClusterNode:
        """Take a slot for another node's, as a ``MOVED`` said; the rest is read again in the background."""
        node = self.node(address)
        self.slots[slot] = node
        self._hint = address
        self.read_soon()
        return node

    def likely(self) -> list[Address]:
        """Every server worth asking for something that any can answer, the most promising first."""
        nodes = [node for (_, readonly), node in self._nodes.items() if not readonly]
        random.shuffle(nodes)
        nodes.sort(key=lambda node: not node.links)
        known = [] if self.topology is None else self.topology.addresses()
        seeds = random.sample(self._seeds, len(self._seeds))
        return list(dict.fromkeys((*(node.address for node in nodes), *known, *seeds)))

    # Reading the topology.

    async def known(self) -> Topology:
        """The topology; reads it when it is not known yet.

        Raises:
            ConnectionFailed: No node answers.
        """
        if self.topology is None:
            await self._read()
        assert self.topology is not None
        return self.topology

    async def read(self) -> None:
        """Read the topology again, or wait for who does; one that is a moment old will do.

        Raises:
            ConnectionFailed: No node answers.
        """
        if self.topology is None or asyncio.get_running_loop().time() - self._read_at > FRESH:
            await self._read()

    def read_soon(self) -> None:
        """Read the topology again in the background, unless that is about to happen."""
        if not self._closed and (self._reading_soon is None or self._reading_soon.done()):
            self._reading_soon = self._spawn(self._read_quietly())

    async def _read_quietly(self) -> None:
        now = asyncio.get_running_loop().time()
        await asyncio.sleep(max(self._read_at + REFRESH_GAP - now, 0.0))
        try:
            await self._read()
        except StoreError as error:  # whoever needs the cluster next gets an error of their own
            logger.debug("cannot read the topology of the cluster: %s", error)

    async def _read_topology(self) -> None:
        best: Topology | None = None
        failure: StoreError | None = None
        asking: set[asyncio.Task[Topology]] = set()
        candidates = self.likely()
        hint, self._hint = self._hint, None
        if hint is not None:
            candidates = list(dict.fromkeys((hint, *candidates)))
        try:
            while (candidates or asking) and (best is None or not best.complete()):
                if candidates:
                    asking.add(asyncio.create_task(self._ask_topology(self.node(candidates.pop(0)))))
                done, asking = await asyncio.wait(
                    asking, timeout=STAGGER if candidates else None, return_when=asyncio.FIRST_COMPLETED
                )
                for task in done:
                    error = task.exception()
                    if error is None:
                        best = max(best or task.result(), task.result(), key=Topology.covered)
                    elif isinstance(error, ConnectionFailed | ReplyError | TimeoutError):
                        failure = error if isinstance(error, StoreError) else failure
                    else:
                        raise error
        finally:
            for task in asking:
                task.cancel()
            await asyncio.gather(*asking, return_exceptions=True)
        if best is None:
            raise self._unreachable(failure) from failure
        self._install(best)

    async def _ask_topology(self, node: ClusterNode) -> Topology:
        return read_topology(await self._ask(node, ("CLUSTER", "SLOTS")), node.address)

    def _unreachable(self, failure: StoreError | None) -> StoreError:
        if failure is None or len(self._seeds) == 1 or not isinstance(failure, ConnectionFailed):
            return copied(failure) if failure is not None else make(ConnectionFailed, "the cluster has no seeds")
        return make(ConnectionFailed, f"no node of the cluster answers; the last one asked: {failure}")

    def _install(self, topology: Topology) -> None:
        self.topology = topology
        self._read_at = asyncio.get_running_loop().time()
        slots: list[ClusterNode | Nowhere] = [Nowhere()] * SLOTS
        for first, last, shard in topology.ranges:
            slots[first : last + 1] = [self.node(shard.primary)] * (last + 1 - first)
        self.slots[:] = slots
        if not topology.ranges:
            return  # a cluster whose slots nobody serves: the seeds say so themselves
        there = set(topology.addresses())
        for (address, readonly), node in list(self._nodes.items()):
            if address not in there:
                del self._nodes[address, readonly]
                self._spawn(self._retire(node))
        if self.on_change is not None:
            self.on_change()

    async def _retire(self, node: ClusterNode) -> None:
        self._leaving.add(node)
        await node.retire(self._timeout or GIVE_UP)
        self._leaving.discard(node)

    def _anybody(self) -> ClusterNode:
        return self.node(self.likely()[0])

    def _reader(self, owner: ClusterNode) -> ClusterNode:
        assert self.topology is not None
        shard = self.topology.shards.get(owner.address)
        if shard is None or not shard.replicas:
            return owner
        now = asyncio.get_running_loop().time()
        readers = [self.node(address, readonly=True) for address in shard.replicas]
        readers = [node for node in readers if node.avoid_until <= now]
        if self._read_from == "any" or not readers:
            readers.append(owner)
        return readers[next(self._turns) % len(readers)]

    # Endings.

    async def close(self) -> None:
        """Close every link to every node."""
        self._closed = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        nodes = self._forget_nodes()
        await asyncio.gather(*(node.close() for node in nodes))
        await self._read.settled()

    def abandon(self) -> None:
        """Drop everything that belongs to an event loop that is gone."""
        nodes = self._forget_nodes()
        self.topology = None
        self._tasks.clear()
        self._reading_soon = None
        self._read.forget()
        for node in nodes:
            node.retired = True  # its links are gone for good: nobody needs to be told
            node.abandon()

    def _forget_nodes(self) -> list[ClusterNode]:
        nodes = [*self._nodes.values(), *self._leaving]
        self._nodes.clear()
        self._leaving.clear()
        self.slots[:] = [Nowhere()] * SLOTS
        return nodes

    def _spawn(self, work: Any) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
