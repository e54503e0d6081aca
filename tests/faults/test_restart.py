"""A server that is killed and started again: the store works again by itself, and nothing leaks.

STORE_LONG=1 kills it 50 times under load.
"""

from __future__ import annotations

import asyncio
import gc
import os
from collections import Counter
from typing import Any

import pytest
from tests.conftest import eventually
from tests.faults.conftest import Killable, open_files, run_on

from store_core import ConnectionFailed, ReplyError, Store, Timeout, create_store

pytestmark = pytest.mark.timeout(1800)

WORKERS = 20
KILLS = 50 if os.environ.get("STORE_LONG") == "1" else 3


async def answers(store: Store) -> bool:
    try:
        return await store.ping()
    except (ConnectionFailed, ReplyError):
        return False


class Load:
    """Callers of every kind, and what they were told; each call has one outcome, and says which."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.over = False
        self.calls = 0
        self.outcomes: Counter[str] = Counter()

    def start(self) -> list[asyncio.Task[None]]:
        kinds = [self.echo] * WORKERS + [self.block] * 5 + [self.pipeline, self.transaction, self.watched] * 2
        return [asyncio.create_task(self.work(kind, number)) for number, kind in enumerate(kinds)]

    async def work(self, kind: Any, number: int) -> None:
        while not self.over:
            self.calls += 1
            word = f"{number}:{self.calls}"
            try:
                await kind(word)
                self.outcomes["replied"] += 1
            except (ConnectionFailed, Timeout) as error:
                self.outcomes[type(error).__name__] += 1
                await asyncio.sleep(0.002)
            except ReplyError as error:
                self.outcomes[error.code] += 1  # a server that still starts
                await asyncio.sleep(0.002)

    async def echo(self, word: str) -> None:
        assert await self.store.execute("ECHO", word) == word.encode()

    async def block(self, word: str) -> None:
        assert await self.store.execute("BLPOP", "never", 0.05) is None

    async def pipeline(self, word: str) -> None:
        async with self.store.pipeline() as pipeline:
            pipeline.execute("ECHO", word)
            pipeline.execute("ECHO", word * 2)
        assert pipeline.results == [word.encode(), word.encode() * 2]

    async def transaction(self, word: str) -> None:
        async with self.store.transaction() as transaction:
            transaction.execute("ECHO", word)
        assert transaction.results == [word.encode()]

    async def watched(self, word: str) -> None:
        async with self.store.transaction(watch=[word]) as transaction:
            transaction.execute("ECHO", word)
        assert transaction.results == [word.encode()]

    async def served(self, more: int = 100) -> None:
        before = self.outcomes["replied"]
        await eventually(lambda: self.outcomes["replied"] > before + more, 60)


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_store_works_again_by_itself_after_each_kill_under_load_and_leaks_nothing(
    killable: Killable, loop: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with create_store(killable.url) as store:
            await store.ping()
        gc.collect()
        files, tasks = open_files(), asyncio.all_tasks()
        store = create_store(killable.url)
        async with store, store.pubsub() as pubsub:
            await pubsub.subscribe("channel")
            load = Load(store)
            working = load.start()
            for _ in range(KILLS):
                await load.served()
                killable.kill()
                before = load.outcomes.total() - load.outcomes["replied"]
                await eventually(
                    lambda before=before: load.outcomes.total() - load.outcomes["replied"] > before + WORKERS, 60
                )
                await asyncio.to_thread(killable.start)
            await load.served()
            await eventually(lambda: _subscribed(store), 30)
            load.over = True
            async with asyncio.timeout(30):
                await asyncio.gather(*working)
            assert load.calls == load.outcomes.total()
            assert load.outcomes["ConnectionLost"]
            # One shared connection, one for messages, at most as many others as ever were needed at once.
            assert open_files() <= files + 2 + 64
            assert len(store._node.links) == 1
        await eventually(lambda: open_files() <= files)
        assert asyncio.all_tasks() == tasks
        print(f"{killable.url.partition(':')[0]} {loop}: {KILLS} kills, {dict(load.outcomes)}")  # noqa: T201 -- shown by -s

    run_on(loop, main)
    assert not [record for record in caplog.records if record.name == "asyncio"]


async def _subscribed(store: Store) -> bool:
    try:
        return await store.pubsub().count("channel") == {"channel": 1}
    except ConnectionFailed:
        return False


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
        for count in range(3):
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
