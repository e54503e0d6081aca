"""The limit of memory by connection string, in this process and in a server's: it holds whatever is written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from random import Random
from typing import Any

import pytest

from store_core import DSNError, ReplyError, create_store, start_store

LIMIT = 8 * 2**20
WRITES = 100_000
PIPELINE = 500
FORMS = ["pulsards://", "pulsards://127.0.0.1:0"]


@pytest.fixture(params=FORMS, ids=["embedded", "served"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Any]:
    url = f"{request.param}?maxmemory={LIMIT}&maxmemory_policy=allkeys-lru"
    async with await start_store(url, decode_responses=True) as store:
        await store.execute("CONFIG", "SET", "maxmemory-eviction-tenacity", 100)
        yield store


async def figures(store: Any) -> dict[str, str]:
    text = await store.execute("INFO", "everything")
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)


def write(chance: Random) -> tuple[Any, ...]:
    number, text = chance.randrange(30_000), "x" * int(chance.expovariate(1 / 100))
    match chance.randrange(8):
        case 0:
            return "RPUSH", f"list:{number}", text, text
        case 1:
            return "HSET", f"hash:{number}", f"field:{chance.randrange(30)}", text
        case 2:
            return "SADD", f"set:{number}", chance.randrange(1000), chance.randrange(1000)
        case 3:
            return "ZADD", f"zset:{number}", chance.random(), f"member:{chance.randrange(30)}"
        case 4:
            return "XADD", f"stream:{number}", "*", "field", text
        case 5:
            return "SET", f"volatile:{number}", text, "PX", chance.randrange(1, 5000)
        case _:
            return "SET", f"string:{number}", text


async def test_memory_stays_under_the_limit_over_many_writes_of_any_type(store: Any) -> None:
    chance = Random(3)
    resident = int((await figures(store))["used_memory_rss"])
    for _ in range(WRITES // PIPELINE):
        async with store.pipeline() as pipeline:
            for _ in range(PIPELINE):
                pipeline.execute(*write(chance))
        found = await figures(store)
        assert int(found["used_memory"]) <= LIMIT
    assert int(found["evicted_keys"]) > 10_000
    assert await store.execute("DBSIZE") > 5_000
    assert int(found["used_memory_rss"]) - resident < 3 * LIMIT  # the process's own memory follows the estimate


async def test_writes_of_many_tasks_are_never_refused_while_something_may_be_evicted(store: Any) -> None:
    async def fill(task: int) -> None:
        for number in range(500):
            assert await store.execute("SET", f"{task}:{number}", "x" * 1000) == "OK"

    await asyncio.gather(*(fill(task) for task in range(40)))
    assert int((await figures(store))["used_memory"]) <= LIMIT
    assert await store.execute("GET", "39:499") == "x" * 1000


async def test_a_new_limit_is_reached_between_commands(store: Any) -> None:
    for number in range(5_000):
        await store.execute("SET", f"key:{number}", "x" * 1000)
    await store.execute("CONFIG", "SET", "maxmemory-eviction-tenacity", 0, "maxmemory", "1mb")
    asked = 0
    while int((found := await figures(store))["used_memory"]) > 2**20:
        asked += 1
        await asyncio.sleep(0.2)
    assert int(found["evicted_keys"]) > 3_000
    assert asked * 16 < 1_500  # so many at most went with these commands
    assert await store.execute("SET", "another", 1) == "OK"


async def test_without_a_policy_writes_are_refused_and_reads_go_on() -> None:
    async with create_store("pulsards://", maxmemory="300kb") as store:
        with pytest.raises(ReplyError, match="OOM command not allowed") as refused:
            for number in range(5_000):
                await store.execute("SET", f"key:{number}", "x" * 100)
        assert refused.value.code == "OOM"
        assert await store.execute("GET", "key:0") == b"x" * 100
        async with store.pipeline() as pipeline:
            for number in range(100):
                pipeline.execute("DEL", f"key:{number}")
        assert await store.execute("SET", "again", 1)


async def test_a_transaction_that_finds_no_room_runs_none_of_its_commands() -> None:
    async with create_store("pulsards://", maxmemory=1) as store:
        with pytest.raises(ReplyError, match="OOM"):
            async with store.transaction() as transaction:
                transaction.execute("GET", "a")
                transaction.execute("SET", "a", 1)
        await store.execute("CONFIG", "SET", "maxmemory", 0)
        assert await store.execute("EXISTS", "a") == 0


@pytest.mark.parametrize("form", ["pulsards://", "pulsards://127.0.0.1:6410"])
@pytest.mark.parametrize("size", ["much", "-1", "1.5gb", "10%"])
def test_a_limit_that_is_no_size_is_a_wrong_connection_string(form: str, size: str) -> None:
    with pytest.raises(DSNError, match=r"'maxmemory' is .* not a size such as 100mb"):
        create_store(form, maxmemory=size)


def test_a_policy_that_nobody_knows_is_a_wrong_connection_string() -> None:
    with pytest.raises(DSNError, match=r"not one of volatile-lru, .*, noeviction"):
        create_store("pulsards://?maxmemory_policy=lru")
