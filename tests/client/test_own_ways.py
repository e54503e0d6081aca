"""Where ``store.client()`` goes ways of its own: what it refuses, what it closes, losses, loops, and other networks."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio
import redis.exceptions
from tests.conftest import eventually
from tests.faults.test_tls import OPENSSL, Terminator, certificates, server_context

from store_core import DSN, ConnectionLost, ReplyError, Store, Unsupported, create_store

Client = redis.asyncio.Redis

__all__ = ["certificates"]  # a fixture


@pytest.fixture
async def store(own_valkey: str) -> AsyncIterator[Store]:
    async with create_store(own_valkey) as store:
        await store.execute("FLUSHALL")
        yield store


@pytest.mark.filterwarnings("ignore:Call to deprecated")
@pytest.mark.parametrize(
    ("method", "args"),
    [
        ("auth", ("password",)),
        ("client_reply", ("OFF",)),
        ("client_tracking_on", ()),
        ("client_tracking_off", ()),
        ("psync", ("?", -1)),
        ("quit", ()),
        ("readonly", ()),
        ("readwrite", ()),
        ("reset", ()),
        ("select", (1,)),
        ("sync", ()),
    ],
)
async def test_what_would_change_the_shared_connection_is_refused(
    store: Store, method: str, args: tuple[Any, ...]
) -> None:
    with pytest.raises(Unsupported):
        await getattr(store.client(), method)(*args)
    assert await store.client().ping() is True


async def test_a_pipeline_with_a_refused_command_runs_nothing(store: Store) -> None:
    for transaction in (True, False):
        with pytest.raises(Unsupported, match="SELECT"):
            await store.client().pipeline(transaction=transaction).set("k", 1).execute_command("SELECT", 1).execute()
    assert await store.client().exists("k") == 0


async def test_a_refusal_after_a_command_that_is_not_sent_names_the_right_one(store: Store) -> None:
    pipe = store.client().pipeline()
    with pytest.raises(redis.exceptions.ResponseError, match=r"Command # 3 \(GET\) of pipeline caused error: "):
        await pipe.set("k", 1).mget([]).execute_command("GET").execute()


@pytest.mark.parametrize("value", [None, True, [1], {"a": 1}, object()])
async def test_arguments_without_a_form_are_data_errors(store: Store, value: object) -> None:
    client = store.client()
    for attempt in (client.set("k", value), client.pipeline().set("k", value).execute()):
        with pytest.raises(redis.exceptions.DataError):
            await attempt


async def test_a_dump_does_not_stand_behind_callers_that_block(own_valkey: str, store: Store) -> None:
    async with create_store(own_valkey, decode_responses=True, dedicated=1) as text:
        await text.execute("SET", "k", "é")
        blocked = asyncio.create_task(text.execute("BLPOP", "none", 0))
        await eventually(lambda: text._node.dedicated.lent() == 1)
        dumps = await asyncio.gather(*(text.client().dump("k") for _ in range(50)))
        assert {type(dump) for dump in dumps} == {bytes}
        blocked.cancel()


async def test_a_dump_in_a_transaction_stays_bytes_where_replies_are_text(own_valkey: str, store: Store) -> None:
    async with create_store(own_valkey, decode_responses=True) as text:
        client = text.client()
        await client.set("k", "é")
        await client.hset("h", "f", "ü")
        async with client.pipeline(transaction=True) as pipe:
            await pipe.watch("k")
            dumped = await pipe.dump("k")
            pipe.multi()
            replies = await pipe.get("k").dump("k").hgetall("h").execute()
        assert replies == ["é", dumped, {"f": "ü"}]
        assert await client.pipeline().dump("k").get("k").execute() == [dumped, "é"]
        assert await client.restore("l", 0, dumped)
        assert await client.get("l") == "é"


async def test_an_error_keeps_the_code_that_redis_py_takes_off_its_text(store: Store) -> None:
    await store.execute("SET", "text", "x")
    with pytest.raises(ReplyError) as caught:
        await store.client().incr("text")
    assert (caught.value.code, str(caught.value)) == ("ERR", "value is not an integer or out of range")


async def test_a_name_of_two_words_that_was_sent_as_one_does_no_harm(store: Store) -> None:
    with pytest.raises(ReplyError):
        await store.execute("CLIENT ID")
    client = store.client()
    assert await client.client_id() == await client.client_id() == await client.execute_command("CLIENT ID")


async def test_a_lost_connection_while_watching_is_a_watch_error(store: Store) -> None:
    client = store.client()
    async with client.pipeline() as pipe:
        await pipe.watch("k")
        identity = await pipe.client_id()
        assert identity != await client.client_id()
        assert await client.client_kill_filter(_id=identity) == 1
        with pytest.raises(redis.exceptions.WatchError, match="occurred while watching"):
            while True:
                await pipe.get("k")
        assert not pipe.watching
        await pipe.watch("k")
        pipe.multi()
        pipe.set("k", 1)
        assert await pipe.execute() == [True]


@pytest.mark.parametrize("written", [False, True])
async def test_a_lost_connection_at_the_end_is_a_watch_error_only_where_nothing_was_sent(
    store: Store, written: bool
) -> None:
    client = store.client()
    async with client.pipeline() as pipe:
        await pipe.watch("k")
        identity = await pipe.client_id()
        pipe.multi()
        pipe.set("k", 1)
        if not written:
            link = pipe._watch.link
            await client.client_kill_filter(_id=identity)
            await eventually(lambda: link.closed)
            with pytest.raises(redis.exceptions.WatchError, match="A ConnectionError occurred while watching"):
                await pipe.execute()
            return
        await client.client_pause(30_000, all=False)
        try:
            running = asyncio.create_task(pipe.execute())
            await eventually(lambda: blocked(store))
            await client.client_kill_filter(_id=identity)
            with pytest.raises(redis.exceptions.ConnectionError) as caught:
                await running
            assert isinstance(caught.value, ConnectionLost)
        finally:
            await client.client_unpause()


async def test_a_single_connection_that_is_forgotten_is_closed_and_told_of(own_valkey: str, store: Store) -> None:
    single = store.client().client()
    identity = await single.client_id()
    holder = [single]
    del single
    with pytest.warns(ResourceWarning, match="unclosed <SingleConnectionRedis"):
        holder.clear()
    await eventually(lambda: gone(store, identity))


async def gone(store: Store, identity: int) -> bool:
    return not await store.client().client_list(client_id=[identity])


@pytest.mark.skipif(OPENSSL is None, reason="certificates are made with the openssl binary")
async def test_a_certificates_other_name_holds_for_subscriptions_too(certificates: Path, own_valkey: str) -> None:
    port = DSN.parse(own_valkey).hosts[0].port
    assert port is not None
    async with Terminator(server_context(certificates, "other"), port) as tls_port:
        params = {"tls_ca_file": str(certificates / "other.crt"), "tls_server_name": "elsewhere.example"}
        async with create_store(f"rediss://127.0.0.1:{tls_port}", **params) as store, store.client().pubsub() as pubsub:
            await pubsub.subscribe("c")
            assert (await pubsub.get_message(timeout=10))["type"] == "subscribe"
            assert await store.client().publish("c", "x") == 1


async def test_watches_are_given_back(own_valkey: str) -> None:
    async with create_store(own_valkey, dedicated=1) as store:
        client = store.client()
        async with asyncio.timeout(30):
            for _ in range(3):
                async with client.pipeline() as pipe:
                    await pipe.watch("k")
                    await pipe.select(3)  # whoever comes next must not be there
            async with client.pipeline() as pipe:
                await pipe.watch("k")
                assert (await pipe.client_info())["db"] == 0
                await pipe.execute()
                assert await client.blpop("none", timeout=0.01) is None


async def test_a_cancelled_watch_harms_nobody(own_valkey: str) -> None:
    async with create_store(own_valkey, dedicated=1) as store:
        client = store.client()

        async def wait() -> None:
            async with client.pipeline() as pipe:
                await pipe.watch("k")
                await pipe.blpop("never", timeout=0)

        task = asyncio.create_task(wait())
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(30), client.pipeline() as pipe:
            await pipe.watch("k")
            assert await pipe.get("k") is None


async def test_a_pipeline_that_is_forgotten_gives_its_connection_back(own_valkey: str) -> None:
    async with create_store(own_valkey, dedicated=1) as store:
        for collect in (gc.collect, lambda: asyncio.to_thread(gc.collect)):
            pipe = store.client().pipeline()
            await pipe.watch("k")
            del pipe
            await asyncio.gather(*filter(asyncio.iscoroutine, [collect()]))
            async with asyncio.timeout(30), store.client().pipeline() as other:
                await other.watch("k")


async def test_a_cancelled_wait_on_a_single_connection_holds_up_nothing(store: Store) -> None:
    async with store.client().client() as single:
        waiting = asyncio.create_task(single.blpop("never", timeout=0))
        await eventually(lambda: blocked(store))
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        async with asyncio.timeout(2):
            assert await single.ping() is True


async def blocked(store: Store) -> bool:
    return any("b" in entry["flags"] for entry in await store.client().client_list())


async def test_quiet_does_not_end_a_monitor_or_a_subscription(own_valkey: str) -> None:
    async with create_store(own_valkey, timeout=0.2) as store:
        client = store.client()
        async with client.monitor() as monitor, client.pubsub(ignore_subscribe_messages=True) as pubsub:
            await pubsub.subscribe("c")
            shown, heard = asyncio.create_task(anext(monitor.listen())), asyncio.create_task(anext(pubsub.listen()))
            await asyncio.sleep(0.6)
            while not await client.publish("c", "at last"):
                await asyncio.sleep(0.01)
            async with asyncio.timeout(30):
                await shown
                assert (await heard)["data"] == b"at last"


async def test_closing_the_client_leaves_the_store_open(store: Store) -> None:
    client = store.client()
    async with client, client.pubsub() as pubsub:
        await pubsub.subscribe("c")
    await client.aclose()
    await client.aclose(close_connection_pool=True)
    assert await client.ping() is True
    assert await store.ping()
    assert store.client() is client
    async with client.pubsub() as pubsub:
        await pubsub.subscribe("c")
        assert (await pubsub.get_message(timeout=10))["type"] == "subscribe"


async def test_closing_the_store_closes_all_that_its_client_opened(own_valkey: str, store: Store) -> None:
    async def connections() -> int:
        return len([line for line in await store.client().client_list() if line["name"] == "busy"])

    async with create_store(own_valkey, client_name="busy") as busy:
        client = busy.client()
        single, pubsub, pipe = client.client(), client.pubsub(), client.pipeline()
        await single.ping()
        await pubsub.subscribe("c")
        await pipe.watch("k")
        assert await connections() >= 3
    await eventually(lambda: zero(connections))
    await pubsub.aclose()


async def zero(count: Any) -> bool:
    return await count() == 0


async def test_a_single_connection_opens_again_after_a_loss(store: Store) -> None:
    async with store.client().client() as single:
        identity = await single.client_id()
        assert identity == await single.client_id() != await store.client().client_id()
        assert single.client() is single
        await store.client().client_kill_filter(_id=identity)
        await eventually(lambda: reopened(single, identity))
    assert await single.ping() is True
    await single.aclose()


async def reopened(single: Client, identity: int) -> bool:
    try:
        return await single.client_id() != identity
    except redis.exceptions.ConnectionError:
        return False


async def test_nothing_shows_a_password(own_valkey: str) -> None:
    async with create_store(own_valkey, username="ada", password="secret") as store:
        client = store.client()
        for thing in (client, client.pipeline(), client.pubsub(), client.client(), client.connection_pool):
            assert "secret" not in repr(thing)
        for attempt in (client.ping(), client.pubsub().subscribe("c"), client.client().ping()):
            with pytest.raises(redis.exceptions.AuthenticationError) as caught:
                await attempt
            assert "secret" not in str(caught.value)


async def test_nobody_there_is_a_connection_error() -> None:
    async with create_store("redis://127.0.0.1:1") as store:
        client = store.client()
        for attempt in (client.ping(), client.pipeline().get("k").execute(), client.pipeline().watch("k")):
            with pytest.raises(redis.exceptions.ConnectionError):
                await attempt


async def test_no_reply_in_time_is_a_timeout_error(own_valkey: str) -> None:
    async with create_store(own_valkey, timeout=0.2) as store, create_store(own_valkey) as other:
        client = store.client()
        await client.ping()
        await other.client().client_pause(10_000, all=False)
        try:
            with pytest.raises(redis.exceptions.TimeoutError):
                await client.set("k", 1)
        finally:
            await other.client().client_unpause()


PROGRAM = """
import asyncio, gc
from store_core import create_store

