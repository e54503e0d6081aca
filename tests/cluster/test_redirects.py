"""Slots that move: ASK, MOVED, TRYAGAIN, and resharding under load."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest
import redis.crc
from tests.cluster.load import EVERY_QUESTION, Load, put_there
from tests.cluster.servers import ClusterServer, ClusterServers
from tests.conftest import eventually

from store_core import ReplyError, Timeout, TransactionAborted, create_store
from store_redis.cluster import ClusterStore
from store_redis.cluster.slots import tagged_slot

TAG = "{moving}"
SLOT = redis.crc.key_slot(b"moving")


def places(cluster: ClusterServers) -> tuple[ClusterServer, ClusterServer]:
    """Who serves the slot, and another primary."""
    source = cluster.owner(SLOT)
    return source, next(server for server in cluster.primaries() if server is not source)


def commands_at(server: ClusterServer, name: str) -> int:
    """How often a server has been asked a command, refusals included."""
    stats = next((line for line in server.run("INFO", "commandstats").splitlines() if f"_{name}:" in line), "")
    fields = dict(field.split("=") for field in stats.partition(":")[2].split(",") if field)
    return sum(int(fields.get(field, 0)) for field in ("calls", "rejected_calls"))


async def test_a_moved_slot_is_learned_from_one_redirection(store: ClusterStore, cluster: ClusterServers) -> None:
    source, target = places(cluster)
    await store.execute("SET", f"{TAG}a", 1)
    await asyncio.to_thread(cluster.move_slot, SLOT, target)
    source.run("CONFIG RESETSTAT")
    assert await store.execute("GET", f"{TAG}a") == b"1"
    for _ in range(20):
        assert await store.execute("GET", f"{TAG}a") == b"1"
    assert commands_at(source, "get") == 1
    assert store.cluster.place(SLOT).address.port == target.port


async def test_many_callers_who_are_redirected_at_once_read_the_topology_once_or_twice(
    store: ClusterStore, cluster: ClusterServers
) -> None:
    _, target = places(cluster)
    await store.execute("SET", f"{TAG}a", 1)
    await asyncio.to_thread(cluster.move_slot, SLOT, target)
    for server in cluster.servers:
        server.run("CONFIG RESETSTAT")
    assert await asyncio.gather(*(store.execute("GET", f"{TAG}a") for _ in range(200))) == [b"1"] * 200
    await asyncio.sleep(0.5)
    assert 1 <= sum(commands_at(server, "cluster|slots") for server in cluster.servers) <= 2


async def test_every_kind_of_command_is_asked_where_its_keys_already_are(
    store: ClusterStore, cluster: ClusterServers
) -> None:
    source, target = places(cluster)
    await store.execute("SET", f"{TAG}stays", "s")
    await store.execute("SET", f"{TAG}goes", "g")
    cluster.open_migration(SLOT, source, target)
    source.run("MIGRATE", "127.0.0.1", target.port, f"{TAG}goes", 0, 5000)
    try:
        for _ in range(3):
            assert await store.execute("GET", f"{TAG}goes") == b"g"
            assert await store.execute("GET", f"{TAG}stays") == b"s"
        assert await store.execute("GET", f"{TAG}nowhere") is None
        assert await store.execute("SET", f"{TAG}new", "n") == b"OK"
        assert target.run("CLUSTER COUNTKEYSINSLOT", SLOT) == 2
        await store.execute("RPUSH", f"{TAG}list", "x")
        assert await store.execute("BLPOP", f"{TAG}list", 1) == [f"{TAG}list".encode(), b"x"]
        assert await store.execute_undecoded(("GET", f"{TAG}goes")) == b"g"
        async with store.pipeline() as pipeline:
            for number in range(20):
                pipeline.execute("SET", f"other:{number}", number)
                pipeline.execute("GET", f"{TAG}goes")
                pipeline.execute("GET", f"{TAG}stays")
        assert pipeline.results == [b"OK", b"g", b"s"] * 20
        async with store.transaction() as transaction:
            transaction.execute("APPEND", f"{TAG}goes", "!")
            transaction.execute("GET", f"{TAG}goes")
        assert transaction.results == [2, b"g!"]
        async with store.transaction(watch=f"{TAG}goes") as transaction:
            transaction.execute("APPEND", f"{TAG}goes", "?")
        assert transaction.results == [3]
        with pytest.raises(TransactionAborted):
            async with store.transaction(watch=f"{TAG}goes") as transaction:
                await store.execute("APPEND", f"{TAG}goes", "x")
                transaction.execute("APPEND", f"{TAG}goes", "y")
        async with await store.connect() as connection:
            assert await connection.execute("GET", f"{TAG}goes") == b"g!?x"
    finally:
        cluster.move_keys(SLOT, source, target)
        cluster.close_migration(SLOT, target)
    assert await store.execute("GET", f"{TAG}stays") == b"s"


async def test_keys_on_both_sides_are_waited_for(store: ClusterStore, cluster: ClusterServers) -> None:
    source, target = places(cluster)
    await store.execute("MSET", f"{TAG}one", 1, f"{TAG}two", 2)
    cluster.open_migration(SLOT, source, target)
    source.run("MIGRATE", "127.0.0.1", target.port, f"{TAG}two", 0, 5000)
    try:
        async with create_store(cluster.url, timeout=0.3) as hasty:
            with pytest.raises(ReplyError, match="TRYAGAIN"):
                await hasty.execute("MGET", f"{TAG}one", f"{TAG}two")
        with pytest.raises(Timeout):
            await store.execute("MGET", f"{TAG}one", f"{TAG}two", timeout=0.2)
        single = asyncio.create_task(store.execute("MGET", f"{TAG}one", f"{TAG}two"))
        split = asyncio.create_task(store.execute("MGET", f"{TAG}one", "elsewhere", f"{TAG}two"))
        async with store.pipeline() as pipeline:
            pipeline.execute("GET", f"{TAG}one")
            pipeline.execute("GET", f"{TAG}two")
        assert pipeline.results == [b"1", b"2"]
        assert not single.done()
    finally:
        cluster.move_keys(SLOT, source, target)
        cluster.close_migration(SLOT, target)
    assert await single == [b"1", b"2"]
    assert await split == [b"1", None, b"2"]


async def test_a_slot_that_nobody_serves_is_waited_for_and_then_told_in_the_servers_words(
    store: ClusterStore, cluster: ClusterServers
) -> None:
    source, _ = places(cluster)
    slot = 16000 if cluster.owner(16000) is not source else 1
    owner = cluster.owner(slot)
    key = next(f"k{number}" for number in range(200_000) if tagged_slot(b"k%d" % number) == slot)
    for server in cluster.servers:
        server.run("CONFIG SET", "cluster-require-full-coverage", "no")
    owner.run("CLUSTER DELSLOTS", slot)
    try:
        async with create_store(cluster.url, timeout=0.3) as hasty:
            with pytest.raises(ReplyError, match="CLUSTERDOWN"):
                await hasty.execute("GET", key)
            assert await hasty.execute("GET", f"{TAG}elsewhere") is None
        waiting = asyncio.create_task(store.execute("GET", key))
        await asyncio.sleep(0.2)
        assert not waiting.done()
    finally:
        owner.run("CLUSTER ADDSLOTS", slot)
        for server in cluster.servers:
            server.run("CONFIG SET", "cluster-require-full-coverage", "yes")
    assert await waiting is None


async def test_a_transaction_whose_slot_has_moved_runs_at_its_new_place(
    store: ClusterStore, cluster: ClusterServers
) -> None:
    _, target = places(cluster)
    await store.execute("SET", f"{TAG}n", 1)
    async with store.transaction() as transaction:
        transaction.execute("INCR", f"{TAG}n")
        await asyncio.to_thread(cluster.move_slot, SLOT, target)
    assert transaction.results == [2]


async def test_a_watched_slot_that_moves_aborts_and_transact_begins_anew(
    store: ClusterStore, cluster: ClusterServers
) -> None:
    _, target = places(cluster)
    await store.execute("SET", f"{TAG}n", 1)
    attempts = []

    async def increment(transaction: Any) -> None:
        attempts.append(int(await store.execute("GET", f"{TAG}n")))
        if len(attempts) == 1:
            await asyncio.to_thread(cluster.move_slot, SLOT, target)
        transaction.execute("SET", f"{TAG}n", attempts[-1] + 1)

    assert await store.transact(increment, watch=f"{TAG}n") == [b"OK"]
    assert attempts == [1, 1]
    assert await store.execute("GET", f"{TAG}n") == b"2"


async def test_a_blocked_caller_goes_on_waiting_where_its_slot_has_gone(
    store: ClusterStore, cluster: ClusterServers
) -> None:
    source, target = places(cluster)
    waiting = asyncio.create_task(store.execute("BLPOP", f"{TAG}queue", 20))
    await eventually(lambda: "blocked_clients:1" in source.run("INFO", "clients"))
    await asyncio.to_thread(cluster.move_slot, SLOT, target)
    await store.execute("RPUSH", f"{TAG}queue", "x")
    assert await waiting == [f"{TAG}queue".encode(), b"x"]


async def test_resharding_under_load_gives_no_wrong_reply_and_no_error(
    store: ClusterStore, cluster: ClusterServers
) -> None:
    await put_there(store)
    counts: Counter[str] = Counter()

    async def increment(store: ClusterStore, key: str, number: int) -> None:
        counts[key] += 1
        assert await store.execute("INCR", f"{key}count") == counts[key]

    slots = [tagged_slot(b"load%d" % number) for number in range(12)]
    slots += [tagged_slot(b"there:%d" % number) for number in range(12)]
    async with Load(store, 40, increment, *EVERY_QUESTION) as load:
        for slot in slots:
            owner = cluster.owner(slot)
            target = next(server for server in cluster.primaries() if server is not owner)
            await asyncio.to_thread(cluster.move_slot, slot, target)
            await load.more(20)
    assert load.errors == {}
    for key, count in counts.items():
        assert await store.execute("GET", f"{key}count") == str(count).encode()
