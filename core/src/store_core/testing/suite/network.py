"""Failure of the network: connections cut in the middle, through a proxy of the kit. For TCP addresses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio

from store_core.capabilities import Capability
from store_core.errors import ConnectionFailed, ConnectionLost, Timeout
from store_core.pubsub import PubSub
from store_core.store import Store, create_store
from store_core.testing.leaks import nothing_left
from store_core.testing.proxy import Proxy
from store_core.testing.section import Section, eventually, needs, spawn

Key = Callable[..., str]


class NetworkFailureTests(Section, section="network failure", needs=[Capability.EXECUTE]):
    """What a caller gets when a connection breaks: one outcome, the right one; and the next command works."""

    @pytest_asyncio.fixture(loop_scope="function")
    async def proxy(self, store: Store) -> AsyncIterator[Proxy]:
        """A proxy before the store's server."""
        address = self.dialect.address(store)
        if address is None:
            pytest.skip("the store has no TCP address")
        async with Proxy(*address) as proxy:
            yield proxy

    @asynccontextmanager
    async def through(self, proxy: Proxy, url: str, **params: Any) -> AsyncIterator[Store]:
        """A store whose connections pass the proxy, connected."""
        async with self.opened(self.dialect.at(url, proxy.port), **params) as store:
            assert await store.ping() is True
            assert proxy.connections
            yield store

    async def test_a_cut_in_the_middle_of_a_reply_is_connection_lost_and_the_next_command_works(
        self, proxy: Proxy, store_url: str, key: Key
    ) -> None:
        name, value = key(), b"x" * 100_000
        async with self.through(proxy, store_url) as store:
            await self.write(store, name, value)
            for size in (0, 1, 50_000):
                for connection in proxy.connections:
                    connection.to_client.cut_after(size)
                with pytest.raises(ConnectionLost):
                    await self.read(store, name)
                assert await self.read(store, name) == value

    async def test_every_caller_in_flight_gets_its_own_reply_or_an_error_of_its_own(
        self, proxy: Proxy, store_url: str, key: Key
    ) -> None:
        names = [key() for _ in range(20)]
        async with self.through(proxy, store_url) as store:
            for name in names:
                await self.write(store, name, name)
            for size in range(0, 400, 40):
                for connection in proxy.connections:
                    connection.to_client.cut_after(size)
                outcomes = await asyncio.gather(*(self.read(store, name) for name in names), return_exceptions=True)
                for name, outcome in zip(names, outcomes, strict=True):
                    assert isinstance(outcome, ConnectionFailed) or outcome == name.encode()
                errors = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
                assert len({id(error) for error in errors}) == len(errors)
                for connection in proxy.connections:
                    connection.to_client.cut_after(None)
                assert await store.ping() is True

    async def test_cancelled_callers_shift_nobodys_reply_while_replies_are_due(
        self, proxy: Proxy, store_url: str, key: Key
    ) -> None:
        names = [key() for _ in range(10)]
        async with self.through(proxy, store_url) as store:
            for name in names:
                await self.write(store, name, name)
            held = list(proxy.connections)
            for connection in held:
                connection.to_client.hold()
            tasks = [spawn(self.read(store, name)) for name in names]
            passed = sum(connection.to_server.passed for connection in held)
            await eventually(lambda: sum(connection.to_server.passed for connection in held) > passed)
            for task in tasks[::2]:
                task.cancel()
            await asyncio.sleep(0)
            for connection in held:
                connection.to_client.release()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
            assert outcomes[1::2] == [name.encode() for name in names[1::2]]
            assert [await self.read(store, name) for name in names] == [name.encode() for name in names]

    @needs(Capability.TRANSACTIONS)
    async def test_a_transaction_cut_at_any_byte_has_run_whole_or_not_at_all(
        self, store: Store, proxy: Proxy, store_url: str, key: Key
    ) -> None:
        left, right = key("left"), key("right")

        async def move(mover: Store) -> None:
            async with mover.transaction() as transaction:
                transaction.execute(*self.dialect.increment(left))
                transaction.execute(*self.dialect.increment(right))

        async def seen() -> list[bytes | None]:
            async with store.transaction() as transaction:
                transaction.execute(*self.dialect.read(left))
                transaction.execute(*self.dialect.read(right))
            return list(map(self.dialect.read_value, transaction.results or []))

        async with self.through(proxy, store_url) as mover:
            await move(mover)
            before = sum(connection.to_server.passed for connection in proxy.connections)
            await move(mover)
            size = sum(connection.to_server.passed for connection in proxy.connections) - before
        cuts = 0
        for allowed in range(0, size, max(1, size // 10)):
            async with self.through(proxy, store_url) as mover:
                await move(mover)  # what is prepared once for a connection is behind it
                proxy.allow(allowed)
                try:
                    await move(mover)
                except ConnectionFailed:
                    cuts += 1
                proxy.allow(None)
            found = await seen()
            assert found[0] == found[1]
        assert cuts, "no transaction met a cut"

    @needs(Capability.TRANSACTIONS)
    async def test_a_transaction_whose_replies_are_cut_is_connection_lost_and_all_or_nothing(
        self, store: Store, proxy: Proxy, store_url: str, key: Key
    ) -> None:
        left, right = key("left"), key("right")
        async with self.through(proxy, store_url) as mover:
            for connection in proxy.connections:
                connection.to_client.cut_after(0)
            with pytest.raises(ConnectionLost):
                async with mover.transaction() as transaction:
                    transaction.execute(*self.dialect.increment(left))
                    transaction.execute(*self.dialect.increment(right))
            async with store.transaction() as transaction:
                transaction.execute(*self.dialect.read(left))
                transaction.execute(*self.dialect.read(right))
            seen = list(map(self.dialect.read_value, transaction.results or []))
            assert seen[0] == seen[1]
            assert await mover.ping() is True

    async def test_an_idle_connection_that_was_cut_is_replaced(self, proxy: Proxy, store_url: str, key: Key) -> None:
        name = key()
        async with self.through(proxy, store_url) as store:
            await self.write(store, name, b"value")
            proxy.cut_all()
            await eventually(lambda: not proxy.connections)

            async def reads() -> bool:
                try:
                    return await self.read(store, name) == b"value"
                except ConnectionFailed:  # it may find out by this very command, and says so
                    return False

            await eventually(reads)

    async def test_a_server_that_accepts_and_says_nothing_is_a_timeout(self, proxy: Proxy, store_url: str) -> None:
        url = self.dialect.at(store_url, proxy.port)
        if "timeout" not in create_store(url).params:
            pytest.skip("the backend declares no parameter timeout")
        proxy.mute = True
        async with create_store(url, timeout=0.2) as store:
            with pytest.raises(Timeout):
                await store.ping()
            proxy.mute = False
            assert await store.ping() is True

    @needs(Capability.PUBSUB)
    async def test_subscriptions_outlive_a_lost_connection(
        self, store: Store, proxy: Proxy, store_url: str, key: Key
    ) -> None:
        channel = key("channel")
        async with self.through(proxy, store_url) as reader, reader.pubsub() as pubsub, store.pubsub() as writer:
            await pubsub.subscribe(channel)
            proxy.cut_all()
            reading = spawn(anext(aiter(pubsub)))
            await self._publish_until(reading, writer, channel)
            assert (await reading).data == b"again"

    async def test_nothing_is_left_of_connections_that_broke(self, proxy: Proxy, store_url: str, key: Key) -> None:
        name = key()
        async with self.through(proxy, store_url) as warm:
            await self.write(warm, name, b"x" * 10_000)
        await eventually(lambda: not proxy.connections)
        async with nothing_left():
            for _ in range(3):
                async with self.through(proxy, store_url) as store:
                    for connection in proxy.connections:
                        connection.to_client.cut_after(100)
                    await asyncio.gather(*(self.read(store, name) for _ in range(5)), return_exceptions=True)

    async def _publish_until(self, reading: asyncio.Future[Any], writer: PubSub, channel: str) -> None:
        while not reading.done():
            await writer.publish(channel, "again")
            await asyncio.sleep(0.02)
