"""Transactions and pipelines on every form."""

from __future__ import annotations

import asyncio

import pytest

from store_core import (
    Command,
    ConnectionLost,
    ReplyError,
    Store,
    StoreError,
    Transaction,
    TransactionAborted,
    Unsupported,
)


async def test_a_transaction_runs_at_the_end_of_its_block(store: Store) -> None:
    async with store.transaction() as transaction:
        transaction.execute("SET", "a", 1)
        transaction.execute("INCR", "a")
        assert await store.execute("EXISTS", "a") == 0
    assert transaction.results == [b"OK", 2]


async def test_a_block_that_raises_runs_nothing(store: Store) -> None:
    with pytest.raises(ZeroDivisionError):
        async with store.transaction() as transaction:
            transaction.execute("SET", "a", 1)
            raise ZeroDivisionError
    assert await store.execute("EXISTS", "a") == 0


async def test_nobodys_commands_come_between_those_of_a_transaction(store: Store) -> None:
    async def transfer() -> list[object]:
        async with store.transaction() as transaction:
            for _ in range(20):
                transaction.execute("INCR", "counter")
        return transaction.results or []

    for results in await asyncio.gather(*(transfer() for _ in range(50))):
        assert results == list(range(results[0], results[0] + 20))


async def test_a_refused_command_runs_nothing_and_is_named(store: Store) -> None:
    with pytest.raises(ReplyError) as caught:
        async with store.transaction() as transaction:
            transaction.execute("SET", "a", 1)
            transaction.execute("NOSUCH", "x")
    assert caught.value.code == "ERR"
    assert "command 2 of 2 (NOSUCH)" in caught.value.__notes__[0]
    assert await store.execute("EXISTS", "a") == 0


async def test_an_error_while_it_runs_names_its_command_and_the_others_have_run(store: Store) -> None:
    with pytest.raises(ReplyError, match="WRONGTYPE") as caught:
        async with store.transaction() as transaction:
            transaction.execute("RPUSH", "list", 1)
            transaction.execute("INCR", "list")
            transaction.execute("SET", "after", 1)
    assert "command 2 of 3 (INCR)" in caught.value.__notes__[0]
    assert await store.execute("GET", "after") == b"1"
    assert transaction.results is not None
    assert transaction.results[2] == b"OK"


async def test_errors_stay_in_the_results_where_the_caller_wants_them(store: Store) -> None:
    async with store.transaction(raise_on_error=False) as transaction:
        transaction.execute("RPUSH", "list", 1)
        transaction.execute("INCR", "list")
    assert transaction.results is not None
    assert transaction.results[0] == 1
    assert isinstance(transaction.results[1], ReplyError)


async def test_a_transaction_without_commands_asks_nothing_of_the_server(store: Store) -> None:
    async with store.transaction() as transaction:
        pass
    assert transaction.results == []


async def test_commands_cannot_be_added_once_it_has_run(store: Store) -> None:
    async with store.transaction() as transaction:
        transaction.add(Command(("PING",)))
    with pytest.raises(StoreError, match="has ended"):
        transaction.execute("PING")


async def test_what_would_change_the_connection_is_refused_inside(store: Store) -> None:
    with pytest.raises(Unsupported, match="SELECT"):
        async with store.transaction() as transaction:
            transaction.execute("SELECT", 1)
    assert await store.ping()


async def test_a_blocking_command_does_not_block_inside(store: Store) -> None:
    async with store.transaction() as transaction:
        transaction.execute("BLPOP", "nothing", 0)
    assert transaction.results == [None]


async def test_a_watched_key_that_changed_aborts(store: Store) -> None:
    await store.execute("SET", "a", 1)
    with pytest.raises(TransactionAborted):
        async with store.transaction(watch=["a", "b"]) as transaction:
            await store.execute("SET", "b", "changed")
            transaction.execute("INCR", "a")
    assert await store.execute("GET", "a") == b"1"


async def test_a_watched_key_that_did_not_change_lets_it_run(store: Store) -> None:
    async with store.transaction(watch="a") as transaction:
        value = int(await store.execute("GET", "a") or 0)
        transaction.execute("SET", "a", value + 1)
    assert await store.execute("GET", "a") == b"1"


