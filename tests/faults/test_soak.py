"""A long mixture of everything that goes wrong: each reply is checked against its question.

Callers are cancelled and run out of time, connections end, break and fall silent for a while. STORE_LONG=1 asks
200,000 questions in each form. What the chances were is in the seed, which a failure names; when each of them fell due
is the machine's business.
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
from tests.faults.conftest import Through, run_on

from store_core import ConnectionFailed, ReplyError, Store, Timeout, create_store

QUESTIONS_ASKED = 10_000 * (20 if os.environ.get("STORE_LONG") == "1" else 1)
WORKERS = 50
#: The store's own, in seconds: shorter than some silences.
TIMEOUT = 0.3
BIG = "".join(map(str, range(40_000)))

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


async def big_reply(store: Store, number: int, word: str, options: dict[str, Any]) -> None:
    start = number % 1000
    assert await store.execute("GETRANGE", "soak:big", start, start + 100_000, **options) == (
        BIG[start : start + 100_001].encode()
    )


async def refused(store: Store, number: int, word: str, options: dict[str, Any]) -> None:
    with pytest.raises(ReplyError, match=f"'unheard-of-{number}'"):
        await store.execute(f"unheard-of-{number}", **options)


async def refused_in_a_pipeline(store: Store, number: int, word: str, options: dict[str, Any]) -> None:
    async with store.pipeline(raise_on_error=False) as collected:
        collected.execute("ECHO", word)
        collected.execute(f"unheard-of-{number}")
        collected.execute("ECHO", number)
    first, error, last = collected.results or ()
    assert (first, last) == (word.encode(), b"%d" % number)
    assert isinstance(error, ReplyError)
    assert f"'unheard-of-{number}'" in str(error)


async def watched(store: Store, number: int, word: str, options: dict[str, Any]) -> None:
    async with store.transaction(watch=[f"watched:{number}"]) as collected:
        collected.execute("ECHO", word)
        collected.execute("ECHO", number)
    assert collected.results == [word.encode(), b"%d" % number]


SHARED: list[Question] = [echo, neighbours, pipeline, transaction, write_and_read, refused, refused_in_a_pipeline]
DEDICATED: list[Question] = [block, watched]


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
        question = chance.choice(SHARED)
        if number % 50 == 0:
            question = chance.choice((*DEDICATED, big_reply))
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
                what = self.chance.random()
                if what < 0.5:
                    connection.cut_after(self.chance.randrange(5000), reset=self.chance.random() < 0.5)
                elif what < 0.7:
                    # Longer than the store's timeout: the replies come, to nobody.
                    connection.hold(to_server=self.chance.random() < 0.5)
                    asyncio.get_running_loop().call_later(2 * TIMEOUT * self.chance.random(), connection.release)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("loop", "protocol", "connections", "seed"),
    [("asyncio", 3, 1, 1), ("asyncio", 2, 3, 2), ("uvloop", 3, 3, 3), ("uvloop", 2, 1, 4)],
)
def test_no_reply_is_ever_anothers_under_cancellation_timeouts_silence_and_cuts(
    server_url: str, loop: str, protocol: int, connections: int, seed: int
) -> None:
    soak = Soak(seed)
    params = {"protocol": protocol, "connections": connections, "timeout": TIMEOUT, "dedicated": 8}
    try:
        run_on(loop, lambda: mixture(server_url, soak, params))
    except BaseException as error:
        error.add_note(f"seed {seed}, {soak.outcomes}")
        raise
    assert soak.outcomes.total() == QUESTIONS_ASKED
    assert len(soak.outcomes) == 4, f"the test says nothing unless all of it happens: {soak.outcomes}"
    print(f"{server_url.partition(':')[0]} {loop} {params}: {dict(soak.outcomes)}")  # noqa: T201 -- shown by -s


async def mixture(url: str, soak: Soak, params: dict[str, Any]) -> None:
    numbers = iter(range(QUESTIONS_ASKED))
    async with Through(url) as proxy, create_store(proxy.url, **params) as store:
        await store.execute("SET", "soak:big", BIG)
        cutting = asyncio.create_task(soak.cut(proxy))
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(WORKERS):
                    group.create_task(soak.work(store, numbers))
        finally:
            cutting.cancel()
            await asyncio.gather(cutting, return_exceptions=True)
        await eventually(lambda: echoes(store))
        # What the last to be cancelled have asked is still answered.
        await eventually(lambda: all(link.load() == 0 for link in store._node.links))
        assert await store.execute("ECHO", "to the very end", timeout=30) == b"to the very end"
    async with create_store(url) as store:
        await store.flush()


async def echoes(store: Store) -> bool:
    try:
        return bool(await store.execute("ECHO", "at the end") == b"at the end")
    except (ConnectionFailed, Timeout):
        return False
