"""Channels: events inside one subscription a channel."""

from __future__ import annotations

import asyncio

import pytest

from store_core import Channels, ConnectionFailed, ReplyError, StoreClosed, create_store
from store_core.pubsub import Kind

pytestmark = pytest.mark.usefixtures("memory")


@pytest.fixture
def store():
    return create_store("memory://")


@pytest.fixture
def seen():
    return []


@pytest.fixture
def callback(seen):
    return lambda channel, event, data: seen.append((channel, event, data))


async def settle():
    for _ in range(20):
        await asyncio.sleep(0)


async def test_an_event_reaches_the_callbacks_whose_pattern_matches(store, seen, callback):
    async with store.channels() as channels:
        await channels.register("orders", "paid.*", callback)
        assert await channels.publish("orders", "paid.card", {"n": 1}) == 1
        await channels.publish("orders", "shipped", {"n": 2})
        await channels.publish("orders", "PAID.card", {"n": 3})
        await settle()
    assert seen == [("orders", "paid.card", {"n": 1})]


async def test_callbacks_run_one_after_another_in_the_order_of_the_events(store, seen):
    async def slow(channel, event, data):
        await asyncio.sleep(0)
        seen.append(("slow", data))

    async with store.channels() as channels:
        await channels.register("c", "*", slow)
        await channels.register("c", "*", lambda channel, event, data: seen.append(("plain", data)))
        for number in range(3):
            await channels.publish("c", "e", number)
        await settle()
    assert seen == [(name, number) for number in range(3) for name in ("slow", "plain")]


async def test_a_callback_that_raises_is_logged_and_stays(store, seen, callback, caplog):
    def bad(channel, event, data):
        raise ZeroDivisionError

    async with store.channels() as channels:
        await channels.register("c", "*", bad)
        await channels.register("c", "*", callback)
        await channels.publish("c", "one")
        await channels.publish("c", "two")
        await settle()
    assert [event for _, event, _ in seen] == ["one", "two"]
    assert [record.exc_info[0] for record in caplog.records] == [ZeroDivisionError] * 2


async def test_a_namespace_is_on_the_wire_and_nowhere_else(store, seen, callback):
    async with store.channels("app") as channels, store.channels("other") as others:
        await channels.register("c", "*", callback)
        await others.register("c", "*", callback)
        assert await channels._pubsub.channels() == ["app.c", "other.c"]
        await channels.publish("c", "e", 1)
        await settle()
    assert seen == [("c", "e", 1)]


async def test_unregistering_the_last_callback_of_a_channel_ends_its_subscription(store, seen, callback):
    async with store.channels() as channels:
        await channels.register("c", "a", callback)
        await channels.register("c", "b", callback)
        await channels.unregister("c", "a", callback)
        assert await channels._pubsub.channels() == ["c"]
        await channels.publish("c", "a")
        await channels.publish("c", "b")
        await settle()
        await channels.unregister("c", "b", callback)
        assert await channels._pubsub.channels() == []
        await channels.unregister("c", "b", callback)
        await channels.unregister("never", "*", callback)
    assert seen == [("c", "b", None)]


async def test_a_registration_that_is_refused_leaves_nothing_behind(store, seen, callback):
    async with store.channels() as channels:
        with pytest.raises(ReplyError):
            await channels.register("forbidden", "*", callback)
        await store.subscriber.publish("forbidden", b'["e",1]', kind=Kind.CHANNEL)
        await channels.register("c", "*", callback)
        await channels.publish("c", "e")
        await settle()
        assert await channels._pubsub.channels() == ["c"]
    assert seen == [("c", "e", None)]


@pytest.mark.parametrize("payload", [b"null", b"5", b'"text"', b"[]", b'["e"]', b'["e",1,2]', b"[5,1]", b"{}", b"{bad"])
async def test_what_is_no_event_is_dropped_and_told_of(store, seen, callback, caplog, payload):
    async with store.channels() as channels:
        await channels.register("c", "*", callback)
        await store.subscriber.publish("c", payload, kind=Kind.CHANNEL)
        await channels.publish("c", "fine")
        await settle()
    assert seen == [("c", "fine", None)]
    assert "dropped a message on 'c'" in caplog.text


async def test_a_protocol_may_make_a_tuple_of_an_event(store, seen, callback):
    class Codec:
        def encode(self, data):
            return ":".join(map(str, data)).encode()

        def decode(self, data):
            return tuple(data.decode().split(":"))

    async with store.channels(protocol=Codec()) as channels:
        await channels.register("c", "*", callback)
        await channels.publish("c", "e", "x")
        await settle()
    assert seen == [("c", "e", "x")]


async def test_lost_events_are_told_of(store, caplog):
    go = asyncio.Event()

    async def slow(channel, event, data):
        await go.wait()

    async with Channels(store, store.pubsub("json", limit=1)) as channels:
        await channels.register("c", "*", slow)
        await channels.publish("c", "e")
        await settle()
        for _ in range(4):
            await channels.publish("c", "e")
        go.set()
        await settle()
    assert "3 events were lost before one on 'c'" in caplog.text


async def test_connecting_asks_whether_the_data_store_is_there():
    async with create_store("memory://nobody.invalid") as store:
        with pytest.raises(ConnectionFailed):
            async with store.channels():
                raise AssertionError


async def test_closing_drops_every_subscription_and_twice_is_harmless(store, callback):
    channels = store.channels()
    await channels.register("c", "*", callback)
    await channels.close()
    await channels.close()
    assert store.subscriber.subscriptions.pubsubs() == []
    await channels.unregister("c", "*", callback)
    with pytest.raises(StoreClosed):
        await channels.publish("c", "e")


async def test_a_callback_may_unregister_itself(store, seen):
    async with store.channels() as channels:

        async def once(channel, event, data):
            seen.append(event)
            await channels.unregister("c", "*", once)

        await channels.register("c", "*", once)
        await channels.publish("c", "one")
        await channels.publish("c", "two")
        await settle()
    assert seen == ["one"]
