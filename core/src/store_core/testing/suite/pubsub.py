"""Publish and subscribe: what is published after ``subscribe`` returned arrives, in order, and nothing else does."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from store_core.capabilities import Capability
from store_core.errors import StoreClosed, StoreError
from store_core.pubsub import Message, PubSub
from store_core.store import Store, create_store
from store_core.testing.section import Section, eventually, spawn

Key = Callable[..., str]


async def received(pubsub: PubSub, count: int) -> list[Any]:
    """The payloads of the next messages."""
    messages = aiter(pubsub)
    return [(await anext(messages)).data for _ in range(count)]


class PubSubTests(Section, section="pubsub", needs=[Capability.PUBSUB]):
    """``store.pubsub``."""

    async def test_every_message_after_subscribe_arrives_in_order(self, store: Store, key: Key) -> None:
        channel = key("channel")
        async with store.pubsub() as pubsub:
            await pubsub.subscribe(channel)
            for number in range(200):
                await pubsub.publish(channel, number)
            messages = aiter(pubsub)
            got = [await anext(messages) for _ in range(200)]
        assert got == [Message(channel, b"%d" % number) for number in range(200)]

    async def test_other_channels_are_silent(self, store: Store, key: Key) -> None:
        mine, other = key("mine"), key("other")
        async with store.pubsub() as pubsub:
            await pubsub.subscribe(mine)
            await pubsub.publish(other, "not for us")
            await pubsub.publish(mine, "for us")
            assert await received(pubsub, 1) == [b"for us"]

    async def test_an_unsubscribed_channel_is_silent_and_the_others_go_on(self, store: Store, key: Key) -> None:
        left, kept = key("left"), key("kept")
        async with store.pubsub() as pubsub:
            await pubsub.subscribe(left, kept)
            await pubsub.unsubscribe(left)
            await pubsub.publish(left, "not for us")
            await pubsub.publish(kept, "for us")
            assert await received(pubsub, 1) == [b"for us"]

    @pytest.mark.parametrize("payload", [b"", b"\x00\xff\r\n'\"", "é 漢".encode()], ids=["empty", "binary", "utf-8"])
    async def test_payloads_arrive_as_they_are(self, store: Store, key: Key, payload: bytes) -> None:
        channel = key("channel")
        async with store.pubsub() as pubsub:
            await pubsub.subscribe(channel)
            await pubsub.publish(channel, payload)
            assert await received(pubsub, 1) == [payload]

    async def test_json_travels_as_json(self, store: Store, key: Key) -> None:
        channel = key("channel")
        async with store.pubsub("json") as pubsub:
            await pubsub.subscribe(channel)
            await pubsub.publish(channel, {"a": [1, None, "é"]})
            assert await received(pubsub, 1) == [{"a": [1, None, "é"]}]

    async def test_several_share_a_channel_and_leave_it_one_by_one(self, store: Store, key: Key) -> None:
        channel = key("channel")
        pubsubs = [store.pubsub() for _ in range(5)]
        for pubsub in pubsubs:
            await pubsub.subscribe(channel)
        await pubsubs[0].publish(channel, "all")
        assert [await received(pubsub, 1) for pubsub in pubsubs] == [[b"all"]] * 5
        for pubsub in pubsubs[1:]:
            await pubsub.close()
        await pubsubs[0].publish(channel, "one")
        assert await received(pubsubs[0], 1) == [b"one"]
        await pubsubs[0].close()

    async def test_clients_are_called_and_one_that_raises_is_removed(
        self, store: Store, key: Key, caplog: pytest.LogCaptureFixture
    ) -> None:
        channel = key("channel")
        good: list[Any] = []
        later: list[Any] = []

        async def coroutine(message: Message) -> None:
            await asyncio.sleep(0)
            later.append(message.data)

        def bad(message: Message) -> None:
            raise ZeroDivisionError

        async with store.pubsub() as pubsub:
            pubsub.add_client(bad)
            pubsub.add_client(lambda message: good.append(message.data))
            pubsub.add_client(coroutine)
            await pubsub.subscribe(channel)
            with caplog.at_level(logging.ERROR):
                for number in range(3):
                    await pubsub.publish(channel, number)
                await eventually(lambda: len(later) == 3)
        assert good == later == [b"0", b"1", b"2"]
        assert sum("removed the pub/sub client" in record.message for record in caplog.records) == 1

    async def test_close_ends_the_reader_after_what_arrived(self, store: Store, key: Key) -> None:
        channel = key("channel")
        got: list[Any] = []
        pubsub = store.pubsub()
        await pubsub.subscribe(channel)

        async def read() -> None:
            async for message in pubsub:
                got.append(message.data)  # noqa: PERF401 - the test looks at it while it grows

        reading = spawn(read())
        await pubsub.publish(channel, "last")
        await eventually(lambda: got)
        await pubsub.close()
        await pubsub.close()
        await reading
        assert got == [b"last"]
        with pytest.raises(StoreClosed):
            await pubsub.subscribe(channel)

    async def test_closing_the_store_ends_every_reader(self, store_url: str, key: Key) -> None:
        store = create_store(store_url)
        pubsubs = [store.pubsub(), store.pubsub()]
        for pubsub in pubsubs:
            await pubsub.subscribe(key("channel"))
        readers = [spawn(anext(aiter(pubsub))) for pubsub in pubsubs]
        await asyncio.sleep(0)
        await store.close()
        ended = await asyncio.gather(*readers, return_exceptions=True)
        assert [type(each) for each in ended] == [StopAsyncIteration] * 2

    async def test_two_readers_of_one_at_once_are_an_error(self, store: Store, key: Key) -> None:
        async with store.pubsub() as pubsub:
            await pubsub.subscribe(key("channel"))
            first = spawn(anext(aiter(pubsub)))
            await asyncio.sleep(0)
            with pytest.raises(StoreError, match="two tasks"):
                await anext(aiter(pubsub))
            first.cancel()
            with suppress(asyncio.CancelledError):
                await first


class ReceiverTests(Section, section="receivers", needs=[Capability.PUBSUB, Capability.RECEIVERS]):
    """Who listens: what ``publish`` returns, ``count`` and ``channels``."""

    async def test_publish_says_how_many_received(self, store: Store, key: Key) -> None:
        channel = key("channel")
        async with store.pubsub() as pubsub:
            assert await pubsub.publish(channel, "x") == 0
            await pubsub.subscribe(channel)
            assert await pubsub.publish(channel, "x") == 1

    async def test_count_and_channels_follow_the_subscriptions(self, store: Store, key: Key) -> None:
        one, two, none = key("one"), key("two"), key("none")
        async with store.pubsub() as pubsub:
            await pubsub.subscribe(one, two)
            assert await pubsub.count(one, two, none) == {one: 1, two: 1, none: 0}
            assert {one, two} <= set(await pubsub.channels())
            await pubsub.unsubscribe(one)

            async def gone() -> bool:
                return await pubsub.count(one, two) == {one: 0, two: 1}

            await eventually(gone)
            assert one not in await pubsub.channels()


class PatternTests(Section, section="patterns", needs=[Capability.PUBSUB, Capability.PATTERNS]):
    """``pubsub.psubscribe``."""

    async def test_a_pattern_names_itself_in_its_messages(self, store: Store, key: Key) -> None:
        prefix = key("news")
        async with store.pubsub() as pubsub:
            await pubsub.psubscribe(f"{prefix}.*", f"{prefix}-w?ather")
            await pubsub.publish(f"{prefix}.art", "a")
            await pubsub.publish(f"{prefix}-sport", "not for us")
            await pubsub.publish(f"{prefix}-weather", "b")
            messages = aiter(pubsub)
            assert await anext(messages) == Message(f"{prefix}.art", b"a", f"{prefix}.*")
            assert await anext(messages) == Message(f"{prefix}-weather", b"b", f"{prefix}-w?ather")

    async def test_a_channel_and_a_pattern_both_deliver(self, store: Store, key: Key) -> None:
        channel = key("both")
        async with store.pubsub() as pubsub:
            await pubsub.subscribe(channel)
            await pubsub.psubscribe(f"{channel}*")
            await pubsub.publish(channel, "x")
            messages = aiter(pubsub)
            got = {(await anext(messages)).pattern for _ in range(2)}
        assert got == {None, f"{channel}*"}

    async def test_an_unsubscribed_pattern_is_silent(self, store: Store, key: Key) -> None:
        channel = key("channel")
        async with store.pubsub() as pubsub:
            await pubsub.psubscribe(f"{channel}*")
            await pubsub.subscribe(f"{channel}-kept")
            await pubsub.punsubscribe(f"{channel}*")
            await pubsub.publish(f"{channel}-left", "not for us")
            await pubsub.publish(f"{channel}-kept", "for us")
            assert await anext(aiter(pubsub)) == Message(f"{channel}-kept", b"for us")


class ShardedTests(Section, section="sharded", needs=[Capability.PUBSUB, Capability.SHARDED]):
    """``pubsub.ssubscribe`` and ``pubsub.spublish``."""

    async def test_every_message_after_ssubscribe_arrives_in_order(self, store: Store, key: Key) -> None:
        channel = key("shard")
        async with store.pubsub() as pubsub:
            await pubsub.ssubscribe(channel)
            for number in range(50):
                await pubsub.spublish(channel, number)
            messages = aiter(pubsub)
            got = [await anext(messages) for _ in range(50)]
        assert got == [Message(channel, b"%d" % number) for number in range(50)]

    async def test_shard_channels_and_channels_do_not_meet(self, store: Store, key: Key) -> None:
        name = key("name")
        async with store.pubsub() as sharded, store.pubsub() as plain:
            await sharded.ssubscribe(name)
            await plain.subscribe(name)
            await sharded.spublish(name, "for the shard")
            await sharded.publish(name, "for all")
            await sharded.spublish(name, "last")
            await sharded.publish(name, "last")
            assert await received(sharded, 2) == [b"for the shard", b"last"]
            assert await received(plain, 2) == [b"for all", b"last"]

    async def test_channels_of_any_shard_are_subscribed_at_once(self, store: Store, key: Key) -> None:
        names = [key(f"shard-{number}") for number in range(20)]
        async with store.pubsub() as pubsub:
            await pubsub.ssubscribe(*names)
            for name in names:
                await pubsub.spublish(name, name)
            messages = aiter(pubsub)
            got = {(await anext(messages)).channel for _ in names}
        assert got == set(names)

    async def test_an_unsubscribed_shard_channel_is_silent_and_the_others_go_on(self, store: Store, key: Key) -> None:
        left, kept = key("left"), key("kept")
        async with store.pubsub() as pubsub:
            await pubsub.ssubscribe(left, kept)
            await pubsub.sunsubscribe(left)
            await pubsub.spublish(left, "not for us")
            await pubsub.spublish(kept, "for us")
            assert await received(pubsub, 1) == [b"for us"]
