"""Commands that wait, on every form: they hold up nobody but their caller."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.conftest import eventually

from store_core import Store, Timeout, create_store


async def test_a_blocked_caller_gets_what_is_pushed_later(store: Store) -> None:
    waiting = asyncio.create_task(store.execute("BLPOP", "queue", 0))
    await asyncio.sleep(0.02)
    assert await store.execute("ECHO", "not held up") == b"not held up"
    await store.execute("RPUSH", "queue", "x")
    assert await waiting == [b"queue", b"x"]


async def test_a_blocked_command_ends_at_its_own_time_beyond_the_stores_timeout(url: str) -> None:
    async with create_store(url, timeout=0.05) as store:
        assert await store.execute("BLPOP", "nothing", 0.3) is None


async def test_many_callers_block_at_once_and_each_gets_one_element(store: Store) -> None:
    waiting = [asyncio.create_task(store.execute("BRPOP", "queue", 0)) for _ in range(40)]
    await asyncio.sleep(0.1)
    for number in range(40):
        await store.execute("LPUSH", "queue", number)
    got = [int(reply[1]) for reply in await asyncio.gather(*waiting)]
    assert sorted(got) == list(range(40))


async def test_more_callers_than_dedicated_connections_wait_their_turn(url: str) -> None:
    async with create_store(url, dedicated=2) as store:
        await store.flush()
        waiting = [asyncio.create_task(store.execute("BLPOP", f"queue:{number}", 0)) for number in range(5)]
        await asyncio.sleep(0.05)
        for number in range(5):
            await store.execute("RPUSH", f"queue:{number}", number)
        assert [int(reply[1]) for reply in await asyncio.gather(*waiting)] == list(range(5))


async def test_other_blocking_forms_are_served(store: Store) -> None:
    commands: list[tuple[Any, ...]] = [
        ("BLMOVE", "from", "to", "LEFT", "RIGHT", 0),
        ("BLMPOP", 0, 1, "list", "LEFT"),
        ("BZPOPMIN", "zset", 0),
        ("BZMPOP", 0, 1, "zmpop", "MAX"),
    ]
    waiting = [asyncio.create_task(store.execute(*command)) for command in commands]
    await asyncio.sleep(0.05)
    await store.execute("RPUSH", "from", "a")
    await store.execute("RPUSH", "list", "b")
    await store.execute("ZADD", "zset", 1, "c")
    await store.execute("ZADD", "zmpop", 2, "d")
    assert await asyncio.gather(*waiting) == [
        b"a",
        [b"list", [b"b"]],
        [b"zset", b"c", 1.0],
        [b"zmpop", [[b"d", 2.0]]],
    ]


async def test_a_callers_own_timeout_ends_its_wait(store: Store) -> None:
    with pytest.raises(Timeout):
        await store.execute("BLPOP", "nothing", 0, timeout=0.05)
    assert await store.ping()


async def test_a_cancelled_wait_gives_its_connection_up(store: Store) -> None:
    waiting = asyncio.create_task(store.execute("BLPOP", "queue", 0))
    await asyncio.sleep(0.05)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)

    async def nobody_is_blocked() -> bool:
        info = await store.execute("INFO", "clients")
        return b"blocked_clients:0" in info

    await eventually(nobody_is_blocked)
    await store.execute("RPUSH", "queue", "x")
    assert await store.execute("LLEN", "queue") == 1
