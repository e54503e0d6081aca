"""Connections that break: every caller gets exactly one outcome, the right one, and the next command works."""

from __future__ import annotations

import asyncio

import pytest
from tests.conftest import eventually
from tests.faults.conftest import Through
from tests.faults.proxy import Fault, ProxyConnection

from store_core import ConnectionFailed, ConnectionLost, Store, TransactionAborted, create_store

#: Commands in flight together, the reply of each, and its bytes on the wire.
QUESTIONS = [
    (("ECHO", "one"), b"one", b"$3\r\none\r\n"),
    (("GET", "nothing"), None, b"_\r\n"),
    (("HGETALL", "hash"), {b"f": b"v"}, b"%1\r\n$1\r\nf\r\n$1\r\nv\r\n"),
    (("STRLEN", "text"), 5, b":5\r\n"),
    (("MGET", "text", "nothing"), [b"hello", None], b"*2\r\n$5\r\nhello\r\n_\r\n"),
    (("ECHO", "last"), b"last", b"$4\r\nlast\r\n"),
]
STREAM = b"".join(raw for _, _, raw in QUESTIONS)


async def prepared(store: Store) -> None:
    await store.execute("DEL", "nothing", "hash", "text", "queue")
    await store.execute("HSET", "hash", "f", "v")
    await store.execute("SET", "text", "hello")


async def connected(store: Store, proxy: Through) -> ProxyConnection:
    assert await store.ping()
    return proxy.connections[-1]


async def test_a_cut_at_every_byte_gives_each_caller_its_own_reply_or_connection_lost(proxy: Through) -> None:
    async with create_store(proxy.url) as store:
        await prepared(store)
        for offset in range(len(STREAM)):
            connection = await connected(store, proxy)
            connection.cut_after(offset)
            async with asyncio.timeout(30):
                outcomes = await asyncio.gather(
                    *(store.execute(*question) for question, _, _ in QUESTIONS), return_exceptions=True
                )
            end = 0
            for outcome, (question, reply, raw) in zip(outcomes, QUESTIONS, strict=True):
                end += len(raw)
                if end <= offset:
                    assert outcome == reply, (offset, question)
                else:
                    assert isinstance(outcome, ConnectionLost), (offset, question, outcome)
            assert await store.execute("ECHO", offset) == b"%d" % offset
        assert proxy.accepted == len(STREAM) + 1


@pytest.mark.parametrize("protocol", [2, 3])
async def test_a_reset_at_every_byte_never_hands_out_anothers_reply(proxy: Through, protocol: int) -> None:
    async with create_store(proxy.url, protocol=protocol) as store:
        await prepared(store)
        replies = await asyncio.gather(*(store.execute(*question) for question, _, _ in QUESTIONS))
        for offset in range(0, len(STREAM), 3):
            (await connected(store, proxy)).cut_after(offset, reset=True)
            async with asyncio.timeout(30):
                outcomes = await asyncio.gather(
                    *(store.execute(*question) for question, _, _ in QUESTIONS), return_exceptions=True
                )
            for outcome, reply in zip(outcomes, replies, strict=True):
                assert isinstance(outcome, ConnectionLost) or outcome == reply


async def test_a_cut_in_the_handshake_is_connection_failed_at_every_byte(proxy: Through) -> None:
    async with create_store(proxy.url, db=1) as store:
        handshake = (await connected(store, proxy)).passed - len(b"+PONG\r\n")
    assert handshake > 50
    for offset in range(0, handshake, 7):
        proxy.next(Fault(cut_after=offset, reset=offset % 2 == 1))
        async with create_store(proxy.url, db=1) as store:
            with pytest.raises(ConnectionFailed, match=f"127.0.0.1:{proxy.port}") as caught:
                await store.execute("ECHO", "x")
            assert not isinstance(caught.value, ConnectionLost)
            assert await store.execute("ECHO", "again") == b"again"


async def test_every_caller_gets_an_exception_of_its_own(proxy: Through) -> None:
    async with create_store(proxy.url) as store:
        connection = await connected(store, proxy)
        connection.hold()
        tasks = [asyncio.create_task(store.execute("ECHO", number)) for number in range(50)]
        await asyncio.sleep(0.01)
        connection.cut()
        errors = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(error, ConnectionLost) for error in errors)
        assert len({id(error) for error in errors}) == 50


async def test_every_caller_of_a_connection_that_cannot_be_made_gets_an_exception_of_its_own(proxy: Through) -> None:
    proxy.deafen()
    async with create_store(proxy.url) as store:
        errors = await asyncio.gather(*(store.execute("ECHO", n) for n in range(50)), return_exceptions=True)
        assert all(isinstance(error, ConnectionFailed) for error in errors)
        assert len({id(error) for error in errors}) == 50


@pytest.mark.parametrize("reset", [False, True])
async def test_an_idle_connection_that_was_cut_is_replaced(proxy: Through, reset: bool) -> None:
    async with create_store(proxy.url) as store:
        connection = await connected(store, proxy)
        connection.cut(reset=reset)
        await eventually(lambda: not store._node.links)
        assert await store.execute("ECHO", "x") == b"x"


