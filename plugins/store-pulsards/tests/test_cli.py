"""The ``pulsards`` command, as a real process."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

import store_pulsards
from store_pulsards.cli import make_parser

SOURCE = Path(next(iter(store_pulsards.__path__))).parent
PATIENCE = 20


@pytest.fixture
def pulsards() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts the command; whatever the test leaves running is killed."""
    processes: list[subprocess.Popen[str]] = []

    def start(*options: str, environment: dict[str, str] | None = None, **popen: Any) -> subprocess.Popen[str]:
        paths = os.pathsep.join([str(SOURCE), *sys.path[1:]])
        command = [sys.executable, "-m", "store_pulsards", *options]
        settings = {
            "stdin": subprocess.PIPE,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "text": True,
        } | popen
        process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": paths, **(environment or {})}, **settings)
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def ready(process: subprocess.Popen[str]) -> dict[str, str]:
    """The ready line, as a program reads it."""
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("pulsards ready "), process.communicate()
    return dict(field.split("=", 1) for field in line.split()[2:])


def refusal(process: subprocess.Popen[str]) -> str:
    """The one line with which the command gave up."""
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode not in (0, None)
    assert out == ""
    assert err.count("\n") == 1, err
    return err.strip()


def client(place: dict[str, str], **options: Any) -> redis.Redis:
    return redis.Redis(host=place["host"], port=int(place["port"]), **options)


# Running


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_names_its_real_port_and_stops_cleanly_on_a_signal(
    pulsards: Callable[..., subprocess.Popen[str]], number: signal.Signals
) -> None:
    process = pulsards("--port", "0")
    place = ready(process)
    assert place["host"] == "127.0.0.1"
    with client(place) as one:
        assert one.ping()
        process.send_signal(number)
        assert process.wait(PATIENCE) == 0
    out, err = process.communicate()
    assert out == ""
    assert "Traceback" not in err
    assert f"stopping: {number.name}" in err


