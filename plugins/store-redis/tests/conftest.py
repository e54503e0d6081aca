"""What the tests of store-redis stand on: one real Valkey, and stores on it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from store_core import Store, Unsupported, create_store, start_store


@pytest.fixture(scope="session")
def valkey_url() -> Iterator[str]:
    """A real Valkey, shared by the tests; skips where there is no binary."""
    with asyncio.Runner() as runner:
        try:
            store = runner.run(start_store("redis://127.0.0.1:0"))
        except Unsupported as error:
            pytest.skip(str(error))
        yield store.dsn
        runner.run(store.close())


@pytest.fixture
async def store(valkey_url: str) -> AsyncIterator[Store]:
    """An empty store."""
    async with create_store(valkey_url) as store:
        await store.execute("FLUSHALL")
        yield store


@pytest.fixture
async def open_store(valkey_url: str, store: Store) -> AsyncIterator[Callable[..., Store]]:
    """``open_store(namespace="a.")`` is another store on the same, emptied server."""
    opened: list[Store] = []

    def make(**params: Any) -> Store:
        opened.append(create_store(valkey_url, **params))
        return opened[-1]

    yield make
    for other in opened:
        await other.close()
