"""A real Valkey for the tests of this distribution."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from store_core import start_store


@pytest.fixture(scope="session")
def valkey_url() -> Iterator[str]:
    """The connection string of a real Valkey that runs for the whole session."""
    with asyncio.Runner() as runner:
        store = runner.run(start_store("redis://127.0.0.1:0"))
        yield store.dsn
        runner.run(store.close())
