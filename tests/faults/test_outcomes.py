"""What a caller is told is what happened: not sent is not run, replied is run once, and nothing is run twice."""

from __future__ import annotations

import asyncio
import os
import random
from collections import defaultdict
from itertools import count
from typing import Any

import pytest
from tests.conftest import eventually
from tests.faults.conftest import Through, run_on
from tests.faults.proxy import Fault

from store_core import ConnectionFailed, ConnectionLost, Store, Timeout, create_store

WORKERS = 60
ROUNDS = 20 * (20 if os.environ.get("STORE_LONG") == "1" else 1)
#: The store's own, in seconds: shorter than some silences.
TIMEOUT = 0.1
#: Fills the buffers now and then, so that callers wait to write.
PADDING = bytes(200_000)


class Ledger:
    """What each caller was told about the words that it appended to a list on the server."""

    def __init__(self) -> None:
        self.told: dict[str, set[bytes]] = defaultdict(set)

    async def run(self, store: Store, number: int, chance: random.Random) -> None:
        words = [b"%d.%d" % (number, index) for index in range(1 if number % 3 else 3)]
        task = asyncio.ensure_future(append(store, number, words))
        if chance.random() < 0.05:
            asyncio.get_running_loop().call_later(chance.random() / 200, task.cancel)
        try:
            await task
            told = "replied"
        except asyncio.CancelledError:
            told = "cancelled"
        except ConnectionLost:
            told = "lost"
        except ConnectionFailed:
            told = "not sent"
        except Timeout:
            told = "timed out"
        self.told[told].update(words)

    def check(self, ran: list[bytes]) -> None:
        once = set(ran)
        assert len(once) == len(ran), "nothing runs twice"
        assert self.told["replied"] <= once, "what was answered has run"
        assert not self.told["not sent"] & once, "what was not sent has not run"
        unsure = self.told["lost"] | self.told["timed out"] | self.told["cancelled"]
        assert once <= self.told["replied"] | unsure
        for kind in ("replied", "lost", "not sent", "timed out", "cancelled"):
            assert self.told[kind], f"the test says nothing unless some are {kind}"
        assert unsure & once, "the test says nothing unless some of these have run"
        assert unsure - once, "and some have not"


async def append(store: Store, number: int, words: list[bytes]) -> None:
    if len(words) == 1:
        if number % 20 == 0:
            await store.execute("ECHO", PADDING)
        await store.execute("RPUSH", "ledger", words[0])
        return
    collector: Any = store.transaction() if number % 2 else store.pipeline()
    async with collector as collected:
        for word in words:
            collected.execute("RPUSH", "ledger", word)


async def trouble(proxy: Through, chance: random.Random) -> None:
    for round_ in range(ROUNDS):
        await asyncio.sleep(0.02 + chance.random() / 50)
        what = round_ % 4
        lines = tuple(proxy.connections)
        for line in lines:
            if what == 0:
                line.cut_after(chance.randrange(500), reset=chance.random() < 0.5)
            elif what < 3:
                line.hold(to_client=what == 1)
            else:
                proxy.next(Fault(refuse=True))
                line.cut()
        if what == 1:
            await asyncio.sleep(2 * TIMEOUT)  # all is read and answered in the end
        if what == 2:
            await asyncio.sleep(TIMEOUT / 2 + chance.random() * TIMEOUT)
            for line in lines:
                line.cut()  # what was held is never read
        for line in lines:
            line.release()


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("loop", "protocol", "connections", "seed"), [("asyncio", 3, 1, 1), ("uvloop", 2, 2, 2)])
def test_what_was_not_sent_has_not_run_what_was_answered_has_and_nothing_runs_twice(
    server_url: str, loop: str, protocol: int, connections: int, seed: int
) -> None:
    chance, ledger, numbers = random.Random(seed), Ledger(), count()

    async def work(store: Store, over: asyncio.Future[None]) -> None:
        while not over.done():
            await ledger.run(store, next(numbers), chance)
            await asyncio.sleep(0.002)

    async def main() -> None:
        async with create_store(server_url) as direct:
            await direct.execute("DEL", "ledger")
            params = {"timeout": TIMEOUT, "protocol": protocol, "connections": connections}
            async with Through(server_url) as proxy, create_store(proxy.url, **params) as store:
                troubling = asyncio.create_task(trouble(proxy, chance))
                async with asyncio.timeout(ROUNDS * 5):
                    await asyncio.gather(*(work(store, troubling) for _ in range(WORKERS)), troubling)
            await eventually(lambda: alone(direct))
            ran = await direct.execute("LRANGE", "ledger", 0, -1)
            await direct.execute("DEL", "ledger")
        ledger.check(ran)

    try:
        run_on(loop, main)
    except BaseException as error:
        error.add_note(f"seed {seed}, { {told: len(words) for told, words in ledger.told.items()} }")
        raise


async def alone(store: Store) -> bool:
    """Whether the server has read to the end of every other connection of this test."""
    clients: bytes = await store.execute("CLIENT", "LIST")
    return not any(b"rpush" in line or b"exec" in line or b"echo" in line for line in clients.splitlines())


async def test_the_store_works_again_as_soon_as_the_fault_has_ended(proxy: Through) -> None:
    """No pause is kept between a failure and the next attempt: the first command after the fault connects."""
    async with create_store(proxy.url, connections=2) as store:
        for _ in range(5):
            proxy.deafen()
            proxy.cut_all()
            await eventually(lambda: not store._node.links)
            for _ in range(10):
                with pytest.raises(ConnectionFailed):
                    await store.execute("ECHO", "nobody")
            await proxy.listen()
            assert await store.execute("ECHO", "x") == b"x"
