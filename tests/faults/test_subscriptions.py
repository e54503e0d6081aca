"""Subscriptions outlive their connection; slow readers lose messages and are told; closing ends everything."""

from __future__ import annotations

import asyncio
import logging

import pytest
from tests.conftest import eventually
from tests.faults.conftest import Through
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


async def test_a_refused_subscription_is_the_servers_error_and_leaves_the_others(valkey_url: str) -> None:
    async with create_store(valkey_url) as admin:
        await admin.execute("ACL", "SETUSER", "limited", "on", ">pw", "+@all", "~*", "resetchannels", "&open*")
        try:
            async with create_store(valkey_url, username="limited", password="pw") as store, store.pubsub() as pubsub:
                await pubsub.subscribe("open")
                with pytest.raises(ReplyError, match="NOPERM"):
                    await pubsub.subscribe("shut")
                await admin.execute("PUBLISH", "open", "x")
                async with asyncio.timeout(30):
                    assert (await anext(aiter(pubsub))).data == b"x"
        finally:
            await admin.execute("ACL", "DELUSER", "limited")


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
