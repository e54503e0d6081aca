"""Nodes that are lost: planned failover, a crash under load, nobody left."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from pathlib import Path

import pytest
from tests.cluster.load import (
    EVERY_QUESTION,
    Load,
    put_there,
    read_many_that_were_there,
    read_what_was_there,
)
from tests.cluster.servers import ClusterServers
from tests.conftest import eventually

from store_core import ConnectionFailed, ConnectionLost, ReplyError, StoreError, Timeout, create_store
from store_redis.cluster import ClusterStore
from store_redis.cluster.node import ClusterNode
from store_redis.cluster.topology import Address

ALLOWED = {"ConnectionLost"}


async def replicated(store: ClusterStore, cluster: ClusterServers) -> None:
    """Put there what the load reads, on the replicas too."""
    await put_there(store)
    await asyncio.to_thread(cluster.replicate)


async def test_a_planned_failover_under_load_loses_nobodys_reply(store: ClusterStore, cluster: ClusterServers) -> None:
    await replicated(store, cluster)
    primary = cluster.primaries()[0]
    replica = cluster.replica_of(primary)
    async with Load(store, 40, *EVERY_QUESTION) as load:
        await load.more(200)
        replica.run("CLUSTER FAILOVER")
        await eventually(replica.is_primary)
        await load.more(400)
        address = Address("127.0.0.1", replica.port)
        await eventually(lambda: store.cluster.topology is not None and address in store.cluster.topology.shards)
    assert load.errors == {}


async def test_a_primary_that_crashes_under_load_is_replaced_and_may_come_back(
    store: ClusterStore, cluster: ClusterServers
) -> None:
    await replicated(store, cluster)
    primary = cluster.primaries()[0]
    replica = cluster.replica_of(primary)
    async with Load(store, 40, *EVERY_QUESTION) as load:
        await load.more(200)
        await asyncio.to_thread(primary.kill)
        await eventually(replica.is_primary)
        await load.more(400)
        await asyncio.to_thread(primary.start)
        await load.more(400)
        await asyncio.to_thread(cluster.settle)
    assert set(load.errors) <= ALLOWED
    assert load.errors["ConnectionLost"] <= 80  # those that were under way, and their pipelines
    assert not primary.is_primary()


async def test_callers_wait_for_the_failover_within_their_time(store: ClusterStore, cluster: ClusterServers) -> None:
    await replicated(store, cluster)
    node = store.cluster.place(0)
    key = await key_on(store, node)
    await store.execute("SET", key, "kept")
    await asyncio.to_thread(cluster.replicate)
    primary = cluster.at(node.address.port)
    replica = cluster.replica_of(primary)
    await asyncio.to_thread(primary.kill)
    await eventually(lambda: not node.links)
    with pytest.raises(Timeout):
        await store.execute("GET", key, timeout=0.1)
    assert await store.execute("GET", key, timeout=20) == b"kept"
    assert replica.is_primary()


async def test_a_store_of_a_short_timeout_gives_up_with_the_reason(cluster: ClusterServers) -> None:
    async with create_store(cluster.url, timeout=0.3) as store:
        assert isinstance(store, ClusterStore)
        await store.ping()
        node = store.cluster.place(0)
        key = await key_on(store, node)
        await asyncio.to_thread(cluster.at(node.address.port).kill)
        await eventually(lambda: not node.links)
        with pytest.raises((ConnectionFailed, ReplyError), match=r"refused|reset|CLUSTERDOWN"):
            await store.execute("GET", key)
        with pytest.raises((ConnectionFailed, ReplyError), match=r"refused|reset|CLUSTERDOWN"):
            await store.execute("DBSIZE")


async def test_a_command_that_was_sent_to_a_node_that_crashes_is_connection_lost_and_not_sent_again(
    store: ClusterStore, cluster: ClusterServers
) -> None:
    await store.execute("SET", "{x}n", 0)
    await asyncio.to_thread(cluster.replicate)
    node = store.cluster.place(await store.slot_of(("GET", "{x}n")))
    server = cluster.at(node.address.port)
    pid = int((server.directory / "pid").read_text())
    os.kill(pid, signal.SIGSTOP)
    sent = [asyncio.create_task(store.execute("INCR", "{x}n")) for _ in range(5)]
    await eventually(lambda: node.links[0].load() == 5)
    await asyncio.sleep(0.05)
    await asyncio.to_thread(server.kill)
    outcomes = await asyncio.gather(*sent, return_exceptions=True)
    assert [type(outcome).__name__ for outcome in outcomes] == ["ConnectionLost"] * 5
    assert all(isinstance(outcome, ConnectionLost) for outcome in outcomes)
    assert await store.execute("GET", "{x}n", timeout=20) == b"0"


async def test_a_node_that_hangs_harms_only_its_own_callers_until_it_is_replaced(
    store: ClusterStore, cluster: ClusterServers
) -> None:
    await replicated(store, cluster)
    primary = cluster.primaries()[0]
    replica = cluster.replica_of(primary)
    pid = int((primary.directory / "pid").read_text())
    async with create_store(cluster.url, timeout=0.5) as hasty:
        assert isinstance(hasty, ClusterStore)
        await hasty.ping()
        os.kill(pid, signal.SIGSTOP)
        try:
            await eventually(replica.is_primary)

            async def answers() -> bool:
                try:
                    for number in range(100):
                        await read_what_was_there(hasty, "", number)
                except (Timeout, ReplyError, ConnectionFailed):
                    return False
                return True

            await eventually(answers)
        finally:
            os.kill(pid, signal.SIGCONT)
    await asyncio.to_thread(cluster.settle)


async def test_subscriptions_and_the_rest_go_on_when_the_node_of_the_subscriber_is_lost(
    store: ClusterStore, cluster: ClusterServers
) -> None:
    async with store.pubsub() as pubsub:
        await pubsub.subscribe("news")
        await pubsub.psubscribe("other.*")
        messages = aiter(pubsub)
        listener = store._subscriber._listener  # type: ignore[union-attr]
        lost = cluster.at(Address.parse(listener.address).port)
        await asyncio.to_thread(lost.kill)
        got: list[object] = []

        async def read() -> None:
            async for message in messages:
                got.append((message.channel, message.data))  # noqa: PERF401 - looked at while it grows

        reading = asyncio.create_task(read())

        async def arrives() -> bool:
            for channel in ("news", "other.one"):
                try:
                    await pubsub.publish(channel, "again")
                except (ConnectionFailed, ReplyError):
                    return False
            return {("news", b"again"), ("other.one", b"again")} <= set(got)

        await eventually(arrives, 20)
        reading.cancel()


async def test_a_blocked_caller_waits_on_through_a_failover(cluster: ClusterServers) -> None:
    async with create_store(cluster.url, timeout=0.5) as store:
        assert isinstance(store, ClusterStore)
        await store.flush()
        node = store.cluster.place(await store.slot_of(("GET", "queue")))
        server = cluster.at(node.address.port)
        replica = cluster.replica_of(server)
        waiting = asyncio.create_task(store.execute("BLPOP", "queue", 30))
        await eventually(lambda: "blocked_clients:1" in server.run("INFO", "clients"))
        await asyncio.sleep(0.7)  # longer than the store's own patience
        replica.run("CLUSTER FAILOVER")
        await eventually(replica.is_primary)
        await asyncio.to_thread(cluster.settle)
        await store.execute("RPUSH", "queue", "x", timeout=10)
        assert await waiting == [b"queue", b"x"]


async def test_connections_that_are_cut_under_load_cost_only_what_was_under_way(
    store: ClusterStore, cluster: ClusterServers
) -> None:
    await replicated(store, cluster)
    sure: Counter[str] = Counter()
    perhaps: Counter[str] = Counter()

    async def increment(store: ClusterStore, key: str, number: int) -> None:
        perhaps[key] += 1
        try:
            found = await store.execute("INCR", f"{key}count")
        except ConnectionLost:
            raise
        except StoreError:
            perhaps[key] -= 1  # it was certainly not run
            raise
        assert sure[key] < found <= perhaps[key]
        sure[key] = perhaps[key] = found

    async with Load(store, 30, increment, *EVERY_QUESTION) as load:
        for _ in range(15):
            await load.more(40)
            for server in cluster.servers:
                server.run("CLIENT KILL", "TYPE", "normal", "SKIPME", "yes")
    assert set(load.errors) == ALLOWED
    for key in perhaps:
        assert sure[key] <= int(await store.execute("GET", f"{key}count") or 0) <= perhaps[key]


async def test_callers_who_are_cancelled_during_a_failover_shift_nobodys_reply(
    store: ClusterStore, cluster: ClusterServers
) -> None:
    await replicated(store, cluster)
    primary = cluster.primaries()[0]
    replica = cluster.replica_of(primary)

    async def cancelled(store: ClusterStore, key: str, number: int) -> None:
        asking = asyncio.create_task(EVERY_QUESTION[number % len(EVERY_QUESTION)](store, key, number))
        for _ in range(number % 7):
            await asyncio.sleep(0)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)

    async with Load(store, 30, cancelled, *EVERY_QUESTION) as load:
        await load.more(200)
        replica.run("CLUSTER FAILOVER")
        await eventually(replica.is_primary)
        await load.more(400)
    assert load.errors == {}


async def test_when_nobody_is_left_it_says_so_at_once(cluster: ClusterServers) -> None:
    nowhere = "redis+cluster://127.0.0.1:1,127.0.0.1:2"
    async with create_store(nowhere) as store:
        with pytest.raises(ConnectionFailed, match="no node of the cluster answers"):
            await store.execute("GET", "a")
        with pytest.raises(ConnectionFailed):
            await store.connect()
        with pytest.raises(ConnectionFailed):
            await store.pubsub().subscribe("a")


async def key_on(store: ClusterStore, node: ClusterNode) -> str:
    """A key that a node serves."""
    for number in range(1000):
        if store.cluster.place(await store.slot_of(("GET", f"k{number}"))) is node:
            return f"k{number}"
    raise AssertionError


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_nothing_is_left_of_nodes_that_have_gone(cluster: ClusterServers) -> None:
    async with create_store(cluster.url) as warm:
        await warm.ping()
    tasks, files = len(asyncio.all_tasks()), open_files()
    async with create_store(cluster.url, read_from="any") as store:
        assert isinstance(store, ClusterStore)
        await replicated(store, cluster)
        primary = cluster.primaries()[0]
        async with Load(store, 20, *EVERY_QUESTION) as load:
            await load.more(50)
            await asyncio.to_thread(primary.kill)
            await load.more(50)
            await asyncio.to_thread(primary.start)
            await load.more(50)
    await eventually(lambda: len(asyncio.all_tasks()) <= tasks)
    await eventually(lambda: open_files() <= files)


async def test_retry_sends_reads_again_whose_connection_was_lost(cluster: ClusterServers) -> None:
    async with create_store(cluster.url, retry="reads", timeout=10) as store:
        assert isinstance(store, ClusterStore)
        await replicated(store, cluster)
        async with Load(store, 20, read_what_was_there, read_many_that_were_there) as load:
            for _ in range(5):
                await load.more(100)
                for server in cluster.servers:
                    server.run("CLIENT KILL", "TYPE", "normal", "SKIPME", "yes")
    assert load.errors == {}


async def test_a_cancelled_pop_loses_nothing_on_any_node(store: ClusterStore) -> None:
    queues = [f"queue:{number}" for number in range(9)]
    for turn in range(5):
        waiting = [asyncio.create_task(store.execute("BLPOP", queue, 30)) for queue in queues]
        await asyncio.sleep(0.02)
        pushed = asyncio.gather(*(store.execute("RPUSH", queue, turn) for queue in queues))
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        await pushed
        taken = {queue for queue, task in zip(queues, waiting, strict=True) if not task.cancelled()}

        async def back(taken: set[str] = taken) -> bool:
            return all([await store.execute("LLEN", queue) == (queue not in taken) for queue in queues])

        await eventually(back)
        await store.execute("DEL", *queues)
