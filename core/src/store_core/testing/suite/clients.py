"""The backend's own rich client, and servers that it can start."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from store_core.capabilities import Capability
from store_core.errors import ConnectionFailed, StoreClosed, Unsupported
from store_core.store import Store, create_store, start_store
from store_core.testing.section import Section


class ClientTests(Section, section="client", needs=[Capability.CLIENT]):
    """``store.client``."""

    async def test_there_is_one_and_it_does_no_harm_to_the_store(self, store: Store) -> None:
        assert store.client() is not None
        assert await store.ping() is True
        assert store.client() is not None

    async def test_a_closed_store_gives_none(self, store_url: str) -> None:
        store = create_store(store_url)
        store.client()
        await store.close()
        with pytest.raises(StoreClosed):
            store.client()


class StartTests(Section, section="start", needs=[Capability.START]):
    """``start_store``."""

    async def test_a_server_is_started_serves_others_and_stops_with_its_store(self, store_url: str) -> None:
        with tempfile.TemporaryDirectory(prefix="store-") as folder:
            store = await self._start(store_url, Path(folder))
            try:
                assert await store.ping() is True
                assert all(host.port != 0 for host in store._dsn.hosts)
                async with create_store(store.dsn) as other:
                    assert await other.ping() is True
            finally:
                await store.close()
            async with create_store(store.dsn) as other:
                with pytest.raises(ConnectionFailed):
                    await other.ping()

    async def test_a_server_that_is_there_is_used_and_not_stopped(self, store_url: str) -> None:
        async with await start_store(store_url) as store:
            assert store._server is None
            assert await store.ping() is True
        async with create_store(store_url) as other:
            assert await other.ping() is True

    async def _start(self, url: str, folder: Path) -> Store:
        try:
            return await start_store(self.dialect.start_url(url, folder))
        except Unsupported as error:
            pytest.skip(f"there is no server on this machine that could be started: {error}")
