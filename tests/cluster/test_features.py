"""The rest of the Store API on a cluster: blocking, transactions, pipelines, pub/sub, connections, the client."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import redis.exceptions
from tests.cluster.servers import HOST, ClusterServers
from tests.conftest import eventually

from store_core import (
    Capability,
    Command,
    ReplyError,
    StoreClosed,
    StoreError,
    TransactionAborted,
    Unsupported,
    create_store,
    start_store,
)
from store_redis.cluster import ClusterStore
from store_redis.cluster.client import ClusterRedis

KEYS = [f"key:{number}" for number in range(30)]


# Connections.


async def test_there_is_one_connection_to_each_primary(cluster: ClusterServers) -> None:
    async with create_store(cluster.url, client_name="counted") as store:
        await asyncio.gather(*(store.execute("SET", f"{key}{turn}", 1) for key in KEYS for turn in range(10)))
        await store.execute("MGET", *KEYS)
        for server in cluster.servers:
            mine = [line for line in server.run("CLIENT LIST").splitlines() if "name=counted" in line]
            # A replica has one where it was the seed that was asked who serves what.
            assert len(mine) == 1 if server.is_primary() else len(mine) <= 1


async def test_several_connections_to_each_node_are_shared_by_all(cluster: ClusterServers) -> None:
    async with create_store(cluster.url, client_name="several", connections=3) as store:
        await asyncio.gather(*(store.execute("SET", key, key) for key in KEYS))
        assert await asyncio.gather(*(store.execute("GET", key) for key in KEYS)) == [key.encode() for key in KEYS]
        primary = cluster.primaries()[0]
        assert primary.run("CLIENT LIST").count("name=several") == 3


async def test_a_connection_of_ones_own_follows_its_keys(store: ClusterStore) -> None:
    async with await store.connect() as connection:
        for key in KEYS:
            assert await connection.execute("SET", key, key) == b"OK"
        assert [await connection.execute("GET", key) for key in KEYS] == [key.encode() for key in KEYS]
        assert await connection.execute("BLPOP", "none", 0.01) is None
        assert await connection.execute("ECHO", "x") == b"x"
    assert connection.closed
    with pytest.raises(StoreClosed):
        await connection.execute("GET", "a")


async def test_a_connection_with_a_state_stays_where_it_is(store: ClusterStore) -> None:
    for key in ("a", "b", "c"):
        await store.execute("SET", key, 0)
    async with await store.connect(key="a") as connection:
        await connection.execute("MULTI")
        assert await connection.execute("INCR", "a") == b"QUEUED"
        assert await connection.execute("EXEC") == [1]
        errors = []
        for key in ("b", "c"):
            try:
                await connection.execute("INCR", key)
            except ReplyError as error:
                errors.append(error)
        assert errors
        assert {error.code for error in errors} == {"MOVED"}
        assert "connect(key=…)" in errors[0].__notes__[0]


async def test_a_connection_to_a_node_by_its_address(store: ClusterStore, cluster: ClusterServers) -> None:
    for server in cluster.servers:
        async with await store.connect(address=f"{HOST}:{server.port}") as connection:
            assert (await connection.execute("CLUSTER", "MYID")).decode() == server.identity()


# Blocking.


async def test_blocking_commands_wait_on_the_node_of_their_key_and_hold_up_nobody(store: ClusterStore) -> None:
    waiting = [asyncio.create_task(store.execute("BLPOP", f"queue:{number}", 10)) for number in range(12)]
    assert await store.execute("SET", "a", 1) == b"OK"
    for number in range(12):
        await store.execute("RPUSH", f"queue:{number}", number)
    for number, reply in enumerate(await asyncio.gather(*waiting)):
        assert reply == [f"queue:{number}".encode(), str(number).encode()]
    assert await store.execute("BLPOP", "{q}a", "{q}b", 0.01) is None
    with pytest.raises(ReplyError, match="CROSSSLOT"):
        await store.execute("BLPOP", "a", "b", 1)


async def test_wait_tells_the_fewest_replicas_of_any_primary(store: ClusterStore) -> None:
    assert await store.execute("WAIT", 0, 10) == 1


# Transactions.


async def test_a_transaction_runs_in_its_slot(store: ClusterStore) -> None:
    async with store.transaction() as transaction:
        transaction.execute("SET", "{t}a", 1)
        transaction.execute("PING")
        transaction.execute("INCR", "{t}b")
        transaction.execute("MGET", "{t}a", "{t}b")
    assert transaction.results == [b"OK", b"PONG", 1, [b"1", b"1"]]
    assert await store.execute_transaction([Command(("PING",))]) == [b"PONG"]


async def test_a_transaction_over_several_slots_is_refused_and_says_why(store: ClusterStore) -> None:
    with pytest.raises(ReplyError, match="CROSSSLOT") as caught:
        async with store.transaction() as transaction:
            transaction.execute("SET", "a", 1)
            transaction.execute("SET", "b", 1)
    assert "command 2 of 2 (SET)" in caught.value.__notes__[0]
    assert "{hash tag}" in caught.value.__notes__[0]
    assert await store.execute("EXISTS", "a", "b") == 0
    with pytest.raises(ReplyError, match="CROSSSLOT"):
        async with store.transaction(watch=["a", "b"]):
            pass
    with pytest.raises(ReplyError, match="CROSSSLOT"):
        async with store.transaction(watch="a") as transaction:
            transaction.execute("SET", "b", 1)


async def test_a_command_that_is_refused_in_a_transaction_is_named(store: ClusterStore) -> None:
    with pytest.raises(ReplyError) as caught:
        async with store.transaction() as transaction:
            transaction.execute("SET", "{t}a", 1)
            transaction.execute("SET", "{t}a")
    assert "command 2 of 2 (SET)" in caught.value.__notes__[0]
    assert await store.execute("GET", "{t}a") is None


async def test_a_watched_key_that_changed_aborts(store: ClusterStore) -> None:
    with pytest.raises(TransactionAborted):
        async with store.transaction(watch="{t}a") as transaction:
            await store.execute("SET", "{t}a", "changed")
            transaction.execute("SET", "{t}a", "mine")
    assert await store.execute("GET", "{t}a") == b"changed"


async def test_transact_repeats_until_nobody_interferes(store: ClusterStore) -> None:
    async def deposit(transaction: Any) -> None:
        balance = int(await store.execute("GET", "{acc}balance") or 0)
        await asyncio.sleep(0)
        transaction.execute("SET", "{acc}balance", balance + 1)

    await asyncio.gather(*(store.transact(deposit, watch="{acc}balance", retries=1000) for _ in range(6)))
    assert await store.execute("GET", "{acc}balance") == b"6"


async def test_a_watch_whose_connection_is_lost_aborts_before_anything_was_sent(
    store: ClusterStore, cluster: ClusterServers
) -> None:
    with pytest.raises(TransactionAborted, match="lost"):
        async with store.transaction(watch="{t}a") as transaction:
            for server in cluster.servers:
                server.run("CLIENT KILL", "TYPE", "normal", "SKIPME", "yes")
            await asyncio.sleep(0.05)
            transaction.execute("SET", "{t}a", 1)
    assert await store.execute("GET", "{t}a") is None


# Pipelines.


async def test_a_pipeline_is_split_by_node_and_its_replies_are_in_order(store: ClusterStore) -> None:
    async with store.pipeline(raise_on_error=False) as pipeline:
        for key in KEYS:
            pipeline.execute("SET", key, key)
            pipeline.execute("INCR", key)
            pipeline.execute("GET", key)
        pipeline.execute("MGET", *KEYS)
        pipeline.execute("DEL", *KEYS[:10])
        pipeline.execute("DBSIZE")
        pipeline.execute("SINTER", "a", "b")
        pipeline.execute("NOSUCH")
    assert pipeline.results is not None
    *single, values, deleted, size, crossing, unknown = pipeline.results
    assert single[::3] == [b"OK"] * len(KEYS)
    assert {error.code for error in single[1::3]} == {"ERR"}
    assert single[2::3] == [key.encode() for key in KEYS]
    assert values == [key.encode() for key in KEYS]
    assert (deleted, size) == (10, len(KEYS) - 10)
    assert (crossing.code, unknown.code) == ("CROSSSLOT", "ERR")


async def test_a_pipeline_with_commands_that_go_their_own_way_runs_one_by_one(store: ClusterStore) -> None:
    async with store.pipeline() as pipeline:
        pipeline.execute("RPUSH", "list", "x")
        pipeline.execute("BLPOP", "list", 1)
        pipeline.execute("RANDOMKEY")
        pipeline.execute("SCAN", 0, "COUNT", 1000)
    assert pipeline.results is not None
    assert pipeline.results[:3] == [1, [b"list", b"x"], None]


async def test_a_long_pipeline_reaches_every_node(store: ClusterStore) -> None:
    async with store.pipeline() as pipeline:
        for number in range(5000):
            pipeline.execute("SET", f"k{number}", number)
    async with store.pipeline() as pipeline:
        for number in range(5000):
            pipeline.execute("GET", f"k{number}")
    assert pipeline.results == [str(number).encode() for number in range(5000)]


# Reading from replicas.


def reads(cluster: ClusterServers) -> dict[bool, int]:
    """How many GETs primaries (True) and replicas (False) have answered."""
    found = {True: 0, False: 0}
    for server in cluster.servers:
        line = next((line for line in server.run("INFO", "commandstats").splitlines() if "_get:" in line), "calls=0,")
        found[server.is_primary()] += int(line.partition("calls=")[2].partition(",")[0])
    return found


@pytest.mark.parametrize(("who", "primaries", "replicas"), [("primary", 60, 0), ("replica", 0, 60), ("any", 30, 30)])
async def test_reads_go_where_they_are_told(cluster: ClusterServers, who: str, primaries: int, replicas: int) -> None:
    async with create_store(cluster.url, read_from=who) as store:
        await store.flush()
        await store.execute("MSET", *(part for key in KEYS for part in (key, key)))
        await asyncio.to_thread(cluster.replicate)
        for server in cluster.servers:
            server.run("CONFIG RESETSTAT")
        for key in KEYS * 2:
            assert await store.execute("GET", key) == key.encode()
        found = reads(cluster)
        assert found[True] + found[False] == 60
        assert abs(found[True] - primaries) <= 3
        assert abs(found[False] - replicas) <= 3
        assert await store.execute("MGET", *KEYS) == [key.encode() for key in KEYS]
        async with store.pipeline() as pipeline:
            for key in KEYS:
                pipeline.execute("GET", key)
        assert pipeline.results == [key.encode() for key in KEYS]
        await store.execute("SET", KEYS[0], "written")
        assert await store.execute("INCR", "counter") == 1


async def test_reads_fall_back_to_the_primary_where_no_replica_answers(cluster: ClusterServers) -> None:
    async with create_store(cluster.url, read_from="replica") as store:
        await store.execute("MSET", *(part for key in KEYS for part in (key, key)))
        await asyncio.to_thread(cluster.replicate)
        assert await store.execute("MGET", *KEYS) == [key.encode() for key in KEYS]
        lost = cluster.replica_of(cluster.primaries()[0])
        await asyncio.to_thread(lost.kill)
        await asyncio.sleep(0.05)
        for key in KEYS:
            assert await store.execute("GET", key) == key.encode()
        assert await store.execute("MGET", *KEYS) == [key.encode() for key in KEYS]
        async with store.pipeline() as pipeline:
            for key in KEYS:
                pipeline.execute("GET", key)
        assert pipeline.results == [key.encode() for key in KEYS]


# Pub/sub.


async def test_messages_reach_subscribers_on_any_node_in_order(cluster: ClusterServers) -> None:
    async with (
        asyncio.timeout(20),
        create_store(cluster.url) as one,
        create_store(cluster.url) as other,
        one.pubsub() as here,
        other.pubsub() as there,
    ):
        await here.subscribe("news")
        await there.psubscribe("n*")
        for number in range(100):
            assert await here.publish("news", number) == -1
        for pubsub in (here, there):
            messages = aiter(pubsub)
            assert [int((await anext(messages)).data) for _ in range(100)] == list(range(100))
        assert await here.count("news", "none") == {"news": 1, "none": 0}
        assert await here.channels() == ["news"]
        assert await one.execute("PUBSUB", "NUMPAT") == 1
    assert Capability.RECEIVERS not in one.capabilities


# redis-py's client.


async def test_the_client_of_redis_py_works_as_it_stands(store: ClusterStore) -> None:
    client: ClusterRedis = store.client()  # type: ignore[assignment]
    await client.mset({key: key for key in KEYS})
    assert await client.mget(KEYS) == [key.encode() for key in KEYS]
    assert sorted([key async for key in client.scan_iter(match="key:*", count=5)]) == sorted(map(str.encode, KEYS))
    assert await client.dbsize() == len(KEYS)
    assert await client.delete(*KEYS[:3]) == 3
    assert await client.exists(*KEYS) == len(KEYS) - 3
    assert (await client.info("server"))["redis_version"]
    assert await client.ping() is True
    await client.zadd("z", {"a": 1, "b": 2})
    assert await client.zrange("z", 0, -1, withscores=True)
    script = client.register_script("return {KEYS[1], ARGV[1]}")
    assert await script(keys=["k"], args=["v"]) == [b"k", b"v"]
    await store.execute("SCRIPT", "FLUSH")
    assert await script(keys=["k"], args=["v"]) == [b"k", b"v"]
    assert await client.dump("z")
    async with client.lock("lock", timeout=5):
        assert await client.exists("lock") == 1
    assert await client.config_get("maxmemory")
    assert await client.flushdb() is True


async def test_pipelines_of_redis_py_work_as_they_stand(store: ClusterStore) -> None:
    client = store.client()
    replies = await client.pipeline(transaction=False).set("a", 1).set("b", 2).get("a").get("b").execute()
    assert replies == [True, True, b"1", b"2"]
    assert await client.pipeline().set("{t}a", 1).incr("{t}a").execute() == [True, 2]
    with pytest.raises(redis.exceptions.ClusterCrossSlotError):
        await client.pipeline().set("a", 1).set("b", 1).execute()

    for number in range(6):
        key = f"{{w{number}}}a"

        async def increment(pipe: Any, key: str = key) -> None:
            found = int(await pipe.get(key) or 0)
            pipe.multi()
            pipe.set(key, found + 1)

        assert await client.transaction(increment, key) == [True]
        assert await client.get(key) == b"1"


async def test_a_watch_of_redis_pys_pipeline_follows_a_slot_that_moved(
    store: ClusterStore, cluster: ClusterServers
) -> None:
    client = store.client()
    await client.set("{w}a", 5)
    slot = await store.slot_of(("GET", "{w}a"))
    assert slot is not None
    owner = cluster.owner(slot)
    await asyncio.to_thread(cluster.move_slot, slot, next(each for each in cluster.primaries() if each is not owner))
    async with client.pipeline() as pipe:
        await pipe.watch("{w}a")
        assert await pipe.get("{w}a") == b"5"
        pipe.multi()
        pipe.incr("{w}a")
        assert await pipe.execute() == [6]


async def test_pubsub_of_redis_py_works_as_it_stands(store: ClusterStore) -> None:
    client = store.client()
    async with client.pubsub() as pubsub:
        await pubsub.subscribe("news")
        assert (await pubsub.get_message(timeout=5))["type"] == "subscribe"
        await client.publish("news", "x")
        assert (await pubsub.get_message(timeout=5))["data"] == b"x"


# Life.


async def test_extensions_see_every_command_and_every_connection(cluster: ClusterServers) -> None:
    from store_core import hookimpl

    seen: list[str] = []

    class Seeing:
        @hookimpl
        def store_execute(self, operation: Any) -> Any:
            async def execute(*args: Any, **options: Any) -> Any:
                seen.append(args[0])
                return await operation(*args, **options)

            return execute

        @hookimpl
        def store_connect(self, operation: Any) -> Any:
            async def connect() -> Any:
                seen.append("connect")
                return await operation()

            return connect

    async with create_store(cluster.url, extensions=[Seeing()]) as store:
        await store.execute("MSET", *(part for key in KEYS for part in (key, key)))
        async with store.pipeline() as pipeline:
            for key in KEYS:
                pipeline.execute("GET", key)
        assert pipeline.results == [key.encode() for key in KEYS]
    assert seen.count("connect") >= 3
    assert seen.count("GET") == len(KEYS)
    assert seen.count("MSET") == 1


async def test_cancelled_callers_shift_nobodys_reply(store: ClusterStore) -> None:
    await store.execute("MSET", *(part for key in KEYS for part in (key, key)))
    for turns in range(6):
        tasks = [asyncio.create_task(store.execute("MGET", key, *KEYS)) for key in KEYS]
        tasks += [asyncio.create_task(store.execute("GET", key)) for key in KEYS]
        for _ in range(turns):
            await asyncio.sleep(0)
        for task in tasks[::3]:
            task.cancel()
        replies = await asyncio.gather(*tasks, return_exceptions=True)
        wanted: list[Any] = [[key.encode(), *(each.encode() for each in KEYS)] for key in KEYS]
        wanted += [key.encode() for key in KEYS]
        for reply, right in zip(replies, wanted, strict=True):
            assert isinstance(reply, asyncio.CancelledError) or reply == right


async def test_a_caller_waits_for_room_and_no_longer_than_its_time(store: ClusterStore) -> None:
    with pytest.raises(StoreError):
        await store.execute("BLPOP", "nothing", 0, timeout=0.05)
    assert await store.execute("GET", "a", timeout=5) is None


def test_a_store_follows_to_a_new_event_loop(cluster: ClusterServers) -> None:
    store = create_store(cluster.url)

    async def use() -> Any:
        await store.execute("MSET", *(part for key in KEYS for part in (key, key)))
        return await store.execute("MGET", *KEYS)

    async def last() -> Any:
        try:
            return await use()
        finally:
            await store.close()

    for each in (use, use, last):
        with asyncio.Runner() as runner:
            assert runner.run(each()) == [key.encode() for key in KEYS]


async def test_a_cluster_of_this_machine_is_started_and_stopped() -> None:
    store = await start_store("redis+cluster://:pw@127.0.0.1:0,127.0.0.1:0?db=2")
    try:
        await store.execute("MSET", *(part for key in KEYS for part in (key, key)))
        assert await store.execute("DBSIZE") == len(KEYS)
        assert len((await store.cluster.known()).shards) == 2
    finally:
        await store.close()
    async with create_store(store.dsn) as gone:
        with pytest.raises(StoreError):
            await gone.ping()
    with pytest.raises(Unsupported):
        await start_store("rediss+cluster://127.0.0.1:0")


async def test_a_client_of_one_connection_has_one_to_each_node_that_it_needs(cluster: ClusterServers) -> None:
    async with create_store(cluster.url, decode_responses=True) as store:
        single = store.client().client()
        assert await single.client_setname("single") is True  # a state of the connection is that of its first node
        for key in KEYS:
            await single.set(key, key)
        assert [await single.get(key) for key in KEYS] == KEYS
        assert isinstance(await single.dump(KEYS[0]), bytes)
        await single.aclose()
        await eventually(lambda: not any("name=single" in server.run("CLIENT LIST") for server in cluster.servers))


async def test_replies_that_are_not_text_stay_bytes_wherever_they_come_from(cluster: ClusterServers) -> None:
    async with create_store(cluster.url, decode_responses=True) as store:
        client = store.client()
        await client.mset({key: key for key in KEYS})
        piped = await client.pipeline(transaction=False).dump(KEYS[0]).get(KEYS[1]).dump(KEYS[2]).execute()
        assert [type(reply) for reply in piped] == [bytes, str, bytes]
        assert [type(reply) for reply in await client.pipeline().dump(KEYS[0]).get(KEYS[0]).execute()] == [bytes, str]


async def test_flushing_a_namespace_takes_its_keys_from_every_node(
    store: ClusterStore, cluster: ClusterServers
) -> None:
    await store.execute("MSET", *(part for key in KEYS for part in (f"other:{key}", 1)))
    async with create_store(cluster.url, namespace="mine:", decode_responses=True) as mine:
        await mine.execute("MSET", *(part for key in KEYS for part in (key, 1)))
        await mine.execute("SET", b"\xff", 1)
        await mine.flush()
        assert await store.execute("DBSIZE") == len(KEYS)
