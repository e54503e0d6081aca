"""Finding the server: who is asked, what is believed, and what is said when nobody knows."""

from __future__ import annotations

import asyncio
import signal
import traceback
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import eventually
from tests.sentinel.deployment import SERVICE, Deployment, Process

from store_core import ConnectionFailed, ConnectionTimeout, ReplyError, Store, create_store
from store_redis.sentinel import dial
from store_redis.server import free_port


async def role(store: Store) -> tuple[bytes, int]:
    """What the server that answers says it is, and its port."""
    name = (await store.execute("ROLE"))[0]
    return name, int((await store.execute("CONFIG", "GET", "port"))[b"port"])


@pytest.mark.parametrize("scheme", ["redis+sentinel", "valkey+sentinel"])
@pytest.mark.parametrize("protocol", [2, 3])
async def test_commands_go_to_the_primary(deployment: Deployment, scheme: str, protocol: int) -> None:
    url = f"{scheme}://{deployment.hosts}/{SERVICE}?db=3&client_name=me&protocol={protocol}"
    async with create_store(url, decode_responses=True) as store:
        assert (await store.execute("ROLE"))[0] == "master"
        assert "db=3" in await store.execute("CLIENT", "INFO")
        assert await store.execute("CLIENT", "GETNAME") == "me"


async def test_everything_that_a_store_does_reaches_the_primary(deployment: Deployment) -> None:
    async with create_store(deployment.url, namespace="test.") as store:
        await store.flush()
        async with store.transaction() as transaction:
            transaction.execute("SET", "a", "1")
            transaction.execute("RPUSH", "list", "x")
        async with store.transaction(watch="a") as watched:
            watched.execute("INCR", "a")
        assert await store.execute("BLPOP", "list", 1) == [b"list", b"x"]
        async with await store.connect() as connection:
            assert await connection.execute("GET", "a") == b"2"
        pipeline = store.client().pipeline()
        await pipeline.watch("a")
        pipeline.multi()
        pipeline.incr("a")
        assert await pipeline.execute() == [3]
        assert await (await deployment.primary()).ask("GET", "test.a") == b"3"


async def test_a_dead_sentinel_is_passed_over_and_the_one_that_answered_is_asked_first(deployment: Deployment) -> None:
    url = f"redis+sentinel://127.0.0.1:{free_port('127.0.0.1')},{deployment.hosts}/{SERVICE}"
    async with create_store(url) as store:
        assert (await role(store))[0] == b"master"
        first: Any = store.dialer.sentinels._order[0]
        assert first.address == f"127.0.0.1:{deployment.sentinels[0].port}"


async def test_a_sentinel_that_hangs_is_passed_over(deployment: Deployment) -> None:
    hung = deployment.sentinels[0]
    hung.send_signal(signal.SIGSTOP)
    try:
        async with create_store(deployment.url, connect_timeout=4) as store:
            assert (await role(store))[0] == b"master"
    finally:
        hung.send_signal(signal.SIGCONT)


async def test_where_every_sentinel_is_dead_one_error_names_them_all() -> None:
    ports = [free_port("127.0.0.1") for _ in range(2)]
    hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
    async with create_store(f"redis+sentinel://{hosts}/main") as store:
        with pytest.raises(ConnectionFailed, match=r"^no sentinel knows service 'main' of ") as caught:
            await store.ping()
    for port in ports:
        assert f"cannot connect to 127.0.0.1:{port}: Connection refused" in str(caught.value)


async def test_a_service_that_no_sentinel_knows_is_named(deployment: Deployment) -> None:
    for read_from in ("primary", "replica"):
        async with create_store(deployment.url, service="nobody", read_from=read_from) as store:
            with pytest.raises(ConnectionFailed, match="no sentinel knows service 'nobody'") as caught:
                await store.ping()
        for sentinel in deployment.sentinels:
            assert str(caught.value).count(f"127.0.0.1:{sentinel.port}") == 2


async def test_a_server_that_is_no_sentinel_is_passed_over_and_its_words_are_told(deployment: Deployment) -> None:
    server = deployment.servers[0].port
    async with create_store(f"redis+sentinel://127.0.0.1:{server}/{SERVICE}") as store:
        with pytest.raises(ConnectionFailed, match=f"127.0.0.1:{server}: ERR unknown command 'SENTINEL'"):
            await store.ping()
    async with create_store(f"redis+sentinel://127.0.0.1:{server},{deployment.hosts}/{SERVICE}") as store:
        assert await store.ping()


async def test_servers_and_sentinels_have_passwords_of_their_own(guarded: Deployment) -> None:
    async with create_store(guarded.url, sentinel_password=guarded.sentinel_password) as store:
        assert (await role(store))[0] == b"master"
    async with create_store(
        f"redis+sentinel://{guarded.hosts}/{SERVICE}",
        sentinel_password=guarded.sentinel_password,
        credentials=lambda: guarded.password,
    ) as store:
        assert (await role(store))[0] == b"master"


@pytest.mark.parametrize(("password", "code"), [("wrong-hunter2", "WRONGPASS"), (None, "NOAUTH")])
async def test_a_wrong_password_for_the_sentinels_is_told_by_each(
    guarded: Deployment, password: str | None, code: str
) -> None:
    async with create_store(guarded.url, sentinel_password=password) as store:
        with pytest.raises(ConnectionFailed, match="no sentinel knows") as caught:
            await store.ping()
    assert str(caught.value).count(code) == 3
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


