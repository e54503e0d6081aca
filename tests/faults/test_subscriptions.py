"""Subscriptions outlive their connection; slow readers lose messages and are told; closing ends everything."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from tests.conftest import eventually
from tests.faults.conftest import Handler, Killable, Through
from tests.faults.proxy import Fault, ProxyConnection

from store_core import ConnectionFailed, ReplyError, Store, StoreClosed, Timeout, create_store


async def subscribed(store: Store, *channels: str) -> bool:
    return all((await store.pubsub().count(*channels)).values())


def line(proxy: Through) -> ProxyConnection:
    """The subscriber's connection: the newest."""
    return proxy.connections[-1]


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("protocol", [2, 3])
async def test_a_message_published_after_the_reconnect_arrives(
    proxy: Through, server_url: str, reset: bool, protocol: int
) -> None:
    async with (
        create_store(server_url) as publisher,
        create_store(proxy.url, protocol=protocol) as store,
        store.pubsub() as pubsub,
    ):
        await pubsub.subscribe("one", "two")
        await pubsub.psubscribe("th*")
        messages = aiter(pubsub)
        for round_ in range(3):
            line(proxy).cut(reset=reset)
            await eventually(lambda round_=round_: proxy.accepted == round_ + 2)
            await eventually(lambda: subscribed(publisher, "one", "two"))
            await eventually(lambda: _patterns(publisher, 1))
            for channel in ("one", "two", "three"):
                await publisher.execute("PUBLISH", channel, round_)
            async with asyncio.timeout(30):
                received = [await anext(messages) for _ in range(3)]
            assert [message.channel for message in received] == ["one", "two", "three"]
            assert {message.data for message in received} == {b"%d" % round_}


async def _patterns(store: Store, number: int) -> bool:
    count: int = await store.execute("PUBSUB", "NUMPAT")
    return count == number


async def test_a_subscription_in_a_namespace_outlives_its_connection(proxy: Through, server_url: str) -> None:
    async with (
        create_store(server_url) as publisher,
        create_store(proxy.url, namespace="a*.") as store,
        store.pubsub() as pubsub,
    ):
        await pubsub.subscribe("one")
        line(proxy).cut()
        await eventually(lambda: subscribed(publisher, "a*.one"))
        await store.pubsub().publish("one", "x")
        async with asyncio.timeout(30):
            assert (await anext(aiter(pubsub)))[:2] == ("one", b"x")


@pytest.mark.parametrize("offset", range(0, 60, 5))
async def test_a_cut_at_any_byte_of_a_message_loses_no_later_one(proxy: Through, server_url: str, offset: int) -> None:
    async with create_store(server_url) as publisher, create_store(proxy.url) as store, store.pubsub() as pubsub:
        await pubsub.subscribe("one")
        line(proxy).cut_after(offset)
        for number in range(3):
            await publisher.execute("PUBLISH", "one", number)
        await eventually(lambda: proxy.accepted == 2)
        await eventually(lambda: subscribed(publisher, "one"))
        await publisher.execute("PUBLISH", "one", "last")
        received = []
        async with asyncio.timeout(30):
            async for message in pubsub:
                received.append(message.data)
                if message.data == b"last":
                    break
        assert received == sorted(set(received)), "no message twice, none out of order"


async def test_subscribing_while_the_connection_is_down_waits_for_it(proxy: Through, server_url: str) -> None:
    async with (
        create_store(server_url) as publisher,
        create_store(proxy.url, timeout=30) as store,
        store.pubsub() as pubsub,
    ):
        await pubsub.subscribe("before")
        proxy.deafen()
        line(proxy).cut()
        await eventually(lambda: not store._subscriber._listener.connected)
        waiting = asyncio.create_task(pubsub.subscribe("meanwhile"))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        await proxy.listen()
        async with asyncio.timeout(30):
            await waiting
        await publisher.execute("PUBLISH", "meanwhile", "x")
        async with asyncio.timeout(30):
            assert (await anext(aiter(pubsub)))[:2] == ("meanwhile", b"x")


async def test_subscribing_while_the_connection_stays_down_is_a_timeout_and_no_subscription(
    proxy: Through, server_url: str
) -> None:
    async with (
        create_store(server_url) as publisher,
        create_store(proxy.url, timeout=0.3) as store,
        store.pubsub() as pubsub,
    ):
        await pubsub.subscribe("before")
        proxy.deafen()
        line(proxy).cut()
        await eventually(lambda: not store._subscriber._listener.connected)
        with pytest.raises(Timeout):
            await pubsub.subscribe("meanwhile")
        await proxy.listen()
        await eventually(lambda: subscribed(publisher, "before"))
        assert not await subscribed(publisher, "meanwhile")


