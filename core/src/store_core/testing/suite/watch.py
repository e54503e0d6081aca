"""Optimistic transactions: nothing runs when a watched key changed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from store_core.capabilities import Capability
from store_core.command import Transaction
from store_core.errors import TransactionAborted
from store_core.store import Store
from store_core.testing.section import Section

Key = Callable[..., str]
_NEEDS = [Capability.EXECUTE, Capability.TRANSACTIONS, Capability.WATCH]


class WatchTests(Section, section="watch", needs=_NEEDS):
    """``store.transaction(watch=…)`` and ``store.transact``."""

    async def test_a_watched_key_that_changed_aborts_and_nothing_has_run(self, store: Store, key: Key) -> None:
        watched, other, written = key("watched"), key("other"), key("written")
        with pytest.raises(TransactionAborted):
            async with store.transaction(watch=[other, watched]) as transaction:
                await self.write(store, watched, b"changed")
                transaction.execute(*self.dialect.write(written, b"1"))
        assert await self.read(store, written) is None
        assert await self.read(store, watched) == b"changed"

    async def test_a_watched_key_that_did_not_change_lets_it_run(self, store: Store, key: Key) -> None:
        watched, other = key("watched"), key("other")
        await self.write(store, watched, b"1")
        async with store.transaction(watch=watched) as transaction:
            await self.write(store, other, b"not watched")
            assert await self.read(store, watched) == b"1"
            transaction.execute(*self.dialect.increment(watched))
        assert await self.read(store, watched) == b"2"

    async def test_its_own_commands_do_not_abort_it(self, store: Store, key: Key) -> None:
        watched = key()
        async with store.transaction(watch=watched) as transaction:
            transaction.execute(*self.dialect.write(watched, b"1"))
            transaction.execute(*self.dialect.increment(watched))
        assert await self.read(store, watched) == b"2"

    async def test_a_released_watch_leaves_nothing_behind(self, store: Store, key: Key) -> None:
        released, written = key("released"), key("written")
        with pytest.raises(ZeroDivisionError):
            async with store.transaction(watch=released):
                raise ZeroDivisionError
        await self.write(store, released, b"changed")
        async with store.transaction(watch=key("other")) as transaction:
            transaction.execute(*self.dialect.increment(written))
        assert await self.read(store, written) == b"1"

    async def test_transact_repeats_until_nobody_interferes(self, store: Store, key: Key) -> None:
        balance = key()
        await self.write(store, balance, b"0")

        async def deposit(transaction: Transaction) -> None:
            found = int(await self.read(store, balance) or 0)
            await asyncio.sleep(0)
            transaction.execute(*self.dialect.write(balance, str(found + 1)))

        await asyncio.gather(*(store.transact(deposit, watch=balance, retries=1000) for _ in range(8)))
        assert await self.read(store, balance) == b"8"

    async def test_transact_gives_up_after_its_retries(self, store: Store, key: Key) -> None:
        watched = key()
        attempts: list[None] = []

        async def interfered(transaction: Transaction) -> None:
            attempts.append(None)
            await self.increment(store, watched)
            transaction.execute(*self.dialect.increment(watched))

        with pytest.raises(TransactionAborted):
            await store.transact(interfered, watch=watched, retries=2)
        assert len(attempts) == 3
        assert await self.read(store, watched) == b"3"
