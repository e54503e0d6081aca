"""Shard channels: each on the node that serves its slot, and on its next one when the slot moves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.cluster.servers import ClusterServers
from tests.conftest import eventually

from store_core import Capability, ConnectionFailed, PubSub, ReplyError, Timeout, create_store
from store_redis.cluster import ClusterStore
from store_redis.cluster.slots import tagged_slot

NAMES = [f"shard-{number}" for number in range(30)]


class Reader:
    """Reads a PubSub, and publishes until everything has arrived."""

    def __init__(self, pubsub: PubSub) -> None:
        self.pubsub = pubsub
        self.got: set[tuple[str, bytes]] = set()
        self._turn = 0

    async def read(self) -> None:
        async for message in self.pubsub:
            self.got.add((message.channel, message.data))

    async def all_arrive(self, names: list[str]) -> None:
        """Every channel carries messages again, at some time from now on."""
        self._turn += 1
        text = str(self._turn)

        async def arrived() -> bool:
            for name in names:
                try:
                    await self.pubsub.spublish(name, text)
                except (ConnectionFailed, ReplyError, Timeout):
                    return False
            await asyncio.sleep(0.02)
            return {(name, text.encode()) for name in names} <= self.got

        await eventually(arrived, 20)


@pytest.fixture
async def reader(store: ClusterStore) -> AsyncIterator[Reader]:
    async with store.pubsub() as pubsub:
        reader = Reader(pubsub)
        reading = asyncio.create_task(reader.read())
        await pubsub.ssubscribe(*NAMES)
        yield reader
    await reading


def subscribed(cluster: ClusterServers) -> dict[int, set[str]]:
    """Port to its shard channels."""
    return {server.port: set(server.run("PUBSUB SHARDCHANNELS")) for server in cluster.servers if server.answers()}


async def test_each_shard_channel_is_on_the_node_that_serves_its_slot(
    store: ClusterStore, cluster: ClusterServers, reader: Reader
) -> None:
    assert Capability.SHARDED in store.capabilities
    await reader.all_arrive(NAMES)
    found = subscribed(cluster)
    for name in NAMES:
        assert name in found[cluster.owner(tagged_slot(name.encode())).port]
    assert sum(map(len, found.values())) == len(NAMES)
    await reader.pubsub.sunsubscribe(*NAMES[:10])
    await eventually(lambda: sum(map(len, subscribed(cluster).values())) == len(NAMES) - 10)


async def test_a_shard_channel_moves_with_its_slot(
    store: ClusterStore, cluster: ClusterServers, reader: Reader
) -> None:
    for name in NAMES[:4]:
        slot = tagged_slot(name.encode())
        owner = cluster.owner(slot)
        target = next(server for server in cluster.primaries() if server is not owner)
        await asyncio.to_thread(cluster.move_slot, slot, target)
        await reader.all_arrive([name])
        assert name in subscribed(cluster)[target.port]
    await reader.all_arrive(NAMES)


async def test_a_subscription_to_a_slot_that_has_moved_meanwhile_finds_it(
    store: ClusterStore, cluster: ClusterServers
) -> None:
    await store.execute("GET", "a")
    slot = tagged_slot(b"late")
    owner = cluster.owner(slot)
    target = next(server for server in cluster.primaries() if server is not owner)
    await asyncio.to_thread(cluster.move_slot, slot, target)
    async with store.pubsub() as one, store.pubsub() as other:
        await asyncio.gather(one.ssubscribe("late"), other.ssubscribe("late"))
        assert "late" in subscribed(cluster)[target.port]
        assert await one.spublish("late", "x") == -1
        for pubsub in (one, other):
            assert (await anext(aiter(pubsub))).data == b"x"


async def test_shard_channels_follow_a_failover(cluster: ClusterServers, store: ClusterStore, reader: Reader) -> None:
    await reader.all_arrive(NAMES)
    primary = cluster.primaries()[0]
    replica = cluster.replica_of(primary)
    await asyncio.to_thread(primary.kill)
    await eventually(replica.is_primary)
    await reader.all_arrive(NAMES)
    await asyncio.to_thread(primary.start)
    await asyncio.to_thread(cluster.settle)
    await reader.all_arrive(NAMES)


async def test_shard_channels_have_the_namespace(cluster: ClusterServers) -> None:
    async with create_store(cluster.url, namespace="ns:") as store, store.pubsub() as pubsub:
        await pubsub.ssubscribe("a", "b")
        await pubsub.spublish("a", "x")
        message = await anext(aiter(pubsub))
        assert (message.channel, message.data) == ("a", b"x")
        assert {"ns:a", "ns:b"} == set().union(*subscribed(cluster).values())


async def test_a_subscriber_leaves_a_node_that_has_left_the_cluster(cluster: ClusterServers) -> None:
    replica = cluster.replica_of(cluster.primaries()[0])
    # The only node that is known when the subscriber connects.
    async with create_store(f"redis+cluster://127.0.0.1:{replica.port}") as store, store.pubsub() as pubsub:
        await pubsub.subscribe("news")
        await store.execute("GET", "a")
        assert replica.run("PUBSUB CHANNELS") == ["news"]
        await asyncio.to_thread(cluster.expel, replica)
        try:
            store.cluster.read_soon()  # type: ignore[attr-defined]
            await eventually(lambda: replica.run("PUBSUB CHANNELS") == [])

            async def heard() -> bool:
                return bool(await pubsub.count("news") == {"news": 1})

            await eventually(heard)
            await pubsub.publish("news", "x")
            assert (await anext(aiter(pubsub))).data == b"x"
        finally:
            await asyncio.to_thread(cluster.adopt, replica)
