"""What fault tests stand on: proxies, servers that misbehave, servers that can be killed, and a check for leaks."""

from __future__ import annotations

import asyncio
import gc
import importlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import Servers
from tests.faults.proxy import Proxy

from store_core import DSN
from store_core.errors import Unsupported
from store_redis.server import find_binary

#: The file descriptors of this process, where the system shows them.
FILES = Path("/proc/self/fd")

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture(autouse=True)
async def no_task_is_left() -> AsyncIterator[None]:
    """Fails a test that leaves a task behind."""
    before = asyncio.all_tasks()
    yield
    for _ in range(200):
        left = {task for task in asyncio.all_tasks() - before if task is not asyncio.current_task()}
        if not left:
            return
        await asyncio.sleep(0.005)
    pytest.fail(f"tasks left behind: {left}")


@pytest.fixture(params=["valkey-tcp", "pulsards-tcp"])
def server_url(request: pytest.FixtureRequest, servers: Servers) -> str:
    """A real Valkey and a pulsards server in turn."""
    return servers.url(request.param)


#: Event loops that users run, by name.
LOOPS = {"asyncio": asyncio.new_event_loop}
with suppress(ImportError):
    LOOPS["uvloop"] = importlib.import_module("uvloop").new_event_loop


def run_on(loop: str, function: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a coroutine function on a new loop of that kind; what fails where no caller sees it fails the test.

    That is a callback of a protocol that raises (a second outcome for one future, say), a task that nobody waited
    for, and a task left behind.
    """
    if loop not in LOOPS:
        pytest.skip(f"{loop} is not installed")
    unseen: list[dict[str, Any]] = []

    async def main() -> None:
        running = asyncio.get_running_loop()
        running.set_exception_handler(lambda _, context: unseen.append(context))
        await function()
        for _ in range(200):
            left = asyncio.all_tasks() - {asyncio.current_task()}
            if not left:
                break
            await asyncio.sleep(0.005)
        assert not left, f"tasks left behind: {left}"

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(main())
        gc.collect()
    assert not unseen


class Through(Proxy):
    """A proxy that knows its connection string."""

    def __init__(self, url: str) -> None:
        dsn = DSN.parse(url)
        super().__init__(dsn.hosts[0].name, dsn.hosts[0].port or 0)
        self.scheme = dsn.scheme

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"


@pytest.fixture
async def proxy(server_url: str) -> AsyncIterator[Through]:
    """A proxy in front of each server in turn."""
    async with Through(server_url) as running:
        yield running


@pytest.fixture
async def fake_server() -> AsyncIterator[Callable[[Handler], Awaitable[int]]]:
    """``await fake_server(handler)`` is the port of a server that does with each connection what the handler says."""
    async with AsyncExitStack() as stack:

        async def start(handler: Handler) -> int:
            tasks: set[asyncio.Task[Any]] = set()

            async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                task = asyncio.current_task()
                assert task is not None
                tasks.add(task)
                try:
                    with suppress(OSError, asyncio.CancelledError, asyncio.IncompleteReadError):
                        await handler(reader, writer)
                finally:
                    tasks.discard(task)
                    writer.close()

            async def stop() -> None:
                server.close()
                for task in tuple(tasks):
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

            server = await asyncio.start_server(accept, "127.0.0.1", 0)
            stack.push_async_callback(stop)
            port: int = server.sockets[0].getsockname()[1]
            return port

        yield start


class Killable:
    """A server process on one port, that is killed with SIGKILL and started again."""

    def __init__(self, scheme: str, directory: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port: int = probe.getsockname()[1]
        self.url = f"{scheme}://127.0.0.1:{self.port}"
        if scheme == "redis":
            self._command = [find_binary(), "--port", str(self.port), "--save", "", "--dir", str(directory)]
        else:
            self._command = [sys.executable, "-m", "store_pulsards", "--port", str(self.port)]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it listens."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 20
        while True:
            with suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            assert time.monotonic() < end, f"{self._command} did not start"
            time.sleep(0.02)

    def kill(self) -> None:
        """Kill it with SIGKILL; harmless when it does not run."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def send_signal(self, number: int) -> None:
        """Send the process a signal (SIGSTOP, SIGCONT)."""
        assert self._process is not None
        self._process.send_signal(number)


@pytest.fixture(params=["redis", "pulsards"])
def killable(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Killable]:
    """A running server of each kind in turn, of this test's own."""
    with ExitStack() as stack:
        try:
            server = Killable(request.param, tmp_path)
        except Unsupported as error:
            pytest.skip(str(error))
        stack.callback(server.kill)
        server.start()
        yield server


def open_files() -> int:
    """How many file descriptors this process holds."""
    return sum(1 for _ in FILES.iterdir()) if FILES.exists() else 0
