"""What callers get when a server, a connection, a caller or an event loop goes away."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import warnings

import pytest

from store_core import ConnectionFailed, ConnectionLost, LoopError, StoreClosed, Timeout, create_store
from store_core.testing.section import eventually


async def sleeping(store, name):
    rows = await store.execute(
        "SELECT pid FROM pg_stat_activity WHERE application_name = $1 AND query LIKE '%pg_sleep%'", name
    )
    return [row["pid"] for row in rows]


async def test_a_thousand_tasks_share_a_store(server_url, backends):
    async with create_store(server_url, pool_max=5, application_name="crowd") as store, create_store(server_url) as eye:
        replies = await asyncio.gather(*(store.execute("SELECT $1::int AS n", n) for n in range(1000)))
        assert replies == [[{"n": n}] for n in range(1000)]
        assert 1 <= len(await backends(eye, "crowd")) <= 5


async def test_who_was_sent_loses_and_who_waited_does_not(server_url, store):
    async with create_store(server_url, pool_max=2, application_name="cut") as cut:
        sent = [asyncio.create_task(cut.execute("SELECT pg_sleep(600)")) for _ in range(2)]

        async def both_sleep() -> bool:
            return len(await sleeping(store, "cut")) == 2

        await eventually(both_sleep)
        waiting = [asyncio.create_task(cut.execute("SELECT $1::int AS n", n)) for n in range(20)]
        await asyncio.sleep(0)
        for pid in await sleeping(store, "cut"):
            await store.execute("SELECT pg_terminate_backend($1)", pid)
        lost = await asyncio.gather(*sent, return_exceptions=True)
        assert [type(error) for error in lost] == [ConnectionLost] * 2
        assert lost[0] is not lost[1]
        assert all(error.__cause__ is not None for error in lost)
        assert await asyncio.gather(*waiting) == [[{"n": n}] for n in range(20)]


async def test_a_transaction_that_is_cut_is_connection_lost_and_undone(server_url, store):
    async with create_store(server_url, application_name="cut-transaction") as cut:

        async def run() -> None:
            async with cut.transaction() as transaction:
                transaction.execute("INSERT INTO kv VALUES ('a', '')")
                transaction.execute("SELECT pg_sleep(600)")

        running = asyncio.create_task(run())

        async def sleeps() -> bool:
            return bool(await sleeping(store, "cut-transaction"))

        await eventually(sleeps)
        (pid,) = await sleeping(store, "cut-transaction")
        await store.execute("SELECT pg_terminate_backend($1)", pid)
        with pytest.raises(ConnectionLost):
            await running
        assert await cut.execute("SELECT * FROM kv") == []


async def test_a_server_that_is_killed_and_restarted_serves_the_same_store(own_server):
    async with create_store(own_server.url) as store:
        await store.execute("CREATE TABLE t (n int)")
        busy = asyncio.create_task(store.execute("SELECT pg_sleep(600)"))
        await eventually(lambda: store.client().get_size() == 2 or store.client().get_idle_size() == 0)
        os.kill(own_server.postmaster(), signal.SIGKILL)
        with pytest.raises(ConnectionLost):
            await busy

        async def refused() -> bool:
            try:
                await store.ping()
            except ConnectionLost:  # an idle connection whose end was not seen yet
                return False
            except ConnectionFailed:
                return True
            return False

        await eventually(refused)
        await own_server.stop()
        await own_server.start()
        assert await store.execute("INSERT INTO t VALUES (1)") == 1


async def test_a_cancelled_caller_cancels_its_statement_and_nobody_elses(server_url, store):
    async with create_store(server_url, pool_max=2, application_name="cancelled") as shared:
        slow = asyncio.create_task(shared.execute("SELECT pg_sleep(600)"))

        async def sleeps() -> bool:
            return bool(await sleeping(store, "cancelled"))

        await eventually(sleeps)
        others = [asyncio.create_task(shared.execute("SELECT $1::int AS n", n)) for n in range(50)]
        slow.cancel()
        with pytest.raises(asyncio.CancelledError):
            await slow
        assert await asyncio.gather(*others) == [[{"n": n}] for n in range(50)]

        async def stopped() -> bool:
            rows = await store.execute(
                "SELECT FROM pg_stat_activity WHERE application_name = 'cancelled' AND state = 'active'"
            )
            return not rows

        await eventually(stopped)


async def test_a_statement_that_takes_too_long_is_cancelled_and_the_store_goes_on(store):
    with pytest.raises(Timeout) as caught:
        await store.execute("SELECT pg_sleep(600)", timeout=0.05)
    assert not isinstance(caught.value, ConnectionFailed)
    assert await store.ping() is True


async def test_who_finds_no_free_connection_in_time_was_not_sent(server_url):
    async with create_store(server_url, pool_max=1) as store:
        slow = asyncio.create_task(store.execute("SELECT pg_sleep(600)"))
        await eventually(lambda: store.client().get_size() == 1)
        with pytest.raises(ConnectionFailed, match="all are busy") as caught:
            await store.execute("SELECT 1", timeout=0.05)
        assert isinstance(caught.value, Timeout)
        slow.cancel()
        await asyncio.gather(slow, return_exceptions=True)


async def test_closing_a_busy_store_gives_every_caller_an_outcome(server_url):
    store = create_store(server_url, pool_max=3)
    await store.ping()
    busy = [asyncio.create_task(store.execute("SELECT pg_sleep(600)")) for _ in range(3)]
    waiting = [asyncio.create_task(store.execute("SELECT 1")) for _ in range(20)]
    await eventually(lambda: store.client().get_size() == 3)
    await store.close()
    await store.close()
    outcomes = await asyncio.gather(*busy, return_exceptions=True)
    assert all(isinstance(each, ConnectionLost | StoreClosed) for each in outcomes)
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert {type(each) for each in outcomes} == {StoreClosed}
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_closed_connection_of_ones_own_says_so(store):
    connection = await store.connect()
    slow = asyncio.create_task(connection.execute("SELECT pg_sleep(600)"))
    behind = asyncio.create_task(connection.execute("SELECT 1"))
    await asyncio.sleep(0.05)
    await connection.close()
    await connection.close()
    assert connection.closed
    outcomes = await asyncio.gather(slow, behind, return_exceptions=True)
    assert [type(each) for each in outcomes] == [ConnectionLost, StoreClosed]
    with pytest.raises(StoreClosed):
        await connection.execute("SELECT 1")


async def test_a_connection_of_ones_own_that_broke_says_that_nothing_was_sent(store):
    async with await store.connect() as connection:
        pid = (await connection.execute("SELECT pg_backend_pid() AS pid"))[0]["pid"]
        await store.execute("SELECT pg_terminate_backend($1)", pid)
        await eventually(lambda: connection.closed)
        with pytest.raises(ConnectionFailed) as caught:
            await connection.execute("SELECT 1")
        assert not isinstance(caught.value, ConnectionLost)


def test_a_store_moves_to_the_next_event_loop_and_leaves_no_socket_open(server_url):
    store = create_store(server_url, pool_min=2)

    async def use() -> None:
        pubsub = store.pubsub()
        await pubsub.subscribe("loops")
        await pubsub.publish("loops", "x")
        assert (await anext(aiter(pubsub))).data == b"x"
        await asyncio.gather(*(store.execute("SELECT $1::int AS n", n) for n in range(20)))

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(3):
            with asyncio.Runner() as runner:
                runner.run(use())
        with asyncio.Runner() as runner:
            runner.run(store.close())
        gc.collect()
    assert [str(each.message) for each in caught if issubclass(each.category, ResourceWarning)] == []


def test_two_live_event_loops_are_an_error(server_url):
    store = create_store(server_url)
    with asyncio.Runner() as first, asyncio.Runner() as second:
        first.run(store.ping())
        with pytest.raises(LoopError):
            second.run(store.ping())
        with pytest.raises(LoopError):
            second.run(_client(store))
        first.run(store.close())


async def _client(store):
    return store.client()