async def test_the_first_subscription_says_when_nobody_is_there_and_works_later(proxy: Through) -> None:
    proxy.deafen()
    async with create_store(proxy.url) as store, store.pubsub() as pubsub:
        with pytest.raises(ConnectionFailed):
            await pubsub.subscribe("one")
        await proxy.listen()
        await pubsub.subscribe("one")
        assert await store.execute("PUBLISH", "one", "x") == 1


async def test_nobody_reconnects_for_subscriptions_that_have_ended(proxy: Through, caplog) -> None:
    caplog.set_level(logging.WARNING)
    async with create_store(proxy.url) as store:
        async with store.pubsub() as pubsub:
            await pubsub.subscribe("one")
        proxy.deafen()
        line(proxy).cut()
        await eventually(lambda: not store._subscriber._listener.connected)
        await asyncio.sleep(0.2)
        assert not store._subscriber._listener.reconnecting
        await proxy.listen()
        async with store.pubsub() as pubsub:
            await pubsub.subscribe("two")
            assert await store.execute("PUBLISH", "two", "x") == 1
    assert not caplog.records


async def test_a_slow_reader_keeps_the_newest_messages_and_hears_how_many_it_lost(
    proxy: Through, server_url: str
) -> None:
    async with (
        create_store(server_url) as publisher,
        create_store(proxy.url) as store,
        store.pubsub(limit=10) as slow,
        store.pubsub() as quick,
    ):
        await slow.subscribe("one")
        await quick.subscribe("one")
        async with publisher.pipeline() as pipeline:
            for number in range(1000):
                pipeline.execute("PUBLISH", "one", number)
        messages = aiter(quick)
        async with asyncio.timeout(30):
            assert [(await anext(messages)).data for _ in range(1000)] == [b"%d" % n for n in range(1000)]
        kept = aiter(slow)
        first = await anext(kept)
        assert (first.data, first.lost) == (b"990", 990)
        rest = [await anext(kept) for _ in range(9)]
        assert [message.data for message in rest] == [b"%d" % n for n in range(991, 1000)]
        assert not any(message.lost for message in rest)


async def test_a_reader_ends_when_the_store_closes_during_a_reconnect(proxy: Through) -> None:
    store = create_store(proxy.url)
    pubsub = store.pubsub()
    await pubsub.subscribe("one")
    reading = asyncio.create_task(anext(aiter(pubsub), None))
    proxy.deafen()
    line(proxy).cut()
    await eventually(lambda: not store._subscriber._listener.connected)
    async with asyncio.timeout(30):
        await store.close()
        assert await reading is None


@pytest.mark.parametrize("timeout", [0, 60])
async def test_closing_the_store_ends_a_subscription_under_way(proxy: Through, timeout: float) -> None:
    store = create_store(proxy.url, timeout=timeout)
    pubsub = store.pubsub()
    await pubsub.subscribe("one")
    line(proxy).hold()
    under_way = [asyncio.create_task(pubsub.subscribe(name)) for name in ("two", "three")]
    await asyncio.sleep(0.01)
    async with asyncio.timeout(30):
        await store.close()
        outcomes = await asyncio.gather(*under_way, return_exceptions=True)
    assert all(isinstance(outcome, StoreClosed) for outcome in outcomes), outcomes


@pytest.mark.parametrize("timeout", [0, 60])
async def test_closing_the_store_ends_a_first_subscription_that_still_connects(proxy: Through, timeout: float) -> None:
    proxy.default = Fault(hold=True)
    store = create_store(proxy.url, timeout=timeout)
    under_way = asyncio.create_task(store.pubsub().subscribe("one"))
    await eventually(lambda: proxy.accepted == 1)
    async with asyncio.timeout(30):
        await store.close()
        with pytest.raises(StoreClosed):
            await under_way


