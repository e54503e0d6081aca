"""``store.client()`` on every form: redis-py's own methods on our connection."""

from __future__ import annotations

import asyncio

import pytest
import redis
import redis.asyncio

from store_core import ReplyError, Store, create_store


async def test_typed_methods_answer_as_redis_py_does(store: Store) -> None:
    client = store.client()
    assert isinstance(client, redis.asyncio.Redis)
    assert await client.set("a", 1) is True
    assert await client.get("a") == b"1"
    assert await client.hset("hash", mapping={"x": 1, "y": 2}) == 2
    assert await client.hgetall("hash") == {b"x": b"1", b"y": b"2"}
    assert await client.zadd("zset", {"one": 1, "two": 2}) == 2
    assert await client.zscore("zset", "one") == 1.0
    assert await client.lpush("list", "b", "a") == 2
    assert await client.lrange("list", 0, -1) == [b"a", b"b"]
    assert await client.sadd("set", "m") == 1
    assert await client.smembers("set") == {b"m"}
    assert sorted([key async for key in client.scan_iter()]) == [b"a", b"hash", b"list", b"set", b"zset"]
    assert (await client.info("server"))["process_id"] > 0
    assert await client.expire("a", 100) is True
    assert 0 < await client.ttl("a") <= 100
    assert isinstance(await client.client_id(), int)
    assert await client.ping() is True


async def test_pipelines_and_transactions_in_redis_pys_idiom(store: Store) -> None:
    client = store.client()
    async with client.pipeline(transaction=True) as pipeline:
        assert await pipeline.set("a", 1).incr("a").get("a").execute() == [True, 2, b"2"]
    async with client.pipeline(transaction=False) as pipeline:
        assert await pipeline.hset("h", "f", 1).hgetall("h").execute() == [1, {b"f": b"1"}]
    with pytest.raises(redis.ResponseError, match=r"Command # 1 \(INCR"):
        async with client.pipeline() as pipeline:
            await pipeline.incr("h").execute()


async def test_watching_pipelines_abort_when_a_key_moves(store: Store) -> None:
    client = store.client()
    async with client.pipeline() as pipeline:
        await pipeline.watch("a")
        await client.set("a", "moved")
        pipeline.multi()
        pipeline.set("a", "mine")
        with pytest.raises(redis.WatchError):
            await pipeline.execute()
    assert await client.get("a") == b"moved"


async def test_pubsub_of_redis_py_hears_the_store(store: Store) -> None:
    async with store.client().pubsub() as pubsub:
        await pubsub.subscribe("c")
        assert (await pubsub.get_message(timeout=5))["type"] == "subscribe"
        await store.execute("PUBLISH", "c", "hello")
        message = await pubsub.get_message(timeout=5)
        assert (message["channel"], message["data"]) == (b"c", b"hello")


async def test_blocking_methods_hold_up_nobody(store: Store) -> None:
    client = store.client()
    waiting = asyncio.create_task(client.blpop(["queue"], timeout=0))
    await asyncio.sleep(0.02)
    await client.rpush("queue", "x")
    assert tuple(await waiting) == (b"queue", b"x")


async def test_errors_are_the_trees_and_redis_pys_at_once(store: Store) -> None:
    client = store.client()
    await client.hset("hash", "field", 1)
    with pytest.raises(redis.ResponseError) as caught:
        await client.incr("hash")
    assert isinstance(caught.value, ReplyError)
    with pytest.raises(redis.DataError):
        await client.set("key", None)


async def test_decoded_text_and_undecoded_dumps(url: str) -> None:
    async with create_store(url, decode_responses=True) as store:
        client = store.client()
        await client.set("a", "é")
        assert await client.get("a") == "é"
        assert await client.hset("h", "f", "v") in (0, 1)
        assert await client.hgetall("h") == {"f": "v"}
