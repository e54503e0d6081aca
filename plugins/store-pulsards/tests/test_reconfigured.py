"""CONFIG SET of what a server does: it holds from then on, for the clients that are there as well."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import pytest

from store_pulsards.connection import TOO_MANY_CLIENTS
from store_pulsards.server import Limits, Server

PING = b"*1\r\n$4\r\nPING\r\n"
PONG = b"+PONG\r\n"
OK = b"+OK\r\n"
QUARTER = 2**18


def config_set(wire: Any, name: str, value: str) -> None:
    wire.ask(b'CONFIG SET %b "%b"\r\n' % (name.encode(), value.encode()), OK)


def test_fewer_clients_are_taken_in(server: Any) -> None:
    wire = server.connect()
    config_set(wire, "maxclients", "2")
    second = server.connect()
    second.ask(PING, PONG)
    assert server.connect().read_to_end() == TOO_MANY_CLIENTS
    config_set(wire, "maxclients", "3")
    server.connect().ask(PING, PONG)
    second.ask(PING, PONG)


def test_idle_clients_are_dropped_from_then_on(start_server: Callable[..., Any]) -> None:
    server = start_server()
    wire, idle = server.connect(), server.connect()
    for each in (wire, idle):
        each.ask(PING, PONG)
    config_set(wire, "timeout", "1")
    assert idle.read_to_end() == b""


def test_without_a_timeout_nobody_is_looked_for(start_server: Callable[..., Any]) -> None:
    server = start_server(limits=Limits(idle=5))
    wire = server.connect()
    config_set(wire, "timeout", "0")
    assert server.call(lambda: server.server._idle_check) is None
    wire.ask(b"CONFIG GET timeout\r\n", b"*2\r\n$7\r\ntimeout\r\n$1\r\n0\r\n")


def test_arguments_may_be_as_long_as_is_set(server: Any) -> None:
    wire, other = server.connect(), server.connect()
    other.ask(PING, PONG)
    config_set(wire, "proto-max-bulk-len", "1mb")
    other.send(b"*2\r\n$4\r\nECHO\r\n$1048577\r\n")
    assert other.read_to_end() == b"-ERR Protocol error: invalid bulk length\r\n"
    wire.send(b"*2\r\n$4\r\nECHO\r\n$1048576\r\n" + b"x" * 1048576 + b"\r\n")
    wire.expect(b"$1048576\r\n" + b"x" * 1048576 + b"\r\n")


def test_a_request_may_be_as_long_as_is_set(server: Any) -> None:
    wire = server.connect()
    config_set(wire, "client-query-buffer-limit", "1mb")
    arguments = b"$%d\r\n%b\r\n" % (QUARTER, b"x" * QUARTER)
    other = server.connect()
    other.send(b"*6\r\n$3\r\nDEL\r\n" + arguments * 4)
    other.read_to_end()
    wire.ask(PING, PONG)


def test_subscribers_that_do_not_read_are_dropped_above_the_limit_that_is_set(server: Any) -> None:
    wire, slow = server.connect(), server.connect()
    config_set(wire, "client-output-buffer-limit", "pubsub 1mb 0 0")
    slow.ask(b"SUBSCRIBE c\r\n", b"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n")
    message = b"*3\r\n$7\r\nPUBLISH\r\n$1\r\nc\r\n$%d\r\n%b\r\n" % (QUARTER, b"x" * QUARTER)
    for _ in range(200):
        wire.send(message)
        if wire.read(4) == b":0\r\n":
            break
    else:
        pytest.fail("the subscriber was not dropped")
    assert server.engine.traffic.dropped_for_output == 1


def test_connections_are_kept_alive_as_is_set(server: Any) -> None:
    wire = server.connect()
    config_set(wire, "tcp-keepalive", "7")
    other = server.connect()
    other.ask(PING, PONG)

    def idle_times() -> list[int]:
        sockets = [each._transport.get_extra_info("socket") for each in server.server._connections]
        return sorted(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) for sock in sockets)

    assert server.call(idle_times) == [7, 300]


def test_protection_is_switched(server: Any) -> None:
    wire = server.connect()
    config_set(wire, "protected-mode", "no")
    assert not server.call(lambda: server.server.protected)
    wire.ask(b"CONFIG GET protected-mode\r\n", b"*2\r\n$14\r\nprotected-mode\r\n$2\r\nno\r\n")


def test_a_server_that_has_closed_is_told_nothing(server: Any) -> None:
    server.stop()
    assert server.engine.config.watch_servers == []


def test_each_of_several_servers_is_told(start_server: Callable[..., Any]) -> None:
    server = start_server()

    async def second() -> Any:
        other = Server(server.engine, limits=Limits(idle=9))
        await other.listen_tcp()
        server.engine.config.set([(b"maxclients", b"5")])
        limits = other.limits
        await other.close()
        return limits

    limits = asyncio.run_coroutine_threadsafe(second(), server.loop).result(10)
    assert (limits.clients, limits.idle) == (5, 9)
    assert server.server.limits.clients == 5
    assert server.server.limits.idle == 0


def test_fewer_keys_are_remembered_for_tracking_clients(server: Any) -> None:
    wire = server.connect()
    wire.ask(b"CLIENT TRACKING ON\r\n", OK)
    for key in (b"a", b"b", b"c"):
        wire.ask(b"GET %b\r\n" % key, b"$-1\r\n")
    config_set(wire, "tracking-table-max-keys", "2")
    assert server.call(lambda: list(server.engine.tracking.keys)) == [b"b", b"c"]
