"""redis-cli and redis-benchmark against a server: what people look into one with."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import termios
from typing import Any

import pytest
import redis

PROGRAM = shutil.which("redis-cli")
BENCHMARK = shutil.which("redis-benchmark")
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="redis-cli is not installed")

DEFAULT_SET = {
    *("PING_INLINE", "PING_MBULK", "SET", "GET", "INCR", "LPUSH", "RPUSH", "LPOP", "RPOP", "SADD", "HSET", "SPOP"),
    *("ZADD", "ZPOPMIN", "MSET (10 keys)", "LRANGE_100 (first 100 elements)", "LRANGE_300 (first 300 elements)"),
    *("LRANGE_500 (first 500 elements)", "LRANGE_600 (first 600 elements)"),
}


@pytest.fixture
def port(server: Any) -> int:
    """A server with a key of each type."""
    with redis.Redis(*server.address) as client:
        client.set("string", "value")
        client.rpush("list", *range(10))
        client.sadd("set", *range(10))
        client.hset("hash", mapping={"a": 1, "b": 2})
        client.zadd("zset", {"a": 1})
    return int(server.port)


def cli(port: int, *options: str) -> str:
    assert PROGRAM is not None
    command = [PROGRAM, "-p", str(port), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout


def first_lines(port: int, count: int, *options: str) -> list[str]:
    """What a program that goes on forever prints first."""
    assert PROGRAM is not None
    with subprocess.Popen(
        ["stdbuf", "-oL", PROGRAM, "-p", str(port), *options], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(count)]
        process.kill()
    return lines


def test_scan_lists_every_key(port: int) -> None:
    assert sorted(cli(port, "--scan").split()) == ["hash", "list", "set", "string", "zset"]


def test_bigkeys_finds_the_biggest_of_each_type(port: int) -> None:
    shown = cli(port, "--bigkeys")
    assert "Sampled 5 keys in the keyspace!" in shown
    assert "1 lists with 10 items" in shown
    assert "1 zsets with 1 members" in shown


def test_memkeys_asks_for_the_memory_of_each(port: int) -> None:
    assert "Sampled 5 keys in the keyspace!" in cli(port, "--memkeys")


def test_stat_reads_what_it_prints_from_info(port: int) -> None:
    lines = first_lines(port, 3, "--stat")
    assert lines[1].split()[:2] == ["keys", "mem"]
    assert lines[2].split()[0] == "5"


def test_monitor_shows_commands(port: int) -> None:
    assert PROGRAM is not None
    with subprocess.Popen(
        ["stdbuf", "-oL", PROGRAM, "-p", str(port), "MONITOR"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "OK\n"
        cli(port, "SET", "seen", "1")
        shown = ""
        while '"SET" "seen" "1"' not in shown:
            line = process.stdout.readline()
            assert line
            shown += line
        process.kill()


def test_latency_measures_with_ping(port: int) -> None:
    (least, greatest, average, samples), *_ = [line.split() for line in first_lines(port, 1, "--latency", "--raw")]
    assert 0 <= float(least) <= float(average) <= float(greatest)
    assert int(samples) > 0


def test_hotkeys_needs_frequencies_as_in_valkey(port: int) -> None:
    assert PROGRAM is not None
    with redis.Redis(port=port) as client:
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    found = subprocess.run([PROGRAM, "-p", str(port), "--hotkeys"], capture_output=True, text=True, check=False)
    assert "An LFU maxmemory policy is not selected" in found.stdout + found.stderr


def test_info_shows_every_section(port: int) -> None:
    shown = cli(port, "INFO", "everything")
    for section in ("Server", "Clients", "Memory", "Stats", "Replication", "CPU", "Errorstats", "Keyspace"):
        assert f"# {section}\n" in shown.replace("\r", "")


def test_mass_insertion_is_answered_in_full(port: int) -> None:
    assert PROGRAM is not None
    commands = "".join(f"SET mass:{number} {number}\r\n" for number in range(500))
    process = subprocess.run(
        [PROGRAM, "-p", str(port), "--pipe"], input=commands, capture_output=True, text=True, timeout=20, check=True
    )
    assert "errors: 0, replies: 500" in process.stdout


def test_resp3_is_spoken_when_asked_for(port: int) -> None:
    assert cli(port, "-3", "--json", "HGETALL", "hash") == '{"a":"1","b":"2"}\n'


def test_a_replica_is_refused_with_the_reason(port: int) -> None:
    assert PROGRAM is not None
    command = [PROGRAM, "-p", str(port), "--rdb", "/dev/null"]
    found = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert "ERR SYNC not allowed: pulsards has no replication" in found.stdout + found.stderr


@pytest.mark.skipif(BENCHMARK is None, reason="redis-benchmark is not installed")
@pytest.mark.parametrize("pipeline", ["1", "16"])
def test_the_default_set_of_the_benchmark_completes(port: int, pipeline: str) -> None:
    assert BENCHMARK is not None
    command = [BENCHMARK, "-p", str(port), "-n", "320", "-c", "20", "-P", pipeline, "--csv"]
    process = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert process.stderr == ""
    measured = {line.split('","')[0].strip('"') for line in process.stdout.splitlines()[1:]}
    assert measured >= DEFAULT_SET


def test_hints_come_from_what_the_server_tells_of_its_commands(port: int) -> None:
    """HGETDEL is younger than the program, which has a table of its own besides."""
    assert PROGRAM is not None
    terminal, inside = pty.openpty()
    termios.tcsetwinsize(inside, (24, 120))
    environment = {**os.environ, "TERM": "xterm", "HOME": "/nonexistent"}
    with subprocess.Popen(
        [PROGRAM, "-p", str(port)], stdin=inside, stdout=inside, stderr=inside, env=environment
    ) as process:
        os.close(inside)
        read_until(terminal, b"> ")
        os.write(terminal, b"HGETDEL ")
        assert b"key FIELDS numfields" in read_until(terminal, b"numfields")
        process.kill()
    os.close(terminal)


def read_until(terminal: int, end: bytes) -> bytes:
    seen = b""
    while end not in seen:
        ready, _, _ = select.select([terminal], [], [], 20)
        assert ready, seen
        seen += os.read(terminal, 4096)
    return seen
