"""The command as its users have it: a process, its two streams and its exit status."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from store_core import DSN, start_store

PATIENCE = 30.0

Run = Callable[..., "subprocess.CompletedProcess[str]"]


class Server:
    """A real server with a password."""

    password = "hunter2 & co"

    def __init__(self, runner: asyncio.Runner) -> None:
        self._runner = runner
        url = DSN("redis", password=self.password, hosts=DSN.parse("redis://127.0.0.1:0").hosts)
        self._store = runner.run(start_store(url))
        self.dsn = self._store.dsn
        self.port = DSN.parse(self.dsn).hosts[0].port

    def execute(self, *command: Any) -> Any:
        return self._runner.run(self._store.execute(*command))

    def close(self) -> None:
        self._runner.run(self._store.close())


@pytest.fixture(scope="session")
def started() -> Iterator[Server]:
    with asyncio.Runner() as runner:
        server = Server(runner)
        yield server
        server.close()


@pytest.fixture
def server(started: Server) -> Server:
    started.execute("FLUSHALL")
    return started


@pytest.fixture(scope="session")
def command() -> list[str]:
    return [sys.executable, "-m", "store_core.cli"]


@pytest.fixture
def run(command: list[str]) -> Run:
    """Run ``store`` with arguments, and variables over those of the environment."""

    def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, *arguments],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            env=environment(**variables),
            check=False,
        )

    return run


@pytest.fixture
def spawn(command: list[str]) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start ``store`` and leave it running; whatever still runs at the end of the test is killed."""
    running: list[subprocess.Popen[str]] = []
    # A shell starts its background jobs, and so perhaps this test run, with SIGINT ignored, and children inherit that.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def spawn(*arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*command, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
        )
        running.append(process)
        return process

    yield spawn
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate()
    signal.signal(signal.SIGINT, before)


def environment(**variables: str) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("STORE_")}
    return {**clean, "COLUMNS": "100", **variables}


@pytest.fixture
def distribution(tmp_path: Path) -> Callable[..., str]:
    """Install a distribution with one backend; returns the folder for PYTHONPATH."""

    def install(name: str, entry_point: str, module: str = "") -> str:
        info = tmp_path / f"{name.replace('-', '_')}-2.5.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 2.5\n")
        (info / "entry_points.txt").write_text(f"[store_core.backends]\n{entry_point}\n")
        if module:
            (tmp_path / f"{name.replace('-', '_')}.py").write_text(module)
        return str(tmp_path)

    return install
