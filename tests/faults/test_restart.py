"""A server that is killed and started again: the store works again by itself, and nothing leaks."""

from __future__ import annotations

import asyncio
import gc

import pytest
from tests.conftest import eventually
from tests.faults.conftest import Killable, open_files

from store_core import ConnectionFailed, ReplyError, Store, create_store

pytestmark = pytest.mark.timeout(240)

WORKERS = 20
KILLS = 3


async def answers(store: Store) -> bool:
    try:
        return await store.ping()
    except (ConnectionFailed, ReplyError):
        return False


async def test_a_store_works_again_by_itself_after_each_kill_under_load(killable: Killable) -> None:
    store = create_store(killable.url)
    stop = False
    served = lost = 0

    async def work(number: int) -> None:
        nonlocal served, lost
        count = 0
        while not stop:
            count += 1
            question = f"{number}:{count}"
            try:
                assert await store.execute("ECHO", question) == question.encode()
                served += 1
            except ConnectionFailed:
                lost += 1
                await asyncio.sleep(0.002)

    async def block() -> None:
        while not stop:
            try:
                await store.execute("BLPOP", "never", 0.05)
            except ConnectionFailed:
                await asyncio.sleep(0.002)

    files = open_files()
    async with store:
        await store.ping()
        workers = [asyncio.create_task(work(number)) for number in range(WORKERS)]
        blocked = [asyncio.create_task(block()) for _ in range(5)]
        for _ in range(KILLS):
            before = served
            await eventually(lambda before=before: served > before + 100, 60)
            killable.kill()
            before = lost
            await eventually(lambda before=before: lost > before + WORKERS, 60)
            await asyncio.to_thread(killable.start)
        before = served
        await eventually(lambda: served > before + 100, 60)
        stop = True
        await asyncio.gather(*workers, *blocked)
        assert await store.execute("ECHO", "x") == b"x"
    gc.collect()
    await eventually(lambda: open_files() <= files)


async def test_blocked_callers_are_told_when_the_server_dies(killable: Killable) -> None:
    async with create_store(killable.url) as store:
        waiting = [asyncio.create_task(store.execute("BLPOP", "queue", 0)) for _ in range(10)]
        await eventually(lambda: _count(store, 10))
        killable.kill()
        async with asyncio.timeout(30):
            outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        assert all(isinstance(outcome, ConnectionFailed) for outcome in outcomes)
        killable.start()
        await eventually(lambda: answers(store))
        await store.execute("RPUSH", "queue", "x")
        assert await store.execute("BLPOP", "queue", 5) == [b"queue", b"x"]


async def _count(store: Store, number: int) -> bool:
    clients: bytes = await store.execute("CLIENT", "LIST")
    return clients.count(b"cmd=blpop") == number


async def test_idle_dedicated_connections_that_died_are_not_lent(killable: Killable) -> None:
    async with create_store(killable.url) as store:
        await asyncio.gather(*(store.execute("BLPOP", "never", 0.05) for _ in range(5)))
        killable.kill()
        killable.start()
        await eventually(lambda: answers(store))
        assert await asyncio.gather(*(store.execute("BLPOP", "never", 0.01) for _ in range(5))) == [None] * 5


async def test_a_subscription_outlives_a_killed_server(killable: Killable) -> None:
    async with create_store(killable.url) as store, store.pubsub() as pubsub:
        await pubsub.subscribe("channel")
        await pubsub.psubscribe("pattern.*")
        messages = aiter(pubsub)
        for count in range(KILLS):
            killable.kill()
            killable.start()
            await eventually(lambda: _listened(store), 30)
            await store.execute("PUBLISH", "channel", count)
            await store.execute("PUBLISH", "pattern.x", count)
            async with asyncio.timeout(30):
                assert [(await anext(messages)).data for _ in range(2)] == [b"%d" % count] * 2


async def _listened(store: Store) -> bool:
    try:
        return await store.pubsub().count("channel") == {"channel": 1} and await store.execute("PUBSUB", "NUMPAT") == 1
    except ConnectionFailed:
        return False
