"""A long mixture of everything that goes wrong: each reply is checked against its question.

STORE_LONG=1 runs ten times as many commands.
"""

from __future__ import annotations

import asyncio
import os
import random

import pytest
from tests.conftest import eventually
from tests.faults.conftest import Through

from store_core import ConnectionFailed, Store, Timeout, create_store

COMMANDS = 20_000 * (10 if os.environ.get("STORE_LONG") == "1" else 1)
WORKERS = 50


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("connections", "seed"), [(1, 1), (3, 2)])
async def test_no_reply_is_ever_anothers_under_cancellation_timeouts_and_cuts(
    proxy: Through, connections: int, seed: int
) -> None:
    chance = random.Random(seed)
    outcomes = dict.fromkeys(("replied", "cancelled", "timed out", "lost"), 0)

    async def ask(store: Store, number: int) -> None:
        word = f"{number}:{'x' * chance.randrange(200)}"
        options = {"timeout": chance.choice((0.0001, 0.001, 0.01, 30))} if chance.random() < 0.2 else {}
        match chance.randrange(6):
            case 0:
                numbers = range(max(number - 3, 0), number)
                values = await store.execute("MGET", "never", *(f"soak:{n}" for n in numbers), **options)
                assert values[0] is None
                for earlier, value in zip(numbers, values[1:], strict=True):
                    assert value is None or value.startswith(b"%d:" % earlier)
            case 1:
                async with store.pipeline() as pipeline:
                    for index in range(3):
                        pipeline.execute("ECHO", f"{index}{word}")
                assert pipeline.results == [f"{index}{word}".encode() for index in range(3)]
            case 2:
                async with store.transaction() as transaction:
                    transaction.execute("SET", f"soak:{number}", word)
                    transaction.execute("GET", f"soak:{number}")
                assert transaction.results == [b"OK", word.encode()]
            case 3:
                assert await store.execute("SETEX", f"soak:{number}", 100, word, **options) == b"OK"
                got = await store.execute("GET", f"soak:{number}")
                assert got == word.encode()
            case 4 if number % 10 == 0:
                await store.execute("RPUSH", f"queue:{number}", word)
                assert await store.execute("BLPOP", f"queue:{number}", 10) == [
                    f"queue:{number}".encode(),
                    word.encode(),
                ]
            case _:
                assert await store.execute("ECHO", word, **options) == word.encode()

    async def asked(store: Store, number: int) -> None:
        task = asyncio.create_task(ask(store, number))
        if chance.random() < 0.1:
            await asyncio.sleep(chance.random() / 500)
            task.cancel()
        try:
            await task
            outcomes["replied"] += 1
        except asyncio.CancelledError:
            outcomes["cancelled"] += 1
        except ConnectionFailed:
            outcomes["lost"] += 1
            await asyncio.sleep(0.001)
        except Timeout:
            outcomes["timed out"] += 1

    numbers = iter(range(COMMANDS))

    async def work(store: Store) -> None:
        for number in numbers:
            await asked(store, number)

    async def cut() -> None:
        while True:
            await asyncio.sleep(0.05 + chance.random() / 5)
            for connection in tuple(proxy.connections):
                if chance.random() < 0.7:
                    connection.cut_after(chance.randrange(5000), reset=chance.random() < 0.5)

    async with create_store(proxy.url, connections=connections, timeout=30, dedicated=8) as store:
        cutting = asyncio.create_task(cut())
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(WORKERS):
                    group.create_task(work(store))
        finally:
            cutting.cancel()
            await asyncio.gather(cutting, return_exceptions=True)
        await eventually(lambda: _echoes(store))
        assert all(link.load() == 0 for link in store._links)
        await store.flush()
    assert sum(outcomes.values()) == COMMANDS
    assert all(outcomes.values()), f"the test says nothing unless all of it happens: {outcomes}"


async def _echoes(store: Store) -> bool:
    try:
        return bool(await store.execute("ECHO", "at the end") == b"at the end")
    except ConnectionFailed:
        return False
