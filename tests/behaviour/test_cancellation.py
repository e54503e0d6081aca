"""Cancelled callers never shift another caller's reply."""

from __future__ import annotations

import asyncio
import random

import pytest

from store_core import Store, create_store

TASKS = 10_000


async def test_no_caller_of_ten_thousand_gets_anothers_reply_while_every_tenth_is_cancelled(store: Store) -> None:
    chance = random.Random(20)
    pairs = [argument for number in range(TASKS) for argument in (f"key:{number}", f"value:{number}")]
    for start in range(0, len(pairs), 2000):
        await store.execute("MSET", *pairs[start : start + 2000])

    async def ask(number: int) -> bytes | None:
        pause = chance.random() / 2
        if number % 10 == 0:
            # Half of them while they pause, half within some milliseconds of their first command.
            moment = chance.choice((pause * chance.random(), pause + chance.random() / 200))
            task = asyncio.current_task()
            assert task is not None
            asyncio.get_running_loop().call_later(moment, task.cancel)
        await asyncio.sleep(pause)
        first = await store.execute("GET", f"key:{number}")
        assert first == b"value:%d" % number
        echoed: bytes = await store.execute("ECHO", f"echo:{number}")
        return echoed

    tasks = [asyncio.create_task(ask(number)) for number in range(TASKS)]
    results = await asyncio.gather(*tasks, return_exceptions=True)
    cancelled = 0
    for number, result in enumerate(results):
        if isinstance(result, asyncio.CancelledError):
            assert number % 10 == 0
            cancelled += 1
        else:
            assert result == b"echo:%d" % number
    assert cancelled > TASKS / 50, "too few were cancelled for the test to say anything"
    assert await store.execute("ECHO", "still in order") == b"still in order"


async def test_a_cancelled_transaction_runs_whole_or_not_at_all(store: Store) -> None:
    for _ in range(50):
        await store.execute("MSET", "left", 0, "right", 0)

        async def move() -> None:
            async with store.transaction() as transaction:
                transaction.execute("INCR", "left")
                transaction.execute("INCR", "right")

        task = asyncio.create_task(move())
        await asyncio.sleep(random.random() / 2000)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        left, right = await store.execute("MGET", "left", "right")
        assert left == right


async def test_cancelling_a_blocked_caller_of_an_embedded_store_loses_no_element() -> None:
    async with create_store("pulsards://") as store:
        received = 0
        for number in range(100):
            waiting = asyncio.create_task(store.execute("BLPOP", "queue", 0))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            pushed = asyncio.create_task(store.execute("RPUSH", "queue", number))
            if number % 2:
                waiting.cancel()
            else:
                pushed.add_done_callback(lambda _, waiting=waiting: waiting.cancel())
            reply, _ = await asyncio.gather(waiting, pushed, return_exceptions=True)
            received += isinstance(reply, list)
        assert received + await store.execute("LLEN", "queue") == 100


@pytest.mark.parametrize("count", [1, 3])
async def test_cancelling_one_caller_of_a_first_connection_leaves_the_others(url: str, count: int) -> None:
    async with create_store(url, connections=count) as store:
        tasks = [asyncio.create_task(store.execute("ECHO", str(number))) for number in range(10)]
        await asyncio.sleep(0)
        tasks[0].cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(results[0], asyncio.CancelledError | bytes)
        assert results[1:] == [b"%d" % number for number in range(1, 10)]