@pytest.fixture
async def limited(valkey_url: str) -> AsyncIterator[tuple[Store, Store]]:
    """An administrator, and a user who may subscribe to what begins with "open" only."""
    async with create_store(valkey_url) as admin:
        await admin.execute("ACL", "SETUSER", "limited", "on", ">pw", "+@all", "~*", "resetchannels", "&open*")
        try:
            async with create_store(valkey_url, username="limited", password="pw") as store:
                yield admin, store
        finally:
            await admin.execute("ACL", "DELUSER", "limited")


async def test_a_refused_subscription_is_the_servers_error_and_leaves_the_others(limited: tuple[Store, Store]) -> None:
    admin, store = limited
    async with store.pubsub() as pubsub:
        await pubsub.subscribe("open")
        with pytest.raises(ReplyError, match="NOPERM"):
            await pubsub.subscribe("shut")
        await admin.execute("PUBLISH", "open", "x")
        async with asyncio.timeout(30):
            assert (await anext(aiter(pubsub))).data == b"x"


async def test_a_refused_call_takes_back_its_own_names_and_no_others(limited: tuple[Store, Store]) -> None:
    admin, store = limited
    async with store.pubsub() as one, store.pubsub() as two:
        await one.subscribe("open.mine")
        await two.subscribe("open.theirs")
        with pytest.raises(ReplyError, match="NOPERM"):
            await one.subscribe("open.mine", "open.theirs", "open.new", "shut")
        assert await admin.pubsub().channels("open*") == ["open.mine", "open.theirs"]
        await admin.execute("PUBLISH", "open.theirs", "not for one")
        await admin.execute("PUBLISH", "open.mine", "for one")
        async with asyncio.timeout(30):
            assert (await anext(aiter(one)))[:2] == ("open.mine", b"for one")
            assert (await anext(aiter(two)))[:2] == ("open.theirs", b"not for one")


async def test_each_of_the_calls_that_want_a_name_at_once_has_its_own_outcome(limited: tuple[Store, Store]) -> None:
    admin, store = limited
    pubsubs = [store.pubsub() for _ in range(4)]
    calls = [("open", "shut"), ("open",), ("shut",), ("open", "open.other")]
    outcomes = await asyncio.gather(
        *(pubsub.subscribe(*names) for pubsub, names in zip(pubsubs, calls, strict=True)), return_exceptions=True
    )
    assert [type(outcome).__name__ for outcome in outcomes] == [
        "ReplyError" if "shut" in names else "NoneType" for names in calls
    ], outcomes
    assert outcomes[0] is not outcomes[2]
    await admin.execute("PUBLISH", "open", "x")
    async with asyncio.timeout(30):
        for pubsub in (pubsubs[1], pubsubs[3]):
            assert (await anext(aiter(pubsub))).data == b"x"
    for pubsub in (pubsubs[0], pubsubs[2]):
        await pubsub.close()
        assert [message async for message in pubsub] == []


async def test_what_is_refused_after_a_loss_takes_nothing_else_with_it(
    limited: tuple[Store, Store], caplog: pytest.LogCaptureFixture
) -> None:
    admin, store = limited
    back = asyncio.Event()
    async with store.pubsub() as pubsub:
        pubsub.on_resubscribed(back.set)
        await pubsub.subscribe("open.1", "open.2", "open.3")
        await admin.execute("ACL", "SETUSER", "limited", "resetchannels", "&open.1", "&open.3")
        async with asyncio.timeout(30):
            await back.wait()  # the server itself drops clients whose channels are withdrawn
        assert await admin.pubsub().channels("open*") == ["open.1", "open.3"]
        assert "refused to subscribe again" in caplog.text
        await admin.execute("ACL", "SETUSER", "limited", "&open.2")
        await pubsub.subscribe("open.2")  # asked for again, since the server has not confirmed it
        assert await admin.pubsub().channels("open*") == ["open.1", "open.2", "open.3"]


