"""A connection whose other end has gone without a word: noticed by itself, also when nobody sends."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest
from tests.conftest import eventually
from tests.faults.conftest import Through

from store_core import ConnectionLost, Store, Timeout, create_store
from store_redis.health import KEEP_COUNT, KEEP_IDLE, KEEP_INTERVAL

pytestmark = pytest.mark.timeout(120)

CHECKS = {"health_check": 0.1, "timeout": 0.3}


async def test_a_half_open_shared_connection_is_replaced_while_nobody_sends(proxy: Through) -> None:
    async with create_store(proxy.url, **CHECKS, connections=2) as store:
        await store.ping()
        links = list(store._node.links)
        for held in proxy.connections:
            held.hold()
        await eventually(lambda: all(link.closed for link in links))
        assert await store.execute("ECHO", "x") == b"x"


@pytest.mark.parametrize("protocol", [2, 3])
async def test_a_half_open_subscriber_connects_again_and_goes_on(proxy: Through, protocol: int) -> None:
    async with create_store(proxy.url, **CHECKS, protocol=protocol) as store, store.pubsub() as pubsub:
        await pubsub.subscribe("channel")
        await pubsub.psubscribe("pattern.*")
        proxy.connections[-1].hold()
        listening = store._subscriber._listener._link
        await eventually(lambda: listening.closed)
        received = asyncio.ensure_future(anext(aiter(pubsub)))
        await eventually(lambda: _heard(store, received), 30)
        assert (await received).data == b"x"


async def _heard(store: Store, received: asyncio.Future[Any]) -> bool:
    await store.execute("PUBLISH", "channel", "x")
    return received.done()


@pytest.mark.parametrize("protocol", [2, 3])
async def test_a_subscriber_that_is_well_stays_and_its_reader_sees_no_answer_to_a_check(
    proxy: Through, protocol: int
) -> None:
    async with create_store(proxy.url, **CHECKS, protocol=protocol) as store, store.pubsub() as pubsub:
        await pubsub.subscribe("channel")
        link = store._subscriber._listener._link
        asked = _counted(link)
        await eventually(lambda: len(asked) >= 4)
        await store.execute("PUBLISH", "channel", "x")
        messages = aiter(pubsub)
        assert (await anext(messages)).data == b"x"
        await pubsub.unsubscribe("channel")  # RESP2 answers PING otherwise then
        await eventually(lambda: len(asked) >= 8)
        assert not link.closed
        await pubsub.subscribe("other")
        await store.execute("PUBLISH", "other", "y")
        assert (await anext(messages)).data == b"y"


def _counted(link: Any) -> list[tuple[Any, ...]]:
    asked: list[tuple[Any, ...]] = []
    post = link.post

    def counted(args: tuple[Any, ...]) -> None:
        if args == ("PING",):
            asked.append(args)
        post(args)

    link.post = counted
    return asked


async def test_idle_dedicated_connections_are_checked_as_well(proxy: Through) -> None:
    async with create_store(proxy.url, **CHECKS) as store:
        await asyncio.gather(*(store.execute("BLPOP", "none", 0.01) for _ in range(3)))
        idle = list(store._node.dedicated._idle)
        assert len(idle) == 3
        for held in proxy.connections:
            held.hold()
        await eventually(lambda: all(link.closed for link in idle))
        assert await store.execute("BLPOP", "none", 0.01) is None


async def test_a_blocking_command_may_wait_as_long_as_it_likes(proxy: Through) -> None:
    async with create_store(proxy.url, **CHECKS) as store:
        waiting = asyncio.create_task(store.execute("BLPOP", "queue", 0))
        await asyncio.sleep(1.0)
        await store.execute("RPUSH", "queue", "x")
        assert await waiting == [b"queue", b"x"]


async def test_a_caller_with_a_time_of_its_own_is_not_cut_short(proxy: Through) -> None:
    async with create_store(proxy.url, **CHECKS) as store:
        await store.ping()
        link = store._node.links[0]
        proxy.connections[-1].hold(to_server=False)
        waiting = asyncio.create_task(store.execute("ECHO", "x", timeout=30))
        await asyncio.sleep(1.0)
        assert not waiting.done()
        proxy.connections[-1].release()
        assert await waiting == b"x"
        assert not link.closed


async def test_a_half_open_connection_is_replaced_although_callers_go_on_sending(proxy: Through) -> None:
    """Each of them runs out of time; without the check the connection would stay, and so would they."""
    async with create_store(proxy.url, **CHECKS) as store:
        await store.ping()
        proxy.connections[-1].hold()
        seen: set[type[BaseException]] = set()
        async with asyncio.timeout(30):
            while True:
                try:
                    assert await store.execute("ECHO", "x") == b"x"
                    break
                except (Timeout, ConnectionLost) as error:
                    seen.add(type(error))
        assert seen


async def test_a_connection_that_is_used_is_not_asked(proxy: Through) -> None:
    async with create_store(proxy.url, health_check=0.2) as store:
        await store.ping()
        sent = _sent(store._node.links[0])
        for _ in range(100):
            await store.execute("ECHO", "x")
            await asyncio.sleep(0.005)
        assert ("PING",) not in sent
        await eventually(lambda: ("PING",) in sent)


def _sent(link: Any) -> list[tuple[Any, ...]]:
    sent: list[tuple[Any, ...]] = []
    send = link.send

    def noted(args: tuple[Any, ...]) -> Any:
        sent.append(args)
        return send(args)

    link.send = noted
    return sent


async def test_a_connection_of_ones_own_is_not_asked(valkey_url: str) -> None:
    """It may be in the middle of a transaction: the question would be a part of it."""
    async with create_store(valkey_url, health_check=0.02) as store, await store.connect() as connection:
        await connection.execute("MULTI")
        await connection.execute("ECHO", "x")
        await asyncio.sleep(0.3)
        assert await connection.execute("EXEC") == [b"x"]


async def test_without_a_check_nothing_is_asked(proxy: Through) -> None:
    async with create_store(proxy.url, health_check=0) as store:
        await store.ping()
        assert store._node.links[0]._health is None


async def test_a_server_that_answers_with_an_error_is_there(valkey_url: str) -> None:
    async with create_store(valkey_url) as admin:
        await admin.execute("ACL", "SETUSER", "mute", "on", ">pw", "~*", "+@all", "-ping")
        async with create_store(valkey_url, username="mute", password="pw", **CHECKS) as store:
            await store.execute("ECHO", "x")
            link = store._node.links[0]
            sent = _sent(link)
            await eventually(lambda: sent.count(("PING",)) >= 3)
            assert not link.closed
        await admin.execute("ACL", "DELUSER", "mute")


async def test_callers_behind_a_check_that_fails_are_told_that_the_connection_was_lost(proxy: Through) -> None:
    async with create_store(proxy.url, health_check=0.1, timeout=1.0) as store:
        await store.ping()
        link = store._node.links[0]
        proxy.connections[-1].hold()
        await eventually(lambda: link.load() == 1)
        await asyncio.sleep(0.5)
        with pytest.raises(ConnectionLost, match="did not answer a health check within 1 s"):
            await store.execute("ECHO", "x")
        assert await store.execute("ECHO", "x") == b"x"


async def test_no_timer_outlives_its_connection(proxy: Through) -> None:
    async with create_store(proxy.url, **CHECKS) as store:
        await store.ping()
        link = store._node.links[0]
        await eventually(lambda: link.load() == 1)
    assert link._health._timer.cancelled()


@pytest.mark.skipif(not hasattr(socket, "TCP_KEEPIDLE"), reason="the system has no such options")
async def test_tcp_notices_by_itself_that_the_other_machine_has_gone(proxy: Through) -> None:
    async with create_store(proxy.url, timeout=40) as store:
        await store.ping()
        sock = store._node.links[0]._transport.get_extra_info("socket")
        options = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert [sock.getsockopt(socket.IPPROTO_TCP, option) for option in options] == [
            KEEP_IDLE,
            KEEP_INTERVAL,
            KEEP_COUNT,
        ]
        assert KEEP_IDLE + KEEP_INTERVAL * KEEP_COUNT <= 60
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 80_000
