"""Extensions: each of the four operations can be wrapped, in order, and leaves nothing behind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from store_core.capabilities import Capability
from store_core.errors import ConnectionFailed
from store_core.extensions import OPERATIONS
from store_core.hookspecs import hookimpl
from store_core.registry import data_stores
from store_core.store import Store, create_store
from store_core.testing.section import Section, needs

Key = Callable[..., str]


class CountAll:
    """Counts each operation, and changes none."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    @hookimpl
    def store_connect(self, operation: Any) -> Any:
        """Count connections."""
        return self._counted("connect", operation)

    @hookimpl
    def store_execute(self, operation: Any) -> Any:
        """Count commands."""
        return self._counted("execute", operation)

    @hookimpl
    def store_transaction(self, operation: Any) -> Any:
        """Count transactions."""
        return self._counted("transaction", operation)

    @hookimpl
    def store_pubsub(self, operation: Any) -> Any:
        """Count PubSubs."""

        def counted(*args: Any, **options: Any) -> Any:
            self.counts["pubsub"] += 1
            return operation(*args, **options)

        return counted

    @hookimpl
    def store_created(self) -> None:
        """Count creations."""
        self.counts["created"] += 1

    @hookimpl
    def store_closed(self) -> None:
        """Count closes."""
        self.counts["closed"] += 1

    def _counted(self, name: str, operation: Any) -> Any:
        async def counted(*args: Any, **options: Any) -> Any:
            self.counts[name] += 1
            return await operation(*args, **options)

        return counted


class Around:
    """Puts a coroutine function ``around(operation, args, options)`` around ``execute``."""

    def __init__(self, around: Callable[..., Any]) -> None:
        self._around = around

    @hookimpl
    def store_execute(self, operation: Any) -> Any:
        """Wrap it."""

        async def execute(*args: Any, **options: Any) -> Any:
            return await self._around(operation, args, options)

        return execute


class ExtensionTests(Section, section="extensions"):
    """Extensions around this backend's operations."""

    @needs(Capability.EXECUTE)
    async def test_execute_is_wrapped_once_for_each_command_and_answers_as_before(
        self, store_url: str, key: Key
    ) -> None:
        name, counter = key(), CountAll()
        async with self.opened(store_url, extensions=[counter]) as store:
            counter.counts.clear()
            await self.write(store, name, b"value")
            assert await self.read(store, name) == b"value"
            assert counter.counts["execute"] == 2
            async with store.pipeline() as pipeline:
                pipeline.execute(*self.dialect.read(name))
                pipeline.execute(*self.dialect.delete(name))
            assert pipeline.results is not None
            assert self.dialect.read_value(pipeline.results[0]) == b"value"
            assert counter.counts["execute"] == 4

    @needs(Capability.CONNECT)
    async def test_connect_is_wrapped(self, store_url: str) -> None:
        counter = CountAll()
        async with create_store(store_url, extensions=[counter]) as store:
            async with await store.connect() as connection:
                assert not connection.closed
            assert counter.counts["connect"] == 1

    @needs(Capability.EXECUTE, Capability.TRANSACTIONS)
    async def test_transaction_is_wrapped_once_for_each(self, store_url: str, key: Key) -> None:
        name, counter = key(), CountAll()
        async with self.opened(store_url, extensions=[counter]) as store:
            async with store.transaction() as transaction:
                transaction.execute(*self.dialect.increment(name))
                transaction.execute(*self.dialect.increment(name))
            assert transaction.results is not None
            assert list(map(self.dialect.increment_value, transaction.results)) == [1, 2]
            assert counter.counts["transaction"] == 1

    @needs(Capability.PUBSUB)
    async def test_pubsub_is_wrapped(self, store_url: str, key: Key) -> None:
        channel, counter = key("channel"), CountAll()
        async with create_store(store_url, extensions=[counter]) as store:
            async with store.pubsub() as pubsub:
                await pubsub.subscribe(channel)
                await pubsub.publish(channel, "x")
                assert (await anext(aiter(pubsub))).data == b"x"
            assert counter.counts["pubsub"] == 1

    async def test_it_is_told_of_the_creation_and_of_the_close_once(self, store_url: str) -> None:
        counter = CountAll()
        store = create_store(store_url, extensions=[counter])
        await store.ping()
        await store.close()
        await store.close()
        assert (counter.counts["created"], counter.counts["closed"]) == (1, 1)

    @needs(Capability.EXECUTE)
    async def test_the_first_one_meets_the_caller_first(self, store_url: str, key: Key) -> None:
        name = key()
        calls: list[str] = []

        def named(label: str) -> Around:
            async def around(operation: Any, args: Any, options: Any) -> Any:
                calls.append(f"{label} in")
                reply = await operation(*args, **options)
                calls.append(f"{label} out")
                return reply

            return Around(around)

        async with self.opened(store_url, extensions=[named("first"), named("last")]) as store:
            calls.clear()
            await self.read(store, name)
        assert calls == ["first in", "last in", "last out", "first out"]

    @needs(Capability.EXECUTE)
    async def test_one_that_raises_reaches_the_caller_as_it_is_and_harms_nobody(self, store_url: str, key: Key) -> None:
        name = key()
        broken: list[str] = []

        async def around(operation: Any, args: Any, options: Any) -> Any:
            if broken:
                raise ZeroDivisionError(broken.pop())
            return await operation(*args, **options)

        async with self.opened(store_url, extensions=[Around(around)]) as store:
            broken.append("once")
            with pytest.raises(ZeroDivisionError, match="once"):
                await self.write(store, name, b"value")
            assert await self.read(store, name) is None

    @needs(Capability.EXECUTE)
    async def test_one_that_answers_itself_spares_the_data_store(self, store_url: str, key: Key) -> None:
        name = key()
        asked: list[Any] = []
        replies: dict[Any, Any] = {}

        async def cached(operation: Any, args: Any, options: Any) -> Any:
            if args not in replies:
                asked.append(args)
                replies[args] = await operation(*args, **options)
            return replies[args]

        async with self.opened(store_url) as store, self.opened(store_url, extensions=[Around(cached)]) as quick:
            await self.write(quick, name, b"old")
            assert await self.read(quick, name) == b"old"
            asked.clear()
            await self.write(store, name, b"new")
            assert await self.read(quick, name) == b"old"
            assert asked == []

    @needs(Capability.EXECUTE)
    async def test_one_that_retries_hides_a_failure_beneath_it(self, store_url: str, key: Key) -> None:
        name = key()
        failures: list[Exception] = []

        async def flaky(operation: Any, args: Any, options: Any) -> Any:
            if failures:
                raise failures.pop()
            return await operation(*args, **options)

        async def retrying(operation: Any, args: Any, options: Any) -> Any:
            while True:
                try:
                    return await operation(*args, **options)
                except ConnectionFailed:
                    continue

        async with self.opened(store_url, extensions=[Around(retrying), Around(flaky)]) as store:
            failures += [ConnectionFailed("nobody answers"), ConnectionFailed("nobody answers")]
            assert await self.increment(store, name) == 1
            assert failures == []

    async def test_without_one_every_operation_is_the_backends_own_method(self, store_url: str) -> None:
        if data_stores.extensions():
            pytest.skip("an extension is installed here; STORE_BLOCK hides it")
        async with create_store(store_url, extensions=[CountAll()]) as wrapped:
            await wrapped.ping()
        store: Store = create_store(store_url)
        assert not set(OPERATIONS.values()) & set(vars(store))
        await store.close()