@pytest.mark.parametrize("turns", range(8))
async def test_a_cancelled_subscription_takes_nothing_from_others(proxy: Through, server_url: str, turns: int) -> None:
    async with (
        create_store(server_url) as publisher,
        create_store(proxy.url) as store,
        store.pubsub() as one,
        store.pubsub() as two,
    ):
        await one.subscribe("had")
        line(proxy).hold(to_client=False)  # nothing is confirmed before it is cancelled
        cancelled = asyncio.create_task(one.subscribe("had", "shared", "new"))
        going_on = asyncio.create_task(two.subscribe("shared"))
        again = asyncio.create_task(one.subscribe("new")) if turns % 2 else None
        for _ in range(turns):
            await asyncio.sleep(0)
        cancelled.cancel()
        await asyncio.gather(cancelled, return_exceptions=True)
        line(proxy).release()
        async with asyncio.timeout(30):
            await going_on
            if again is not None:
                await again
        expected = ["had", "new", "shared"] if again else ["had", "shared"]
        await eventually(lambda: _only(publisher, expected))
        await publisher.execute("PUBLISH", "shared", "for two")
        await publisher.execute("PUBLISH", "new", "maybe")
        await publisher.execute("PUBLISH", "had", "for one")
        async with asyncio.timeout(30):
            assert (await anext(aiter(two)))[:2] == ("shared", b"for two")
            messages = aiter(one)
            if again:
                assert (await anext(messages))[:2] == ("new", b"maybe")
            assert (await anext(messages))[:2] == ("had", b"for one")


@pytest.mark.parametrize("offset", range(0, 100, 9))
async def test_a_cut_at_any_byte_of_the_confirmations_leaves_a_call_waiting_for_the_reconnect(
    proxy: Through, server_url: str, offset: int
) -> None:
    async with (
        create_store(server_url) as publisher,
        create_store(proxy.url, timeout=30) as store,
        store.pubsub() as pubsub,
    ):
        await pubsub.subscribe("before")
        line(proxy).cut_after(offset)
        await pubsub.subscribe("one", "two", "three", "four")
        await pubsub.ssubscribe("one")
        for name in ("one", "two", "three", "four", "before"):
            assert await publisher.execute("PUBLISH", name, name) == 1
        assert await publisher.execute("SPUBLISH", "one", "shard") == 1
        messages = aiter(pubsub)
        async with asyncio.timeout(30):
            received = [(await anext(messages)).data for _ in range(6)]
        assert received == [b"one", b"two", b"three", b"four", b"before", b"shard"]


@pytest.mark.parametrize("offset", range(0, 60, 11))
async def test_a_cut_while_unsubscribing_brings_back_only_what_is_still_wanted(
    proxy: Through, server_url: str, offset: int
) -> None:
    async with create_store(server_url) as publisher, create_store(proxy.url) as store, store.pubsub() as pubsub:
        await pubsub.subscribe("kept", "left", "left too")
        await pubsub.psubscribe("p*")
        line(proxy).cut_after(offset)
        await pubsub.unsubscribe("left", "left too")
        await pubsub.punsubscribe()
        await eventually(lambda: proxy.accepted == 2)
        await eventually(lambda: _only(publisher, ["kept"]))
        await eventually(lambda: _patterns(publisher, 0))
        await pubsub.subscribe("left")
        await publisher.execute("PUBLISH", "left", "x")
        async with asyncio.timeout(30):
            assert (await anext(aiter(pubsub)))[:2] == ("left", b"x")


async def test_a_thousand_channels_are_back_after_a_restart_and_the_reader_is_told(killable: Killable) -> None:
    back = asyncio.Event()
    async with create_store(killable.url, timeout=30) as store, store.pubsub() as pubsub, store.pubsub() as other:
        pubsub.on_resubscribed(back.set)
        names = [f"c{number}" for number in range(1000)]
        await pubsub.subscribe(*names)
        await pubsub.ssubscribe(*names)
        await pubsub.psubscribe(*(f"{name}.*" for name in names))
        await other.subscribe("c1")
        killable.kill()
        await eventually(lambda: store._subscriber._listener.reconnecting)
        assert not back.is_set()
        await asyncio.to_thread(killable.start)
        async with asyncio.timeout(30):
            await back.wait()
            # Told means subscribed: nothing has to be waited for.
            for number in (0, 1, 500, 999):
                assert await store.execute("PUBLISH", f"c{number}", number) == 1
                assert await store.execute("SPUBLISH", f"c{number}", number) == 1
                assert await store.execute("PUBLISH", f"c{number}.x", number) == 1
            messages = aiter(pubsub)
            assert [int((await anext(messages)).data) for _ in range(12)] == [
                number for number in (0, 1, 500, 999) for _ in range(3)
            ]
            assert (await anext(aiter(other))).data == b"1"


