"""MONITOR and the slow log, over a socket: against Valkey, through redis-py, and what they leave behind."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from typing import Any

import pytest
import redis

LINES = [
    rb'SET a "x\"y\\\n\t\x01\xff"',
    b"AUTH secret",
    b"HELLO 2 AUTH default secret",
    b"CONFIG GET a",
    b"CLIENT SETNAME x",
    b"SELECT 3",
    b"MULTI",
    b"SET a 1",
    b"INCR b",
    b"EXEC",
    b"GET",
    b"NOSUCH",
    b"LPUSH a x",
    b"BLPOP nothing 0.01",
    b"MULTI",
    b"INCR a",
    b"DISCARD",
    b"EXEC",
    b"SLOWLOG LEN",
    b"SUBSCRIBE a",
    b"RESET",
    b"ECHO end",
]


def monitored(address: tuple[str, int], lines: list[bytes]) -> list[bytes]:
    """What MONITOR shows of these commands, without time and port."""
    with socket.create_connection(address) as monitor, socket.create_connection(address) as client:
        monitor.settimeout(5)
        client.settimeout(5)
        monitor.sendall(b"MONITOR\r\n")
        assert monitor.recv(5) == b"+OK\r\n"
        for line in lines:
            client.sendall(line + b"\r\n")
            client.recv(65536)
        shown = b""
        while not shown.endswith(b'"ECHO" "end"\r\n'):
            shown += monitor.recv(65536)
    found = []
    for line in shown.splitlines():
        matched = re.fullmatch(rb"\+\d{10}\.\d{6} \[(\d+) 127\.0\.0\.1:\d+\] (.*)", line)
        assert matched, line
        found.append(b"[%b] %b" % matched.groups())
    return found


def test_monitor_shows_what_valkey_shows(server: Any, valkey: tuple[str, int]) -> None:
    ours = monitored(server.address, LINES)
    assert len(ours) > 10
    assert ours == monitored(valkey, LINES)


def test_monitor_works_through_redis_py(server: Any) -> None:
    with redis.Redis(*server.address) as client, client.monitor() as monitor:
        client.set("key", "value")
        commands = [monitor.next_command() for _ in range(4)]
        shown = [command for command in commands if command["command"].startswith("SET")]
        assert shown[0]["command"] == "SET key value"
        assert shown[0]["client_type"] == "tcp"


def test_after_a_monitor_has_gone_commands_run_as_before(server: Any, connect: Callable[..., Any]) -> None:
    client, monitor = connect(server.address), connect(server.address)
    client.ask(b"PING\r\n", b"+PONG\r\n")
    monitor.ask(b"MONITOR\r\n", b"+OK\r\n")
    assert server.call(lambda: all(session.gate for session in server.engine.sessions.values()))
    monitor.close()
    server.wait_for(lambda: not server.engine.observation.monitors)
    assert server.call(lambda: not any(session.gate for session in server.engine.sessions.values()))
    client.close()


def test_a_slow_command_is_logged_with_no_command_timed_by_itself(server: Any) -> None:
    with redis.Redis(*server.address) as client:
        client.ping()
        assert server.call(lambda: not any(session.gate for session in server.engine.sessions.values()))
        client.execute_command("DEBUG", "SLEEP", "0.02")
        (entry,) = client.execute_command("SLOWLOG GET")
    assert entry["command"] == b"DEBUG SLEEP 0.02"
    assert entry["duration"] >= 20_000


def test_every_command_is_logged_at_threshold_0_and_shortened(server: Any) -> None:
    with redis.Redis(*server.address, client_name="me") as client:
        client.config_set("slowlog-log-slower-than", 0)
        client.set("key", "x" * 200)
        client.mget([str(number) for number in range(40)])
        client.execute_command("CONFIG SET", "slowlog-max-len", "9", "requirepass", "")
        entries = client.execute_command("SLOWLOG GET")
        words = [entry["command"] for entry in entries]
    assert words[0] == b"CONFIG SET slowlog-max-len 9 requirepass (redacted)"
    assert words[1].endswith(b" 29 ... (10 more arguments)")
    assert words[2] == b"SET key " + b"x" * 128 + b"... (72 more bytes)"
    assert entries[0]["client_name"] == b"me"


@pytest.mark.parametrize("count", [0, 3])
def test_only_so_many_slow_commands_are_kept(server: Any, count: int) -> None:
    with redis.Redis(*server.address) as client:
        client.config_set("slowlog-log-slower-than", 0)
        client.config_set("slowlog-max-len", count)
        for _ in range(5):
            client.ping()
        assert client.slowlog_len() == count


def test_latency_tells_of_spikes_and_distributions(server: Any) -> None:
    with redis.Redis(*server.address, protocol=3) as client:
        client.config_set("latency-tracking", "yes")
        for _ in range(20):
            client.set("key", 1)
        found = client.execute_command("LATENCY HISTOGRAM", "set")
        assert found[b"set"][b"calls"] == 20
        assert max(found[b"set"][b"histogram_usec"].values()) == 20


def test_after_a_slow_pipeline_its_commands_are_timed_one_by_one(server: Any, connect: Callable[..., Any]) -> None:
    wire = connect(server.address)
    wire.send(b"DEBUG SLEEP 0.02\r\nPING\r\n")
    wire.expect(b"+OK\r\n+PONG\r\n")
    wire.send(b"PING\r\nDEBUG SLEEP 0.02\r\nECHO x\r\n")
    wire.expect(b"+PONG\r\n+OK\r\n$1\r\nx\r\n")
    with redis.Redis(*server.address) as client:
        assert [entry["command"] for entry in client.execute_command("SLOWLOG GET")] == [b"DEBUG SLEEP 0.02"]
    wire.close()
