"""A server that stops reading: callers wait instead of filling memory, and go on when it reads again."""

from __future__ import annotations

import asyncio

import pytest
from tests.conftest import eventually
from tests.faults.conftest import Through
from tests.faults.proxy import ProxyConnection

from store_core import ConnectionFailed, ConnectionLost, Timeout, create_store
from store_redis import connection

VALUE = bytes(100_000)
CALLERS = 500


async def stopped(store, proxy: Through) -> ProxyConnection:
    """The store's connection, whose other end reads no more."""
    assert await store.ping()
    connection = proxy.connections[-1]
    connection.hold()
    return connection


def unsent(store) -> int:
    """Bytes that the store has taken and the socket has not."""
    return sum(link._transport.get_write_buffer_size() for link in store._node.links)


@pytest.mark.parametrize("connections", [1, 2])
async def test_callers_wait_while_the_server_does_not_read_and_finish_when_it_does(
    proxy: Through, connections: int
) -> None:
    async with create_store(proxy.url, timeout=60, connections=connections) as store:
        assert await store.ping()
        for held in proxy.connections:
            held.hold()
        tasks = [asyncio.create_task(store.execute("SET", f"key:{n}", VALUE)) for n in range(CALLERS)]
        await eventually(lambda: all(link.writable is not None for link in store._node.links))
        await asyncio.sleep(0.1)
        # The system's own buffers hold a few megabytes, ours about one batch of commands: of 50 MB nearly all waits.
        assert unsent(store) < 10 * len(VALUE) * connections + 64 * len(VALUE)
        assert sum(link.load() for link in store._node.links) < CALLERS / 2
        assert not any(task.done() for task in tasks)
        for held in proxy.connections:
            held.release()
        async with asyncio.timeout(60):
            assert await asyncio.gather(*tasks) == [b"OK"] * CALLERS
        assert unsent(store) == 0
        assert await store.execute("STRLEN", f"key:{CALLERS - 1}") == len(VALUE)
        await store.flush()


@pytest.mark.parametrize("back", [True, False], ids=["the server is there", "nobody answers any more"])
async def test_callers_that_wait_to_write_when_the_connection_breaks_are_served_on_the_next_if_there_is_one(
    proxy: Through, back: bool
) -> None:
    async with create_store(proxy.url, timeout=60) as store:
        held = await stopped(store, proxy)
        tasks = [asyncio.create_task(store.execute("SET", f"key:{n}", VALUE)) for n in range(CALLERS)]
        await eventually(lambda: store._node.links[0].writable is not None)
        link = store._node.links[0]
        await asyncio.sleep(0.05)
        written = link.load()
        if not back:
            proxy.deafen()
        held.cut(reset=True)
        async with asyncio.timeout(60):
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        lost = [outcome for outcome in outcomes if isinstance(outcome, ConnectionLost)]
        assert len(lost) == written
        rest = [outcome for outcome in outcomes if not isinstance(outcome, ConnectionLost)]
        if back:
            assert rest == [b"OK"] * (CALLERS - written)
            await store.flush()
        else:
            assert all(isinstance(outcome, ConnectionFailed) for outcome in rest)


async def test_callers_that_wait_to_write_run_out_of_time_like_those_who_wait_for_a_reply(proxy: Through) -> None:
    async with create_store(proxy.url, timeout=0.5) as store:
        held = await stopped(store, proxy)
        async with asyncio.timeout(60):
            outcomes = await asyncio.gather(
                *(store.execute("SET", f"key:{n}", VALUE) for n in range(CALLERS)), return_exceptions=True
            )
        assert all(isinstance(outcome, Timeout) for outcome in outcomes)
        never_sent = [outcome for outcome in outcomes if isinstance(outcome, ConnectionFailed)]
        assert never_sent
        assert all("not sent" in str(outcome) for outcome in never_sent)
        with pytest.raises(Timeout):
            await store.execute("ECHO", "x", timeout=0.05)
        held.release()
        assert await store.execute("ECHO", "y", timeout=60) == b"y"


async def test_a_caller_cancelled_while_it_waits_to_write_sends_nothing(proxy: Through) -> None:
    async with create_store(proxy.url, timeout=60) as store:
        await store.execute("DEL", "cancelled")
        held = await stopped(store, proxy)
        tasks = [asyncio.create_task(store.execute("SET", f"key:{n}", VALUE)) for n in range(CALLERS)]
        await eventually(lambda: store._node.links[0].writable is not None)
        victim = asyncio.create_task(store.execute("SET", "cancelled", 1))
        await asyncio.sleep(0.01)
        victim.cancel()
        with pytest.raises(asyncio.CancelledError):
            await victim
        held.release()
        async with asyncio.timeout(60):
            await asyncio.gather(*tasks)
        assert await store.execute("EXISTS", "cancelled") == 0
        await store.flush()


async def test_pipelines_and_transactions_wait_too(proxy: Through) -> None:
    async with create_store(proxy.url, timeout=60) as store:
        held = await stopped(store, proxy)

        async def write(number: int) -> list[object] | None:
            collector = store.pipeline() if number % 2 else store.transaction()
            async with collector as commands:
                for index in range(5):
                    commands.execute("SET", f"key:{number}:{index}", VALUE)
            return commands.results

        tasks = [asyncio.create_task(write(number)) for number in range(100)]
        await eventually(lambda: store._node.links[0].writable is not None)
        await asyncio.sleep(0.05)
        assert unsent(store) < 64 * len(VALUE)
        held.release()
        async with asyncio.timeout(60):
            assert await asyncio.gather(*tasks) == [[b"OK"] * 5] * 100
        await store.flush()


async def test_closing_the_store_ends_those_who_wait_to_write(proxy: Through) -> None:
    store = create_store(proxy.url, timeout=0)
    await stopped(store, proxy)
    tasks = [asyncio.create_task(store.execute("SET", f"key:{n}", VALUE)) for n in range(CALLERS)]
    await eventually(lambda: store._node.links[0].writable is not None)
    async with asyncio.timeout(60):
        await store.close()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(outcome, ConnectionFailed) for outcome in outcomes)


async def test_callers_that_wait_to_write_are_woken_a_few_at_a_time(
    proxy: Through, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Woken all together whenever there is room for a few, they would cost the square of their number."""
    looked = 0
    room = connection._room

    async def counted(*args) -> None:
        nonlocal looked
        looked += 1
        await room(*args)

    monkeypatch.setattr(connection, "_room", counted)
    callers = 4000
    async with create_store(proxy.url, timeout=60) as store:
        await store.ping()
        async with asyncio.timeout(60):
            await asyncio.gather(*(store.execute("SET", "key", VALUE[:10_000]) for _ in range(callers)))
    assert 0 < looked < 30 * callers
