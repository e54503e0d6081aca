"""Namespaces on every form: keys and channels of one never meet another's."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from store_core import Message, Store, Unsupported, create_store


@pytest.fixture
async def plain(url: str) -> AsyncIterator[Store]:
    async with create_store(url) as store:
        await store.flush()
        yield store


@pytest.fixture
async def spaced(url: str) -> AsyncIterator[Store]:
    async with create_store(url, namespace="app:") as store:
        await store.flush()
        yield store


async def test_keys_carry_the_prefix_on_the_wire_and_not_for_the_caller(plain: Store, spaced: Store, url: str) -> None:
    assert spaced.namespace == "app:"
    await spaced.execute("MSET", "a", 1, b"b", 2)
    await spaced.execute("EXPIRE", "a", 100)
    assert await spaced.execute("MGET", "a", "b") == [b"1", b"2"]
    assert sorted(await spaced.execute("KEYS", "*")) == [b"a", b"b"]
    if url != "pulsards://":  # an embedded engine is private to its store
        assert sorted(await plain.execute("KEYS", "*")) == [b"app:a", b"app:b"]


async def test_movable_keys_are_found(spaced: Store) -> None:
    await spaced.execute("ZADD", "one", 1, "x")
    await spaced.execute("ZADD", "two", 2, "x")
    assert await spaced.execute("ZUNIONSTORE", "sum", 2, "one", "two") == 1
    assert await spaced.execute("ZSCORE", "sum", "x") == 3.0
    await spaced.execute("RPUSH", "list", 2, 1)
    await spaced.execute("MSET", "weight:1", 5, "weight:2", 3)
    assert await spaced.execute("SORT", "list", "BY", "weight:*", "GET", "#", "STORE", "sorted") == 2
    assert await spaced.execute("LRANGE", "sorted", 0, -1) == [b"2", b"1"]
    assert await spaced.execute("LMPOP", 2, "none", "list", "LEFT") == [b"list", [b"2"]]
    assert await spaced.execute("BLPOP", "list", 0) == [b"list", b"1"]
    assert await spaced.execute("OBJECT", "ENCODING", "one") == b"listpack"


async def test_transactions_pipelines_and_watches_are_in_the_namespace(spaced: Store) -> None:
    async with spaced.transaction(watch="a") as transaction:
        transaction.execute("SET", "a", 1)
        transaction.execute("KEYS", "*")
    assert transaction.results == [b"OK", [b"a"]]
    async with spaced.pipeline() as pipeline:
        pipeline.execute("INCR", "a")
        pipeline.execute("SCAN", 0)
    assert pipeline.results == [2, [b"0", [b"a"]]]


async def test_flush_removes_only_what_is_in_the_namespace(url: str) -> None:
    async with create_store(url) as plain, create_store(url, namespace="gl*b?:") as spaced:
        await plain.flush()
        await plain.execute("SET", "glob!:other", 1)
        for number in range(2500):
            await spaced.execute("SET", f"key:{number}", number)
        await spaced.flush()
        assert await spaced.execute("KEYS", "*") == []
        assert await plain.execute("EXISTS", "glob!:other") == 1


@pytest.mark.parametrize("command", ["FLUSHALL", "FLUSHDB", "RANDOMKEY", "SWAPDB"])
async def test_what_reaches_beyond_is_refused(spaced: Store, command: str) -> None:
    with pytest.raises(Unsupported, match=command):
        await spaced.execute(command)


async def test_a_command_the_server_does_not_know_is_refused(spaced: Store) -> None:
    with pytest.raises(Unsupported, match="NOSUCH"):
        await spaced.execute("NOSUCH", "key")


async def test_channels_are_in_the_namespace(spaced: Store) -> None:
    async with spaced.pubsub() as pubsub:
        await pubsub.subscribe("c")
        await pubsub.psubscribe("c*")
        assert await spaced.execute("PUBLISH", "c", "x") == 2
        messages = aiter(pubsub)
        assert {await anext(messages), await anext(messages)} == {Message("c", b"x"), Message("c", b"x", "c*")}
        assert await pubsub.channels() == ["c"]


async def test_redis_pys_client_is_in_the_namespace_too(spaced: Store) -> None:
    client = spaced.client()
    await client.set("a", 1)
    assert await client.keys() == [b"a"]
    async with client.pipeline() as pipeline:
        await pipeline.watch("a")
        assert await pipeline.get("a") == b"1"
        pipeline.multi()
        pipeline.incr("a")
        assert await pipeline.execute() == [2]
    async with client.pubsub() as pubsub:
        await pubsub.subscribe("c")
        assert (await pubsub.get_message(timeout=5))["type"] == "subscribe"
        await client.publish("c", "x")
        assert (await pubsub.get_message(timeout=5))["channel"] == b"c"
