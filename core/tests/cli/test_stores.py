"""``store ping``, ``exec`` and ``start`` against a real server."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest


def wait_until(true: Any, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come about in time"
        time.sleep(0.02)


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_ping_prints_pong_and_the_milliseconds(run: Any, server: Any) -> None:
    result = run("ping", server.dsn)
    assert (result.returncode, result.stderr) == (0, "")
    assert re.fullmatch(r"PONG \d+\.\d{3} ms\n", result.stdout)


def test_a_wrong_password_is_the_servers_own_words(run: Any, server: Any) -> None:
    result = run("ping", f"redis://:wr0ng@127.0.0.1:{server.port}")
    assert result.returncode == 1
    assert result.stderr.startswith("store: WRONGPASS ")
    assert result.stderr.endswith(f"(while connecting to 127.0.0.1:{server.port})\n")
    assert "wr0ng" not in result.stderr


@pytest.mark.parametrize(
    ("words", "received"),
    [
        (("RPUSH", "l", "-1", "--json", "--help", "-h"), ["-1", "--json", "--help", "-h"]),
        (("RPUSH", "l", "a", "--", "-1"), ["a", "-1"]),
        (("--", "RPUSH", "l", "-1", "--"), ["-1", "--"]),
        (("RPUSH", "l", "--", "--"), ["--"]),
        (("RPUSH", "l", "", "a b", "é"), ["", "a b", "é"]),
    ],
)
def test_what_follows_the_dsn_belongs_to_the_command(run: Any, server: Any, words: Any, received: list[str]) -> None:
    assert run("exec", server.dsn, *words).returncode == 0
    assert [item.decode() for item in server.execute("LRANGE", "l", 0, -1)] == received


def test_a_negative_number_needs_no_separator(run: Any, server: Any) -> None:
    server.execute("RPUSH", "l", "a", "b")
    assert run("exec", server.dsn, "LRANGE", "l", "0", "-1").stdout == '1) "a"\n2) "b"\n'


def test_raw_prints_bytes_and_json_prints_json(command: list[str], server: Any) -> None:
    server.execute("SET", "k", b"\x00\xff\n")
    raw = subprocess.run([*command, "exec", "--raw", server.dsn, "GET", "k"], capture_output=True, check=True)
    assert raw.stdout == b"\x00\xff\n\n"
    server.execute("HSET", "h", "f", "1")
    text = subprocess.run([*command, "exec", "--json", server.dsn, "HGETALL", "h"], capture_output=True, check=True)
    assert json.loads(text.stdout) == {"f": "1"}


def test_an_argument_that_is_no_text_is_sent_as_its_bytes(command: list[str], server: Any) -> None:
    arguments = [*command, "exec", server.dsn, "SET", "k", b"\xff\xfe"]
    subprocess.run(arguments, check=True, capture_output=True, env={**os.environ, "PYTHONUTF8": "1"})
    assert server.execute("GET", "k") == b"\xff\xfe"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("NOSUCH", "k"), "ERR unknown command"),
        (("GET",), "ERR wrong number of arguments"),
        (("LPUSH", "string", "a"), "WRONGTYPE "),
        (("CONFIG", "SET", "maxmemory", "--", "-1"), "ERR CONFIG SET failed"),
        (("SUBSCRIBE", "c"), "use store.pubsub()"),
    ],
)
def test_a_refused_command_is_one_line_and_status_1(run: Any, server: Any, words: Any, message: str) -> None:
    server.execute("SET", "string", "v")
    result = run("exec", server.dsn, *words)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("store: ")
    assert result.stderr.count("\n") == 1
    assert message in result.stderr


def test_control_c_ends_a_waiting_command_with_130_and_silence(spawn: Any, server: Any) -> None:
    process = spawn("exec", server.dsn, "BLPOP", "queue", "0")
    wait_until(lambda: b"cmd=blpop" in server.execute("CLIENT", "LIST"))
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=20)
    assert (process.returncode, output, errors) == (130, "", "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_started_server_answers_until_a_signal_and_then_is_gone(spawn: Any, run: Any, number: int) -> None:
    process = spawn("start", "redis://:s3cret@127.0.0.1:0")
    shown = process.stdout.readline().strip()
    assert re.fullmatch(r"redis://:\*\*\*@127\.0\.0\.1:[1-9]\d*", shown)
    assert f"kill {process.pid}" in process.stdout.readline()
    assert run("ping", shown.replace("***", "s3cret")).returncode == 0
    process.send_signal(number)
    output, errors = process.communicate(timeout=20)
    assert (process.returncode, output, errors) == (0, "", "")
    assert not answers(int(shown.rpartition(":")[2]))


def test_a_signal_while_the_server_starts_leaves_nothing_behind(spawn: Any, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    process = spawn("start", f"unix://{path}")
    wait_until(lambda: path.exists() or process.poll() is not None)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (0, "")
    assert not path.exists()


def test_nothing_is_started_where_somebody_answers(run: Any, server: Any) -> None:
    result = run("start", server.dsn)
    assert (result.returncode, result.stdout) == (1, "")
    assert re.fullmatch(r"store: redis://:\*\*\*@127\.0\.0\.1:\d+ answers already: .*\n", result.stderr)


def test_nothing_is_started_on_another_machine(run: Any) -> None:
    result = run("start", "redis://192.0.2.1:0")
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1


def test_a_server_that_dies_ends_the_command(spawn: Any, run: Any) -> None:
    process = spawn("start", "redis://127.0.0.1:0")
    dsn = process.stdout.readline().strip()
    info = run("exec", dsn, "INFO", "server").stdout
    os.kill(int(info.partition("process_id:")[2].split()[0]), signal.SIGKILL)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 1
    assert errors.startswith(f"store: the server at {dsn} has gone: ")
    assert errors.count("\n") == 1
