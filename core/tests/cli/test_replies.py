"""Replies: redis-cli's own forms, written down, and asked of redis-cli itself where there is one."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any

import pytest

from store_core import ReplyError
from store_core.cli.replies import as_json, as_raw, as_text


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        (None, "(nil)"),
        (1, "(integer) 1"),
        (True, "(true)"),
        (1.5, "(double) 1.5"),
        (2.0, "(double) 2"),
        (float("inf"), "(double) inf"),
        (b"v", '"v"'),
        ("v", '"v"'),
        (b'a"b\\c\n\r\t\x00\xc3\xa9', r'"a\"b\\c\n\r\t\x00\xc3\xa9"'),
        ([], "(empty array)"),
        (set(), "(empty set)"),
        ({}, "(empty hash)"),
        ([b"a", None, [1, [b"b"]]], '1) "a"\n2) (nil)\n3) 1) (integer) 1\n   2) 1) "b"'),
        ({b"k": 1, b"l": [1, 2]}, '1# "k" => (integer) 1\n2# "l" => \n   1) (integer) 1\n   2) (integer) 2'),
        ({b"a"}, '1~ "a"'),
        ([ReplyError("ERR bad")], "1) (error) ERR bad"),
    ],
)
def test_a_reply_is_written_as_redis_cli_writes_it(reply: Any, text: str) -> None:
    assert as_text(reply) == text


def test_the_numbers_of_a_long_list_are_right_aligned() -> None:
    lines = as_text([b"x"] * 10).splitlines()
    assert (lines[0], lines[9]) == (' 1) "x"', '10) "x"')


@pytest.mark.parametrize(
    ("command", "reply", "text"),
    [
        (["SET", "k", "v"], b"OK", "OK"),
        (["get", "k"], b"OK", '"OK"'),
        (["SET", "k", "v", "get"], b"OK", '"OK"'),
        (["PING"], b"PONG", "PONG"),
        (["PING", "OK"], b"OK", '"OK"'),
        (["TYPE", "k"], b"string", "string"),
        (["INFO"], b"# Server\r\nversion:1\r\n", "# Server\r\nversion:1"),
        (["client", "list"], b"id=1\n", "id=1"),
    ],
)
def test_statuses_and_reports_are_not_quoted(command: list[str], reply: Any, text: str) -> None:
    assert as_text(reply, command) == text


@pytest.mark.parametrize(
    ("reply", "raw"),
    [
        (None, b""),
        (1, b"1"),
        (2.0, b"2"),
        (b"\x00\xff", b"\x00\xff"),
        ("é", "é".encode()),
        ([b"a", [1, b"b"]], b"a\n1\nb"),
        ({b"k": b"v"}, b"k\nv"),
    ],
)
def test_raw_is_the_bytes_an_item_a_line(reply: Any, raw: bytes) -> None:
    assert as_raw(reply) == raw


@pytest.mark.parametrize(
    ("reply", "value"),
    [
        (None, None),
        (True, True),
        (1.5, 1.5),
        (float("nan"), "nan"),
        ("é".encode(), "é"),
        (b"\xff", "\\xff"),
        ([b"a", 1, {b"k": [None]}], ["a", 1, {"k": [None]}]),
        ({1: b"a", (1, 2): b"b"}, {"1": "a", "[1, 2]": "b"}),
        ([ReplyError("ERR bad")], ["ERR bad"]),
    ],
)
def test_json_is_json_whatever_the_reply_holds(reply: Any, value: Any) -> None:
    assert json.loads(as_json(reply)) == value


@pytest.mark.skipif(not shutil.which("redis-cli"), reason="needs redis-cli")
@pytest.mark.parametrize(
    "words",
    [
        ("GET", "string"),
        ("GET", "missing"),
        ("TYPE", "list"),
        ("LRANGE", "list", "0", "-1"),
        ("LRANGE", "missing", "0", "-1"),
        ("HGETALL", "hash"),
        ("HGETALL", "missing"),
        ("ZRANGE", "sorted", "0", "-1", "WITHSCORES"),
        ("XREAD", "STREAMS", "stream", "0"),
        ("XREAD", "STREAMS", "stream", "1-1"),
        ("XINFO", "STREAM", "stream"),
        ("EVAL", "redis.setresp(3); return {1, {map={a=1}}, {double=0.1}, true, {}}", "0"),
        ("EVAL", "return {redis.error_reply('ERR bad'), 1}", "0"),
        ("SET", "string", "OK", "GET"),
        ("CONFIG", "GET", "maxmemory"),
        ("SCAN", "0", "COUNT", "100"),
        ("SET", "other", "value"),
    ],
)
def test_redis_cli_prints_the_same(run: Any, server: Any, words: Any) -> None:
    server.execute("SET", "string", 'a "quoted"\n\x01é')
    server.execute("RPUSH", "list", *range(12))
    server.execute("HSET", "hash", *range(24))
    server.execute("ZADD", "sorted", "1.5", "a", "2", "b", "0.1", "c", "1e300", "d", "-inf", "e")
    server.execute("XADD", "stream", "1-1", "a", "b")
    server.execute("XADD", "stream", "1-2", "a", "b", "c", "d")
    theirs = subprocess.run(
        ["redis-cli", "-3", "--no-raw", "--no-auth-warning", "-p", str(server.port), *words],
        capture_output=True,
        text=True,
        check=True,
        env={"REDISCLI_AUTH": server.password},
    )
    if words[0] == "SET":
        server.execute("SET", "string", 'a "quoted"\n\x01é')
    assert run("exec", server.dsn, *words).stdout == theirs.stdout
