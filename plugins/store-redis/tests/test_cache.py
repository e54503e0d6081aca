"""Client-side caching on a real Valkey: what is answered from memory, and what no longer is."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from store_core import ArgumentError, DSNError, ReplyError, Store, StoreClosed, create_store, hookimpl
from store_redis import RedisStore
from store_redis.cache import MISSING, Cache, copier
from store_redis.cacheable import CACHEABLE, LEFT_OUT
from store_redis.keyspecs import CommandKeys, read_table
from store_redis.tracking import MOST_KEYS, normal

Open = Callable[..., RedisStore]


@pytest.fixture
async def cached(open_store: Open) -> RedisStore:
    """A store that keeps replies."""
    return open_store(cache=1000)


def cache_of(store: Store) -> Cache:
    assert isinstance(store, RedisStore)
    assert store.cache is not None
    return store.cache


async def until(condition: Callable[[], Awaitable[Any]]) -> None:
    async with asyncio.timeout(10):
        while not await condition():
            await asyncio.sleep(0.001)


async def served(store: Store, command: str) -> int:
    """How often the server has run a command."""
    stats = await store.execute("INFO", "commandstats")
    for line in stats.decode().splitlines():
        if line.startswith(f"cmdstat_{command}:"):
            return int(line.partition("calls=")[2].partition(",")[0])
    return 0


async def test_a_second_read_does_not_reach_the_server(store: Store, cached: RedisStore) -> None:
    await store.execute("SET", "a", "1")
    assert await cached.execute("GET", "a") == b"1"
    before = await served(store, "get")
    assert [await cached.execute("GET", "a") for _ in range(10)] == [b"1"] * 10
    assert await served(store, "get") == before
    assert (cache_of(cached).hits, cache_of(cached).misses, cache_of(cached).entries) == (10, 1, 1)
    assert repr(cache_of(cached)) == "<Cache entries=1/1000 hits=10 misses=1 invalidations=0 evictions=0>"


async def test_a_missing_key_is_remembered_until_it_is_there(store: Store, cached: RedisStore) -> None:
    assert [await cached.execute("GET", "a") for _ in range(2)] == [None, None]
    assert cache_of(cached).hits == 1
    await store.execute("SET", "a", "1")
    await until(lambda: _equals(cached, b"1", "GET", "a"))


async def _equals(store: Store, expected: Any, *args: Any) -> bool:
    return bool(await store.execute(*args) == expected)


@pytest.mark.parametrize("write", [("SET", "a", "2"), ("DEL", "a"), ("EXPIRE", "a", 100), ("FLUSHALL",), ("FLUSHDB",)])
async def test_what_another_client_changes_is_dropped(store: Store, cached: RedisStore, write: tuple[Any, ...]) -> None:
    await store.execute("SET", "a", "1")
    await cached.execute("GET", "a")
    await store.execute(*write)
    async with asyncio.timeout(10):
        while cache_of(cached).entries:
            await asyncio.sleep(0.001)
    assert cache_of(cached).invalidations == 1
    assert await cached.execute("GET", "a") == await store.execute("GET", "a")


async def test_without_the_parameter_nothing_is_kept(store: Store) -> None:
    assert isinstance(store, RedisStore)
    assert store.cache is None


# Read your writes.


async def by_execute(store: Store, key: str, value: str) -> None:
    await store.execute("SET", key, value)


async def by_lower_case_bytes(store: Store, key: str, value: str) -> None:
    await store.execute(b"set", key.encode(), bytearray(value.encode()))


async def by_transaction(store: Store, key: str, value: str) -> None:
    async with store.transaction() as transaction:
        transaction.execute("SET", key, value)


async def by_watched_transaction(store: Store, key: str, value: str) -> None:
    async with store.transaction(watch=key) as transaction:
        transaction.execute("SET", key, value)


async def by_pipeline(store: Store, key: str, value: str) -> None:
    async with store.pipeline() as pipeline:
        pipeline.execute("PING")
        pipeline.execute("SET", key, value)


async def by_connection(store: Store, key: str, value: str) -> None:
    async with await store.connect() as connection:
        await connection.execute("SET", key, value)


async def by_transaction_on_a_connection(store: Store, key: str, value: str) -> None:
    async with await store.connect() as connection:
        await connection.execute("MULTI")
        await connection.execute("SET", key, value)
        await connection.execute("EXEC")


async def by_script(store: Store, key: str, value: str) -> None:
    await store.execute("EVAL", "return redis.call('SET', KEYS[1], ARGV[1])", 1, key, value)


async def by_script_that_names_nothing(store: Store, key: str, value: str) -> None:
    key = f"{store.namespace}{key}"
    await store.execute("EVAL", f"return redis.call('SET', '{key}', '{value}')", 0)


async def by_script_that_fails(store: Store, key: str, value: str) -> None:
    with pytest.raises(ReplyError):
        await store.execute("EVAL", "redis.call('SET', KEYS[1], ARGV[1]); return redis.call('NO')", 1, key, value)


async def by_rename(store: Store, key: str, value: str) -> None:
    await store.execute("MSET", f"{key}.new", value, f"{key}.other", "x")
    await store.execute("RENAME", f"{key}.new", key)


async def by_sort(store: Store, key: str, value: str) -> None:
    await store.execute("SET", key, value)
    await store.execute("RPUSH", f"{key}.list", "1")
    await store.execute("SORT", f"{key}.list", "STORE", f"{key}.sorted")


async def by_redis_py(store: Store, key: str, value: str) -> None:
    await store.client().set(key, value)


WAYS = [
    by_execute,
    by_lower_case_bytes,
    by_transaction,
    by_watched_transaction,
    by_pipeline,
    by_connection,
    by_transaction_on_a_connection,
    by_script,
    by_script_that_names_nothing,
    by_script_that_fails,
    by_rename,
    by_sort,
    by_redis_py,
]


@pytest.mark.parametrize("params", [{}, {"connections": 3}, {"namespace": "ns."}, {"decode_responses": True}], ids=str)
@pytest.mark.parametrize("write", WAYS)
async def test_who_wrote_reads_what_it_wrote(
    open_store: Open, write: Callable[[Store, str, str], Awaitable[None]], params: dict[str, Any]
) -> None:
    store = open_store(cache=1000, **params)

    async def work(key: str) -> None:
        for number in range(8):
            value = f"{key}.{number}"
            await write(store, key, value)
            for _ in range(2):
                read = await store.execute("GET", key)
                assert (read if isinstance(read, str) else read.decode()) == value
                assert await store.execute("STRLEN", key) == len(value)
                await asyncio.sleep(0)

    await asyncio.gather(*(work(f"key{number}") for number in range(8)))


async def test_a_read_behind_a_write_that_nobody_awaited_sees_it(cached: RedisStore) -> None:
    await cached.execute("SET", "a", "1")
    for number in range(50):
        await cached.execute("GET", "a")
        _, read = await asyncio.gather(cached.execute("SET", "a", number), cached.execute("GET", "a"))
        assert read == str(number).encode()


async def test_swapping_and_deleting_databases_empties_the_cache(store: Store, cached: RedisStore) -> None:
    for act in (lambda: cached.execute("SWAPDB", 0, 1), lambda: cached.delete_database("0")):
        await cached.execute("SET", "a", "1")
        assert await cached.execute("GET", "a") == b"1"
        await act()
        assert await cached.execute("GET", "a") is None


@pytest.mark.parametrize("params", [{}, {"connections": 3}], ids=str)
async def test_many_writers_and_readers_never_read_less_than_was_acknowledged(
    store: Store, open_store: Open, params: dict[str, Any]
) -> None:
    cached = open_store(cache=20, **params)
    keys = [f"n{number}" for number in range(12)]
    acknowledged = dict.fromkeys(keys, 0)
    stop = asyncio.Event()

    async def own_writer(seed: int) -> None:
        dice = random.Random(seed)
        for _ in range(250):
            key = dice.choice(keys)
            if dice.random() < 0.5:
                reply = await cached.execute("INCR", key)
            else:
                async with cached.transaction() as transaction:
                    transaction.execute("INCR", key)
                reply = transaction.results[-1]
            acknowledged[key] = max(acknowledged[key], reply)

    async def foreign_writer(seed: int) -> None:
        dice = random.Random(seed)
        for _ in range(250):
            await store.execute("INCR", dice.choice(keys))

    async def reader(seed: int) -> None:
        dice = random.Random(seed)
        while not stop.is_set():
            key = dice.choice(keys)
            known = acknowledged[key]
            if dice.random() < 0.5:
                value = await cached.execute("GET", key)
            else:
                value = (await cached.execute("MGET", "other", key))[1]
            assert int(value or 0) >= known
            await asyncio.sleep(0)

    readers = [asyncio.create_task(reader(seed)) for seed in range(6)]
    await asyncio.gather(*(own_writer(100 + seed) for seed in range(4)), *(foreign_writer(seed) for seed in range(4)))
    stop.set()
    await asyncio.gather(*readers)
    assert cache_of(cached).hits > 0
    truth = await store.execute("MGET", *keys)
    for key, value in zip(keys, truth, strict=True):
        await until(lambda key=key, value=value: _equals(cached, value, "GET", key))
    assert sum(int(value or 0) for value in truth) == 2000


async def test_numbers_read_on_one_connection_never_go_back(store: Store, cached: RedisStore) -> None:
    async def count() -> None:
        for _ in range(500):
            await store.execute("INCR", "n")

    counting = asyncio.create_task(count())
    last = 0
    while not counting.done():
        number = int(await cached.execute("GET", "n") or 0)
        assert number >= last
        last = number
    await counting
    await until(lambda: _equals(cached, b"500", "GET", "n"))


# What a hit is.


async def test_who_finds_all_in_memory_still_lets_others_run_and_hears_the_news(
    store: Store, cached: RedisStore
) -> None:
    await store.execute("SET", "a", "1")

    async def change() -> None:
        await store.execute("SET", "a", "2")

    changing = asyncio.create_task(change())
    while await cached.execute("GET", "a") == b"1":
        pass
    assert await cached.execute("GET", "a") == b"2"
    await changing


async def test_each_caller_gets_an_object_of_its_own(cached: RedisStore) -> None:
    await cached.execute("RPUSH", "l", "a", "b")
    await cached.execute("HSET", "h", "f", "v")
    await cached.execute("SADD", "s", "m")
    await cached.execute("ZADD", "z", 1, "m")
    for question in [
        ("LRANGE", "l", 0, -1),
        ("HGETALL", "h"),
        ("SMEMBERS", "s"),
        ("ZRANGE", "z", "0", "-1", "WITHSCORES"),
    ]:
        first = await cached.execute(*question)
        kept = repr(first)
        for _ in range(2):
            reply = await cached.execute(*question)
            assert repr(reply) == kept
            assert reply is not first
            if reply and isinstance(reply, list) and isinstance(reply[0], list):
                reply[0].clear()
            reply.clear()
    assert cache_of(cached).hits == 8


def test_a_reply_that_nobody_can_change_is_not_copied() -> None:
    assert [copier(reply) for reply in (b"a", "a", 1, 1.5, None, True)] == [None] * 6


async def test_no_more_than_the_limit_is_kept_and_the_oldest_goes(open_store: Open) -> None:
    store = open_store(cache=3)
    for key in ("a", "b", "c", "a", "d"):
        await store.execute("GET", key)
    cache = cache_of(store)
    assert (cache.entries, cache.evictions, cache.hits) == (3, 1, 1)
    await store.execute("GET", "a")
    assert cache.hits == 2
    await store.execute("GET", "b")
    assert cache.hits == 2
    for number in range(200):
        await store.execute("HGET", "h", f"f{number}")
        assert cache.entries == 3
    assert len(cache._by_key) == 1


async def test_arguments_that_are_equal_in_python_and_not_on_the_wire_are_told_apart(cached: RedisStore) -> None:
    await cached.execute("RPUSH", "l", "a", "b")
    assert await cached.execute("LINDEX", "l", 1) == b"b"
    assert await cached.execute("LINDEX", "l", "1") == b"b"
    assert await cached.execute("LINDEX", bytearray(b"l"), memoryview(b"1")) == b"b"
    for _ in range(2):
        with pytest.raises(ArgumentError):
            await cached.execute("LINDEX", "l", True)
        with pytest.raises(ReplyError):
            await cached.execute("LINDEX", "l", 1.5)
    assert cache_of(cached).hits == 1
    assert normal(("GET", 1.0)) is None


async def test_an_argument_that_cannot_be_encoded_is_refused_and_nothing_is_left(cached: RedisStore) -> None:
    for args in [("GET", "\ud800"), ("HGET", "h", "\ud800"), ("GET", object()), ("SET", "\ud800", "1")]:
        with pytest.raises(ArgumentError):
            await cached.execute(*args)
    assert await cached.ping()
    assert cache_of(cached).knows_nothing()


async def test_an_error_is_not_kept(cached: RedisStore) -> None:
    await cached.execute("RPUSH", "l", "a")
    for _ in range(2):
        with pytest.raises(ReplyError, match="WRONGTYPE"):
            await cached.execute("GET", "l")
    with pytest.raises(ReplyError, match="arguments"):
        await cached.execute("GET")
    assert cache_of(cached).knows_nothing()


async def test_a_command_with_very_many_keys_is_sent_each_time(cached: RedisStore) -> None:
    keys = [f"k{number}" for number in range(MOST_KEYS + 1)]
    for _ in range(2):
        assert await cached.execute("MGET", *keys) == [None] * len(keys)
    assert cache_of(cached).knows_nothing()
    for _ in range(2):
        await cached.execute("MGET", *keys[1:])
    assert cache_of(cached).hits == 1


async def test_a_key_that_expired_is_not_answered_from_memory(cached: RedisStore, store: Store) -> None:
    await cached.ping()  # to connect may take its time
    await store.execute("SET", "b", "2")
    await store.execute("SET", "a", "1", "PX", 1000)
    assert await cached.execute("MGET", "b", "a") == [b"2", b"1"]
    cache = cache_of(cached)
    question = ("MGET", "b", "a")
    assert cache.find(question, time.perf_counter() + 1.1) is MISSING
    await until(lambda: _equals(cached, [b"2", None], *question))


async def test_a_time_of_its_own_reads_from_memory_and_fills_it(cached: RedisStore) -> None:
    await cached.execute("SET", "a", "1")
    assert [await cached.execute("GET", "a", timeout=2) for _ in range(3)] == [b"1"] * 3
    assert cache_of(cached).hits == 2
    with pytest.raises(ValueError, match="timeout is -1"):
        await cached.execute("GET", "a", timeout=-1)


async def test_a_cancelled_read_leaves_nothing_behind(cached: RedisStore) -> None:
    await cached.ping()
    for _ in range(20):
        reading = [asyncio.create_task(cached.execute("GET", f"k{number}")) for number in range(20)]
        await asyncio.sleep(0)
        for task in reading:
            task.cancel()
        await asyncio.gather(*reading, return_exceptions=True)
    assert await cached.execute("ECHO", "a") == b"a"
    assert cache_of(cached).knows_nothing()


async def test_a_namespace_has_its_own_keys(store: Store, open_store: Open) -> None:
    one, two = open_store(cache=10, namespace="one."), open_store(cache=10, namespace="two.")
    await store.execute("MSET", "one.a", "1", "two.a", "2")
    for _ in range(2):
        assert [await one.execute("GET", "a"), await two.execute("GET", "a")] == [b"1", b"2"]
    await store.execute("SET", "two.a", "3")
    await until(lambda: _equals(two, b"3", "GET", "a"))
    assert [cache_of(one).invalidations, cache_of(two).invalidations] == [0, 1]
    await one.flush()
    assert await one.execute("GET", "a") is None
    assert await two.execute("GET", "a") == b"3"


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "cp1252"])
async def test_decoded_replies_are_dropped_by_keys_that_are_text(store: Store, open_store: Open, encoding: str) -> None:
    cached = open_store(cache=10, decode_responses=True, encoding=encoding)
    key = "clé"
    await store.execute("SET", key.encode(encoding), "1")
    assert [await cached.execute("GET", key) for _ in range(2)] == ["1", "1"]
    assert cache_of(cached).hits == 1
    await store.execute("SET", key.encode(encoding), "2")
    await until(lambda: _equals(cached, "2", "GET", key))
    await cached.execute("SET", key, "3")
    assert await cached.execute("GET", key.encode(encoding)) == "3"


async def test_a_key_that_does_not_decode_shifts_no_reply(store: Store, open_store: Open) -> None:
    cached = open_store(cache=10, decode_responses=True)
    for number in range(50):
        await cached.execute("GET", b"\xff")
        await cached.execute("EVAL", "return redis.call('GET', KEYS[1])", 1, b"\xff")
        asking = [asyncio.create_task(cached.execute("ECHO", str(each))) for each in range(5)]
        await store.execute("SET", b"\xff", number)
        assert await asyncio.gather(*asking) == [str(each) for each in range(5)]
        assert await cached.execute("GET", b"\xff") == str(number)
    assert cache_of(cached).hits == 0


async def test_an_extension_sees_the_commands_that_are_answered_from_memory(valkey_url: str) -> None:
    seen: list[Any] = []

    class Counting:
        @hookimpl
        def store_execute(self, operation: Any) -> Any:
            async def execute(*args: Any, **options: Any) -> Any:
                seen.append(args[0])
                return await operation(*args, **options)

            return execute

    async with create_store(valkey_url, extensions=[Counting()], cache=10) as store:
        await store.execute("SET", "a", "1")
        assert [await store.execute("GET", "a") for _ in range(3)] == [b"1"] * 3
        assert cache_of(store).hits == 2
    assert seen == ["SET", "GET", "GET", "GET"]


async def test_the_typed_client_reads_from_memory(cached: RedisStore) -> None:
    client = cached.client()
    await client.hset("h", mapping={"a": "1"})
    await client.zadd("z", {"m": 1.5})
    for _ in range(3):
        assert await client.hgetall("h") == {b"a": b"1"}
        assert await client.zscore("z", "m") == 1.5
        assert await client.exists("h") == 1
    assert cache_of(cached).hits == 6


def test_a_second_event_loop_begins_with_nothing(valkey_url: str) -> None:
    cached = create_store(valkey_url, cache=10)

    async def read() -> Any:
        return await cached.execute("GET", "a")

    async def write(value: str) -> None:
        async with create_store(valkey_url) as other:
            await other.execute("SET", "a", value)

    asyncio.run(write("1"))
    assert asyncio.run(read()) == b"1"
    asyncio.run(write("2"))
    assert asyncio.run(read()) == b"2"
    asyncio.run(cached.close())


async def test_a_closed_store_answers_nothing(cached: RedisStore) -> None:
    await cached.execute("GET", "a")
    await cached.close()
    with pytest.raises(StoreClosed):
        await cached.execute("GET", "a")
    assert cache_of(cached).knows_nothing()


def test_resp2_is_refused_at_once(valkey_url: str) -> None:
    with pytest.raises(DSNError, match="cache=5 needs protocol=3"):
        create_store(valkey_url, cache=5, protocol=2)


async def test_a_user_who_may_not_track_is_told_so_when_the_store_connects(store: Store, open_store: Open) -> None:
    await store.execute("ACL", "SETUSER", "reader", "on", ">secret", "~*", "+@all", "-client|tracking")
    cached = open_store(cache=10, username="reader", password="secret")
    with pytest.raises(ReplyError, match=r"NOPERM.*CLIENT TRACKING, which client-side caching needs"):
        await cached.execute("GET", "a")


async def test_nothing_is_kept_once_the_server_refuses_to_track(store: Store, open_store: Open) -> None:
    await store.execute("ACL", "SETUSER", "reader2", "on", ">secret", "~*", "+@all")
    cached = open_store(cache=10, username="reader2", password="secret")
    await cached.execute("GET", "a")
    assert cache_of(cached).entries == 1
    await store.execute("ACL", "SETUSER", "reader2", "-client|caching")
    await cached.execute("GET", "b")
    await store.execute("ACL", "SETUSER", "reader2", "+client|caching", "-pttl")
    await cached.execute("GET", "c")
    assert cache_of(cached).entries == 1


# The tables.


async def test_every_reading_command_with_keys_is_kept_or_left_out_for_a_reason(store: Store) -> None:
    reply = await store.execute("COMMAND")
    reading = {
        name for name, command in _leaves(read_table(reply)) if "readonly" in command.flags and _has_keys(command)
    }
    assert reading - CACHEABLE - LEFT_OUT.keys() == set()
    assert (CACHEABLE | LEFT_OUT.keys()) - reading == set()
    assert CACHEABLE & LEFT_OUT.keys() == set()


async def test_no_command_that_the_server_calls_nondeterministic_is_kept(store: Store) -> None:
    for name in sorted(CACHEABLE):
        (entry,) = await store.execute("COMMAND", "INFO", name)
        tips = {tip.decode() for tip in entry[7]}
        assert "nondeterministic_output" not in tips, name
        assert {flag.decode() for flag in entry[2]} & {"readonly", "blocking", "movablekeys"} <= {
            "readonly",
            "movablekeys",
        }


def _leaves(table: dict[str, CommandKeys], before: str = "") -> list[tuple[str, CommandKeys]]:
    return [
        leaf
        for name, command in table.items()
        for leaf in (
            _leaves(command.subcommands, f"{before}{name} ") if command.subcommands else [(f"{before}{name}", command)]
        )
    ]


def _has_keys(command: CommandKeys) -> bool:
    return command.find is None or bool(tuple(command.find(("X", "1", "1", "STREAMS", "a", "b"))))
