"""A Valkey that the tests of redis-py's client have to themselves: they change its users and its configuration."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from store_core import start_store


@pytest.fixture(scope="package")
def own_valkey() -> Iterator[str]:
    with asyncio.Runner() as runner:
        store = runner.run(start_store("redis://127.0.0.1:0"))
        yield store.dsn
        runner.run(store.close())
