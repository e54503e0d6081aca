"""A real PostgreSQL of the tests' own, in a temporary directory, for root and for others."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from store_core import Store, Unsupported, create_store, start_store
from store_postgres.server import find_binaries


@pytest.fixture(scope="session")
def binaries() -> Path:
    """Where PostgreSQL's binaries are; without them the test is skipped."""
    try:
        return find_binaries()
    except Unsupported as error:
        pytest.skip(f"no PostgreSQL on this machine: {error.detail}")


@pytest.fixture(scope="session")
def server_url(binaries: Path) -> Iterator[str]:
    """A server that all tests share."""
    with asyncio.Runner() as runner:
        store = runner.run(start_store("postgres://127.0.0.1:0/tests"))
        yield store.dsn
        runner.run(store.close())


@pytest.fixture
async def store(server_url: str) -> AsyncIterator[Store]:
    """A store with an empty table ``kv (key text, value bytea)``."""
    async with create_store(server_url) as store:
        await store.execute("DROP TABLE IF EXISTS kv")
        await store.execute("CREATE TABLE kv (key text PRIMARY KEY, value bytea)")
        yield store


@pytest.fixture
def folder() -> Iterator[Path]:
    """A directory that another user can pass through: root's server runs as one. pytest's own are closed to others."""
    path = Path(tempfile.mkdtemp(prefix="store-postgres-test-"))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path, ignore_errors=True)


class Restartable:
    """A server of one test, to be stopped and started again at one address with the same data."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._store: Store | None = None
        self.url = ""

    async def start(self) -> None:
        url = self.url or "postgres://tester:secret@127.0.0.1:0/tests"
        self._store = await start_store(url, data=str(self._data))
        self.url = self._store.dsn

    async def stop(self) -> None:
        store, self._store = self._store, None
        if store is not None:
            await store.close()

    def postmaster(self) -> int:
        """The process id of the server."""
        return int((self._data / "postmaster.pid").read_text().splitlines()[0])


@pytest.fixture
async def own_server(binaries: Path, folder: Path) -> AsyncIterator[Restartable]:
    server = Restartable(folder / "data")
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
def backends() -> Callable[[Store, str], Awaitable[list[int]]]:
    """``await backends(store, name)``: process ids of the server's sessions of this application_name."""

    async def pids(store: Store, name: str) -> list[int]:
        rows = await store.execute("SELECT pid FROM pg_stat_activity WHERE application_name = $1", name)
        return [row["pid"] for row in rows]

    return pids