async def test_one_of_several_connections_that_breaks_is_replaced_and_the_others_go_on(proxy: Through) -> None:
    async with create_store(proxy.url, connections=3) as store:
        await connected(store, proxy)
        assert proxy.accepted == 3
        first, *others = proxy.connections
        for other in others:
            other.hold(to_server=False)
        waiting = [asyncio.create_task(store.execute("ECHO", number)) for number in range(9)]
        await asyncio.sleep(0.02)
        first.cut()
        await eventually(lambda: any(task.done() for task in waiting))
        for other in others:
            other.release()
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        assert sum(isinstance(outcome, ConnectionLost) for outcome in outcomes) <= 3
        assert all(
            outcome == b"%d" % number
            for number, outcome in enumerate(outcomes)
            if not isinstance(outcome, ConnectionLost)
        )
        assert await store.execute("ECHO", "x") == b"x"
        assert proxy.accepted == 4


async def test_connections_that_were_made_are_kept_when_one_of_them_fails(proxy: Through) -> None:
    proxy.next(Fault(), Fault(refuse=True, reset=True), Fault(delay=0.05))
    async with create_store(proxy.url, connections=3) as store:
        with pytest.raises(ConnectionFailed):
            await store.execute("ECHO", "x")
        assert await store.execute("ECHO", "y") == b"y"
        assert len(proxy.connections) == 3
    await eventually(lambda: not proxy.connections)


async def test_a_pipeline_that_was_cut_is_lost_as_a_whole(proxy: Through) -> None:
    async with create_store(proxy.url) as store:
        await prepared(store)
        (await connected(store, proxy)).cut_after(20)
        with pytest.raises(ConnectionLost):
            async with store.pipeline() as pipeline:
                for question, _, _ in QUESTIONS:
                    pipeline.execute(*question)
        assert pipeline.results is None
        assert await store.ping()


async def test_a_transaction_cut_before_its_reply_is_connection_lost_whether_or_not_it_ran(proxy: Through) -> None:
    async with create_store(proxy.url) as store:
        # "+OK", two times "+QUEUED", then the reply of EXEC.
        for offset in range(len(b"+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n:1\r\n:1\r\n")):
            await store.execute("DEL", "left", "right")
            (await connected(store, proxy)).cut_after(offset)
            with pytest.raises(ConnectionLost):
                async with store.transaction() as transaction:
                    transaction.execute("INCR", "left")
                    transaction.execute("INCR", "right")
            left, right = await store.execute("MGET", "left", "right")
            assert left == right


async def test_a_watch_that_was_cut_runs_nothing_and_says_that_nothing_was_sent(proxy: Through) -> None:
    async with create_store(proxy.url) as store:
        await store.execute("SET", "watched", 0)
        with pytest.raises(ConnectionFailed) as caught:
            async with store.transaction(watch=["watched"]) as transaction:
                watching = proxy.connections[-1]
                watching.cut()
                await eventually(lambda: transaction._watch.link.closed)
                transaction.execute("SET", "watched", 1)
        assert not isinstance(caught.value, TransactionAborted)
        assert await store.execute("GET", "watched") == b"0"
        async with store.transaction(watch=["watched"]) as transaction:
            transaction.execute("INCR", "watched")
        assert transaction.results == [1]


async def test_a_watched_transaction_cut_before_execs_reply_is_connection_lost(proxy: Through) -> None:
    async with create_store(proxy.url) as store:
        with pytest.raises(ConnectionLost):
            async with store.transaction(watch=["watched"]) as transaction:
                proxy.connections[-1].cut_after(10)
                transaction.execute("SET", "watched", 1)
        assert await store.ping()


async def test_a_watch_given_back_while_its_connection_breaks_disturbs_nobody(
    proxy: Through, caplog: pytest.LogCaptureFixture
) -> None:
    async with create_store(proxy.url) as store:
        for _ in range(5):
            async with store.transaction(watch=["watched"]) as transaction:
                watching, link = proxy.connections[-1], transaction._watch.link
                watching.hold()  # the UNWATCH at the end stays without a reply
            watching.cut()
            await eventually(lambda link=link: link.closed)
        assert await store.ping()
    assert not caplog.records


@pytest.mark.parametrize("reset", [False, True])
async def test_a_blocking_command_that_was_cut_is_connection_lost(proxy: Through, reset: bool) -> None:
    async with create_store(proxy.url) as store:
        await prepared(store)
        waiting = asyncio.create_task(store.execute("BLPOP", "queue", 0))
        await eventually(lambda: len(proxy.connections) == 2 and _blocked(store))
        proxy.connections[-1].cut(reset=reset)
        with pytest.raises(ConnectionLost):
            async with asyncio.timeout(30):
                await waiting
        await eventually(lambda: _none_blocked(store))
        await store.execute("RPUSH", "queue", "x")
        assert await store.execute("BLPOP", "queue", 1) == [b"queue", b"x"]


async def _blocked(store: Store) -> bool:
    clients: bytes = await store.execute("CLIENT", "LIST")
    return b"cmd=blpop" in clients


async def _none_blocked(store: Store) -> bool:
    return not await _blocked(store)


async def test_a_connection_of_ones_own_that_was_cut_stays_closed(proxy: Through) -> None:
    async with create_store(proxy.url) as store, await store.connect() as connection:
        assert await connection.execute("ECHO", "x") == b"x"
        proxy.connections[-1].cut_after(0)
        with pytest.raises(ConnectionLost):
            await connection.execute("ECHO", "y")
        assert connection.closed
        with pytest.raises(Exception, match="open another"):
            await connection.execute("ECHO", "z")