async def test_a_released_watch_leaves_nothing_behind_for_the_next(store: Store) -> None:
    with pytest.raises(ZeroDivisionError):
        async with store.transaction(watch="a"):
            raise ZeroDivisionError
    await store.execute("SET", "a", 1)
    async with store.transaction(watch="b") as transaction:
        transaction.execute("INCR", "a")
    assert transaction.results == [2]


async def test_transact_repeats_until_nobody_interferes(store: Store) -> None:
    await store.execute("SET", "balance", 0)

    async def deposit(transaction: Transaction) -> None:
        balance = int(await store.execute("GET", "balance"))
        await asyncio.sleep(0)
        transaction.execute("SET", "balance", balance + 1)

    await asyncio.gather(*(store.transact(deposit, watch="balance", retries=1000) for _ in range(20)))
    assert await store.execute("GET", "balance") == b"20"


async def test_transact_gives_up_after_its_retries(store: Store) -> None:
    attempts = 0

    async def interfered(transaction: Transaction) -> None:
        nonlocal attempts
        attempts += 1
        await store.execute("INCR", "a")
        transaction.execute("INCR", "a")

    with pytest.raises(TransactionAborted):
        await store.transact(interfered, watch="a", retries=3)
    assert attempts == 4


async def test_a_pipeline_returns_all_replies_in_order(store: Store) -> None:
    async with store.pipeline() as pipeline:
        for number in range(1000):
            pipeline.execute("RPUSH", "list", number)
        pipeline.execute("LLEN", "list")
    assert pipeline.results == [*range(1, 1001), 1000]


async def test_an_error_in_a_pipeline_is_named_and_stops_nothing(store: Store) -> None:
    with pytest.raises(ReplyError) as caught:
        async with store.pipeline() as pipeline:
            pipeline.execute("SET", "a", "text")
            pipeline.execute("INCR", "a")
            pipeline.execute("SET", "b", 1)
    assert "command 2 of 3 (INCR)" in caught.value.__notes__[0]
    assert await store.execute("GET", "b") == b"1"


async def test_a_pipeline_with_a_blocking_command_holds_up_nobody(store: Store) -> None:
    async def blocked() -> list[object] | None:
        async with store.pipeline() as pipeline:
            pipeline.execute("BLPOP", "queue", 0)
            pipeline.execute("GET", "a")
        return pipeline.results

    waiting = asyncio.create_task(blocked())
    await asyncio.sleep(0.02)
    assert await store.execute("SET", "a", 1) == b"OK"
    await store.execute("RPUSH", "queue", "x")
    assert await waiting == [[b"queue", b"x"], b"1"]


async def test_what_a_pause_of_the_server_holds_up_goes_on_in_order(store: Store) -> None:
    async def transaction() -> list[object] | None:
        async with store.transaction() as block:
            block.execute("RPUSH", "list", "b")
            block.execute("LLEN", "list")
        return block.results

    async def pipeline() -> list[object] | None:
        async with store.pipeline() as block:
            block.execute("RPUSH", "list", "c")
            block.execute("RPUSH", "text", "d")
            block.execute("LLEN", "list")
        return block.results

    await store.execute("SET", "text", 1)
    async with await store.connect() as administrator:
        await administrator.execute("CLIENT", "PAUSE", 60_000, "WRITE")
        try:
            waiting = [asyncio.ensure_future(store.execute("RPUSH", "list", "a")), asyncio.create_task(transaction())]
            failing = asyncio.create_task(pipeline())
            waiting.append(asyncio.ensure_future(store.execute("RPUSH", "list", "e")))
            await asyncio.sleep(0.02)
            assert not any(task.done() for task in (*waiting, failing))
            assert await administrator.execute("EXISTS", "list") == 0
        finally:
            await administrator.execute("CLIENT", "UNPAUSE")
    assert await asyncio.gather(*waiting) == [1, [2, 2], 4]
    with pytest.raises(ReplyError, match="WRONGTYPE") as caught:
        await failing
    assert "command 2 of 3 (RPUSH)" in caught.value.__notes__[0]
    assert await store.execute("LRANGE", "list", 0, -1) == [b"a", b"b", b"c", b"e"]


async def test_a_pipeline_that_kills_its_own_connection_is_lost(store: Store) -> None:
    await store.ping()
    with pytest.raises(ConnectionLost):
        async with store.pipeline() as pipeline:
            pipeline.execute("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "no")
            pipeline.execute("SET", "key", "never")
    assert await store.execute("EXISTS", "key") == 0
