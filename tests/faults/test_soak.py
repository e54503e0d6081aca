"""A long mixture of everything that goes wrong: each reply is checked against its question.

STORE_LONG=1 runs ten times as many commands.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from tests.conftest import eventually
from tests.faults.conftest import Through

from store_core import ConnectionFailed, Store, Timeout, create_store

COMMANDS = 20_000 * (10 if os.environ.get("STORE_LONG") == "1" else 1)
WORKERS = 50

Question = Callable[[Store, int, str, dict[str, Any]], Awaitable[None]]


async def echo(store: Store, number: int, word: str, options: dict[str, Any]) -> None:
    assert await store.execute("ECHO", word, **options) == word.encode()


async def neighbours(store: Store, number: int, word: str, options: dict[str, Any]) -> None:
    numbers = range(max(number - 3, 0), number)
    values = await store.execute("MGET", "never", *(f"soak:{n}" for n in numbers), **options)
    assert values[0] is None
    for earlier, value in zip(numbers, values[1:], strict=True):
        assert value is None or value.startswith(b"%d:" % earlier)


async def pipeline(store: Store, number: int, word: str, options: dict[str, Any]) -> None:
    async with store.pipeline() as collected:
        for index in range(3):
            collected.execute("ECHO", f"{index}{word}")
    assert collected.results == [f"{index}{word}".encode() for index in range(3)]


async def transaction(store: Store, number: int, word: str, options: dict[str, Any]) -> None:
    async with store.transaction() as collected:
        collected.execute("SET", f"soak:{number}", word)
        collected.execute("GET", f"soak:{number}")
    assert collected.results == [b"OK", word.encode()]


async def write_and_read(store: Store, number: int, word: str, options: dict[str, Any]) -> None:
    assert await store.execute("SETEX", f"soak:{number}", 100, word, **options) == b"OK"
    assert await store.execute("GET", f"soak:{number}") == word.encode()


async def block(store: Store, number: int, word: str, options: dict[str, Any]) -> None:
    await store.execute("RPUSH", f"queue:{number}", word)
    assert await store.execute("BLPOP", f"queue:{number}", 10) == [f"queue:{number}".encode(), word.encode()]


QUESTIONS: list[Question] = [echo, neighbours, pipeline, transaction, write_and_read]


class Soak:
    """Many callers with questions, of whom some are cancelled, run out of time or lose their connection."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.outcomes: Counter[str] = Counter()

    async def work(self, store: Store, numbers: Iterator[int]) -> None:
        for number in numbers:
            await self.ask(store, number)

    async def ask(self, store: Store, number: int) -> None:
        chance = self.chance
        word = f"{number}:{'x' * chance.randrange(200)}"
        options = {"timeout": chance.choice((0.0001, 0.001, 0.01, 30))} if chance.random() < 0.2 else {}
        question = block if number % 100 == 0 else chance.choice(QUESTIONS)
        task = asyncio.ensure_future(question(store, number, word, options))
        if chance.random() < 0.1:
            await asyncio.sleep(chance.random() / 500)
            task.cancel()
        try:
            await task
            self.outcomes["replied"] += 1
        except asyncio.CancelledError:
            self.outcomes["cancelled"] += 1
        except ConnectionFailed:
            self.outcomes["lost"] += 1
            await asyncio.sleep(0.001)
        except Timeout:
            self.outcomes["timed out"] += 1

    async def cut(self, proxy: Through) -> None:
        while True:
            await asyncio.sleep(0.05 + self.chance.random() / 5)
            for connection in tuple(proxy.connections):
                if self.chance.random() < 0.7:
                    connection.cut_after(self.chance.randrange(5000), reset=self.chance.random() < 0.5)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("connections", "seed"), [(1, 1), (3, 2)])
async def test_no_reply_is_ever_anothers_under_cancellation_timeouts_and_cuts(
    proxy: Through, connections: int, seed: int
) -> None:
    soak = Soak(seed)
    numbers = iter(range(COMMANDS))
    async with create_store(proxy.url, connections=connections, timeout=30, dedicated=8) as store:
        cutting = asyncio.create_task(soak.cut(proxy))
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(WORKERS):
                    group.create_task(soak.work(store, numbers))
        finally:
            cutting.cancel()
            await asyncio.gather(cutting, return_exceptions=True)
        await eventually(lambda: echoes(store))
        assert all(link.load() == 0 for link in store._node.links)
        await store.flush()
    assert soak.outcomes.total() == COMMANDS
    assert len(soak.outcomes) == 4, f"the test says nothing unless all of it happens: {soak.outcomes}"


async def echoes(store: Store) -> bool:
    try:
        return bool(await store.execute("ECHO", "at the end") == b"at the end")
    except ConnectionFailed:
        return False
