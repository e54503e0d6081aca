"""Where data lives: namespaces, whole databases, and emptying them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from store_core.capabilities import Capability
from store_core.store import Store
from store_core.testing.section import Section, needs

Key = Callable[..., str]


class NamespaceTests(Section, section="namespaces", needs=[Capability.EXECUTE, Capability.NAMESPACE]):
    """``?namespace=…``."""

    async def test_a_namespace_hides_its_keys_from_others_and_theirs_from_it(
        self, store: Store, store_url: str, key: Key
    ) -> None:
        name, space = key(), key("space")
        async with (
            self.opened(store_url, namespace=f"{space}:") as mine,
            self.opened(store_url, namespace=f"{space}-other:") as theirs,
        ):
            assert mine.namespace == f"{space}:"
            await self.write(mine, name, b"mine")
            await self.write(theirs, name, b"theirs")
            await self.write(store, name, b"plain")
            found = [await self.read(each, name) for each in (mine, theirs, store)]
            for each in (mine, theirs):
                await each.execute(*self.dialect.delete(name))
        assert found == [b"mine", b"theirs", b"plain"]

    @needs(Capability.TRANSACTIONS)
    async def test_transactions_and_pipelines_are_in_it(self, store_url: str, key: Key) -> None:
        name, space = key(), key("space")
        async with self.opened(store_url, namespace=f"{space}:") as mine, self.opened(store_url) as plain:
            async with mine.transaction() as transaction:
                transaction.execute(*self.dialect.increment(name))
            async with mine.pipeline() as pipeline:
                pipeline.execute(*self.dialect.increment(name))
            assert await self.read(mine, name) == b"2"
            assert await self.read(plain, name) is None
            await mine.execute(*self.dialect.delete(name))

    @needs(Capability.PUBSUB)
    async def test_channels_are_in_it_and_callers_never_see_the_prefix(self, store_url: str, key: Key) -> None:
        channel, space = key("channel"), key("space")
        async with (
            self.opened(store_url, namespace=f"{space}:") as mine,
            mine.pubsub() as pubsub,
            self.opened(store_url) as plain,
            plain.pubsub() as other,
        ):
            await pubsub.subscribe(channel)
            await other.publish(channel, "not for us")
            await pubsub.publish(channel, "for us")
            message = await anext(aiter(pubsub))
        assert (message.channel, message.data) == (channel, b"for us")

    @needs(Capability.FLUSH)
    async def test_flushing_it_leaves_everything_else(self, store_url: str, key: Key) -> None:
        name, space = key(), key("space")
        async with self.opened(store_url, namespace=f"{space}*:") as mine, self.opened(store_url) as plain:
            await self.write(mine, name, b"mine")
            await self.write(plain, name, b"plain")
            await mine.flush()
            assert (await self.read(mine, name), await self.read(plain, name)) == (None, b"plain")


class FlushTests(Section, section="flush", needs=[Capability.EXECUTE, Capability.FLUSH]):
    """``store.flush``."""

    async def test_a_flushed_database_is_empty_and_usable(self, store: Store, key: Key) -> None:
        if not self.may_flush:
            pytest.skip("it empties the database, and may_flush is false")
        names = [key() for _ in range(20)]
        for name in names:
            await self.write(store, name, b"value")
        await store.flush()
        assert [await self.read(store, name) for name in names] == [None] * 20
        async with self.opened(store.dsn) as again:
            await self.write(again, names[0], b"again")
            assert await self.read(again, names[0]) == b"again"


class DatabaseTests(Section, section="databases", needs=[Capability.EXECUTE, Capability.DATABASES]):
    """``store.create_database`` and ``delete_database``."""

    async def test_a_database_is_created_filled_and_deleted(self, store: Store, store_url: str, key: Key) -> None:
        if not self.may_flush:
            pytest.skip("it creates and deletes a database, and may_flush is false")
        name = key()
        await self.write(store, name, b"first")
        database = await store.create_database(self.dialect.database())
        assert store.database_parameter, "several databases, and no parameter that names one"
        place = {store.database_parameter: database}
        async with self.opened(store_url, **place) as second:
            assert second.database == database
            assert await self.read(second, name) is None
            await self.write(second, name, b"second")
            assert await self.read(store, name) == b"first"
        await store.delete_database(database)
        await store.create_database(database)
        async with self.opened(store_url, **place) as fresh:
            assert await self.read(fresh, name) is None
        await store.delete_database(database)
        assert await self.read(store, name) == b"first"
