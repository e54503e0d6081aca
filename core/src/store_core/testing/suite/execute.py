"""Commands: what goes in comes out, and every caller gets its own reply."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from store_core.capabilities import Capability
from store_core.errors import ReplyError
from store_core.store import Store
from store_core.testing.section import Section, spawn

Key = Callable[..., str]


class ExecuteTests(Section, section="execute", needs=[Capability.EXECUTE]):
    """``store.execute``."""

    async def test_a_value_that_was_written_is_read(self, store: Store, key: Key) -> None:
        name = key()
        await self.write(store, name, b"value")
        assert await self.read(store, name) == b"value"

    async def test_a_key_that_is_not_there_is_none(self, store: Store, key: Key) -> None:
        assert await self.read(store, key()) is None

    async def test_a_key_is_overwritten(self, store: Store, key: Key) -> None:
        name = key()
        await self.write(store, name, b"old and long")
        await self.write(store, name, b"new")
        assert await self.read(store, name) == b"new"

    async def test_a_deleted_key_is_gone_and_others_stay(self, store: Store, key: Key) -> None:
        gone, kept = key("gone"), key("kept")
        await self.write(store, gone, b"a")
        await self.write(store, kept, b"b")
        await store.execute(*self.dialect.delete(gone))
        await store.execute(*self.dialect.delete(gone))
        assert (await self.read(store, gone), await self.read(store, kept)) == (None, b"b")

    @pytest.mark.parametrize(
        "value",
        [b"", b"\x00\xff\r\n'\"\\", "é 漢 \U0001f600".encode(), b"x" * 1_000_000],
        ids=["empty", "binary", "utf-8", "1-mb"],
    )
    async def test_bytes_come_back_as_they_are(self, store: Store, key: Key, value: bytes) -> None:
        name = key()
        await self.write(store, name, value)
        assert await self.read(store, name) == value

    async def test_text_is_stored_in_the_stores_encoding(self, store: Store, key: Key) -> None:
        name = key("naïve")
        await self.write(store, name, "é")
        assert await self.read(store, name) == "é".encode(store.encoding)

    async def test_an_increment_counts_from_nothing(self, store: Store, key: Key) -> None:
        name = key()
        assert [await self.increment(store, name) for _ in range(3)] == [1, 2, 3]

    async def test_many_tasks_at_once_get_their_own_replies(self, store: Store, key: Key) -> None:
        names = [key() for _ in range(50)]

        async def use(name: str) -> bytes | None:
            await self.write(store, name, name)
            await asyncio.sleep(0)
            return await self.read(store, name)

        assert await asyncio.gather(*map(use, names)) == [name.encode() for name in names]

    async def test_no_increment_of_many_tasks_is_lost(self, store: Store, key: Key) -> None:
        name = key()
        counts = await asyncio.gather(*(self.increment(store, name) for _ in range(50)))
        assert sorted(counts) == list(range(1, 51))

    async def test_a_refused_command_is_a_reply_error_and_harms_nobody(self, store: Store, key: Key) -> None:
        name = key()
        writing = spawn(self.write(store, name, b"value"))
        with pytest.raises(ReplyError) as caught:
            await store.execute(*self.dialect.refused())
        assert str(caught.value).strip(), "the data store's own words are missing"
        await writing
        assert await self.read(store, name) == b"value"

    async def test_a_caller_may_name_its_own_timeout(self, store: Store, key: Key) -> None:
        name = key()
        await store.execute(*self.dialect.write(name, b"value"), timeout=self.patience)
        assert self.dialect.read_value(await store.execute(*self.dialect.read(name), timeout=0)) == b"value"
