"""Failure, on every form: callers that are cancelled, stores closed while busy, event loops that come and go."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from store_core.capabilities import Capability
from store_core.errors import ConnectionFailed, LoopError, StoreClosed
from store_core.store import Store, create_store
from store_core.testing.leaks import nothing_left
from store_core.testing.section import Section, needs, spawn

Key = Callable[..., str]


class FailureTests(Section, section="failure", needs=[Capability.EXECUTE]):
    """What a caller may rely on when something else goes wrong."""

    async def test_cancelled_callers_shift_nobodys_reply(self, store: Store, key: Key) -> None:
        names = [key() for _ in range(60)]
        for name in names:
            await self.write(store, name, name)
        for turns in range(4):
            tasks = [spawn(self.read(store, name)) for name in names]
            for _ in range(turns):
                await asyncio.sleep(0)
            for task in tasks[::3]:
                task.cancel()
            replies = await asyncio.gather(*tasks, return_exceptions=True)
            for name, reply in zip(names, replies, strict=True):
                assert isinstance(reply, asyncio.CancelledError) or reply == name.encode()
            assert [reply for reply in replies[1::3] if isinstance(reply, BaseException)] == []
        assert [await self.read(store, name) for name in names[:5]] == [name.encode() for name in names[:5]]

    async def test_a_cancelled_slow_command_leaves_the_store_usable(self, store: Store, key: Key) -> None:
        name = key()
        for _ in range(5):
            command = self.said(self.dialect.slow(self.patience), "slow command")
            waiting = spawn(store.execute(*command))
            await self.write(store, name, b"meanwhile")
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            assert await self.read(store, name) == b"meanwhile"

    @needs(Capability.TRANSACTIONS)
    async def test_a_cancelled_transaction_runs_whole_or_not_at_all(self, store: Store, key: Key) -> None:
        left, right = key("left"), key("right")

        async def move() -> None:
            async with store.transaction() as transaction:
                transaction.execute(*self.dialect.increment(left))
                transaction.execute(*self.dialect.increment(right))

        for turns in range(20):
            task = spawn(move())
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            async with store.transaction() as transaction:
                transaction.execute(*self.dialect.read(left))
                transaction.execute(*self.dialect.read(right))
            seen = list(map(self.dialect.read_value, transaction.results or []))
            assert seen[0] == seen[1]

    async def test_closing_while_busy_gives_every_caller_one_outcome(self, store_url: str, key: Key) -> None:
        name = key()
        for turns in range(4):
            async with self.opened(store_url) as store:
                await self.write(store, name, b"value")
                tasks = [spawn(self.read(store, name)) for _ in range(50)]
                command = self.dialect.slow(self.patience)
                if command is not None:
                    tasks.append(spawn(store.execute(*command)))
                for _ in range(turns):
                    await asyncio.sleep(0)
                await store.close()
                outcomes = await asyncio.gather(*tasks, return_exceptions=True)
                odd = [each for each in outcomes if each != b"value"]
                assert [each for each in odd if not isinstance(each, ConnectionFailed | StoreClosed)] == []
                with pytest.raises(StoreClosed):
                    await self.read(store, name)

    def test_a_store_follows_to_a_new_event_loop_once_the_old_one_is_closed(self, store_url: str) -> None:
        store = create_store(store_url)

        async def use() -> bool:
            if Capability.PUBSUB in store.capabilities:
                pubsub = store.pubsub()
                await pubsub.subscribe("conformance-loops")
                await pubsub.publish("conformance-loops", "x")
                assert (await anext(aiter(pubsub))).data == b"x"
                await pubsub.close()
            return await store.ping()

        async def last() -> bool:
            answer = await use()
            await store.close()
            return answer

        for each in (use, use, last):
            with asyncio.Runner() as runner:
                assert runner.run(asyncio.wait_for(each(), self.patience)) is True

    def test_a_second_live_event_loop_is_an_error_that_says_so(self, store_url: str) -> None:
        store = create_store(store_url)
        with asyncio.Runner() as first:
            first.run(store.ping())
            with asyncio.Runner() as second, pytest.raises(LoopError):
                second.run(asyncio.wait_for(store.ping(), self.patience))
            assert first.run(store.ping()) is True
            first.run(store.close())

    async def test_nothing_is_left_after_close(self, store_url: str, key: Key) -> None:
        name = key()
        async with self.opened(store_url) as warm:  # what is made once for all stores is not a leak
            await self.write(warm, name, b"warm")
        async with nothing_left():
            for _ in range(3):
                async with self.opened(store_url) as store:
                    await asyncio.gather(*(self.read(store, name) for _ in range(20)))
                    waiting = spawn(store.execute(*(self.dialect.slow(60) or self.dialect.read(name))))
                    await asyncio.sleep(0)
                    waiting.cancel()
                    await asyncio.gather(waiting, return_exceptions=True)
                    if Capability.PUBSUB in store.capabilities:
                        await store.pubsub().subscribe(name)
                    if Capability.TRANSACTIONS in store.capabilities:
                        async with store.transaction() as transaction:
                            transaction.execute(*self.dialect.read(name))

    @needs(Capability.PUBSUB)
    async def test_a_slow_subscriber_loses_the_oldest_and_is_told_and_others_lose_nothing(
        self, store: Store, key: Key
    ) -> None:
        channel = key("channel")
        async with store.pubsub(limit=10) as slow, store.pubsub() as quick:
            await slow.subscribe(channel)
            await quick.subscribe(channel)
            for number in range(25):
                await quick.publish(channel, number)
            messages = aiter(quick)
            assert [int((await anext(messages)).data) for _ in range(25)] == list(range(25))
            first = await anext(aiter(slow))
            assert (int(first.data), first.lost) == (15, 15)
            assert (await anext(aiter(slow))).lost == 0
