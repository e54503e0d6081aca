"""Commands that wait for data hold up nobody but their caller."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from store_core.capabilities import Capability
from store_core.store import Store
from store_core.testing.section import Section, spawn

Key = Callable[..., str]


class BlockingTests(Section, section="blocking", needs=[Capability.EXECUTE, Capability.BLOCKING]):
    """Blocking commands in ``store.execute``."""

    async def pop(self, store: Store, name: str, seconds: float = 0) -> bytes | None:
        """Wait for a value."""
        command = self.said(self.dialect.blocking_pop(name, seconds), "blocking_pop")
        return self.dialect.popped_value(await store.execute(*command))

    async def push(self, store: Store, name: str, value: bytes) -> None:
        """Give a value to whoever waits."""
        await store.execute(*self.said(self.dialect.push(name, value), "push"))

    async def test_what_is_there_is_taken_at_once_oldest_first(self, store: Store, key: Key) -> None:
        name = key("queue")
        await self.push(store, name, b"1")
        await self.push(store, name, b"2")
        assert [await self.pop(store, name), await self.pop(store, name)] == [b"1", b"2"]

    async def test_a_blocked_caller_gets_what_is_pushed_later_and_holds_up_nobody(self, store: Store, key: Key) -> None:
        name, other = key("queue"), key("other")
        waiting = spawn(self.pop(store, name))
        for number in range(20):
            assert await self.increment(store, other) == number + 1
            await asyncio.sleep(0)
        assert not waiting.done()
        await self.push(store, name, b"x")
        assert await waiting == b"x"

    async def test_the_wait_ends_at_its_own_time_with_nothing(self, store: Store, key: Key) -> None:
        assert await self.pop(store, key("queue"), 0.1) is None

    async def test_its_own_time_may_be_longer_than_the_stores_timeout(self, store_url: str, key: Key) -> None:
        async with self.opened(store_url) as plain:
            params: dict[str, Any] = {"timeout": 0.2} if "timeout" in plain.params else {}
        async with self.opened(store_url, **params) as store:
            assert await self.pop(store, key("queue"), 0.5) is None

    async def test_many_wait_at_once_and_each_value_goes_to_one(self, store: Store, key: Key) -> None:
        name = key("queue")
        waiting = [spawn(self.pop(store, name)) for _ in range(10)]
        await asyncio.sleep(0)
        for number in range(10):
            await self.push(store, name, b"%d" % number)
        assert sorted(await asyncio.gather(*waiting), key=str) == [b"%d" % number for number in range(10)]

    async def test_a_cancelled_wait_leaves_the_store_in_order(self, store: Store, key: Key) -> None:
        name, other = key("queue"), key("other")
        waiting = [spawn(self.pop(store, name)) for _ in range(5)]
        await self.write(store, other, b"1")
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert await self.read(store, other) == b"1"
        later = key("later")
        await self.push(store, later, b"y")
        assert await self.pop(store, later) == b"y"
