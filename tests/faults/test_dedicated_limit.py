"""Connections for blocking commands are capped; callers beyond the cap wait their turn."""

from __future__ import annotations

import asyncio

from tests.conftest import eventually
from tests.faults.conftest import Through

from store_core import Store, create_store

LIMIT = 64


async def blocked(store: Store, number: int) -> bool:
    clients: bytes = await store.execute("CLIENT", "LIST")
    return clients.count(b"cmd=blpop") == number


async def test_the_65th_blocking_caller_waits_and_is_served(proxy: Through) -> None:
    async with create_store(proxy.url) as store:
        waiting = [asyncio.create_task(store.execute("BLPOP", f"queue:{n}", 0)) for n in range(LIMIT + 1)]
        await eventually(lambda: blocked(store, LIMIT))
        await store.execute("RPUSH", f"queue:{LIMIT}", "for the last")
        assert await store.ping(), "others are not held up"
        assert not any(task.done() for task in waiting)
        await store.execute("RPUSH", "queue:0", "for the first")
        async with asyncio.timeout(30):
            assert await waiting[0] == [b"queue:0", b"for the first"]
            assert await waiting[LIMIT] == [b"queue:%d" % LIMIT, b"for the last"]
        assert proxy.accepted == LIMIT + 1, "one shared, 64 dedicated"
        for number in range(1, LIMIT):
            await store.execute("RPUSH", f"queue:{number}", number)
        async with asyncio.timeout(30):
            await asyncio.gather(*waiting)


async def test_many_more_callers_than_connections_are_all_served(proxy: Through) -> None:
    async with create_store(proxy.url, dedicated=4) as store:
        await store.execute("DEL", "queue")
        waiting = [asyncio.create_task(store.execute("BLPOP", "queue", 0)) for _ in range(200)]
        for number in range(200):
            await store.execute("RPUSH", "queue", number)
        async with asyncio.timeout(60):
            replies = await asyncio.gather(*waiting)
        assert sorted(int(reply[1]) for reply in replies) == list(range(200))
        assert proxy.accepted <= 5


async def test_cancelled_callers_give_their_place_to_the_next(proxy: Through) -> None:
    async with create_store(proxy.url, dedicated=2) as store:
        await store.execute("DEL", "queue")
        first = [asyncio.create_task(store.execute("BLPOP", "never", 0)) for _ in range(10)]
        await eventually(lambda: blocked(store, 2))
        last = asyncio.create_task(store.execute("BLPOP", "queue", 0))
        for task in first:
            task.cancel()
        await asyncio.gather(*first, return_exceptions=True)
        await store.execute("RPUSH", "queue", "x")
        async with asyncio.timeout(30):
            assert await last == [b"queue", b"x"]


async def test_connections_that_cannot_be_made_give_their_place_back(proxy: Through) -> None:
    async with create_store(proxy.url, dedicated=1) as store:
        assert await store.ping()
        proxy.deafen()
        for _ in range(3):
            outcome = (await asyncio.gather(store.execute("BLPOP", "queue", 1), return_exceptions=True))[0]
            assert isinstance(outcome, ConnectionError)
        await proxy.listen()
        async with asyncio.timeout(30):
            assert await store.execute("BLPOP", "never", 0.01) is None


async def test_a_watch_takes_and_returns_a_place(proxy: Through) -> None:
    async with create_store(proxy.url, dedicated=1) as store:
        async with asyncio.timeout(30):
            for _ in range(5):
                async with store.transaction(watch=["key"]) as transaction:
                    transaction.execute("SET", "key", 1)
            assert await store.execute("BLPOP", "never", 0.01) is None
        assert proxy.accepted == 1
