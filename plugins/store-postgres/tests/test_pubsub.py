"""LISTEN and NOTIFY as PubSub, with a real server."""

from __future__ import annotations

import asyncio
import logging

import pytest

from store_core import ArgumentError, ConnectionFailed, StoreClosed, create_store
from store_core.testing.section import eventually


async def listeners(store, name):
    rows = await store.execute(
        "SELECT pid FROM pg_stat_activity WHERE application_name = $1 AND query LIKE 'LISTEN%'", name
    )
    return [row["pid"] for row in rows]


async def test_any_number_of_pubsubs_share_one_connection(server_url, store, backends):
    async with create_store(server_url, application_name="sharing") as reader:
        pubsubs = [reader.pubsub() for _ in range(20)]
        for number, pubsub in enumerate(pubsubs):
            await pubsub.subscribe("shared", f"own-{number}")
        # Nothing else was asked for: the pool is empty.
        assert len(await backends(store, "sharing")) == 1
        assert await store.pubsub().publish("shared", "all") == -1
        assert [(await anext(aiter(pubsub))).data for pubsub in pubsubs] == [b"all"] * 20


@pytest.mark.parametrize("channel", ["News", 'a "quoted" one', "a;DROP TABLE kv", "é", "n" * 63, "n" * 200])
async def test_a_channel_has_any_name(store, channel):
    async with store.pubsub() as pubsub:
        await pubsub.subscribe(channel)
        await pubsub.publish(channel, "x")
        message = await anext(aiter(pubsub))
        assert (message.channel, message.data) == (channel, b"x")
        await pubsub.unsubscribe(channel)
        await pubsub.subscribe("last")
        await pubsub.publish(channel, "not for us")
        await pubsub.publish("last", "for us")
        assert (await anext(aiter(pubsub))).data == b"for us"


async def test_other_programs_read_and_write_the_same_messages(store):
    async with store.pubsub() as pubsub, await store.connect() as psql:
        await pubsub.subscribe("news")
        await psql.execute("NOTIFY news, 'é from psql'")
        assert (await anext(aiter(pubsub))).data == "é from psql".encode()
        got: asyncio.Queue[str] = asyncio.Queue()
        await psql.raw.add_listener("news", lambda connection, pid, channel, payload: got.put_nowait(payload))
        await pubsub.publish("news", "é from a store")
        assert await got.get() == "é from a store"


async def test_a_message_of_a_transaction_comes_when_it_is_committed(store):
    async with store.pubsub() as pubsub:
        await pubsub.subscribe("news")
        async with store.transaction() as transaction:
            transaction.execute("SELECT pg_notify('news', 'committed')")
            await pubsub.publish("news", "before")
        messages = aiter(pubsub)
        assert [(await anext(messages)).data for _ in range(2)] == [b"before", b"committed"]


async def test_a_message_that_is_too_long_is_an_error_and_the_rest_goes_on(store):
    async with store.pubsub("json") as pubsub:
        await pubsub.subscribe("news")
        with pytest.raises(ArgumentError, match="7999"):
            await pubsub.publish("news", "x" * 8000)
        await pubsub.publish("news", "x" * 7990)
        assert (await anext(aiter(pubsub))).data == "x" * 7990


async def test_a_subscription_with_nobody_there_fails_and_is_forgotten():
    async with create_store("postgres://127.0.0.1:1/x") as store:
        pubsub = store.pubsub()
        with pytest.raises(ConnectionFailed):
            await pubsub.subscribe("news")
        assert store._subscriber._subscriptions.pubsubs() == []


async def test_a_cancelled_subscription_takes_nothing_from_others(store):
    async with store.pubsub() as one, store.pubsub() as other:
        await other.subscribe("kept")
        for turns in range(12):
            task = asyncio.create_task(one.subscribe(f"cancelled-{turns}", "kept"))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await other.publish("kept", turns)
            assert (await anext(aiter(other))).data == b"%d" % turns
        await one.subscribe("cancelled-0")
        await one.publish("cancelled-0", "x")
        messages = aiter(one)
        while (await anext(messages)).channel != "cancelled-0":
            pass


async def test_subscriptions_come_back_when_the_connection_was_cut_again_and_again(server_url, store, caplog):
    async with create_store(server_url, application_name="cut") as reader, reader.pubsub() as pubsub:
        await pubsub.subscribe("one", "two")
        for number in range(3):
            (pid,) = await listeners(store, "cut")
            assert await store.execute("SELECT pg_terminate_backend($1) AS ended", pid) == [{"ended": True}]

            async def listens_again(gone: int = pid) -> bool:
                return len(set(await listeners(store, "cut")) - {gone}) == 1

            await eventually(listens_again)

            async def arrives(number: int = number) -> bool:
                await store.pubsub().publish("two", number)
                with_time = asyncio.wait_for(anext(aiter(pubsub)), 0.1)
                try:
                    return (await with_time).data == b"%d" % number
                except TimeoutError:
                    return False

            await eventually(arrives)


async def test_subscriptions_outlive_a_server_that_was_restarted(own_server, caplog):
    async with create_store(own_server.url) as reader, reader.pubsub() as pubsub:
        await pubsub.subscribe("news")
        with caplog.at_level(logging.WARNING):
            await own_server.stop()
            await eventually(lambda: "cannot listen again yet" in caplog.text)
        assert "secret" not in caplog.text
        await own_server.start()
        reading = asyncio.ensure_future(anext(aiter(pubsub)))
        async with create_store(own_server.url) as writer, writer.pubsub() as publisher:
            while not reading.done():
                await publisher.publish("news", "again")
                await asyncio.sleep(0.01)
        assert (await reading).data == b"again"


async def test_closing_the_store_while_it_reconnects_leaves_nothing(own_server):
    store = create_store(own_server.url)
    pubsub = store.pubsub()
    await pubsub.subscribe("news")
    await own_server.stop()
    await eventually(lambda: store._subscriber._reconnecting is not None)
    await store.close()
    assert asyncio.all_tasks() == {asyncio.current_task()}
    with pytest.raises(StoreClosed):
        await pubsub.subscribe("news")