def test_it_stops_when_the_program_that_started_it_is_killed(tmp_path: Path) -> None:
    parent = (
        "import subprocess, sys, time\n"
        "command = [sys.executable, '-m', 'store_pulsards', '--port', '0', '--exit-on-stdin-eof']\n"
        "server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)\n"
        "print(server.pid, server.stdout.readline(), flush=True)\n"
        "time.sleep(1000)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(SOURCE), *sys.path[1:]])}
    with subprocess.Popen(
        [sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True, env=environment
    ) as starter:
        assert starter.stdout is not None
        line = starter.stdout.readline()
        match = re.search(r"^(\d+) .*port=(\d+)", line)
        assert match is not None, line
        starter.kill()
    port = int(match[2])
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            return
        time.sleep(0.02)
    os.kill(int(match[1]), signal.SIGKILL)
    pytest.fail("the server outlived the program that had started it")


def test_it_listens_on_a_unix_socket_alone(pulsards: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> None:
    process = pulsards("--bind", "", "--unixsocket", "s", "--unixsocketperm", "700", "--dir", str(tmp_path))
    assert ready(process) == {"unixsocket": "s"}
    assert (tmp_path / "s").stat().st_mode & 0o777 == 0o700
    with redis.Redis(unix_socket_path=os.path.relpath(tmp_path / "s")) as one:
        assert one.ping()
    process.terminate()
    assert process.wait(PATIENCE) == 0
    assert not (tmp_path / "s").exists()


def test_it_takes_the_password_from_the_environment(pulsards: Callable[..., subprocess.Popen[str]]) -> None:
    place = ready(pulsards("--port", "0", environment={"PULSARDS_REQUIREPASS": "secret"}))
    with client(place) as stranger, pytest.raises(redis.AuthenticationError):
        stranger.ping()
    with client(place, password="secret") as friend:
        assert friend.ping()


def test_its_files_are_where_they_were_asked_for(
    pulsards: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    options = ["--pidfile", "pid", "--logfile", "log", "--loglevel", "debug", "--dir", str(tmp_path)]
    process = pulsards("--port", "0", "--databases", "2", *options)
    place = ready(process)
    assert (tmp_path / "pid").read_text() == f"{process.pid}\n"
    with client(place, db=1) as one:
        assert one.ping()
        with pytest.raises(redis.ResponseError, match="out of range"):
            one.execute_command("SELECT", "2")
    process.terminate()
    _, err = process.communicate(timeout=PATIENCE)
    assert err == ""
    assert not (tmp_path / "pid").exists()
    assert "accepted a client at 127.0.0.1" in (tmp_path / "log").read_text()


def test_it_takes_a_limit_of_memory_and_a_policy(pulsards: Callable[..., subprocess.Popen[str]]) -> None:
    place = ready(pulsards("--port", "0", "--maxmemory", "64kb", "--maxmemory-policy", "allkeys-lfu"))
    with client(place) as one:
        assert one.config_get("maxmemory", "maxmemory-policy") == {
            "maxmemory": "65536",
            "maxmemory-policy": "allkeys-lfu",
        }
        for number in range(200):
            one.set(f"key:{number}", "x" * 1000)
        assert one.info("memory")["used_memory"] <= 65536
        assert one.object("freq", "key:199") == 5


# Refusing


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--prot", "1"], "unknown option '--prot'; did you mean --port"),
        (["--appendonly", "yes"], "unknown option '--appendonly'"),
        (["redis.conf"], "unexpected argument 'redis.conf'"),
        (["--port", "http"], "argument --port: must be a number from 0 to 65535, not 'http'"),
        (["--port", "65536"], "argument --port: must be a number from 0 to 65535, not '65536'"),
        (["--unixsocketperm", "9"], "must be octal permissions such as 700, not '9'"),
        (["--unixsocketperm", "700"], "--unixsocketperm needs --unixsocket"),
        (["--bind", ""], "nowhere to listen"),
        (["--loglevel", "loud"], "invalid choice: 'loud'"),
        (["--maxmemory", "lots"], "argument --maxmemory: must be a number of bytes such as 100mb, not 'lots'"),
        (["--maxmemory-policy", "lru"], "invalid choice: 'lru'"),
        (["--dir", "/no/such/place"], "--dir /no/such/place: No such file or directory"),
        (["--logfile", "/no/such/log"], "--logfile /no/such/log: No such file or directory"),
        (["--port", "0", "--bind", "203.0.113.1"], "cannot listen on 203.0.113.1:0:"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    pulsards: Callable[..., subprocess.Popen[str]], options: list[str], expected: str
) -> None:
    line = refusal(pulsards(*options))
    assert line.startswith("pulsards: ")
    assert expected in line


def test_a_port_in_use_is_said_in_one_line(pulsards: Callable[..., subprocess.Popen[str]]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = refusal(pulsards("--port", str(port)))
    assert line == f"pulsards: cannot listen on 127.0.0.1:{port}: Address already in use"


def test_stdin_that_is_no_pipe_is_refused(pulsards: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (tmp_path / "file").open() as file:
        line = refusal(pulsards("--port", "0", "--exit-on-stdin-eof", stdin=file))
    assert line == "pulsards: --exit-on-stdin-eof needs a pipe as standard input"


def test_the_help_names_every_option() -> None:
    text = make_parser().format_help()
    assert "--exit-on-stdin-eof" in text
    assert "6410" in text


def test_shutdown_ends_the_process() -> None:
    command = [sys.executable, "-m", "store_pulsards", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline().rpartition("port=")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
            client.sendall(b"SHUTDOWN SAVE\r\n")
            assert client.recv(100) == b"-ERR Errors trying to SHUTDOWN. Check logs.\r\n"
            client.sendall(b"SHUTDOWN NOSAVE\r\n")
            assert client.recv(100) == b""
        assert process.wait(10) == 0
