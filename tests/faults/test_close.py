"""Closing a busy store: each caller gets one outcome, nothing hangs, nothing is left."""

from __future__ import annotations

import asyncio
import gc

import pytest
from tests.conftest import eventually
from tests.faults.conftest import Through, open_files
from tests.faults.proxy import Fault

from store_core import ConnectionFailed, StoreClosed, create_store

ENDED = (ConnectionFailed, StoreClosed)


async def test_everybody_who_waits_gets_one_outcome(proxy: Through) -> None:
    store = create_store(proxy.url, timeout=0, dedicated=3)
    assert await store.ping()
    pubsub = store.pubsub()
    await pubsub.subscribe("channel")
    for connection in proxy.connections:
        connection.hold(to_server=False)
    waiting = [
        *(asyncio.create_task(store.execute("ECHO", number)) for number in range(100)),
        *(asyncio.create_task(store.execute("ECHO", number, timeout=60)) for number in range(10)),
        # Three block, three wait for their turn.
        *(asyncio.create_task(store.execute("BLPOP", f"never:{number}", 0)) for number in range(6)),
        asyncio.create_task(pubsub.subscribe("another")),
        asyncio.create_task(_transaction(store)),
        asyncio.create_task(_pipeline(store)),
    ]
    reading = asyncio.create_task(anext(aiter(pubsub), "ended"))
    await eventually(lambda: proxy.accepted == 5)
    await asyncio.sleep(0.05)
    async with asyncio.timeout(30):
        await store.close()
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        assert await reading == "ended"
    assert [outcome for outcome in outcomes if not isinstance(outcome, ENDED)] == []
    with pytest.raises(StoreClosed):
        await store.execute("PING")
    await eventually(lambda: not proxy.connections)


async def _transaction(store) -> None:
    async with store.transaction() as transaction:
        transaction.execute("ECHO", "x")


async def _pipeline(store) -> None:
    async with store.pipeline() as pipeline:
        pipeline.execute("ECHO", "x")


@pytest.mark.parametrize("timeout", [0, 60])
@pytest.mark.parametrize("connections", [1, 3])
async def test_callers_of_a_connection_under_way_are_told_that_the_store_was_closed(
    proxy: Through, timeout: float, connections: int
) -> None:
    proxy.default = Fault(hold=True)
    store = create_store(proxy.url, timeout=timeout, connections=connections)
    waiting = [asyncio.create_task(store.execute("ECHO", number)) for number in range(10)]
    waiting.append(asyncio.create_task(store.execute("BLPOP", "never", 0)))
    waiting.append(asyncio.create_task(store.execute("ECHO", "x", timeout=60)))
    await eventually(lambda: proxy.accepted == connections + 1)
    async with asyncio.timeout(30):
        await store.close()
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert [outcome for outcome in outcomes if not isinstance(outcome, StoreClosed)] == []
    await eventually(lambda: not proxy.connections or _all_dead(proxy))


def _all_dead(proxy: Through) -> bool:
    proxy.default = Fault()
    for connection in proxy.connections:
        connection.release()  # lets the proxy see that the client has gone
    return not proxy.connections


async def test_closing_during_a_namespaces_first_command_ends_it(proxy: Through) -> None:
    proxy.default = Fault(hold=True)
    store = create_store(proxy.url, timeout=0, namespace="ns.")
    waiting = [asyncio.create_task(store.execute("GET", number)) for number in range(10)]
    await eventually(lambda: proxy.accepted == 1)
    async with asyncio.timeout(30):
        await store.close()
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(outcome, StoreClosed) for outcome in outcomes)


async def test_a_thousand_first_commands_in_a_namespace_ask_for_the_commands_once(proxy: Through) -> None:
    async with create_store(proxy.url, namespace="ns.") as store:
        await asyncio.gather(*(store.execute("GET", number) for number in range(1000)))
        assert proxy.accepted == 2


async def test_closing_between_watch_and_exec_runs_nothing(proxy: Through, server_url: str) -> None:
    async with create_store(server_url) as other:
        await other.execute("SET", "watched", 0)
        store = create_store(proxy.url)
        with pytest.raises(ENDED):
            async with store.transaction(watch=["watched"]) as transaction:
                transaction.execute("SET", "watched", 1)
                await store.close()
        assert await other.execute("GET", "watched") == b"0"


async def test_closing_while_the_server_restarts_is_quiet(proxy: Through, caplog: pytest.LogCaptureFixture) -> None:
    store = create_store(proxy.url)
    await store.ping()
    pubsub = store.pubsub()
    await pubsub.subscribe("channel")
    proxy.deafen()
    proxy.cut_all()
    await eventually(lambda: not store._node.links)
    async with asyncio.timeout(30):
        await store.close()
    gc.collect()
    assert not [record for record in caplog.records if record.name == "asyncio"]


async def test_opening_and_closing_a_hundred_stores_leaks_nothing(proxy: Through) -> None:
    async def use(number: int = 0) -> None:
        key = f"key:{number}"
        async with create_store(proxy.url, connections=2) as store, store.pubsub() as pubsub:
            await pubsub.subscribe("channel")
            await store.execute("BLPOP", "never", 0.01)
            await store.client().set(key, "value")
            async with store.transaction(watch=[key]) as transaction:
                transaction.execute("GET", key)

    await use()
    await eventually(lambda: not proxy.connections)
    gc.collect()
    files = open_files()
    for _ in range(10):
        await asyncio.gather(*(use(number) for number in range(10)))
    await eventually(lambda: not proxy.connections)
    gc.collect()
    await eventually(lambda: open_files() <= files)


async def test_closing_twice_at_once_is_harmless(proxy: Through) -> None:
    store = create_store(proxy.url)
    await store.ping()
    await asyncio.gather(store.close(), store.close())
    assert store.closed


async def test_a_connection_of_ones_own_does_not_outlive_its_close(proxy: Through) -> None:
    async with create_store(proxy.url, timeout=0) as store:
        connection = await store.connect()
        waiting = asyncio.create_task(connection.execute("BLPOP", "never", 0))
        await asyncio.sleep(0.02)
        await connection.close()
        with pytest.raises(ConnectionFailed):
            async with asyncio.timeout(30):
                await waiting
        await eventually(lambda: not proxy.connections)
