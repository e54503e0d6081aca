"""Ten thousand callers at once: half of them cancelled, the store closed among them, or a server that stops reading."""

from __future__ import annotations

import asyncio
import random
import tracemalloc
from collections import Counter
from typing import Any

import pytest
from tests.conftest import eventually
from tests.faults.conftest import Through, run_on
from tests.faults.proxy import Fault

from store_core import ConnectionFailed, Store, StoreClosed, create_store

CROWD = 10_000
MEGABYTE = 1_000_000

on_both_loops = pytest.mark.parametrize("loop", ["asyncio", "uvloop"])


def crowd(store: Store) -> list[asyncio.Task[Any]]:
    return [asyncio.create_task(store.execute("ECHO", number)) for number in range(CROWD)]


async def outcomes(tasks: list[asyncio.Task[Any]]) -> Counter[str]:
    """How many of each outcome; a reply is its caller's own."""
    async with asyncio.timeout(60):
        results = await asyncio.gather(*tasks, return_exceptions=True)
    for number, result in enumerate(results):
        assert isinstance(result, BaseException) or result == b"%d" % number
    counted = Counter(type(result).__name__ for result in results)
    assert counted.total() == CROWD
    return counted


@on_both_loops
@pytest.mark.parametrize(("connected", "turns"), [(True, 1), (True, 3), (False, 2)])
def test_half_of_them_cancelled_at_once_leave_the_other_half_its_replies(
    valkey_url: str, loop: str, connected: bool, turns: int
) -> None:
    async def main() -> None:
        async with create_store(valkey_url, timeout=60) as store:
            if connected:
                await store.ping()
            tasks = crowd(store)
            for _ in range(turns):
                await asyncio.sleep(0)
            for task in random.Random(turns).sample(tasks, CROWD // 2):
                task.cancel()
            counted = await outcomes(tasks)
            assert counted["bytes"] + counted["CancelledError"] == CROWD
            assert counted["bytes"] >= CROWD // 2
            assert await store.execute("ECHO", "still in order") == b"still in order"
            assert store._node.links[0].load() == 0

    run_on(loop, main)


@on_both_loops
@pytest.mark.parametrize("answered", [1, CROWD // 3])
def test_the_store_closed_among_them_gives_each_one_outcome(valkey_url: str, loop: str, answered: int) -> None:
    async def main() -> None:
        store = create_store(valkey_url, timeout=0)
        await store.ping()
        tasks = crowd(store)
        async with asyncio.timeout(60):
            while sum(task.done() for task in tasks) < answered:
                await asyncio.sleep(0)
            for task in tasks[::2]:
                task.cancel()
            await store.close()
        counted = await outcomes(tasks)
        assert counted["bytes"] >= answered
        assert set(counted) <= {"bytes", "CancelledError", "ConnectionLost", "ConnectionFailed", "StoreClosed"}
        with pytest.raises(StoreClosed):
            await store.ping()

    run_on(loop, main)


@on_both_loops
def test_the_store_closed_while_they_wait_for_the_first_connection_gives_each_one_outcome(
    valkey_url: str, loop: str
) -> None:
    async def main() -> None:
        async with Through(valkey_url) as proxy:
            proxy.default = Fault(hold=True)
            store = create_store(proxy.url, timeout=0)
            tasks = crowd(store)
            await eventually(lambda: proxy.accepted == 1)
            for task in tasks[::2]:
                task.cancel()
            async with asyncio.timeout(60):
                await store.close()
            assert await outcomes(tasks) == {"CancelledError": CROWD // 2, "StoreClosed": CROWD // 2}

    run_on(loop, main)


@on_both_loops
def test_a_cut_among_them_gives_each_one_outcome(valkey_url: str, loop: str) -> None:
    async def main() -> None:
        async with Through(valkey_url) as proxy, create_store(proxy.url, timeout=60) as store:
            await store.ping()
            proxy.connections[-1].cut_after(5000)
            counted = await outcomes(crowd(store))
            assert set(counted) <= {"bytes", "ConnectionLost", "ConnectionFailed"}
            assert counted["bytes"]
            assert counted["ConnectionLost"]
            assert await store.ping()

    run_on(loop, main)


@on_both_loops
@pytest.mark.parametrize("ending", ["reads again", "is cut off"])
def test_a_server_that_stops_reading_makes_them_wait_and_memory_does_not_grow(
    valkey_url: str, loop: str, ending: str
) -> None:
    value = bytes(10_000)

    async def main() -> None:
        async with Through(valkey_url) as proxy, create_store(proxy.url, timeout=0) as store:
            await store.ping()
            proxy.connections[-1].hold()
            before, _ = tracemalloc.get_traced_memory()
            tasks = [asyncio.create_task(store.execute("SET", "crowd", value)) for _ in range(CROWD)]
            (link,) = store._node.links
            await eventually(lambda: link.writable is not None)
            await asyncio.sleep(0.1)
            _, peak = tracemalloc.get_traced_memory()
            # 100 MB were asked to be written. One chunk of commands is kept, and what waiting itself costs a caller.
            assert link._transport.get_write_buffer_size() < MEGABYTE
            assert sum(map(len, link._unsent)) < MEGABYTE
            assert link.load() < CROWD / 4
            assert peak - before < 60 * MEGABYTE
            assert not any(task.done() for task in tasks)
            if ending == "reads again":
                proxy.connections[-1].release()
                async with asyncio.timeout(60):
                    assert await asyncio.gather(*tasks) == [b"OK"] * CROWD
            else:
                proxy.deafen()
                proxy.cut_all(reset=True)
                async with asyncio.timeout(60):
                    results = await asyncio.gather(*tasks, return_exceptions=True)
                assert all(isinstance(result, ConnectionFailed) for result in results)

    tracemalloc.start()
    try:
        run_on(loop, main)
    finally:
        tracemalloc.stop()
