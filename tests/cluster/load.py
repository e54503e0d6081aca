"""Callers who ask all the time, and check each reply against its question."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from itertools import count
from types import TracebackType
from typing import Self

from store_core import StoreError
from store_redis.cluster import ClusterStore

#: One question, of a caller with a key of its own; the number is another one each time.
Question = Callable[[ClusterStore, str, int], Awaitable[None]]


class Load:
    """Tasks that ask their questions in turns until the block ends.

    Attributes:
        answered: How many questions were answered, right; a wrong answer fails the block.
        errors: How many ended with which error.
        callers: The tasks.
    """

    def __init__(self, store: ClusterStore, callers: int, *questions: Question) -> None:
        self.answered = 0
        self.errors: Counter[str] = Counter()
        self._store = store
        self._size = callers
        self._questions = questions
        self._numbers = count()
        self._stop = False
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._ask(f"{{load{number}}}")) for number in range(self._size)]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop = True
        async with asyncio.timeout(20):
            await asyncio.gather(*self._tasks)

    async def more(self, answers: int) -> None:
        """Wait until so many more questions have been answered."""
        wanted = self.answered + answers
        async with asyncio.timeout(20):
            while self.answered < wanted:
                for task in self._tasks:
                    if task.done():
                        task.result()
                await asyncio.sleep(0.01)

    async def _ask(self, key: str) -> None:
        while not self._stop:
            for question in self._questions:
                try:
                    await question(self._store, key, next(self._numbers))
                    self.answered += 1
                except StoreError as error:
                    self.errors[type(error).__name__] += 1
                    await asyncio.sleep(0.005)


# Questions whose answers say what was asked.

_ECHO = "return ARGV[1]"


async def echo(store: ClusterStore, key: str, number: int) -> None:
    assert await store.execute("EVAL", _ECHO, 1, key, number) == str(number).encode()


async def echo_in_a_pipeline(store: ClusterStore, key: str, number: int) -> None:
    async with store.pipeline() as pipeline:
        for place in range(3):
            pipeline.execute("EVAL", _ECHO, 1, f"{place}{key}", f"{number}.{place}")
            pipeline.execute("EVAL", _ECHO, 1, f"spread{number + place}", f"{number}:{place}")
    assert pipeline.results == [f"{number}{mark}{place}".encode() for place in range(3) for mark in ".:"]


async def echo_in_a_transaction(store: ClusterStore, key: str, number: int) -> None:
    async with store.transaction() as transaction:
        transaction.execute("SET", f"{key}last", number)
        transaction.execute("GET", f"{key}last")
        transaction.execute("EVAL", _ECHO, 1, key, number)
    wanted = str(number).encode()
    assert transaction.results == [b"OK", wanted, wanted]


async def set_and_get(store: ClusterStore, key: str, number: int) -> None:
    assert await store.execute("SET", f"{key}own", number) == b"OK"


async def read_what_was_there(store: ClusterStore, key: str, number: int) -> None:
    name = f"there:{number % 100}"
    assert await store.execute("GET", name) == name.encode()


async def read_many_that_were_there(store: ClusterStore, key: str, number: int) -> None:
    names = [f"there:{(number + step) % 100}" for step in range(5)]
    assert await store.execute("MGET", *names) == [name.encode() for name in names]


EVERY_QUESTION = (
    echo,
    echo_in_a_pipeline,
    echo_in_a_transaction,
    set_and_get,
    read_what_was_there,
    read_many_that_were_there,
)


async def put_there(store: ClusterStore) -> None:
    """What the last two questions read."""
    names = [f"there:{number}" for number in range(100)]
    await store.execute("MSET", *(part for name in names for part in (name, name)))
