"""Publish and subscribe on every form."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest
from tests.conftest import eventually

from store_core import Message, Store, StoreClosed, create_store


async def test_every_message_after_subscribe_returned_arrives_in_order(store: Store) -> None:
    async with store.pubsub() as pubsub:
        await pubsub.subscribe("news")
        for number in range(1000):
            assert await store.execute("PUBLISH", "news", number) == 1
        messages = aiter(pubsub)
        received = [await anext(messages) for _ in range(1000)]
    assert received == [Message("news", b"%d" % number) for number in range(1000)]


async def test_patterns_name_themselves_in_their_messages(store: Store) -> None:
    async with store.pubsub() as pubsub:
        await pubsub.psubscribe("news.*", "w?ather")
        assert await pubsub.publish("news.art", "a") == 1
        assert await pubsub.publish("weather", "b") == 1
        assert await pubsub.publish("sport", "c") == 0
        messages = aiter(pubsub)
        assert await anext(messages) == Message("news.art", b"a", "news.*")
        assert await anext(messages) == Message("weather", b"b", "w?ather")


async def test_shard_channels_are_a_space_of_their_own(store: Store) -> None:
    async with store.pubsub() as pubsub:
        await pubsub.ssubscribe("one", "two")
        await pubsub.subscribe("one")
        assert await pubsub.spublish("one", "a") == 1
        assert await pubsub.spublish("two", "b") == 1
        assert await pubsub.spublish("three", "c") == 0
        await pubsub.sunsubscribe("one")
        assert await pubsub.publish("one", "d") == 1
        messages = aiter(pubsub)
        received = [await anext(messages) for _ in range(3)]
    assert received == [Message("one", b"a"), Message("two", b"b"), Message("one", b"d")]


@pytest.mark.parametrize("protocol", [2, 3])
async def test_shard_channels_have_the_namespace_of_their_store(url: str, protocol: int) -> None:
    async with (
        create_store(url, namespace="n*.", protocol=protocol) as store,
        store.pubsub("json") as pubsub,
    ):
        await pubsub.ssubscribe("one")
        assert await store.execute_raw("PUBSUB", "SHARDCHANNELS") == [b"n*.one"]  # type: ignore[attr-defined]
        assert await pubsub.spublish("one", {"a": 1}) == 1
        assert await anext(aiter(pubsub)) == Message("one", {"a": 1})


async def test_a_reader_goes_on_after_it_waited_in_vain(store: Store) -> None:
    async with store.pubsub() as pubsub:
        await pubsub.subscribe("c")
        messages = aiter(pubsub)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(messages), 0.01)
        await pubsub.publish("c", "x")
        assert (await anext(messages)).data == b"x"


async def test_a_thousand_pubsubs_subscribe_at_once_and_share_what_comes(store: Store) -> None:
    pubsubs = [store.pubsub() for _ in range(1000)]
    await asyncio.gather(*(pubsub.subscribe("all", f"own-{n}") for n, pubsub in enumerate(pubsubs)))
    assert await store.execute("PUBLISH", "all", "x") == 1
    assert len(await pubsubs[0].channels()) == 1001
    for number in range(1000):
        assert await store.execute("PUBLISH", f"own-{number}", number) == 1
    for number, pubsub in enumerate(pubsubs):
        messages = aiter(pubsub)
        assert [(await anext(messages)).data for _ in range(2)] == [b"x", b"%d" % number]
        await pubsub.close()


async def test_many_pubsubs_share_a_channel_and_leave_it_one_by_one(store: Store) -> None:
    pubsubs = [store.pubsub() for _ in range(100)]
    await asyncio.gather(*(pubsub.subscribe("shared") for pubsub in pubsubs))
    await store.execute("PUBLISH", "shared", "hello")
    for pubsub in pubsubs:
        assert (await anext(aiter(pubsub))).data == b"hello"
    for pubsub in pubsubs[:-1]:
        await pubsub.close()
    await store.execute("PUBLISH", "shared", "still here")
    assert (await anext(aiter(pubsubs[-1]))).data == b"still here"
    await pubsubs[-1].close()

    async def nobody() -> bool:
        return await store.execute("PUBLISH", "shared", "x") == 0

    await eventually(nobody)


async def test_unsubscribed_channels_are_silent(store: Store) -> None:
    async with store.pubsub() as pubsub:
        await pubsub.subscribe("a", "b")
        await pubsub.psubscribe("p*")
        await pubsub.unsubscribe("a")
        await pubsub.punsubscribe()

        async def settled() -> bool:
            return await pubsub.count("a", "b") == {"a": 0, "b": 1} and await pubsub.channels() == ["b"]

        await eventually(settled)
        await pubsub.publish("a", 1)
        await pubsub.publish("pattern", 2)
        await pubsub.publish("b", 3)
        assert (await anext(aiter(pubsub))).data == b"3"


async def test_channels_lists_those_that_match(store: Store) -> None:
    async with store.pubsub() as pubsub:
        await pubsub.subscribe("x.one", "x.two", "y")
        assert await pubsub.channels("x.*") == ["x.one", "x.two"]


async def test_json_travels_as_json(store: Store) -> None:
    async with store.pubsub("json") as pubsub, store.pubsub() as raw:
        await pubsub.subscribe("j")
        await raw.subscribe("j")
        await pubsub.publish("j", {"a": [1, None, "é"]})
        assert (await anext(aiter(pubsub))).data == {"a": [1, None, "é"]}
        assert (await anext(aiter(raw))).data == b'{"a":[1,null,"\\u00e9"]}'


async def test_decode_responses_decodes_payloads(url: str) -> None:
    async with create_store(url, decode_responses=True) as store, store.pubsub() as pubsub:
        await pubsub.subscribe("c")
        await pubsub.publish("c", "é")
        assert await anext(aiter(pubsub)) == Message("c", "é")


async def test_a_slow_reader_is_told_how_much_it_lost(store: Store) -> None:
    async with store.pubsub(limit=10) as slow, store.pubsub() as quick:
        await slow.subscribe("c")
        await quick.subscribe("c")
        for number in range(25):
            await store.execute("PUBLISH", "c", number)
        messages = aiter(quick)
        assert [int((await anext(messages)).data) for _ in range(25)] == list(range(25))
        first = await anext(aiter(slow))
        assert (int(first.data), first.lost) == (15, 15)
        assert (await anext(aiter(slow))).lost == 0


async def test_clients_are_called_and_one_that_raises_is_removed(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    good: list[Any] = []
    slow: list[Any] = []

    async def coroutine(message: Message) -> None:
        await asyncio.sleep(0)
        slow.append(message.data)

    def bad(message: Message) -> None:
        raise ZeroDivisionError

    async with store.pubsub() as pubsub:
        pubsub.add_client(bad)
        pubsub.add_client(lambda message: good.append(message.data))
        pubsub.add_client(coroutine)
        await pubsub.subscribe("c")
        for number in range(3):
            await pubsub.publish("c", number)
        await eventually(lambda: len(slow) == 3)
    assert good == slow == [b"0", b"1", b"2"]
    assert caplog.text.count("removed the pub/sub client") == 1


async def test_close_ends_the_reader(store: Store) -> None:
    pubsub = store.pubsub()
    await pubsub.subscribe("c")

    received: list[Message] = []

    async def read() -> None:
        async for message in pubsub:
            received.append(message)  # noqa: PERF401 - the test looks at it while it grows

    reading = asyncio.create_task(read())
    await pubsub.publish("c", "last")
    await eventually(lambda: received)
    await pubsub.close()
    await pubsub.close()
    await reading
    assert [message.data for message in received] == [b"last"]
    with pytest.raises(StoreClosed):
        await pubsub.subscribe("c")


async def test_closing_the_store_ends_every_reader(url: str) -> None:
    store = create_store(url)
    pubsub = store.pubsub()
    await pubsub.subscribe("c")
    reading = asyncio.create_task(anext(aiter(pubsub)))
    await asyncio.sleep(0)
    await store.close()
    with pytest.raises(StopAsyncIteration):
        await reading


async def test_a_second_reader_at_once_is_an_error(store: Store) -> None:
    async with store.pubsub() as pubsub:
        await pubsub.subscribe("c")
        first = asyncio.create_task(anext(aiter(pubsub)))
        await asyncio.sleep(0)
        with pytest.raises(Exception, match="two tasks read one PubSub"):
            await anext(aiter(pubsub))
        first.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await first


async def test_events_reach_the_callbacks_that_want_them(store: Store) -> None:
    got: list[tuple[str, str, Any]] = []

    async def callback(channel: str, event: str, data: Any) -> None:
        await asyncio.sleep(0)
        got.append((channel, event, data))

    async with store.channels("app") as channels:
        await channels.register("room", "user.*", callback)
        await channels.register("hall", "*", callback)
        await channels.publish("room", "user.joined", {"name": "Ada"})
        await channels.publish("room", "message", "not for us")
        assert await channels.publish("hall", "anything") == 1
        assert await store.pubsub().count("app.room", "room") == {"app.room": 1, "room": 0}
        await eventually(lambda: len(got) == 2)
        await channels.unregister("room", "user.*", callback)

        async def gone() -> bool:
            return await channels.publish("room", "user.left") == 0

        await eventually(gone)
    assert sorted(got) == [("hall", "anything", None), ("room", "user.joined", {"name": "Ada"})]


async def test_a_subscription_that_a_pause_of_the_server_holds_up_comes_about(store: Store) -> None:
    async with store.pubsub() as pubsub:
        await pubsub.subscribe("before")
        await store.execute("CLIENT", "PAUSE", 100)
        await asyncio.gather(pubsub.subscribe("channel"), pubsub.psubscribe("p*"))
        for name in ("channel", "pattern", "before"):
            await store.execute("PUBLISH", name, name)
        messages = aiter(pubsub)
        assert [(await anext(messages)).data for _ in range(3)] == [b"channel", b"pattern", b"before"]
