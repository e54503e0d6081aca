"""Where an embedded store's ports are, for how long, in which event loop, and that nothing of them is left."""

from __future__ import annotations

import asyncio
import errno
import gc
import socket
import stat
import threading
from pathlib import Path
from typing import Any

import pytest
import redis.exceptions

from store_core import (
    ConnectionFailed,
    DSNError,
    LoopError,
    StoreClosed,
    Unsupported,
    create_store,
    start_store,
)
from store_pulsards import EmbeddedStore, StoreServer

DESCRIPTORS = Path("/proc/self/fd")


@pytest.fixture
async def server(store: EmbeddedStore) -> StoreServer:
    return await store.serve()


def server_waits(store: EmbeddedStore) -> bool:
    return bool(store.engine.keyspace.databases[0].waiters)


def refused(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == errno.ECONNREFUSED


# Where it listens, and for how long


async def test_a_closed_port_is_closed_and_the_data_stays(store: EmbeddedStore, client_of: Any) -> None:
    async with await store.serve() as server:
        async with client_of(server) as client:
            await client.set("key", "value")
            await server.close()
            with pytest.raises(redis.exceptions.ConnectionError):
                await client.ping()
        assert refused(server.port)
        assert server.closed
    await server.close()
    assert store.servers == ()
    assert await store.execute("GET", "key") == "value"
    again = await store.serve(port=server.port)
    assert again.port == server.port


async def test_ports_close_with_the_store_and_its_clients_are_let_go(
    store: EmbeddedStore, client_of: Any, until: Any
) -> None:
    servers = [await store.serve() for _ in range(3)]
    async with client_of(servers[0]) as client:
        waiting = asyncio.create_task(client.blpop(["queue"], timeout=0))
        await until(lambda: server_waits(store))
        await store.close()
        with pytest.raises(redis.exceptions.ConnectionError):
            await waiting
    assert all(server.closed and refused(server.port) for server in servers)
    assert not store.engine.sessions


async def test_closing_one_port_leaves_the_clients_of_another(
    store: EmbeddedStore, server: StoreServer, client_of: Any
) -> None:
    other = await store.serve()
    async with client_of(server) as client:
        number = await client.client_id()
        await other.close()
        assert await client.client_id() == number
        assert (await client.config_get("port"))["port"] == str(server.port)
    assert store.servers == (server,)


async def test_a_cancelled_close_closes_all_the_same(server: StoreServer) -> None:
    closing = asyncio.create_task(server.close())
    await asyncio.sleep(0)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    await server.close()
    assert refused(server.port)


async def test_a_unix_socket_has_its_permissions_and_goes_with_the_port(store: EmbeddedStore, tmp_path: Path) -> None:
    place = tmp_path / "s"
    async with await store.serve(path=str(place), mode=0o600) as server:
        assert stat.S_IMODE(place.stat().st_mode) == 0o600
        async with create_store(server.dsn) as client:
            assert await client.ping()
    assert not place.exists()


async def test_a_name_with_two_addresses_has_one_port(store: EmbeddedStore, monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    both = [*await loop.getaddrinfo("127.0.0.1", 0, type=socket.SOCK_STREAM)]
    both += await loop.getaddrinfo("127.0.0.2", 0, type=socket.SOCK_STREAM)

    async def resolve(*_: object, **__: object) -> list[Any]:
        return both

    with monkeypatch.context() as patched:
        patched.setattr(loop, "getaddrinfo", resolve)
        server = await store.serve("both.test")
    for host in ("127.0.0.1", "127.0.0.2"):
        socket.create_connection((host, server.port)).close()


async def test_a_port_in_use_is_a_clear_error_and_leaves_nothing(store: EmbeddedStore, client_of: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConnectionFailed, match=rf"cannot listen on 127\.0\.0\.1:{port}: Address already in use"):
            await store.serve(port=port, password="secret")
    assert store.servers == ()
    async with client_of(await store.serve()) as client:
        assert await client.ping()


async def test_an_address_of_another_machine_is_a_clear_error(store: EmbeddedStore) -> None:
    with pytest.raises(ConnectionFailed, match=r"cannot listen on 192\.0\.2\.1:0: Cannot assign requested address"):
        await store.serve("192.0.2.1")


async def test_a_closed_store_opens_no_port(store: EmbeddedStore) -> None:
    await store.close()
    with pytest.raises(StoreClosed):
        await store.serve()


async def test_a_store_that_closes_meanwhile_leaves_no_port_open(store: EmbeddedStore) -> None:
    opening = asyncio.create_task(store.serve())
    await asyncio.sleep(0)
    await store.close()
    with pytest.raises(StoreClosed):
        await opening
    assert store.servers == ()


async def test_a_cancelled_serve_leaves_no_port_open(store: EmbeddedStore) -> None:
    before = descriptors()
    for turns in range(8):
        opening = asyncio.create_task(store.serve(password="secret"))
        for _ in range(turns):
            await asyncio.sleep(0)
        opening.cancel()
        await asyncio.gather(opening, return_exceptions=True)
        for server in store.servers:  # it was quicker
            await server.close()
    assert descriptors() <= before
    assert not store.engine.config.password


async def test_a_network_store_has_no_engine_to_open_a_port_onto(server: StoreServer) -> None:
    async with create_store(server.dsn) as client:
        with pytest.raises(Unsupported, match=r"serve.*embedded"):
            await client.serve()  # type: ignore[attr-defined]


# The parameter


async def test_the_first_command_opens_the_ports_of_the_connection_string(tmp_path: Path) -> None:
    async with create_store(f"pulsards://?listen=127.0.0.1:0,{tmp_path}/s") as store:
        assert isinstance(store, EmbeddedStore)
        assert store.servers == ()
        await asyncio.gather(*(store.execute("BLPOP", "q", 0.001) for _ in range(10)), store.ping())
        assert len(store.servers) == 2
        for server in store.servers:
            async with create_store(server.dsn) as client:
                assert await client.ping()


async def test_start_store_opens_them_at_once() -> None:
    async with await start_store("pulsards://", listen="127.0.0.1:0") as store:
        assert isinstance(store, EmbeddedStore)
        assert [server.port > 0 for server in store.servers] == [True]


async def test_commands_fail_while_the_port_of_the_connection_string_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        store = create_store(f"pulsards://?listen=127.0.0.1:0,127.0.0.1:{port}")
        assert isinstance(store, EmbeddedStore)
        for _ in range(2):
            with pytest.raises(ConnectionFailed, match=f"cannot listen on .*{port}"):
                await store.execute("PING")
    assert await store.execute("PING") == b"PONG"
    assert len(store.servers) == 2
    await store.close()


@pytest.mark.parametrize("listen", ["6400", "host", "a:b", "a:1/2", ":6400", "a:1,", "::1:6400", "a:70000", "u@h:1"])
def test_a_place_that_is_none_is_refused_when_the_store_is_made(listen: str) -> None:
    with pytest.raises(DSNError, match=r"no place to listen; write host:port or /path/to/socket"):
        create_store("pulsards://", listen=listen)


def test_a_server_listens_already() -> None:
    with pytest.raises(DSNError, match="'listen' opens ports onto an embedded store"):
        create_store("pulsards://127.0.0.1:6410?listen=127.0.0.1:0")


# Event loops


def test_a_store_that_goes_on_in_another_loop_opens_its_ports_again(client_of: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    store = create_store(f"pulsards://?listen=127.0.0.1:{port}")
    assert isinstance(store, EmbeddedStore)
    left: list[Any] = []

    async def first() -> None:
        await store.execute("SET", "key", "value")
        left.append(await store.serve())
        for server in store.servers:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(b"SUBSCRIBE news\r\n")
            await reader.readuntil(b":1\r\n")
            left.append(writer)

    async def second() -> None:
        assert await store.execute("PUBLISH", "news", "to nobody") == 0
        assert [server.port for server in store.servers] == [port]
        async with client_of(store.servers[0]) as client:
            assert await client.get("key") == "value"
            assert len(await client.client_list()) == 2
        assert left[0].closed
        await left[0].close()
        assert refused(left[0].port)
        await store.close()

    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(first())
        for writer in left[1:]:  # the test's own ends
            writer.transport.abort()
        loop.run_until_complete(asyncio.sleep(0))
    finally:
        loop.close()
    asyncio.run(second())
    left.clear()
    gc.collect()


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # redis-py's own ends
def test_connections_of_redis_py_end_with_their_event_loop() -> None:
    store = create_store("pulsards://")
    assert isinstance(store, EmbeddedStore)

    async def listen() -> object:
        pubsub = store.client().pubsub()
        await pubsub.subscribe("news")
        assert await pubsub.get_message(timeout=5)
        return pubsub

    async def publish() -> None:
        assert await store.execute("PUBLISH", "news", "to nobody") == 0
        assert len(store.engine.sessions) == 1
        await store.close()

    pubsub = asyncio.run(listen())
    asyncio.run(publish())
    del pubsub
    gc.collect()


def test_a_port_left_open_when_its_loop_ended_can_be_closed_afterwards() -> None:
    store = create_store("pulsards://")
    assert isinstance(store, EmbeddedStore)
    server = asyncio.run(store.serve())
    assert not refused(server.port)
    asyncio.run(server.close())
    assert refused(server.port)
    asyncio.run(store.close())


async def test_another_live_event_loop_can_neither_open_nor_close_a_port(
    store: EmbeddedStore, server: StoreServer, client_of: Any
) -> None:
    failures: list[BaseException] = []

    def elsewhere() -> None:
        for operation in (store.serve, server.close):
            try:
                asyncio.run(operation())
            except LoopError as error:
                failures.append(error)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    await asyncio.to_thread(thread.join)
    assert len(failures) == 2
    async with client_of(server) as client:
        assert await client.ping()


async def test_a_store_closed_from_another_loop_closes_its_ports_in_theirs(
    store: EmbeddedStore, server: StoreServer, until: Any
) -> None:
    await asyncio.to_thread(lambda: asyncio.run(store.close()))
    await until(lambda: server.closed)
    await server.close()
    assert refused(server.port)


@pytest.mark.filterwarnings("ignore:unclosed resource:ResourceWarning")  # uvloop's word on what its end closes
async def test_a_port_serves_on_uvloop_too(client_of: Any) -> None:
    uvloop = pytest.importorskip("uvloop")
    store = create_store("pulsards://?listen=127.0.0.1:0", decode_responses=True)
    assert isinstance(store, EmbeddedStore)

    async def use(expected: str | None) -> int:
        assert await store.execute("GET", "key") == expected
        async with client_of(store.servers[0]) as client:
            await client.set("key", "value")
        return store.servers[0].port

    def twice() -> list[int]:
        ports = []
        for expected in (None, "value"):
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                ports.append(runner.run(use(expected)))
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(store.close())
        return ports

    assert all(refused(port) for port in await asyncio.to_thread(twice))


# Nothing is left


def descriptors() -> int:
    return len(list(DESCRIPTORS.iterdir())) if DESCRIPTORS.exists() else 0


async def test_a_thousand_clients_that_come_and_go_leave_nothing(
    store: EmbeddedStore, server: StoreServer, until: Any
) -> None:
    await store.execute("PING")
    before, sessions = descriptors(), len(store.engine.sessions)
    for _ in range(20):
        ends = await asyncio.gather(
            *(asyncio.open_connection("127.0.0.1", server.port) for _ in range(50)),
        )
        for number, (_, writer) in enumerate(ends):
            writer.write((b"SUBSCRIBE a\r\n", b"BLPOP q 0\r\n", b"WATCH k\r\n", b"*1\r\n$4\r\nPI", b"")[number % 5])
        for _, writer in ends:
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for _, writer in ends))
    await until(lambda: server.clients == 0)
    assert store.engine.sessions_made >= 1000
    assert len(store.engine.sessions) == sessions
    assert not store.engine.keyspace.databases[0].waiters
    assert descriptors() == before


async def test_opening_and_closing_ports_leaves_nothing(store: EmbeddedStore, client_of: Any) -> None:
    await store.execute("PING")
    before = descriptors()
    for _ in range(100):
        server = await store.serve()
        async with client_of(server) as client:
            await client.ping()
        await server.close()
    assert descriptors() == before
    assert len(store.engine.sessions) == 1
