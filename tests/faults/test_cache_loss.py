"""Client-side caching when news is late, when the connection is lost, and where the server has no news to tell."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator

import pytest
from tests.conftest import eventually
from tests.faults.conftest import Killable, Through

from store_core import ConnectionFailed, ReplyError, Store, create_store
from store_redis import RedisStore
from store_redis.cache import Cache


@pytest.fixture
def server_url(valkey_url: str) -> str:
    """A server that tells of changes."""
    return valkey_url


@pytest.fixture
async def direct(valkey_url: str) -> AsyncIterator[Store]:
    """An empty store that keeps nothing, past the proxy."""
    async with create_store(valkey_url) as store:
        await store.flush()
        yield store


@pytest.fixture
async def cached(proxy: Through, direct: Store) -> AsyncIterator[Store]:
    """A store that keeps replies, through the proxy; its first connection is the shared one."""
    async with create_store(f"{proxy.url}?cache=100") as store:
        await store.ping()
        yield store


def cache_of(store: Store) -> Cache:
    assert isinstance(store, RedisStore)
    assert store.cache is not None
    return store.cache


async def finish(reading: asyncio.Task[object], proxy: Through) -> object:
    """What a read returns that has to wait for the connection that is held."""
    await asyncio.sleep(0.02)
    assert not reading.done()
    for connection in proxy.connections:
        connection.release()
    return await reading


async def test_a_reply_that_was_true_when_it_was_made_and_is_not_any_more_is_not_kept(
    proxy: Through, direct: Store, cached: Store
) -> None:
    await direct.execute("SET", "a", "old")
    before = await gets(direct)
    # The reply and the news of the change wait before the client, and arrive together.
    proxy.connections[0].hold(to_server=False)
    reading = asyncio.create_task(cached.execute("GET", "a"))

    async def answered() -> bool:
        return await gets(direct) > before

    await eventually(answered)
    await direct.execute("SET", "a", "new")
    assert await finish(reading, proxy) == b"old"
    assert await cached.execute("GET", "a") == b"new"


async def gets(store: Store) -> int:
    """How many GETs the server has run."""
    stats = (await store.execute("INFO", "commandstats")).decode()
    return sum(int(line.split("calls=")[1].split(",")[0]) for line in stats.splitlines() if "cmdstat_get:" in line)


async def test_what_was_written_over_another_connection_is_not_read_from_memory_though_no_news_came(
    proxy: Through, direct: Store, cached: Store
) -> None:
    await cached.execute("SET", "a", "old")
    assert await cached.execute("GET", "a") == b"old"
    await cached.watch("b")  # opens the connection that the transaction takes
    shared = proxy.connections[0]
    shared.hold(to_server=False)
    async with cached.transaction(watch="a") as transaction:
        transaction.execute("SET", "a", "new")
    assert await finish(asyncio.create_task(cached.execute("GET", "a")), proxy) == b"new"


async def test_a_transaction_on_a_connection_of_ones_own_is_seen_when_it_has_run(
    proxy: Through, direct: Store, cached: Store
) -> None:
    await cached.execute("SET", "a", "old")
    async with await cached.connect() as connection:
        await connection.execute("MULTI")
        await connection.execute("SET", "a", "new")
        assert await cached.execute("GET", "a") == b"old"
        proxy.connections[0].hold(to_server=False)
        await connection.execute("EXEC")
        assert await finish(asyncio.create_task(cached.execute("GET", "a")), proxy) == b"new"


async def test_what_a_script_wrote_before_it_failed_is_seen(proxy: Through, direct: Store, cached: Store) -> None:
    await cached.execute("SET", "a", "old")
    async with await cached.connect() as connection:
        assert await cached.execute("GET", "a") == b"old"
        proxy.connections[0].hold(to_server=False)
        with pytest.raises(ReplyError):
            await connection.execute("EVAL", "redis.call('SET', KEYS[1], 'new'); return redis.call('NO')", 1, "a")
        assert await finish(asyncio.create_task(cached.execute("GET", "a")), proxy) == b"new"


async def test_a_read_that_was_under_way_while_another_connection_wrote_is_not_kept(
    proxy: Through, direct: Store, cached: Store
) -> None:
    await cached.execute("SET", "a", "old")
    connection = await cached.connect()
    shared = proxy.connections[0]
    shared.hold(to_server=False)
    reading = asyncio.create_task(cached.execute("GET", "a"))
    await asyncio.sleep(0.05)
    await connection.execute("SET", "a", "new")
    # The old value is on its way, and the news behind it: nobody who asks from now on may get it.
    shared.release()
    assert await reading in (b"old", b"new")
    assert await cached.execute("GET", "a") == b"new"
    await connection.close()


async def test_a_key_that_expires_is_asked_for_again_though_no_news_came(
    proxy: Through, direct: Store, cached: Store
) -> None:
    await direct.execute("SET", "a", "1", "PX", 1500)
    assert [await cached.execute("GET", "a") for _ in range(2)] == [b"1", b"1"]
    assert cache_of(cached).hits == 1
    proxy.connections[0].hold(to_server=False)
    await eventually(lambda: _is_gone(direct, "a"))
    assert await finish(asyncio.create_task(cached.execute("GET", "a")), proxy) is None


async def _is_gone(store: Store, key: str) -> bool:
    return not await store.execute("EXISTS", key)


@pytest.mark.parametrize("reset", [False, True])
async def test_what_was_read_on_a_connection_that_was_cut_is_dropped(
    proxy: Through, direct: Store, cached: Store, reset: bool
) -> None:
    await direct.execute("SET", "a", "1")
    assert await cached.execute("GET", "a") == b"1"
    proxy.cut_all(reset=reset)
    await eventually(lambda: not cache_of(cached).entries)
    await direct.execute("SET", "a", "2")
    assert await cached.execute("GET", "a") == b"2"
    # The new connection is told of changes too.
    await direct.execute("SET", "a", "3")
    await eventually(lambda: _reads(cached, "a", b"3"))


async def _reads(store: Store, key: str, value: bytes) -> bool:
    return bool(await store.execute("GET", key) == value)


async def test_what_was_read_on_a_connection_that_fell_silent_is_dropped(
    proxy: Through, direct: Store, cached: Store
) -> None:
    await cached.execute("SET", "a", "1")
    assert await cached.execute("GET", "a") == b"1"
    proxy.connections[0].hold()
    await direct.execute("SET", "a", "2")
    await eventually(lambda: not cache_of(cached).entries)
    assert await finish(asyncio.create_task(cached.execute("GET", "a")), proxy) == b"2"


async def test_a_quiet_connection_that_is_alive_is_trusted(cached: Store) -> None:
    await cached.execute("GET", "a")
    await asyncio.sleep(2.5)
    assert cache_of(cached).entries == 1


async def test_no_acknowledged_write_is_forgotten_while_connections_are_cut(proxy: Through, direct: Store) -> None:
    acknowledged = dict.fromkeys(("a", "b", "c"), 0)
    stop = False
    async with create_store(f"{proxy.url}?cache=10&connections=2") as cached:

        async def write(key: str) -> None:
            while not stop:
                try:
                    acknowledged[key] = max(await cached.execute("INCR", key), acknowledged[key])
                except ConnectionFailed:
                    await asyncio.sleep(0.001)
                await asyncio.sleep(0)

        async def read(key: str) -> None:
            while not stop:
                known = acknowledged[key]
                try:
                    assert int(await cached.execute("GET", key) or 0) >= known
                except ConnectionFailed:
                    await asyncio.sleep(0.001)
                await asyncio.sleep(0)

        tasks = [asyncio.create_task(work(key)) for key in acknowledged for work in (write, read, read)]
        dice = random.Random(7)
        for _ in range(20):
            before = sum(acknowledged.values())
            await eventually(lambda before=before: sum(acknowledged.values()) > before + 20)
            for connection in dice.sample(proxy.connections, min(1, len(proxy.connections))):
                connection.cut_after(dice.randrange(200), reset=dice.random() < 0.5)
        stop = True
        await asyncio.gather(*tasks)
        assert cache_of(cached).hits > 0
        for key in acknowledged:
            value = await direct.execute("GET", key)
            await eventually(lambda key=key, value=value: _reads(cached, key, value))


@pytest.mark.parametrize("killable", ["redis"], indirect=True)
async def test_a_server_that_was_killed_is_remembered_by_nobody(killable: Killable) -> None:
    async with create_store(f"{killable.url}?cache=10") as cached:
        await cached.execute("SET", "a", "1")
        assert await cached.execute("GET", "a") == b"1"
        killable.kill()
        killable.start()
        await eventually(lambda: not cache_of(cached).entries)
        assert await cached.execute("GET", "a") is None


async def test_a_server_that_will_not_tell_of_changes_is_refused_in_its_own_words(valkey_url: str) -> None:
    async with create_store(valkey_url) as admin:
        await admin.execute("ACL", "SETUSER", "untold", "on", ">pw", "~*", "+@all", "-client|tracking")
        async with create_store(valkey_url, username="untold", password="pw", cache=100) as store:
            with pytest.raises(
                ReplyError, match=r"NOPERM.*CLIENT TRACKING, which client-side caching needs.*parameter 'cache'"
            ):
                await store.execute("GET", "a")
        await admin.execute("ACL", "DELUSER", "untold")


async def test_an_embedded_store_takes_the_parameter_and_has_nothing_to_cache() -> None:
    async with create_store("pulsards://?cache=100") as store:
        await store.execute("SET", "a", "1")
        assert await store.execute("GET", "a") == b"1"
        assert isinstance(store, RedisStore)
        assert store.cache is None
