"""``store.client()``: what redis-py's own client answers, command by command, on the same server."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import pytest
import redis.asyncio
import redis.exceptions

from store_core import ConnectionFailed, ReplyError, Store

OpenStore = Callable[..., Store]
Client = redis.asyncio.Redis

#: Calls in order, each on what the ones before left: method, arguments, keyword arguments.
CALLS: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("ping", (), {}),
    ("echo", ("é",), {}),
    ("set", ("k", "v"), {}),
    ("set", ("k", "w"), {"nx": True}),
    ("set", ("k", "w"), {"get": True}),
    ("get", ("k",), {}),
    ("get", ("none",), {}),
    ("getrange", ("k", 0, 0), {}),
    ("append", ("k", "x"), {}),
    ("strlen", ("k",), {}),
    ("setex", ("t", timedelta(seconds=100), "v"), {}),
    ("ttl", ("none",), {}),
    ("expire", ("k", 100), {}),
    ("persist", ("k",), {}),
    ("type", ("k",), {}),
    ("exists", ("k", "none"), {}),
    ("mset", ({"a": 1, "b": 2},), {}),
    ("mget", (["a", "b", "none"],), {}),
    ("incr", ("a",), {}),
    ("decrby", ("a", 5), {}),
    ("incrbyfloat", ("a", 0.5), {}),
    ("rename", ("a", "c"), {}),
    ("delete", ("c", "none"), {}),
    ("setbit", ("bits", 7, 1), {}),
    ("bitcount", ("bits",), {}),
    ("bitop", ("AND", "d", "bits", "bits"), {}),
    ("object", ("ENCODING", "k"), {}),
    ("rpush", ("l", 1, 2, 3, 4), {}),
    ("lrange", ("l", 0, -1), {}),
    ("lpop", ("l",), {}),
    ("lpop", ("l", 2), {}),
    ("lpos", ("l", "4"), {}),
    ("lmove", ("l", "m"), {}),
    ("blpop", ("m",), {"timeout": 1}),
    ("blpop", ("none",), {"timeout": 0.01}),
    ("rpush", ("l", 3, 1, 2), {}),
    ("sort", ("l",), {"desc": True}),
    ("sadd", ("s", 1, 2, 3), {}),
    ("smembers", ("s",), {}),
    ("sismember", ("s", 1), {}),
    ("smismember", ("s", [1, 9]), {}),
    ("sinter", ("s", "s"), {}),
    ("sunionstore", ("u", "s"), {}),
    ("hset", ("h", "f", 1), {"mapping": {"g": 2, "h": 3}}),
    ("hgetall", ("h",), {}),
    ("hgetall", ("none",), {}),
    ("hmget", ("h", ["f", "none"]), {}),
    ("hincrby", ("h", "f", 5), {}),
    ("hincrbyfloat", ("h", "f", 0.5), {}),
    ("hkeys", ("h",), {}),
    ("hscan", ("h",), {}),
    ("zadd", ("z", {"m": 1, "n": 2.5}), {}),
    ("zrange", ("z", 0, -1), {"withscores": True}),
    ("zrange", ("z", 0, -1), {"withscores": True, "score_cast_func": int}),
    ("zscore", ("z", "n"), {}),
    ("zmscore", ("z", ["m", "none"]), {}),
    ("zrank", ("z", "n"), {}),
    ("zrank", ("z", "n"), {"withscore": True}),
    ("zincrby", ("z", 1, "m"), {}),
    ("zpopmin", ("z",), {}),
    ("bzpopmax", ("z",), {"timeout": 1}),
    ("zrangebyscore", ("z", "-inf", "+inf"), {"withscores": True}),
    ("geoadd", ("g", (13.361389, 38.115556, "Palermo", 15.087269, 37.502669, "Catania")), {}),
    ("geodist", ("g", "Palermo", "Catania", "km"), {}),
    ("geopos", ("g", "Palermo", "none"), {}),
    ("geosearch", ("g",), {"member": "Palermo", "radius": 200, "unit": "km", "withdist": True, "withcoord": True}),
    ("pfadd", ("p", 1, 2), {}),
    ("pfcount", ("p",), {}),
    ("xadd", ("x", {"f": "v"}), {"id": "1-1"}),
    ("xrange", ("x",), {}),
    ("xread", ({"x": "0"},), {}),
    ("xread", ({"x": "9-9"},), {"block": 5}),
    ("xgroup_create", ("x", "group", "0"), {}),
    ("xreadgroup", ("group", "consumer", {"x": ">"}), {}),
    ("xpending", ("x", "group"), {}),
    ("xinfo_stream", ("x",), {}),
    ("xack", ("x", "group", "1-1"), {}),
    ("eval", ("return {KEYS[1], ARGV[1], 1}", 1, "k", "v"), {}),
    ("script_load", ("return 1",), {}),
    ("script_exists", ("e0e1f9fabfc9d4800c877a703b823ac0578ff8db", "0" * 40), {}),
    ("scan", (), {"count": 1000, "match": "k*"}),
    ("keys", ("k*",), {}),
    ("dbsize", (), {}),
    ("config_get", ("databases",), {}),
    ("client_getname", (), {}),
    ("command_count", (), {}),
    ("pubsub_numsub", ("none",), {}),
    ("publish", ("none", "x"), {}),
    ("memory_usage", ("k",), {}),
    ("flushdb", (), {}),
]


@pytest.mark.filterwarnings("ignore:Call to deprecated")
@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("decode", [False, True])
async def test_every_method_answers_what_redis_pys_own_client_does(
    open_store: OpenStore, valkey_url: str, protocol: int, decode: bool
) -> None:
    ours = open_store(db=1, protocol=protocol, decode_responses=decode).client()
    theirs = redis.asyncio.Redis.from_url(valkey_url, db=2, protocol=protocol, decode_responses=decode)
    try:
        for method, args, options in CALLS:
            expected = await getattr(theirs, method)(*args, **options)
            got = await getattr(ours, method)(*args, **options)
            assert type(got) is type(expected), method
            assert normal(got) == normal(expected), method
    finally:
        await theirs.aclose()


def normal(value: Any) -> Any:
    """A set has no order, and neither have the members that a server keeps in one."""
    return sorted(value) if isinstance(value, set) else value


@pytest.fixture
async def client(store: Store) -> Client:
    return store.client()


@pytest.fixture
async def text_client(open_store: OpenStore) -> Client:
    return open_store(decode_responses=True).client()


def test_it_is_redis_pys_class_and_one_for_each_store(open_store: OpenStore) -> None:
    store = open_store()
    assert isinstance(store.client(), redis.asyncio.Redis)
    assert store.client() is store.client()


async def test_commands_travel_on_the_stores_own_connection(store: Store) -> None:
    async with asyncio.timeout(30):
        await asyncio.gather(*(store.client().set(f"k{number}", number) for number in range(1000)))
    assert await store.execute("GET", "k999") == b"999"
    clients = await store.client().client_list()
    assert len([c for c in clients if c["lib-name"] == "store-redis"]) >= 1
    assert not [c for c in clients if c["lib-name"].startswith("redis-py")]


@pytest.mark.parametrize("transaction", [True, False])
async def test_pipelines_answer_in_order_with_parsed_replies(client: Client, transaction: bool) -> None:
    async with client.pipeline(transaction=transaction) as pipeline:
        pipeline.set("k", 1).incr("k").hset("h", mapping={"f": 1}).hgetall("h").zadd("z", {"m": 1})
        pipeline.zrange("z", 0, -1, withscores=True)
        assert await pipeline.execute() == [True, 2, 1, {b"f": b"1"}, 1, [(b"m", 1.0)]]
        assert await pipeline.execute() == []
        assert await pipeline.get("k").execute() == [b"2"]


@pytest.mark.parametrize("transaction", [True, False])
async def test_errors_in_pipelines_are_redis_pys(client: Client, transaction: bool) -> None:
    await client.set("text", "x")
    with pytest.raises(redis.exceptions.ResponseError, match=r"Command # 2 .* not an integer"):
        await client.pipeline(transaction=transaction).set("a", 1).incr("text").execute()
    assert await client.get("a") == b"1"
    replies = await client.pipeline(transaction=transaction).incr("text").get("a").execute(raise_on_error=False)
    assert isinstance(replies[0], redis.exceptions.ResponseError)
    assert replies[1] == b"1"


async def test_a_refused_command_in_a_transaction_runs_nothing(client: Client) -> None:
    with pytest.raises(redis.exceptions.ResponseError):
        await client.pipeline().set("a", 1).execute_command("NOSUCH").execute()
    assert await client.get("a") is None


async def test_watch_sees_a_change_and_lets_an_unchanged_key_pass(client: Client) -> None:
    async with client.pipeline() as pipeline:
        await pipeline.watch("k")
        await client.set("k", "changed")
        pipeline.multi()
        pipeline.set("k", "mine")
        with pytest.raises(redis.exceptions.WatchError):
            await pipeline.execute()

    async def change(pipeline: Any) -> None:
        value = await pipeline.get("k")
        pipeline.multi()
        pipeline.set("k", value + b"!")

    assert await client.transaction(change, "k") == [True]
    assert await client.get("k") == b"changed!"


async def test_pubsub_delivers(client: Client) -> None:
    async with client.pubsub(ignore_subscribe_messages=True) as pubsub:
        await pubsub.subscribe("channel")
        while not await client.publish("channel", "first"):
            await asyncio.sleep(0.01)
        async with asyncio.timeout(30):
            async for message in pubsub.listen():
                assert (message["channel"], message["data"]) == (b"channel", b"first")
                break


async def test_a_lock_is_held_by_one(client: Client) -> None:
    async with client.lock("lock", timeout=10):
        assert not await client.lock("lock").acquire(blocking=False)
    assert await client.lock("lock", timeout=10).acquire(blocking=False)


async def test_a_registered_script_runs_loaded_or_not(client: Client) -> None:
    script = client.register_script("return redis.call('INCRBY', KEYS[1], ARGV[1])")
    await client.script_flush()
    assert await script(keys=["k"], args=[5]) == 5
    async with client.pipeline() as pipeline:
        await script(keys=["k"], args=[1], client=pipeline)
        assert await pipeline.execute() == [6]


async def test_scans_find_everything(client: Client) -> None:
    await client.mset({f"k{number}": number for number in range(500)})
    await client.hset("h", mapping={f"f{number}": number for number in range(500)})
    assert len({key async for key in client.scan_iter("k*", count=50)}) == 500
    assert len({field async for field, _ in client.hscan_iter("h")}) == 500


# Inside MULTI, redis-py itself decodes the dump and fails.
@pytest.mark.parametrize("transaction", [None, False])
async def test_dump_stays_bytes_where_replies_are_text(text_client: Client, transaction: bool | None) -> None:
    await text_client.set("k", "é")
    if transaction is None:
        dumped = await text_client.dump("k")
    else:
        dumped = (await text_client.pipeline(transaction=transaction).dump("k").execute())[0]
    assert isinstance(dumped, bytes)
    assert await text_client.restore("l", 0, dumped)
    assert await text_client.get("l") == "é"
    assert await text_client.dump("none") is None


async def test_errors_are_caught_as_both(client: Client) -> None:
    await client.set("text", "x")
    for kind in (redis.exceptions.ResponseError, redis.exceptions.RedisError, ReplyError):
        with pytest.raises(kind, match="not an integer"):
            await client.incr("text")
    with pytest.raises(redis.exceptions.NoScriptError):
        await client.evalsha("0" * 40, 0)
    with pytest.raises(redis.exceptions.DataError):
        await client.set("k", None)


async def test_a_server_that_is_not_there_is_redis_pys_connection_error() -> None:
    from store_core import create_store

    async with create_store("redis://127.0.0.1:1") as store:
        for kind in (redis.exceptions.ConnectionError, ConnectionFailed):
            with pytest.raises(kind):
                await store.client().get("k")


@pytest.fixture
async def busy(open_store: OpenStore) -> AsyncIterator[Store]:
    store = open_store()
    yield store
    assert store.closed


async def test_closing_the_store_closes_what_its_client_opened(busy: Store, store: Store) -> None:
    pipeline = busy.client().pipeline()
    await pipeline.watch("k")
    name = await pipeline.execute_command("CLIENT", "ID")
    await pipeline.reset()
    await busy.close()
    async with asyncio.timeout(30):
        while f"id={name} ".encode() in await store.execute("CLIENT", "LIST"):
            await asyncio.sleep(0.01)


def test_all_of_redis_pys_methods_are_there(open_store: OpenStore) -> None:
    theirs = {name for name, _ in inspect.getmembers(redis.asyncio.Redis, callable) if not name.startswith("_")}
    assert theirs <= set(dir(open_store().client()))
