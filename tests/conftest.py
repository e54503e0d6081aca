"""Fixtures that cross distributions: every form of every backend, each a real server or a real engine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.cluster.servers import ClusterServers

from store_core import Store, create_store, start_store

#: Every form, by the name that a test's parameter shows, and how it is started; None needs no server.
FORMS = {
    "embedded": None,
    "pulsards-tcp": "pulsards://127.0.0.1:0",
    "pulsards-unix": "pulsards+unix://{tmp}/pulsards.sock",
    "valkey-tcp": "redis://127.0.0.1:0",
    "valkey-unix": "unix://{tmp}/valkey.sock",
}

NETWORK = [form for form, url in FORMS.items() if url]


class Servers:
    """Servers that tests share: each is started when a test first asks for it, and all are stopped at the end."""

    def __init__(self, tmp: Path) -> None:
        self._tmp = tmp
        self._runner = asyncio.Runner()
        self._stores: dict[str, Store] = {}

    def url(self, form: str) -> str:
        template = FORMS[form]
        if template is None:
            return "pulsards://"
        if form not in self._stores:
            self._stores[form] = self._runner.run(start_store(template.format(tmp=self._tmp)))
        return self._stores[form].dsn

    def close(self) -> None:
        for store in self._stores.values():
            self._runner.run(store.close())
        self._runner.close()


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    # A unix socket's path has room for about 100 bytes.
    running = Servers(tmp_path_factory.mktemp("s"))
    yield running
    running.close()


@pytest.fixture(scope="session")
def running_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterServers]:
    """Six servers, for the whole test run."""
    servers = ClusterServers(tmp_path_factory.mktemp("cluster"))
    try:
        servers.start()
        yield servers
    finally:
        servers.stop()


@pytest.fixture(params=FORMS)
def url(request: pytest.FixtureRequest, servers: Servers) -> str:
    """The connection string of each form in turn."""
    return servers.url(request.param)


@pytest.fixture(params=NETWORK)
def network_url(request: pytest.FixtureRequest, servers: Servers) -> str:
    """The connection string of each form that has a server."""
    return servers.url(request.param)


@pytest.fixture
def valkey_url(servers: Servers) -> str:
    """A real Valkey over TCP."""
    return servers.url("valkey-tcp")


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    """An empty store of each form in turn."""
    async with create_store(url) as store:
        await store.flush()
        yield store


async def eventually(condition: object, seconds: float = 10.0) -> None:
    """Wait until ``condition()`` (maybe a coroutine function) is true; fail when it never is."""
    async with asyncio.timeout(seconds):
        while True:
            result = condition()  # type: ignore[operator]
            if asyncio.iscoroutine(result):
                result = await result
            if result:
                return
            await asyncio.sleep(0.005)
