"""The life of a store: it answers, it closes, and once closed it says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from store_core.capabilities import Capability
from store_core.errors import StoreClosed
from store_core.store import Store, create_store
from store_core.testing.section import Section

#: Capability to what a caller does with it, on a closed store.
_USES: dict[Capability, Callable[[Store], Any]] = {
    Capability.CONNECT: lambda store: store.connect(),
    Capability.WATCH: lambda store: store.watch("key"),
    Capability.PIPELINE: lambda store: store.pipeline(),
    Capability.TRANSACTIONS: lambda store: store.transaction(),
    Capability.PUBSUB: lambda store: store.pubsub(),
    Capability.CLIENT: lambda store: store.client(),
    Capability.FLUSH: lambda store: store.flush(),
}


class LifeCycleTests(Section, section="life cycle"):
    """From ``create_store`` to ``close``."""

    async def test_it_answers_a_ping(self, store: Store) -> None:
        assert await store.ping() is True

    async def test_a_store_that_was_never_used_closes(self, store_url: str) -> None:
        store = create_store(store_url)
        assert not store.closed
        await store.close()
        assert store.closed

    async def test_closing_twice_is_harmless(self, store_url: str) -> None:
        store = create_store(store_url)
        await store.ping()
        await store.close()
        await store.close()
        assert store.closed

    async def test_who_asked_is_told_of_the_close_once(self, store_url: str) -> None:
        told: list[bool] = []
        store = create_store(store_url)
        store.on_close(lambda: told.append(store.closed))
        async with store:
            await store.ping()
        await store.close()
        assert told == [True]

    async def test_a_block_that_raises_closes_the_store(self, store_url: str) -> None:
        with pytest.raises(ZeroDivisionError):
            async with create_store(store_url) as store:
                raise ZeroDivisionError
        assert store.closed

    async def test_a_closed_store_says_so_at_every_use(self, store_url: str) -> None:
        store = create_store(store_url)
        await store.ping()
        await store.close()
        with pytest.raises(StoreClosed):
            await store.ping()
        if Capability.EXECUTE in store.capabilities:
            with pytest.raises(StoreClosed):
                await store.execute(*self.dialect.read("key"))
        for capability in sorted(store.capabilities & set(_USES)):
            with pytest.raises(StoreClosed):
                used = _USES[capability](store)
                if hasattr(used, "__await__"):
                    await used

    async def test_two_stores_of_one_string_close_apart(self, store_url: str) -> None:
        async with create_store(store_url) as kept:
            async with create_store(store_url) as other:
                await other.ping()
                await kept.ping()
            assert await kept.ping() is True