@pytest.mark.parametrize(
    "garbage",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b":1\r\n",
        b"+OK\r\n",
        b"-ERR what?\r\n",
        b"*0\r\n",
        b"%1\r\n*0\r\n:1\r\n",
        b"$-1\r\n",
        b"*3\r\n*0\r\n:1\r\n:1\r\n",
        b"*3\r\n$7\r\nmessage\r\n*0\r\n:1\r\n",
        b"*3\r\n$12\r\nsunsubscribe\r\n$-1\r\n:1\r\n",
        b"*4\r\n$8\r\npmessage\r\n*0\r\n*0\r\n*0\r\n",
        b"*4\r\n$8\r\npmessage\r\n$1\r\na\r\n*0\r\n*0\r\n",
    ],
)
async def test_what_is_no_message_harms_no_subscription(proxy: Through, server_url: str, garbage: bytes) -> None:
    async with create_store(server_url) as publisher, create_store(proxy.url) as store, store.pubsub() as pubsub:
        await pubsub.subscribe("one")
        line(proxy).inject(garbage)
        messages = aiter(pubsub)
        reading = asyncio.ensure_future(anext(messages))
        async with asyncio.timeout(30):
            while not reading.done():
                await publisher.execute("PUBLISH", "one", "x")
                await asyncio.sleep(0.01)
        assert (await reading)[:2] == ("one", b"x")
        await pubsub.subscribe("two")


async def test_a_connection_that_is_lost_again_while_it_comes_back_is_opened_again(
    proxy: Through, server_url: str
) -> None:
    back = []
    async with create_store(server_url) as publisher, create_store(proxy.url) as store, store.pubsub() as pubsub:
        pubsub.on_resubscribed(lambda: back.append(1))
        names = [f"c{number}" for number in range(50)]
        await pubsub.subscribe(*names)
        # The handshake passes, and some of the confirmations.
        handshake = await _bytes_of_a_handshake(server_url)
        proxy.next(*(Fault(cut_after=handshake + extra) for extra in (0, 1, 40, 200, 900)))
        line(proxy).cut()
        await eventually(lambda: back, 30)
        assert proxy.accepted == 7
        assert back == [1]
        assert await publisher.pubsub().channels() == sorted(names)


async def _bytes_of_a_handshake(server_url: str) -> int:
    async with Through(server_url) as proxy, create_store(proxy.url) as store, await store.connect():
        return line(proxy).passed


async def test_subscriptions_that_are_not_confirmed_again_in_time_are_asked_for_on_another_connection(
    fake_server: Callable[[Handler], Awaitable[int]],
) -> None:
    connections: list[asyncio.StreamWriter] = []
    asked: list[int] = []

    async def silent_at_the_second(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)
        number = len(connections)
        while data := await reader.read(65536):
            if b"HELLO" in data:
                writer.write(b"%0\r\n+OK\r\n+OK\r\n")
            if b"SUBSCRIBE" in data:
                asked.append(number)
                if number != 2:
                    writer.write(b">3\r\n$9\r\nsubscribe\r\n$3\r\none\r\n:1\r\n")

    port = await fake_server(silent_at_the_second)
    back = asyncio.Event()
    async with create_store(f"redis://127.0.0.1:{port}", timeout=0.3) as store, store.pubsub() as pubsub:
        pubsub.on_resubscribed(back.set)
        await pubsub.subscribe("one")
        connections[0].close()
        async with asyncio.timeout(30):
            await back.wait()
        assert asked == [1, 2, 3]


async def test_many_subscribers_coming_and_going_while_the_line_is_cut_end_as_they_should(
    proxy: Through, server_url: str
) -> None:
    async with create_store(server_url) as publisher, create_store(proxy.url, timeout=30) as store:

        async def come_and_go(number: int) -> None:
            for _ in range(5):
                async with store.pubsub() as pubsub:
                    await pubsub.subscribe(f"c{number}", "all")
                    await asyncio.sleep(0)

        async def cutting() -> None:
            for _ in range(5):
                await asyncio.sleep(0.02)
                proxy.cut_all()

        async with asyncio.timeout(60), store.pubsub() as steady:
            await steady.subscribe("steady")
            await asyncio.gather(cutting(), *(_retried(come_and_go, number) for number in range(20)))
            await eventually(lambda: subscribed(publisher, "steady"))
            await eventually(lambda: _only(publisher, ["steady"]))


async def _retried(function, number: int) -> None:
    while True:
        try:
            return await function(number)
        except ConnectionFailed:
            await asyncio.sleep(0.01)


async def _only(store: Store, channels: list[str]) -> bool:
    return await store.pubsub().channels() == channels
