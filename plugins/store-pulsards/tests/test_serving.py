"""Ports onto an embedded engine: both sides see one state, and nobody there can hurt the program."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio
import redis.exceptions

from store_core import (
    ConnectionFailed,
    ConnectionLost,
    TransactionAborted,
    create_store,
)
from store_pulsards import EmbeddedStore, Limits, StoreServer

CLI = shutil.which("redis-cli")
DESCRIPTORS = Path("/proc/self/fd")


@pytest.fixture
async def server(store: EmbeddedStore) -> StoreServer:
    return await store.serve()


@pytest.fixture
async def client(server: StoreServer, client_of: Any) -> AsyncIterator[redis.asyncio.Redis]:
    async with client_of(server) as connected:
        yield connected


def blocked(store: EmbeddedStore) -> int:
    return sum(session.blocked is not None for session in store.engine.sessions.values())


def subscribed(store: EmbeddedStore) -> bool:
    return any(session.channels for session in store.engine.sessions.values())


async def cli(server: StoreServer, *command: str) -> str:
    assert CLI is not None
    process = await asyncio.create_subprocess_exec(
        CLI, "-p", str(server.port), *command, stdout=asyncio.subprocess.PIPE, env={"REDISCLI_AUTH": "secret"}
    )
    shown, _ = await process.communicate()
    return shown.decode().strip()


# Both sides see one state


@pytest.mark.skipif(CLI is None, reason="redis-cli is not installed")
async def test_redis_cli_looks_into_the_program(store: EmbeddedStore) -> None:
    await store.execute("HSET", "user:1", "name", "Ada")
    server = await store.serve(password="secret")
    assert await cli(server, "HGETALL", "user:1") == "name\nAda"
    assert await cli(server, "SET", "from", "outside") == "OK"
    assert await store.execute("GET", "from") == "outside"
    assert await cli(server, "--scan") in ("from\nuser:1", "user:1\nfrom")


async def test_another_store_is_a_client_of_the_port(store: EmbeddedStore, server: StoreServer, until: Any) -> None:
    async with create_store(server.dsn, decode_responses=True) as second:
        await second.execute("SET", "key", "value")
        assert await store.execute("GET", "key") == "value"
        assert server.clients == 1
    await until(lambda: server.clients == 0)


async def test_a_blocked_command_of_the_program_is_served_from_outside(
    store: EmbeddedStore, client: redis.asyncio.Redis, until: Any
) -> None:
    waiting = asyncio.create_task(store.execute("BLPOP", "queue", 0))
    await until(lambda: blocked(store) == 1)
    assert await client.lpush("queue", "job") == 1
    assert await waiting == ["queue", "job"]


async def test_a_blocked_client_is_served_by_the_program(
    store: EmbeddedStore, client: redis.asyncio.Redis, until: Any
) -> None:
    waiting = asyncio.create_task(client.blpop(["queue"], timeout=0))
    await until(lambda: blocked(store) == 1)
    assert await store.execute("LPUSH", "queue", "job") == 1
    assert await waiting == ("queue", "job")


async def test_who_blocked_first_is_served_first_whichever_side_it_is_on(
    store: EmbeddedStore, server: StoreServer, client_of: Any, until: Any
) -> None:
    async with client_of(server) as one, client_of(server) as two:
        waiting = []
        for number, pop in enumerate(
            [
                lambda: one.blpop(["q"], timeout=0),
                lambda: store.execute("BLPOP", "q", 0),
                lambda: two.blpop(["q"], timeout=0),
                lambda: store.execute("BLPOP", "q", 0),
            ]
        ):
            waiting.append(asyncio.ensure_future(pop()))
            await until(lambda count=number + 1: blocked(store) == count)
        await store.execute("RPUSH", "q", 1, 2, 3, 4)
        assert [(await each)[1] for each in waiting] == ["1", "2", "3", "4"]


async def test_a_client_spoils_what_the_program_watches(store: EmbeddedStore, client: redis.asyncio.Redis) -> None:
    with pytest.raises(TransactionAborted):
        async with store.transaction(watch="balance") as transaction:
            await client.set("balance", 1)
            transaction.execute("SET", "balance", 2)
    assert await store.execute("GET", "balance") == "1"


async def test_the_program_spoils_what_a_client_watches(store: EmbeddedStore, client: redis.asyncio.Redis) -> None:
    async with client.pipeline() as pipeline:
        await pipeline.watch("balance")
        await store.execute("SET", "balance", 1)
        pipeline.multi()
        pipeline.set("balance", 2)
        with pytest.raises(redis.exceptions.WatchError):
            await pipeline.execute()
    assert await store.execute("GET", "balance") == "1"


async def test_messages_go_both_ways_in_order(store: EmbeddedStore, client: redis.asyncio.Redis) -> None:
    async with store.pubsub() as ours, client.pubsub() as theirs:
        await ours.subscribe("news")
        await theirs.psubscribe("n*")
        await theirs.get_message(timeout=5)
        for number in range(0, 20, 2):
            assert await store.pubsub().publish("news", str(number)) == 2
            assert await client.publish("news", str(number + 1)) == 2
        heard = aiter(ours)
        assert [int((await anext(heard)).data) for _ in range(20)] == list(range(20))
        got = [await theirs.get_message(timeout=5) for _ in range(20)]
        assert [int(message["data"]) for message in got if message] == list(range(20))


async def test_a_client_hears_of_the_keys_that_the_program_changes(
    store: EmbeddedStore, client: redis.asyncio.Redis
) -> None:
    await client.config_set("notify-keyspace-events", "KA")
    async with client.pubsub() as events:
        await events.subscribe("__keyspace@0__:key")
        await events.get_message(timeout=5)
        await store.execute("SET", "key", 1)
        message = await events.get_message(timeout=5)
        assert message is not None
        assert message["data"] == "set"


async def test_monitor_shows_a_client_what_the_program_does(store: EmbeddedStore, client: redis.asyncio.Redis) -> None:
    async with client.monitor() as monitor:
        await store.execute("SET", "key", "of the program")
        shown = await monitor.next_command()
    assert (shown["command"], shown["client_address"]) == ("SET key of the program", "embedded")


async def test_what_a_client_lets_expire_is_swept_after_its_port_is_closed(
    store: EmbeddedStore, client_of: Any, until: Any
) -> None:
    server = await store.serve()
    async with client_of(server) as client:
        await client.set("key", "value", px=1)
    await server.close()
    await until(lambda: not store.engine.keyspace.databases[0].data)


async def test_the_clients_see_the_whole_engine_without_the_namespace(client_of: Any) -> None:
    async with create_store("pulsards://?namespace=shop.") as store:
        assert isinstance(store, EmbeddedStore)
        await store.execute("SET", "key", "value")
        async with client_of(await store.serve()) as client:
            assert await client.keys() == ["shop.key"]


# Who may do what


async def test_client_list_has_both_sides(store: EmbeddedStore, client: redis.asyncio.Redis) -> None:
    await store.execute("PING")
    listed = await client.client_list()
    assert [each["addr"].rpartition(":")[0] for each in listed] == ["embedded", "127.0.0.1"]
    assert [each["addr"] for each in listed] == [
        line.split()[1].partition("=")[2] for line in (await store.execute("CLIENT", "LIST")).splitlines()
    ]


async def test_a_program_whose_connections_are_killed_goes_on(
    store: EmbeddedStore, client: redis.asyncio.Redis, until: Any
) -> None:
    async with store.pubsub() as pubsub:
        await pubsub.subscribe("news")
        waiting = asyncio.create_task(store.execute("BLPOP", "queue", 0))
        await until(lambda: blocked(store) == 1)
        assert await client.client_kill_filter(addr="embedded:0") >= 2
        with pytest.raises(ConnectionLost):
            await waiting
        assert await store.execute("SET", "key", "value") == "OK"
        await until(lambda: subscribed(store))
        await client.publish("news", "still here")
        assert (await anext(aiter(pubsub))).data == "still here"


async def test_the_program_kills_a_client(store: EmbeddedStore, client: redis.asyncio.Redis) -> None:
    number = await client.client_id()
    assert await store.execute("CLIENT", "KILL", "ID", number) == 1
    assert await client.client_id() != number  # redis-py connects again


async def test_a_transaction_of_the_program_that_loses_its_connection_says_so(
    store: EmbeddedStore, client: redis.asyncio.Redis
) -> None:
    with pytest.raises(ConnectionFailed, match="was not sent"):
        async with store.transaction(watch="key") as transaction:
            await client.client_kill_filter(addr="embedded:0")
            transaction.execute("SET", "key", 1)
    assert await store.execute("EXISTS", "key") == 0


@pytest.mark.parametrize("command", ["SHUTDOWN", "SHUTDOWN NOSAVE", "DEBUG SLEEP 3600"])
async def test_a_client_cannot_stop_the_program(
    store: EmbeddedStore, client: redis.asyncio.Redis, command: str
) -> None:
    with pytest.raises(redis.exceptions.ResponseError, match=r"SHUTDOWN|DEBUG command not allowed"):
        await client.execute_command(*command.split())
    assert await store.execute("DEBUG", "SLEEP", 0) == "OK"  # the program may


async def test_a_client_that_says_nonsense_loses_only_its_own_connection(
    store: EmbeddedStore, server: StoreServer, client: redis.asyncio.Redis
) -> None:
    reader, writer = await asyncio.open_connection(port=server.port, host="127.0.0.1")
    writer.write(b"*1\r\n$-5\r\n")
    assert (await reader.read()).startswith(b"-ERR Protocol error")
    writer.close()
    await writer.wait_closed()
    assert await client.ping()
    assert await store.ping()


async def test_without_the_password_a_client_gets_nothing_and_the_program_everything(
    store: EmbeddedStore, client_of: Any
) -> None:
    server = await store.serve(password="secret")
    async with client_of(server) as stranger, client_of(server, password="secret") as friend:
        with pytest.raises(redis.exceptions.AuthenticationError):
            await stranger.get("key")
        assert await friend.set("key", "value")
    # Each of these is a session of its own, made while there is a password.
    async with store.transaction(watch="key") as transaction:
        transaction.execute("GET", "key")
    assert transaction.results == ["value"]
    async with await store.connect() as connection:
        assert await connection.execute("RESET") == "RESET"
        assert await connection.execute("GET", "key") in ("value", b"value")
    async with store.client().pubsub() as pubsub:
        await pubsub.subscribe("news")
    assert "secret" not in repr(server)
    assert "secret" in server.dsn


async def test_the_password_is_one_for_all_ports_and_goes_with_the_last(store: EmbeddedStore, client_of: Any) -> None:
    first = await store.serve(password="secret")
    with pytest.raises(ValueError, match="another password"):
        await store.serve(password="other")
    second = await store.serve()
    assert ":secret@" in second.dsn
    await first.close()
    async with client_of(second) as stranger:
        with pytest.raises(redis.exceptions.AuthenticationError):
            await stranger.ping()
    await second.close()
    async with client_of(await store.serve()) as friend:
        assert await friend.ping()


async def test_the_stores_own_password_holds_for_its_ports(client_of: Any) -> None:
    async with create_store("pulsards://:secret@?listen=127.0.0.1:0") as store:
        assert isinstance(store, EmbeddedStore)
        assert await store.ping()
        assert "secret" not in repr(store)
        async with client_of(store.servers[0]) as stranger:
            with pytest.raises(redis.exceptions.AuthenticationError):
                await stranger.ping()
        async with create_store(store.servers[0].dsn) as friend:
            assert await friend.ping()


async def test_a_port_for_everybody_wants_a_password_from_other_machines(
    store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch, client_of: Any
) -> None:
    monkeypatch.setattr("store_pulsards.connection._is_loopback", lambda host: False)
    denied = await store.serve()
    async with client_of(denied) as stranger:
        with pytest.raises(redis.exceptions.RedisError, match=r"protected mode.*protected=False"):
            await stranger.ping()
    async with client_of(await store.serve(protected=False)) as anybody:
        assert await anybody.ping()


async def test_a_port_has_limits_of_its_own(store: EmbeddedStore, server: StoreServer, client_of: Any) -> None:
    small = await store.serve(limits=Limits(clients=1))
    async with client_of(small) as first, client_of(small) as second, client_of(server) as elsewhere:
        assert await first.ping()
        with pytest.raises(redis.exceptions.RedisError, match="max number of clients"):
            await second.ping()
        assert await elsewhere.ping()
