"""Failover: callers learn it at once, and the next commands go to the new primary."""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress
from itertools import count
from typing import Any

import pytest
from tests.conftest import eventually
from tests.sentinel.deployment import SERVICE, Deployment, Process
from tests.sentinel.test_finding import role

from store_core import ConnectionFailed, ConnectionLost, ReplyError, Store, Timeout, create_store

#: What a server says that is being replaced.
REPLACED = {"READONLY", "UNBLOCKED", "MASTERDOWN", "LOADING"}


class Load:
    """Callers that write and read without a pause, and check every reply against its question.

    Args:
        store: What they use.
        callers: How many there are.
    """

    def __init__(self, store: Store, callers: int = 32) -> None:
        self.written = 0
        self.failed = 0
        self._store = store
        self._numbers = count()
        self._running = True
        self._tasks = [asyncio.create_task(self._call(f"load-{number}")) for number in range(callers)]

    async def stop(self) -> None:
        self._running = False
        await asyncio.gather(*self._tasks)

    async def goes_on(self) -> None:
        """Wait until a hundred more were written."""
        goal = self.written + 100
        await eventually(lambda: self.written >= goal or any(task.done() for task in self._tasks), 30)

    async def _call(self, key: str) -> None:
        while self._running:
            value = b"%d" % next(self._numbers)
            try:
                assert await self._store.execute("SET", key, value) == b"OK"
                assert await self._store.execute("ECHO", value) == value
                self.written += 1
            except (ConnectionFailed, Timeout):
                self.failed += 1
                await asyncio.sleep(0.01)
            except ReplyError as error:
                if error.code not in REPLACED:
                    raise
                self.failed += 1


@pytest.mark.parametrize("how", ["kill", "command"])
async def test_under_load_every_reply_is_the_callers_own_and_writing_goes_on(
    deployment: Deployment, store: Store, how: str
) -> None:
    before = await deployment.primary()
    load = Load(store)
    await load.goes_on()
    if how == "kill":
        # They ran on one host, say: the sentinel that is asked first goes with the primary.
        deployment.sentinels[0].kill()
        before.kill()
        await eventually(lambda: load.failed, 30)
    else:
        await deployment.fail_over()
    await load.goes_on()
    await load.stop()
    name, port = await role(store)
    assert (name, port != before.port) == (b"master", True)


async def test_who_waits_for_a_primary_that_hangs_is_told_as_soon_as_it_is_replaced(deployment: Deployment) -> None:
    async with create_store(deployment.url, timeout=0) as store:
        before = (await role(store))[1]
        own = await store.connect()
        hung = await deployment.primary()
        blocked = asyncio.create_task(store.execute("BLPOP", "nothing", 0))
        await eventually(lambda: _is_blocked(hung))
        hung.send_signal(signal.SIGSTOP)
        others = [asyncio.create_task(each) for each in (store.ping(), own.execute("PING"))]
        try:
            for waiting in (blocked, *others):
                with pytest.raises(ConnectionLost, match=f"127.0.0.1:{before}"):
                    await waiting
            name, port = await role(store)
            assert (name, port != before) == (b"master", True)
        finally:
            hung.send_signal(signal.SIGCONT)


async def _is_blocked(server: Process) -> bool:
    return b"blocked_clients:1" in await server.ask("INFO", "clients")


async def test_subscriptions_follow_the_primary(deployment: Deployment, store: Store) -> None:
    async with store.pubsub() as pubsub:
        await pubsub.subscribe("news")
        (await deployment.primary()).kill()

        async def publish() -> None:
            while True:
                with suppress(ConnectionFailed, Timeout, ReplyError):
                    await store.execute("PUBLISH", "news", "after")
                await asyncio.sleep(0.02)

        publishing = asyncio.create_task(publish())
        async with asyncio.timeout(30):
            assert (await anext(aiter(pubsub))).data == b"after"
        publishing.cancel()
        await asyncio.gather(publishing, return_exceptions=True)


