"""``max_in_flight``: callers beyond the bound wait their turn, in order, and none is starved."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from typing import Any

import pytest
from tests.conftest import eventually
from tests.faults.conftest import Through

from store_core import ArgumentError, Command, ConnectionFailed, ConnectionTimeout, Store, Timeout, create_store

pytestmark = pytest.mark.timeout(120)


def link_of(store: Any) -> Any:
    return store._node.links[0]


def waiting_in(store: Any) -> int:
    return len(link_of(store).line._turns)


async def stopped(store: Store, proxy: Through) -> Any:
    """The store's connection, whose replies do not come."""
    assert await store.ping()
    proxy.connections[-1].hold(to_server=False)
    return proxy.connections[-1]


@pytest.mark.parametrize("limit", [1, 2, 7, 64])
async def test_no_more_commands_are_under_way_than_the_bound_says(proxy: Through, limit: int) -> None:
    most = 0

    async def ask(store: Store, number: int) -> None:
        nonlocal most
        for count in range(5):
            question = f"{number}:{count}"
            assert await store.execute("ECHO", question) == question.encode()
            most = max(most, link_of(store).load())

    async with create_store(proxy.url, max_in_flight=limit) as store:
        held = await stopped(store, proxy)
        asking = [asyncio.create_task(ask(store, number)) for number in range(200)]
        await asyncio.sleep(0.02)
        assert link_of(store).load() == limit
        assert waiting_in(store) == 200 - limit
        held.release()
        await asyncio.gather(*asking)
        assert most <= limit
        assert link_of(store).writable is None


async def test_large_values_are_counted_like_small_ones(proxy: Through) -> None:
    value = bytes(1_000_000)
    async with create_store(proxy.url, max_in_flight=2, timeout=60) as store:
        assert await store.execute("ECHO", value) == value
        held = await stopped(store, proxy)
        asking = [asyncio.create_task(store.execute("ECHO", value)) for _ in range(12)]
        await asyncio.sleep(0.1)
        assert link_of(store).load() <= 2
        held.release()
        assert all(reply == value for reply in await asyncio.gather(*asking))
        assert link_of(store).writable is None


async def test_callers_are_served_in_the_order_in_which_they_came(proxy: Through) -> None:
    served: list[int] = []

    async def ask(store: Store, number: int) -> None:
        await store.execute("ECHO", number)
        served.append(number)

    async with create_store(proxy.url, max_in_flight=8) as store:
        await store.ping()
        async with asyncio.TaskGroup() as group:
            for number in range(1000):
                group.create_task(ask(store, number))
        assert served == list(range(1000))


async def test_callers_who_come_back_at_once_starve_nobody(proxy: Through) -> None:
    """Each of the greedy has another command as soon as it has a reply; the patient ones come once."""
    served = 0
    before = []

    async def greedy(store: Store) -> None:
        nonlocal served
        while True:
            await store.execute("PING")
            served += 1

    async def once(store: Store) -> None:
        start = served
        await store.execute("PING")
        before.append(served - start)

    async with create_store(proxy.url, max_in_flight=8) as store:
        await store.ping()
        asking = [asyncio.create_task(greedy(store)) for _ in range(100)]
        await eventually(lambda: served > 500)
        await asyncio.gather(*(once(store) for _ in range(10)))
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
    # One round of the line: those who stood in it before, and those under way.
    assert max(before) <= 150


async def test_a_pipeline_counts_each_of_its_commands_and_is_let_in_whole(proxy: Through) -> None:
    async with create_store(proxy.url, max_in_flight=4) as store:
        held = await stopped(store, proxy)
        large = asyncio.create_task(store.execute_pipeline([Command(("PING",))] * 10))
        await asyncio.sleep(0)
        single = asyncio.create_task(store.execute("PING"))
        await asyncio.sleep(0.01)
        assert link_of(store).load() == 10
        assert waiting_in(store) == 1
        held.release()
        assert await large == [b"PONG"] * 10
        assert await single == b"PONG"


