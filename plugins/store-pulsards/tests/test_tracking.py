"""Tracking over a socket: store-redis's cache on a pulsards server, and messages redirected to a RESP2 client."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from store_core import create_store
from store_redis import RedisStore


async def test_the_cache_of_store_redis_hears_what_others_write(server: Any) -> None:
    host, port = server.address
    async with (
        create_store(f"pulsards://{host}:{port}?cache=100") as cached,
        create_store(f"redis://{host}:{port}") as other,
    ):
        assert isinstance(cached, RedisStore)
        assert cached.cache is not None
        await other.execute("SET", "key", "1")
        assert [await cached.execute("GET", "key") for _ in range(5)] == [b"1"] * 5
        assert (cached.cache.hits, cached.cache.misses) == (4, 1)
        await other.execute("SET", "key", "2")
        async with asyncio.timeout(10):
            while await cached.execute("GET", "key") != b"2":
                await asyncio.sleep(0.001)
        await other.execute("FLUSHALL")
        async with asyncio.timeout(10):
            while await cached.execute("GET", "key") is not None:
                await asyncio.sleep(0.001)


async def test_an_expired_key_empties_the_cache(server: Any) -> None:
    host, port = server.address
    async with create_store(f"pulsards://{host}:{port}?cache=100") as cached:
        await cached.execute("SET", "key", "1", "PX", "1000")
        assert await cached.execute("GET", "key") == b"1"
        async with asyncio.timeout(10):
            while await cached.execute("GET", "key") is not None:
                await asyncio.sleep(0.001)


def test_messages_are_redirected_to_a_subscriber_that_speaks_resp2(server: Any, connect: Callable[..., Any]) -> None:
    hearer, reader = connect(server.address), connect(server.address)
    hearer.send(b"CLIENT ID\r\n")
    number = int(hearer.read_until(b"\r\n")[1:-2])
    hearer.send(b"SUBSCRIBE __redis__:invalidate\r\n")
    hearer.expect(b"*3\r\n$9\r\nsubscribe\r\n$20\r\n__redis__:invalidate\r\n:1\r\n")
    reader.ask(b"CLIENT TRACKING ON REDIRECT %d\r\n" % number, b"+OK\r\n")
    reader.ask(b"GET key\r\n", b"$-1\r\n")
    reader.ask(b"SET key 1\r\n", b"+OK\r\n")
    hearer.expect(b"*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n*1\r\n$3\r\nkey\r\n")
    reader.ask(b"FLUSHALL\r\n", b"+OK\r\n")
    hearer.expect(b"*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n$-1\r\n")
    hearer.close()
    reader.ask(b"GET key\r\n", b"$-1\r\n")
    server.wait_for(lambda: len(server.engine.sessions) == 1)
    reader.ask(b"SET key 1\r\n", b"+OK\r\n")
    assert server.call(lambda: next(iter(server.engine.sessions.values())).tracked.broken)
    reader.close()


def test_a_tracking_client_that_has_gone_costs_nothing_more(server: Any, connect: Callable[..., Any]) -> None:
    wire = connect(server.address)
    wire.send(b"HELLO 3\r\nCLIENT TRACKING ON BCAST\r\n")
    wire.read_until(b"+OK\r\n")
    assert server.call(lambda: server.engine.keyspace.observers) == 1
    wire.close()
    server.wait_for(lambda: server.engine.keyspace.observers == 0)
    assert server.call(lambda: server.engine.keyspace.listener) is None