async def test_redis_pys_own_connections_follow_the_primary(deployment: Deployment, store: Store) -> None:
    client = store.client()
    pubsub = client.pubsub()
    await pubsub.subscribe("news")
    before = (await role(store))[1]
    await deployment.fail_over()
    await eventually(lambda: _is_at_another(store, before), 30)
    pipeline: Any = client.pipeline()
    await pipeline.watch("a")
    pipeline.multi()
    pipeline.execute_command("ROLE")
    pipeline.set("a", "1")
    (name, *_), written = await pipeline.execute()
    assert (name, written) == (b"master", True)

    async def heard() -> bool:
        await store.execute("PUBLISH", "news", "after")
        message = await pubsub.get_message(ignore_subscribe_messages=True, timeout=0.05)
        return message is not None and message["data"] == b"after"

    await eventually(heard, 30)
    await pubsub.aclose()


async def _is_at_another(store: Store, port: int) -> bool:
    try:
        return (await role(store))[1] != port
    except (ConnectionFailed, ReplyError):
        return False


async def test_a_store_that_reads_from_replicas_leaves_the_one_that_becomes_the_primary(
    deployment: Deployment,
) -> None:
    async with create_store(deployment.url, read_from="replica") as store:
        name, port = await role(store)
        assert name == b"slave"
        for server in deployment.servers:
            await server.ask("CONFIG", "SET", "replica-priority", 1 if server.port == port else 100)
        await eventually(lambda: _is_next(deployment, port))
        await deployment.fail_over()
        assert (await deployment.primary()).port == port
        await eventually(lambda: _is_a_replica(store), 30)


async def _is_next(deployment: Deployment, port: int) -> bool:
    for sentinel in deployment.sentinels:
        replicas = await sentinel.ask("SENTINEL", "REPLICAS", SERVICE)
        if {(int(each[b"port"]) == port, int(each[b"slave-priority"])) for each in replicas} != {
            (True, 1),
            (False, 100),
        }:
            return False
    return True


async def _is_a_replica(store: Store) -> bool:
    try:
        return (await role(store))[0] == b"slave"
    except ConnectionFailed:
        return False


async def test_a_new_store_does_not_wait_for_a_primary_that_hangs_until_it_is_replaced(deployment: Deployment) -> None:
    hung = await deployment.primary()
    hung.send_signal(signal.SIGSTOP)
    try:
        async with create_store(deployment.url, connect_timeout=0, timeout=0) as store:
            # Nobody has told this store of anything yet: it gives up the first attempt by itself.
            store.dialer.sentinels.patience = 0.2
            name, port = await role(store)
            assert (name, port != hung.port) == (b"master", True)
    finally:
        hung.send_signal(signal.SIGCONT)


async def test_a_replica_that_hangs_is_left_for_another(deployment: Deployment) -> None:
    async with create_store(deployment.url, read_from="replica", timeout=0) as store:
        name, port = await role(store)
        hung = next(server for server in deployment.servers if server.port == port)
        hung.send_signal(signal.SIGSTOP)
        try:
            with pytest.raises(ConnectionLost, match=f"127.0.0.1:{port}"):
                await store.ping()
            again = await role(store)
            assert (name, again[0], again[1] != port) == (b"slave", b"slave", True)
        finally:
            hung.send_signal(signal.SIGCONT)


async def test_a_write_that_a_demoted_primary_refuses_did_not_run_and_the_link_is_left(
    deployment: Deployment, store: Store
) -> None:
    demoted = await deployment.primary()
    await store.execute("SET", "n", 0)
    link = store._node.links[0]
    # While the sentinels stand still, nobody but the server itself says that it is no primary any more.
    for sentinel in deployment.sentinels:
        sentinel.send_signal(signal.SIGSTOP)
    try:
        await demoted.ask("REPLICAOF", "127.0.0.1", 1)
        commands = [("INCR", "n") if number % 2 else ("ECHO", number) for number in range(200)]
        replies = await asyncio.gather(*(store.execute(*each) for each in commands), return_exceptions=True)
        assert replies[::2] == [b"%d" % number for number in range(0, 200, 2)]
        # Each is tried once more, on a new connection, which nobody can name.
        assert all(isinstance(reply, ReplyError | ConnectionFailed) for reply in replies[1::2])
        assert not any(isinstance(reply, ConnectionLost) for reply in replies[1::2])
        assert link not in store._node.links
        await eventually(lambda: link.closed)
        await demoted.ask("REPLICAOF", "NO", "ONE")
    finally:
        for sentinel in deployment.sentinels:
            sentinel.send_signal(signal.SIGCONT)
    assert await store.execute("INCR", "n") == 1