store = create_store({url!r}, namespace={namespace!r})
client = store.client()
kept = []

async def use(number):
    assert store.client() is client
    assert await client.set("key", number)
    assert not client.connection_pool._in_use_connections
    pubsub = client.pubsub(ignore_subscribe_messages=True)
    await pubsub.subscribe("channel")
    assert (await pubsub.get_message(timeout=10)) is None
    assert await client.publish("channel", number) == 1
    message = await pubsub.get_message(timeout=10)
    assert message["data"] == b"%d" % number, message
    single = client.client()
    assert await single.get("key") == b"%d" % number
    pipe = client.pipeline()
    await pipe.watch("key")
    async with client.lock("lock", timeout=10):
        async with client.pipeline() as other:
            await other.watch("key")
            other.multi()
            assert await other.get("key").execute() == [b"%d" % number]
    kept.append((pubsub, single, pipe))  # the loop ends with all of them open

for number in range(3):
    asyncio.run(use(number))
    gc.collect()
asyncio.run(store.close())
kept.clear()
gc.collect()
print("done")
"""


@pytest.mark.parametrize("namespace", ["", "shop:"])
def test_one_client_serves_one_loop_after_another_without_a_warning(own_valkey: str, namespace: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "default", "-c", PROGRAM.format(url=own_valkey, namespace=namespace)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == "done\n", done.stderr
    assert done.stderr == ""
