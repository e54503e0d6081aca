"""Transactions: all or nothing, with nobody's commands between."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from store_core.capabilities import Capability
from store_core.errors import ReplyError, StoreError
from store_core.store import Store
from store_core.testing.section import Section, spawn

Key = Callable[..., str]


class TransactionTests(Section, section="transactions", needs=[Capability.EXECUTE, Capability.TRANSACTIONS]):
    """``store.transaction``."""

    async def test_it_runs_at_the_end_of_its_block_and_replies_in_order(self, store: Store, key: Key) -> None:
        name = key()
        async with store.transaction() as transaction:
            transaction.execute(*self.dialect.write(name, b"7"))
            transaction.execute(*self.dialect.increment(name))
            transaction.execute(*self.dialect.read(name))
            assert await self.read(store, name) is None
        assert transaction.results is not None
        assert self.dialect.increment_value(transaction.results[1]) == 8
        assert self.dialect.read_value(transaction.results[2]) == b"8"
        assert await self.read(store, name) == b"8"

    async def test_a_transaction_whose_block_raises_runs_nothing(self, store: Store, key: Key) -> None:
        name = key()
        with pytest.raises(ZeroDivisionError):
            async with store.transaction() as transaction:
                transaction.execute(*self.dialect.write(name, b"value"))
                raise ZeroDivisionError
        assert await self.read(store, name) is None

    async def test_one_refused_command_and_none_has_run(self, store: Store, key: Key) -> None:
        before, after = key("before"), key("after")
        with pytest.raises(ReplyError) as caught:
            async with store.transaction() as transaction:
                transaction.execute(*self.dialect.write(before, b"1"))
                transaction.execute(*self.dialect.refused())
                transaction.execute(*self.dialect.write(after, b"2"))
        assert any("command 2 of 3" in note for note in getattr(caught.value, "__notes__", ()))
        assert (await self.read(store, before), await self.read(store, after)) == (None, None)

    async def test_the_store_goes_on_after_one_that_failed(self, store: Store, key: Key) -> None:
        name = key()
        for _ in range(3):
            with pytest.raises(ReplyError):
                async with store.transaction() as transaction:
                    transaction.execute(*self.dialect.refused())
            async with store.transaction() as transaction:
                transaction.execute(*self.dialect.increment(name))
        assert await self.read(store, name) == b"3"

    async def test_nobodys_commands_come_between(self, store: Store, key: Key) -> None:
        name = key()

        async def count() -> list[int]:
            async with store.transaction() as transaction:
                for _ in range(10):
                    transaction.execute(*self.dialect.increment(name))
            return list(map(self.dialect.increment_value, transaction.results or []))

        counts = await asyncio.gather(*(count() for _ in range(20)))
        for each in counts:
            assert each == list(range(each[0], each[0] + 10))
        assert sorted(number for each in counts for number in each) == list(range(1, 201))

    async def test_nobody_sees_one_half_done(self, store: Store, key: Key) -> None:
        left, right = key("left"), key("right")

        async def move() -> None:
            for _ in range(20):
                async with store.transaction() as transaction:
                    transaction.execute(*self.dialect.increment(left))
                    transaction.execute(*self.dialect.increment(right))

        async def look(*names: str) -> list[bytes | None]:
            async with store.transaction() as transaction:
                for name in names:
                    transaction.execute(*self.dialect.read(name))
            return list(map(self.dialect.read_value, transaction.results or []))

        moving = spawn(asyncio.gather(*(move() for _ in range(3))))
        while not moving.done():
            for names in ((left, right), (right, left)):
                seen = await look(*names)
                assert seen[0] == seen[1]
            await asyncio.sleep(0)  # an embedded store answers without giving the others a turn
        await moving
        assert await look(left, right) == [b"60", b"60"]

    async def test_an_empty_transaction_has_no_results(self, store: Store) -> None:
        async with store.transaction() as transaction:
            pass
        assert transaction.results == []

    async def test_no_command_can_be_added_to_a_transaction_after_its_end(self, store: Store, key: Key) -> None:
        name = key()
        async with store.transaction() as transaction:
            transaction.execute(*self.dialect.increment(name))
        with pytest.raises(StoreError):
            transaction.execute(*self.dialect.increment(name))
        assert await self.read(store, name) == b"1"
