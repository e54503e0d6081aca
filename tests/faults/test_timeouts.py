"""A caller that runs out of time: it alone is told, the connection and everybody else go on."""

from __future__ import annotations

import asyncio

import pytest
from tests.conftest import eventually
from tests.faults.conftest import Through
from tests.faults.proxy import Fault, ProxyConnection

from store_core import ConnectionFailed, ConnectionLost, Store, Timeout, create_store


async def silenced(store: Store, proxy: Through) -> ProxyConnection:
    """The store's connection, from now on without replies."""
    assert await store.ping()
    connection = proxy.connections[-1]
    connection.hold(to_server=False)
    return connection


async def test_one_callers_own_timeout_leaves_the_connection_and_the_others(proxy: Through) -> None:
    async with create_store(proxy.url) as store:
        connection = await silenced(store, proxy)
        before = asyncio.create_task(store.execute("ECHO", "before"))
        await asyncio.sleep(0)
        with pytest.raises(Timeout, match=r"within 0\.05 s") as caught:
            await store.execute("ECHO", "late", timeout=0.05)
        assert not isinstance(caught.value, ConnectionFailed)
        after = asyncio.create_task(store.execute("ECHO", "after"))
        await asyncio.sleep(0.01)
        connection.release()
        assert await asyncio.gather(before, after) == [b"before", b"after"]
        assert await store.execute("ECHO", "still") == b"still"
        assert proxy.accepted == 1


async def test_the_stores_timeout_tells_all_that_wait_and_late_replies_are_dropped(proxy: Through) -> None:
    async with create_store(proxy.url, timeout=0.3) as store:
        connection = await silenced(store, proxy)
        outcomes = await asyncio.gather(*(store.execute("ECHO", n) for n in range(50)), return_exceptions=True)
        assert all(isinstance(outcome, Timeout) and not isinstance(outcome, ConnectionFailed) for outcome in outcomes)
        patient = asyncio.create_task(store.execute("ECHO", "patient", timeout=60))
        await asyncio.sleep(0.01)
        connection.release()
        assert await patient == b"patient"
        assert await store.execute("ECHO", "x") == b"x"
        assert proxy.accepted == 1


@pytest.mark.parametrize("timeout", [30, 0])
async def test_a_longer_time_of_ones_own_or_none_outlasts_the_stores(proxy: Through, timeout: float) -> None:
    async with create_store(proxy.url, timeout=0.2) as store:
        connection = await silenced(store, proxy)
        patient = asyncio.create_task(store.execute("ECHO", "patient", timeout=timeout))
        await asyncio.sleep(0)
        with pytest.raises(Timeout):
            await store.execute("ECHO", "impatient")
        assert not patient.done()
        connection.release()
        assert await patient == b"patient"


async def test_a_store_without_a_timeout_waits(proxy: Through) -> None:
    async with create_store(proxy.url, timeout=0) as store:
        connection = await silenced(store, proxy)
        waiting = asyncio.create_task(store.execute("ECHO", "x"))
        with pytest.raises(Timeout):
            await store.execute("ECHO", "y", timeout=0.1)
        assert not waiting.done()
        connection.release()
        assert await waiting == b"x"


async def test_pipelines_and_transactions_time_out_as_one_and_their_replies_are_dropped(proxy: Through) -> None:
    async with create_store(proxy.url, timeout=0.3) as store:
        await store.execute("DEL", "counter")
        connection = await silenced(store, proxy)
        with pytest.raises(Timeout):
            async with store.pipeline() as pipeline:
                pipeline.execute("INCR", "counter")
                pipeline.execute("INCR", "counter")
        with pytest.raises(Timeout):
            async with store.transaction() as transaction:
                transaction.execute("INCR", "counter")
        connection.release()
        assert await store.execute("GET", "counter", timeout=60) == b"3"


async def test_ones_own_time_covers_the_wait_for_a_connection(proxy: Through) -> None:
    proxy.next(Fault(hold=True))
    async with create_store(proxy.url, timeout=60) as store:
        patient = asyncio.create_task(store.execute("ECHO", "x"))
        await asyncio.sleep(0)
        async with asyncio.timeout(30):
            with pytest.raises(Timeout):
                await store.execute("ECHO", "y", timeout=0.05)
        proxy.cut_all()
        with pytest.raises(ConnectionFailed):
            await patient


async def test_ones_own_time_covers_the_wait_for_a_dedicated_connection(proxy: Through) -> None:
    async with create_store(proxy.url, dedicated=1) as store:
        holder = asyncio.create_task(store.execute("BLPOP", "queue", 0))
        await eventually(lambda: len(proxy.connections) == 1)
        async with asyncio.timeout(30):
            with pytest.raises(Timeout):
                await store.execute("BLPOP", "other", 0, timeout=0.05)
        await store.execute("RPUSH", "queue", "x")
        assert await holder == [b"queue", b"x"]


async def test_a_blocking_command_that_ran_out_of_time_takes_no_element_with_it(proxy: Through) -> None:
    async with create_store(proxy.url) as store:
        await store.execute("DEL", "queue")
        with pytest.raises(Timeout):
            await store.execute("BLPOP", "queue", 0, timeout=0.1)
        await eventually(lambda: _nobody_blocks(store))
        await store.execute("RPUSH", "queue", "x")
        assert await store.execute("LPOP", "queue") == b"x"


async def _nobody_blocks(store: Store) -> bool:
    return b"flags=b" not in await store.execute("CLIENT", "LIST")


async def test_a_blocking_command_may_wait_longer_than_the_stores_timeout(proxy: Through) -> None:
    async with create_store(proxy.url, timeout=0.2) as store:
        await store.execute("DEL", "queue")
        assert await store.execute("BLPOP", "queue", 0.5, timeout=30) is None
        assert await store.execute("BLPOP", "queue", 0.5) is None


async def test_replies_that_come_slowly_but_in_time_are_no_timeout(proxy: Through) -> None:
    proxy.default = Fault(delay=0.02)
    async with create_store(proxy.url, timeout=20) as store:
        for number in range(10):
            assert await store.execute("ECHO", number) == b"%d" % number


async def test_a_timeout_after_a_cut_is_still_one_outcome(proxy: Through) -> None:
    async with create_store(proxy.url, timeout=0.3) as store:
        connection = await silenced(store, proxy)
        first = asyncio.create_task(store.execute("ECHO", "x"))
        with pytest.raises(Timeout):
            await first
        second = asyncio.create_task(store.execute("ECHO", "y"))
        await asyncio.sleep(0.01)
        connection.cut(reset=True)
        with pytest.raises(ConnectionLost):
            await second
        assert await store.ping()


@pytest.mark.parametrize("timeout", [-1, -0.001])
async def test_a_negative_time_is_refused(proxy: Through, timeout: float) -> None:
    async with create_store(proxy.url) as store:
        with pytest.raises(ValueError, match="0 means none"):
            await store.execute("ECHO", "x", timeout=timeout)
