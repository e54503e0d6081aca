"""The server on real sockets: order, limits, slow and blocked clients, and what is left when it stops."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import socket
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis

from store_pulsards.batch import HANDLERS
from store_pulsards.connection import Connection
from store_pulsards.engine.engine import Engine
from store_pulsards.server import Limits, Server

PING = b"*1\r\n$4\r\nPING\r\n"
PONG = b"+PONG\r\n"


def pack(*args: bytes) -> bytes:
    return b"*%d\r\n" % len(args) + b"".join(b"$%d\r\n%b\r\n" % (len(arg), arg) for arg in args)


def bulk(value: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(value), value)


# Requests and replies


def test_replies_come_in_the_order_of_the_requests(server: Any) -> None:
    requests = b"".join(pack(b"ECHO", b"%d" % n) for n in range(5000))
    server.connect().ask(requests, b"".join(bulk(b"%d" % n) for n in range(5000)))


def test_a_request_may_come_byte_by_byte(server: Any) -> None:
    wire = server.connect()
    wire.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in pack(b"SET", b"k", b"v\r\n") + pack(b"GET", b"k"):
        wire.send(bytes([byte]))
    wire.expect(b"+OK\r\n" + bulk(b"v\r\n"))


def test_inline_requests_are_served(server: Any) -> None:
    server.connect().ask(b"PING\r\nSET 'a key' \"a \\x41\"\nGET 'a key'\r\n", PONG + b"+OK\r\n" + bulk(b"a A"))


def test_a_large_value_makes_the_whole_way(server: Any) -> None:
    value = os.urandom(5_000_000)
    server.connect().ask(pack(b"SET", b"k", value) + pack(b"GET", b"k"), b"+OK\r\n" + bulk(value))


def test_each_client_has_the_protocol_it_asked_for(server: Any) -> None:
    old, new = server.connect(), server.connect()
    new.send(pack(b"HELLO", b"3"))
    assert new.read(1) == b"%"
    server.wait_for(lambda: sum(s.resp == 3 for s in server.engine.sessions.values()))
    old.ask(pack(b"GET", b"none"), b"$-1\r\n")
    new.send(pack(b"GET", b"none") + PING)
    assert new.read_until(PONG).endswith(b"_\r\n" + PONG)


def test_redis_py_works_in_both_versions(server: Any) -> None:
    for protocol in (2, 3):
        with redis.Redis(host=server.host, port=server.port, protocol=protocol) as client:
            assert client.set("k", "v")
            assert client.get("k") == b"v"
            with client.pipeline() as pipeline:
                assert pipeline.incr("n").incr("n").delete("n").execute() == [1, 2, 1]


def test_a_failing_handler_costs_only_its_own_client(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(ctx: Any) -> Any:
        raise ZeroDivisionError

    monkeypatch.setitem(HANDLERS[1], b"LOLWUT", broken)
    unlucky, other = server.connect(), server.connect()
    unlucky.send(PING + pack(b"LOLWUT") + PING)
    assert unlucky.read_to_end() == PONG + b"-ERR internal error, the server's log has it\r\n"
    other.ask(PING, PONG)


# Protocol errors and farewells


def test_a_protocol_error_ends_the_connection_after_the_replies_before_it(server: Any) -> None:
    wire, other = server.connect(), server.connect()
    wire.send(PING + b"*1\r\n:1\r\n" + PING)
    assert wire.read_to_end() == PONG + b"-ERR Protocol error: expected '$', got ':'\r\n"
    other.ask(PING, PONG)


def test_a_web_page_gets_no_answer(server: Any) -> None:
    wire = server.connect()
    wire.send(b"POST / HTTP/1.1\r\nHost: localhost\r\n\r\nFLUSHALL\r\n")
    assert wire.read_to_end() == b""


def test_quit_is_answered_and_closes(server: Any) -> None:
    wire = server.connect()
    wire.send(pack(b"QUIT") + PING)
    assert wire.read_to_end() == b"+OK\r\n"
    server.wait_for(lambda: not server.engine.sessions)


def test_a_client_that_only_writes_still_gets_its_replies(server: Any) -> None:
    wire = server.connect()
    wire.send(PING * 3)
    wire.socket.shutdown(socket.SHUT_WR)
    assert wire.read_to_end() == PONG * 3


def test_a_client_that_has_gone_is_forgotten_by_the_engine(server: Any) -> None:
    wire = server.connect()
    wire.ask(pack(b"SUBSCRIBE", b"c"), b"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n")
    wire.close()
    server.wait_for(lambda: not server.engine.sessions)
    server.connect().ask(pack(b"PUBLISH", b"c", b"m"), b":0\r\n")


def test_a_killed_client_is_closed_at_once(server: Any) -> None:
    victim, killer = server.connect(), server.connect()
    victim.ask(pack(b"CLIENT", b"SETNAME", b"victim"), b"+OK\r\n")
    number = server.call(lambda: next(s.id for s in server.engine.sessions.values() if s.name == b"victim"))
    killer.ask(pack(b"CLIENT", b"KILL", b"ID", b"%d" % number), b":1\r\n")
    assert victim.read_to_end() == b""


def test_a_client_that_kills_itself_hears_of_it(server: Any) -> None:
    wire = server.connect()
    wire.send(pack(b"CLIENT", b"KILL", b"SKIPME", b"no") + PING)
    assert wire.read_to_end() == b":1\r\n"


def test_muted_replies_stay_muted_in_a_protocol_error(server: Any) -> None:
    wire = server.connect()
    wire.send(pack(b"CLIENT", b"REPLY", b"OFF") + PING + b"*x\r\n")
    assert wire.read_to_end() == b""


# Authentication


def test_limits_of_unauthenticated_clients_end_with_auth_even_in_one_chunk(start_server: Callable[..., Any]) -> None:
    server = start_server(password="secret")
    value = b"x" * 20_000
    wire = server.connect()
    wire.ask(PING, b"-NOAUTH Authentication required.\r\n")
    wire.ask(pack(b"AUTH", b"secret") + pack(b"ECHO", value) + PING * 50, b"+OK\r\n" + bulk(value) + PONG * 50)
    wire.ask(pack(b"DEL", *[b"k"] * 20), b":0\r\n")


def test_unauthenticated_clients_cannot_send_large_requests(start_server: Callable[..., Any]) -> None:
    server = start_server(password="secret")
    for data, error in ((b"*11\r\n", b"multibulk"), (b"*1\r\n$16385\r\n", b"bulk")):
        wire = server.connect()
        wire.send(data)
        assert wire.read_to_end() == b"-ERR Protocol error: unauthenticated %b length\r\n" % error


def test_reset_takes_the_password_back(start_server: Callable[..., Any]) -> None:
    server = start_server(password="secret")
    wire = server.connect()
    wire.ask(pack(b"AUTH", b"secret") + pack(b"RESET"), b"+OK\r\n+RESET\r\n")
    wire.send(b"*11\r\n")
    assert wire.read_to_end() == b"-ERR Protocol error: unauthenticated multibulk length\r\n"


# Blocked clients


def test_requests_behind_a_blocked_one_wait_in_order(server: Any) -> None:
    blocked, other = server.connect(), server.connect()
    blocked.send(pack(b"BLPOP", b"list", b"0") + pack(b"ECHO", b"1") + pack(b"ECHO", b"2"))
    server.wait_for(lambda: any(s.blocked for s in server.engine.sessions.values()))
    blocked.send(pack(b"ECHO", b"3") + b"*x\r\n")
    assert blocked.silent()
    other.ask(PING, PONG)
    other.ask(pack(b"RPUSH", b"list", b"v"), b":1\r\n")
    popped = b"*2\r\n" + bulk(b"list") + bulk(b"v")
    expected = popped + bulk(b"1") + bulk(b"2") + bulk(b"3") + b"-ERR Protocol error: invalid multibulk length\r\n"
    assert blocked.read_to_end() == expected


def test_two_blocking_requests_of_one_client_are_served_one_after_the_other(server: Any) -> None:
    blocked, other = server.connect(), server.connect()
    blocked.send((pack(b"BLPOP", b"list", b"0") + PING) * 2)
    server.wait_for(lambda: any(s.blocked for s in server.engine.sessions.values()))
    other.ask(pack(b"RPUSH", b"list", b"a", b"b"), b":2\r\n")
    blocked.expect(b"".join(b"*2\r\n" + bulk(b"list") + bulk(value) + PONG for value in (b"a", b"b")))


def test_a_blocked_client_is_released_at_its_deadline(server: Any) -> None:
    wire = server.connect()
    began = time.monotonic()
    wire.ask(pack(b"BLPOP", b"list", b"0.05") + PING, b"*-1\r\n" + PONG)
    assert time.monotonic() - began > 0.04


def test_a_blocked_client_that_leaves_takes_nothing_with_it(server: Any) -> None:
    blocked, other = server.connect(), server.connect()
    blocked.send(pack(b"BLPOP", b"list", b"0"))
    server.wait_for(lambda: any(s.blocked for s in server.engine.sessions.values()))
    blocked.close()
    server.wait_for(lambda: not any(s.blocked for s in server.engine.sessions.values()))
    other.ask(pack(b"RPUSH", b"list", b"v"), b":1\r\n")
    other.ask(pack(b"LLEN", b"list"), b":1\r\n")


def test_a_blocked_client_cannot_pile_requests_up_without_end(start_server: Callable[..., Any]) -> None:
    server = start_server(limits=Limits(query=100_000))
    wire = server.connect()
    wire.send(pack(b"BLPOP", b"list", b"0"))
    with pytest.raises(OSError, match=r"reset|pipe"):
        wire.send(PING * 5_000_000)


# Slow clients


def test_a_client_that_does_not_read_is_not_read_from(start_server: Callable[..., Any]) -> None:
    server = start_server(limits=Limits(output=200_000))
    wire, other = server.connect(), server.connect()
    value = b"x" * 10_000
    other.ask(pack(b"SET", b"k", value), b"+OK\r\n")
    count = 3000
    wire.send(pack(b"GET", b"k") * count)
    server.wait_for(lambda: any(c._paused for c in server.server._connections))
    held = server.call(lambda: max(c._transport.get_write_buffer_size() for c in server.server._connections))
    assert held < 2_000_000
    other.ask(PING, PONG)
    wire.expect(bulk(value) * count)
    wire.ask(PING, PONG)


def test_a_subscriber_that_does_not_read_is_dropped(start_server: Callable[..., Any]) -> None:
    server = start_server(limits=Limits(output=10_000, subscriber_output=1_000_000))
    slow, publisher = server.connect(), server.connect()
    slow.ask(pack(b"SUBSCRIBE", b"c"), b"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n")
    message = pack(b"PUBLISH", b"c", b"x" * 100_000)
    for _ in range(1000):
        publisher.send(message)
        if publisher.read(4) == b":0\r\n":
            break
    else:
        pytest.fail("the subscriber was kept")


def test_a_subscriber_that_lags_for_long_is_dropped(start_server: Callable[..., Any]) -> None:
    limits = Limits(output=10_000, subscriber_lag=100_000, subscriber_lag_seconds=0.2)
    server = start_server(limits=limits)
    slow, publisher = server.connect(), server.connect()
    slow.ask(pack(b"SUBSCRIBE", b"c"), b"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n")

    def receivers(message: bytes) -> bytes:
        publisher.send(pack(b"PUBLISH", b"c", message))
        return publisher.read(4)

    # 20 MB in all, below the limit for dropping at once: only the lag can be the reason.
    for _ in range(200):
        if receivers(b"x" * 100_000) == b":0\r\n":
            break
    while receivers(b"x") != b":0\r\n":
        time.sleep(0.01)
    server.wait_for(lambda: len(server.engine.sessions) == 1)


# Messages


def test_messages_of_one_turn_reach_every_subscriber_in_order(server: Any) -> None:
    wires = [server.connect() for _ in range(20)]
    for wire in wires:
        wire.ask(pack(b"SUBSCRIBE", b"c"), b"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n")
    publisher = server.connect()
    publisher.ask(b"".join(pack(b"PUBLISH", b"c", b"%d" % n) for n in range(100)), b":20\r\n" * 100)
    expected = b"".join(b"*3\r\n" + bulk(b"message") + bulk(b"c") + bulk(b"%d" % n) for n in range(100))
    for wire in wires:
        wire.expect(expected)


def test_a_message_to_oneself_stands_behind_the_reply(server: Any) -> None:
    wire = server.connect()
    wire.send(pack(b"HELLO", b"3") + pack(b"SUBSCRIBE", b"c") + pack(b"PUBLISH", b"c", b"m") + PING)
    assert wire.read_until(PONG).endswith(b":1\r\n>3\r\n" + bulk(b"message") + bulk(b"c") + bulk(b"m") + PONG)


# Who may come


def test_clients_over_the_limit_are_told_and_closed(start_server: Callable[..., Any]) -> None:
    server = start_server(limits=Limits(clients=2))
    kept = [server.connect() for _ in range(2)]
    for wire in kept:
        wire.ask(PING, PONG)
    assert server.connect().read_to_end() == b"-ERR max number of clients reached\r\n"
    kept[0].close()
    server.wait_for(lambda: len(server.engine.sessions) == 1)
    server.connect().ask(PING, PONG)


async def test_without_a_password_only_this_machine_is_served() -> None:
    for password, protected, refusal in ((None, True, b"-DENIED"), ("secret", True, None), (None, False, None)):
        server = Server(Engine(password=password), protected=protected)
        said = server.admit(Connection(server), local=False)
        assert said is None if refusal is None else said is not None and said.startswith(refusal)
        assert server.admit(Connection(server), local=True) is None


def test_idle_clients_are_dropped_but_not_subscribers(start_server: Callable[..., Any], clock: Any) -> None:
    server = start_server(limits=Limits(idle=0.05), clock=clock)
    idle, subscriber = server.connect(), server.connect()
    idle.ask(PING, PONG)
    subscriber.ask(pack(b"SUBSCRIBE", b"c"), b"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n")
    clock.now += 1
    assert idle.read_to_end() == b""
    assert len(server.engine.sessions) == 1


# Expiry


def test_dead_keys_are_swept_without_being_looked_up(server: Any) -> None:
    wire = server.connect()
    for n in range(100):
        wire.ask(pack(b"SET", b"k%d" % n, b"v", b"PX", b"%d" % (1 + n % 30)), b"+OK\r\n")
    server.wait_for(lambda: not server.engine.keyspace.databases[0].data)
    server.wait_for(lambda: server.server.sweeper.wakes_at is None)


def test_an_idle_server_has_nothing_to_do(server: Any) -> None:
    wire = server.connect()
    wire.ask(pack(b"SET", b"k", b"v") + pack(b"SET", b"far", b"v", b"EX", b"1000"), b"+OK\r\n" * 2)
    loop, sweeper = server.server.loop, server.server.sweeper
    server.wait_for(lambda: sweeper.wakes_at is not None and sweeper.wakes_at > loop.time() + 900)


def test_config_and_info_know_the_port(server: Any) -> None:
    wire = server.connect()
    port = b"%d" % server.port
    wire.ask(pack(b"CONFIG", b"GET", b"port"), b"*2\r\n$4\r\nport\r\n$%d\r\n%s\r\n" % (len(port), port))
    assert b"tcp_port:%s\r\n" % port in server.call(lambda: server.engine.execute(server.engine.session(), [b"INFO"]))


# Other sockets, and the end


def short_path(tmp_path: Path) -> str:
    """A path within the 108 bytes that a unix socket's may have."""
    return os.path.relpath(tmp_path / "s")