async def test_a_wrong_password_for_the_servers_is_their_refusal_at_once(guarded: Deployment) -> None:
    asked: list[None] = []

    def wrong() -> str:
        asked.append(None)
        return "wrong-hunter2"

    url = f"redis+sentinel://{guarded.hosts}/{SERVICE}"
    async with create_store(url, sentinel_password=guarded.sentinel_password, credentials=wrong) as store:
        with pytest.raises(ReplyError, match=r"^WRONGPASS") as caught:
            await store.ping()
    assert len(asked) == 1
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))
    port = (await guarded.primary()).port
    assert caught.value.__notes__ == [f"while connecting to 127.0.0.1:{port}"]


# What a sentinel says is checked.


@pytest.fixture
async def replica(deployment: Deployment, tmp_path: Path) -> AsyncIterator[Process]:
    """A server that is a replica, and that one sentinel holds for the primary of the service "stale"."""
    server = Process(tmp_path, [])
    server.start("replicaof 127.0.0.1 1")
    sentinel = deployment.sentinels[0]
    await sentinel.ask("SENTINEL", "MONITOR", "stale", "127.0.0.1", server.port, 9)
    await eventually(server.answers)
    yield server
    await sentinel.ask("SENTINEL", "REMOVE", "stale")
    server.kill()


async def test_a_replica_is_not_taken_for_the_primary(replica: Process, deployment: Deployment) -> None:
    sentinel = f"127.0.0.1:{deployment.sentinels[0].port}"
    async with create_store(f"redis+sentinel://{sentinel}/stale?connect_timeout=0.5") as store:
        match = rf"service 'stale' of {sentinel} within 0\.5 s: 127\.0\.0\.1:{replica.port} says that it is a replica"
        with pytest.raises(ConnectionTimeout, match=match):
            await store.ping()


async def test_sentinels_are_asked_again_until_they_name_a_primary(replica: Process, deployment: Deployment) -> None:
    sentinel = f"127.0.0.1:{deployment.sentinels[0].port}"
    async with create_store(f"redis+sentinel://{sentinel}/stale?connect_timeout=30") as store:
        waiting = asyncio.create_task(role(store))
        await asyncio.sleep(0.2)
        assert not waiting.done()
        await replica.ask("REPLICAOF", "NO", "ONE")
        assert await waiting == (b"master", replica.port)


async def test_a_store_that_is_closed_while_there_is_no_primary_does_not_wait_for_one(
    replica: Process, deployment: Deployment
) -> None:
    store = create_store(f"redis+sentinel://127.0.0.1:{deployment.sentinels[0].port}/stale?connect_timeout=0")
    waiting = [asyncio.create_task(each) for each in (store.ping(), store.execute("BLPOP", "list", 0))]
    await asyncio.sleep(0.1)
    await store.close()
    assert {type(error).__name__ for error in await asyncio.gather(*waiting, return_exceptions=True)} == {"StoreClosed"}


async def test_a_server_that_does_not_know_hello_is_asked_for_its_role(deployment: Deployment, tmp_path: Path) -> None:
    old, sentinel = Process(tmp_path, ['rename-command HELLO ""']), deployment.sentinels[0]
    old.start()
    await sentinel.ask("SENTINEL", "MONITOR", "old", "127.0.0.1", old.port, 9)
    try:
        await eventually(old.answers)
        async with create_store(deployment.url, service="old", connect_timeout=0.5) as store:
            assert (await store.execute("ROLE"))[0] == b"master"
            await old.ask("REPLICAOF", "127.0.0.1", 1)
            await eventually(lambda: _is_gone(store))
            with pytest.raises(ConnectionTimeout, match="says that it is a slave"):
                await store.ping()
    finally:
        await sentinel.ask("SENTINEL", "REMOVE", "old")
        old.kill()


async def _is_gone(store: Store) -> bool:
    # Nobody tells of this change but the server itself, when it is written to.
    if store._node.links:
        # Where it is tried once more nobody else is found.
        with pytest.raises((ReplyError, ConnectionTimeout), match=r"^READONLY|says that it is a slave"):
            await store.execute("SET", "a", "1")
    return not store._node.links


async def test_a_sentinel_that_names_the_wrong_server_is_passed_over(replica: Process, deployment: Deployment) -> None:
    primary, right = await deployment.primary(), deployment.sentinels[1]
    await right.ask("SENTINEL", "MONITOR", "stale", "127.0.0.1", primary.port, 9)
    try:
        async with create_store(deployment.url, service="stale") as store:
            assert await role(store) == (b"master", primary.port)
            assert store.dialer.sentinels._order[0].address == f"127.0.0.1:{right.port}"
    finally:
        await right.ask("SENTINEL", "REMOVE", "stale")


# Replicas.


async def test_a_store_that_reads_from_a_replica_takes_no_writes_and_stays(deployment: Deployment) -> None:
    async with create_store(deployment.url, read_from="replica") as store:
        name, port = await role(store)
        assert (name, port != (await deployment.primary()).port) == (b"slave", True)
        link = store._node.links[0]
        with pytest.raises(ReplyError, match=r"^READONLY"):
            await store.execute("SET", "a", "1")
        assert (await role(store), store._node.links) == ((name, port), [link])
        pipeline = store.client().pipeline()
        await pipeline.watch("a")
        pipeline.multi()
        pipeline.execute_command("ROLE")
        assert (await pipeline.execute())[0][0] == b"slave"


async def test_without_a_replica_the_primary_is_read_until_one_is_up(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dial, "PRIMARY_SECONDS", 0.2)
    primary = await deployment.primary()
    for server in deployment.servers:
        if server is not primary:
            server.kill()  # for a second the sentinels name it nevertheless, and it refuses
    async with create_store(deployment.url, read_from="replica") as store:
        assert await role(store) == (b"master", primary.port)
        own = await store.connect()
        await deployment.settled()
        await eventually(lambda: _is_a_replica(store))
        assert await own.execute("PING") == b"PONG"
        await own.close()


async def _is_a_replica(store: Store) -> bool:
    return (await role(store))[0] == b"slave"
