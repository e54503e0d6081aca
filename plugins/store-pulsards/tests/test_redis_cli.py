"""redis-cli against a server process: what people look into a server with."""

from __future__ import annotations

import shutil
import subprocess
from typing import Any

import pytest
import redis

PROGRAM = shutil.which("redis-cli")
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="redis-cli is not installed")


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