async def test_a_caller_cancelled_in_line_gives_its_turn_to_the_next(proxy: Through) -> None:
    async with create_store(proxy.url, max_in_flight=1) as store:
        held = await stopped(store, proxy)
        asking = [asyncio.create_task(store.execute("ECHO", number)) for number in range(50)]
        await asyncio.sleep(0.01)
        for task in asking[1::2]:
            task.cancel()
        held.release()
        # Cancelled in the very turn in which it is let in, too.
        line = link_of(store).line
        while not asking[40].done():
            await asyncio.sleep(0)
            if line.coming and not asking[10].done():
                asking[10].cancel()
        async with asyncio.timeout(20):
            outcomes = await asyncio.gather(*asking, return_exceptions=True)
        assert [outcome for outcome in outcomes[::2] if outcome != outcomes[10]] == [
            b"%d" % number for number in range(0, 50, 2) if number != 10 or outcomes[10] == b"10"
        ]
        assert line.coming == 0
        assert await store.ping()


async def test_an_argument_that_cannot_be_sent_takes_no_turn_from_others(proxy: Through) -> None:
    async with create_store(proxy.url, max_in_flight=1) as store:
        held = await stopped(store, proxy)
        asking = [
            asyncio.create_task(store.execute("ECHO", object() if number % 2 else number)) for number in range(1, 21)
        ]
        first = asyncio.create_task(store.execute("PING"))
        await asyncio.sleep(0.01)
        held.release()
        async with asyncio.timeout(20):
            outcomes = await asyncio.gather(*asking, first, return_exceptions=True)
        assert all(isinstance(outcome, ArgumentError) for outcome in outcomes[:-1:2])
        assert outcomes[1:-1:2] == [b"%d" % number for number in range(2, 21, 2)]
        assert outcomes[-1] == b"PONG"


async def test_callers_in_line_run_out_of_time_like_those_who_wait_for_a_reply(proxy: Through) -> None:
    async with create_store(proxy.url, max_in_flight=4, timeout=0.4) as store:
        held = await stopped(store, proxy)
        asking = [asyncio.create_task(store.execute("ECHO", number)) for number in range(20)]
        own = asyncio.create_task(store.execute("ECHO", "own", timeout=30))
        outcomes = await asyncio.gather(*asking, return_exceptions=True)
        assert all(isinstance(outcome, Timeout) for outcome in outcomes)
        assert all(isinstance(outcome, ConnectionTimeout) for outcome in outcomes[4:])
        assert not own.done()
        held.release()
        assert await own == b"own"


async def test_callers_in_line_are_served_on_the_next_connection_when_theirs_breaks(proxy: Through) -> None:
    async with create_store(proxy.url, max_in_flight=4) as store:
        await stopped(store, proxy)
        asking = [asyncio.create_task(store.execute("ECHO", number)) for number in range(20)]
        await asyncio.sleep(0.01)
        proxy.cut_all()
        outcomes = await asyncio.gather(*asking, return_exceptions=True)
        assert all(isinstance(outcome, ConnectionFailed) for outcome in outcomes[:4])
        assert outcomes[4:] == [b"%d" % number for number in range(4, 20)]


async def test_closing_the_store_ends_those_in_line(proxy: Through) -> None:
    store = create_store(proxy.url, max_in_flight=4, timeout=0)
    await stopped(store, proxy)
    asking = [asyncio.create_task(store.execute("ECHO", number)) for number in range(20)]
    await asyncio.sleep(0.01)
    async with asyncio.timeout(20):
        await store.close()
        outcomes = await asyncio.gather(*asking, return_exceptions=True)
    assert all(isinstance(outcome, ConnectionFailed) for outcome in outcomes)


@pytest.mark.parametrize("limit", [0, 256])
async def test_ten_thousand_callers_at_once_take_a_bounded_memory_and_leave_none_of_it(
    valkey_url: str, limit: int
) -> None:
    callers = 10_000
    async with create_store(valkey_url, max_in_flight=limit, timeout=60) as store:
        await store.execute("SET", "key", "value")
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        asking = [asyncio.create_task(store.execute("GET", "key")) for _ in range(callers)]
        wrong = sum(reply != b"value" for reply in await asyncio.gather(*asking))
        peak = tracemalloc.get_traced_memory()[1] - before
        del asking
        await asyncio.sleep(0)  # until then the loop holds what woke us
        gc.collect()
        left = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
        assert not wrong
        # The tasks themselves are the larger part of it; what measures coverage adds its own.
        assert peak < callers * 8_000
        # The loop keeps the table of its tasks as large as it was.
        assert left < callers * 300
