"""Connections of a caller's own."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from store_core.capabilities import Capability
from store_core.errors import ConnectionFailed, ReplyError, StoreClosed
from store_core.store import Store
from store_core.testing.section import Section, needs

Key = Callable[..., str]


class ConnectionTests(Section, section="connections", needs=[Capability.CONNECT]):
    """``store.connect``."""

    @needs(Capability.EXECUTE)
    async def test_it_executes_on_the_same_data(self, store: Store, key: Key) -> None:
        name = key()
        async with await store.connect() as connection:
            await connection.execute(*self.dialect.write(name, b"value"))
            assert self.dialect.read_value(await connection.execute(*self.dialect.read(name))) == b"value"
        assert await self.read(store, name) == b"value"

    @needs(Capability.EXECUTE)
    async def test_a_closed_one_says_so_and_the_store_goes_on(self, store: Store, key: Key) -> None:
        connection = await store.connect()
        assert not connection.closed
        await connection.close()
        await connection.close()
        assert connection.closed
        with pytest.raises((StoreClosed, ConnectionFailed)):
            await connection.execute(*self.dialect.read(key()))
        assert await store.ping() is True

    @needs(Capability.EXECUTE)
    async def test_two_are_not_one(self, store: Store, key: Key) -> None:
        name = key()
        async with await store.connect() as kept:
            async with await store.connect() as other:
                assert other is not kept
                await other.execute(*self.dialect.write(name, b"value"))
            assert other.closed
            assert not kept.closed
            assert self.dialect.read_value(await kept.execute(*self.dialect.read(name))) == b"value"

    @needs(Capability.EXECUTE)
    async def test_a_refused_command_leaves_it_open(self, store: Store, key: Key) -> None:
        async with await store.connect() as connection:
            with pytest.raises(ReplyError):
                await connection.execute(*self.dialect.refused())
            assert self.dialect.read_value(await connection.execute(*self.dialect.read(key()))) is None
