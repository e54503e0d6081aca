"""The listener in a cluster, with a real server: shard channels that move away, and those that belong elsewhere."""

from __future__ import annotations

import asyncio
import socket
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress

import pytest

from store_core import ReplyError, Store, StoreClosed, StoreError, Unsupported, create_store
from store_core.pubsub import Kind, RawCodec, Subscriptions
from store_redis.errors import make
from store_redis.listener import Listener
from store_redis.server import find_binary

SLOT_OF_FOO = 12182


@pytest.fixture(scope="module")
def cluster_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One server in cluster mode."""
    try:
        binary = find_binary()
    except Unsupported as error:
        pytest.skip(str(error))
    with socket.create_server(("127.0.0.1", 0)) as probe, socket.create_server(("127.0.0.1", 0)) as bus:
        port, bus_port = probe.getsockname()[1], bus.getsockname()[1]
    folder = tmp_path_factory.mktemp("cluster")
    options = ["--port", str(port), "--cluster-port", str(bus_port), "--cluster-enabled", "yes", "--save", ""]
    with subprocess.Popen([binary, *options, "--dir", str(folder)], stdout=subprocess.DEVNULL) as process:
        try:
            yield f"redis://127.0.0.1:{port}"
        finally:
            process.kill()


@pytest.fixture
async def store(cluster_url: str):
    async with create_store(cluster_url) as store:
        await eventually(lambda: answers(store))
        await store.execute("CONFIG", "SET", "cluster-require-full-coverage", "no")
        for slots in ((0, 16383), (SLOT_OF_FOO, SLOT_OF_FOO)):
            with suppress(ReplyError):  # they are assigned, or all but one
                await store.execute("CLUSTER", "ADDSLOTSRANGE", *slots)
        await eventually(lambda: is_ok(store))
        yield store


async def answers(store: Store) -> bool:
    try:
        return await store.ping()
    except StoreError:
        return False


async def is_ok(store: Store) -> bool:
    return b"cluster_state:ok" in await store.execute("CLUSTER", "INFO")


async def eventually(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await condition():
            await asyncio.sleep(0.02)


@pytest.fixture
async def listener(store):
    made = Listener(store, store.open_link, 10.0, Subscriptions(), bytes.decode)
    yield made
    await made.close(make(StoreClosed, "the test is over"))


async def test_a_shard_channel_that_moves_away_is_told_of_and_forgotten(store, listener):
    moved = asyncio.get_running_loop().create_future()
    listener.on_moved = lambda which, wires: moved.set_result((which, wires))
    await listener.listen(Kind.SHARD, [b"foo", b"bar"])
    await listener.listen(Kind.CHANNEL, [b"foo"])
    await store.execute("CLUSTER", "DELSLOTS", SLOT_OF_FOO)
    async with asyncio.timeout(20):
        assert await moved == (listener, [b"foo"])
    assert listener.names(Kind.SHARD) == [b"bar"]
    assert listener.names(Kind.CHANNEL) == [b"foo"]


async def test_what_one_ends_oneself_is_no_move(store, listener):
    moved = []
    listener.on_moved = lambda which, wires: moved.extend(wires)
    await listener.listen(Kind.SHARD, [b"foo", b"bar"])
    listener.ignore(Kind.SHARD, [b"foo"])
    await listener.listen(Kind.SHARD, [b"foo"])
    listener.ignore(Kind.SHARD, [b"foo", b"bar"])
    await listener.listen(Kind.CHANNEL, [b"settled"])
    assert moved == []
    assert await store.execute("PUBSUB", "SHARDCHANNELS") == []


async def test_a_shard_channel_of_another_server_fails_its_own_call_only(store, listener):
    await store.execute("CLUSTER", "DELSLOTS", SLOT_OF_FOO)
    await eventually(lambda: is_ok(store))
    outcomes = await asyncio.gather(
        listener.listen(Kind.SHARD, [b"bar", b"foo"]),
        listener.listen(Kind.SHARD, [b"bar"]),
        listener.listen(Kind.CHANNEL, [b"foo"]),
        return_exceptions=True,
    )
    assert [type(outcome) for outcome in outcomes] == [type(outcomes[0]), type(None), type(None)]
    assert isinstance(outcomes[0], ReplyError)
    assert outcomes[0].code == "CLUSTERDOWN"


async def test_a_shard_channel_that_moved_during_an_outage_is_told_of_or_asked_for_again(store, listener, caplog):
    restored = asyncio.Event()
    listener.on_restored = lambda which: restored.set()
    await listener.listen(Kind.SHARD, [b"foo", b"bar"])
    await store.execute("CLUSTER", "DELSLOTS", SLOT_OF_FOO)
    await eventually(lambda: is_ok(store))
    await store.execute("CLIENT", "KILL", "TYPE", "pubsub")
    async with asyncio.timeout(20):
        await restored.wait()
    assert await store.execute("PUBSUB", "SHARDCHANNELS") == [b"bar"]
    assert listener.names(Kind.SHARD) == [b"foo", b"bar"], "without a cluster it is asked for whenever it connects"
    restored.clear()
    await store.execute("CLUSTER", "ADDSLOTS", SLOT_OF_FOO)
    await eventually(lambda: is_ok(store))
    await store.execute("CLIENT", "KILL", "TYPE", "pubsub")
    async with asyncio.timeout(20):
        await restored.wait()
    assert sorted(await store.execute("PUBSUB", "SHARDCHANNELS")) == [b"bar", b"foo"]


async def test_names_of_any_slots_are_subscribed_in_one_call(store):
    names = [f"shard-{number}" for number in range(50)]
    async with store.pubsub(RawCodec()) as pubsub:
        await pubsub.ssubscribe(*names)
        for name in names:
            assert await pubsub.spublish(name, name) == 1
        messages = aiter(pubsub)
        assert [(await anext(messages)).channel for _ in names] == names