async def ask(path: str, request: bytes) -> bytes:
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(request)
    reply = await reader.readline()
    writer.close()
    await writer.wait_closed()
    return reply


async def test_a_unix_socket_has_its_permissions_and_is_removed(tmp_path: Path) -> None:
    path = Path(short_path(tmp_path))
    server = Server(Engine())
    await server.listen_unix(path, 0o600)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert await ask(str(path), PING) == PONG
    await server.close()
    assert not path.exists()


async def test_a_stale_unix_socket_is_replaced_but_a_living_one_is_not(tmp_path: Path) -> None:
    path = short_path(tmp_path)
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(path)
    server, second = Server(Engine()), Server(Engine())
    await server.listen_unix(path)
    with pytest.raises(OSError, match="in use"):
        await second.listen_unix(path)
    assert await ask(path, PING) == PONG
    await second.close()
    await server.close()


async def test_a_file_is_never_taken_for_a_stale_socket(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_text("precious")
    server = Server(Engine())
    with pytest.raises(FileExistsError):
        await server.listen_unix(path)
    await server.close()
    assert path.read_text() == "precious"


async def test_one_end_of_a_socketpair_can_be_served() -> None:
    server = Server(Engine())
    ours, theirs = socket.socketpair()
    await server.serve_socket(theirs)
    reader, writer = await asyncio.open_connection(sock=ours)
    writer.write(PING)
    assert await reader.readexactly(len(PONG)) == PONG
    await server.close()
    assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()


@pytest.mark.skipif(not hasattr(socket, "TCP_KEEPIDLE"), reason="the system has no such options")
def test_a_client_is_probed_when_it_is_silent_as_configured_when_it_came(start_server: Callable[..., Any]) -> None:
    server = start_server(keepalive=90)

    def probes() -> list[list[int]]:
        socks = [each._transport.get_extra_info("socket") for each in server.server._connections]
        options = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
        return sorted(
            [sock.getsockopt(socket.IPPROTO_TCP, option) for option in options]
            if sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            else []
            for sock in socks
        )

    first = server.connect()
    first.ask(pack(b"CONFIG", b"SET", b"tcp-keepalive", b"0"), b"+OK\r\n")
    assert server.call(probes) == [[90, 30, 3]]
    second = server.connect()
    second.ask(pack(b"CONFIG", b"SET", b"tcp-keepalive", b"60"), b"+OK\r\n")
    server.connect().ask(PING, PONG)
    assert server.call(probes) == [[], [60, 20, 3], [90, 30, 3]]


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
async def test_a_client_is_known_by_both_of_its_addresses(host: str) -> None:
    server = Server(Engine())
    _, port = await server.listen_tcp(host)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(pack(b"CLIENT", b"INFO"))
    await reader.readline()
    fields = dict(field.partition("=")[::2] for field in (await reader.readline()).decode().split())
    here = writer.get_extra_info("sockname")
    assert (fields["addr"], fields["laddr"]) == (f"127.0.0.1:{here[1]}", f"127.0.0.1:{port}")
    writer.close()
    await server.close()
    await writer.wait_closed()


async def test_a_client_of_a_unix_socket_has_the_address_of_the_socket(tmp_path: Path) -> None:
    path = short_path(tmp_path)
    server = Server(Engine())
    await server.listen_unix(path)
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(pack(b"CLIENT", b"INFO"))
    await reader.readline()
    assert f" addr={path}:0 laddr={path}:0 ".encode() in await reader.readline()
    writer.close()
    await server.close()
    await writer.wait_closed()


async def test_close_leaves_no_task_no_timer_and_no_client() -> None:
    engine = Engine()
    before = asyncio.all_tasks()
    server = Server(engine, limits=Limits(idle=100))
    host, port = await server.listen_tcp()
    pairs = [await asyncio.open_connection(host, port) for _ in range(3)]
    for (reader, writer), request in zip(
        pairs, [PING, pack(b"SUBSCRIBE", b"c"), pack(b"SET", b"k", b"v", b"EX", b"100")], strict=True
    ):
        writer.write(request)
        await reader.readline()
    pairs[0][1].write(pack(b"BLPOP", b"list", b"100"))
    await asyncio.sleep(0.05)
    await server.close()
    assert asyncio.all_tasks() == before
    assert engine.sessions == {}
    assert server.sweeper.wakes_at is None
    assert server._idle_check is None
    for _, writer in pairs:
        writer.close()
        await writer.wait_closed()
    with pytest.raises(OSError, match=r"refused|failed"):
        await asyncio.open_connection(host, port)


@pytest.mark.parametrize("turns", range(5))
async def test_a_client_that_was_just_accepted_is_closed_with_the_server(turns: int) -> None:
    server = Server(Engine())
    with socket.socket() as ours:
        ours.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(ours, await server.listen_tcp())
        for _ in range(turns):
            await asyncio.sleep(0)
        await server.close()
        async with asyncio.timeout(10):
            with contextlib.suppress(ConnectionResetError):
                assert await loop.sock_recv(ours, 1) == b""
    gc.collect()  # a socket that was left open is an error now, not in a later test


async def test_close_does_not_wait_for_a_client_that_does_not_read() -> None:
    server = Server(Engine())
    ours, theirs = socket.socketpair()
    await server.serve_socket(theirs)
    ours.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(ours, pack(b"SET", b"k", b"x" * 3_000_000) + pack(b"GET", b"k"))
    await asyncio.sleep(0.1)
    began = loop.time()
    await server.close()
    assert loop.time() - began < 5
    ours.close()
