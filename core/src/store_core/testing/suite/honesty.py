"""Honesty: what is declared works, and what works is declared."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from uuid import uuid4

import pytest

from store_core.capabilities import Capability
from store_core.command import Command
from store_core.errors import StoreError
from store_core.store import Store, create_store
from store_core.testing.section import Section

#: What a capability means nothing without.
_RESTS_ON = {
    Capability.WATCH: Capability.TRANSACTIONS,
    Capability.PATTERNS: Capability.PUBSUB,
    Capability.SHARDED: Capability.PUBSUB,
    Capability.RECEIVERS: Capability.PUBSUB,
    Capability.BLOCKING: Capability.EXECUTE,
    Capability.PIPELINE: Capability.EXECUTE,
}


class HonestyTests(Section, section="honesty"):
    """``capabilities``."""

    def test_capabilities_are_a_frozen_set_of_known_ones(self, store_url: str) -> None:
        store = create_store(store_url)
        assert isinstance(store.capabilities, frozenset)
        assert {each for each in store.capabilities if not isinstance(each, Capability)} == set()

    @pytest.mark.parametrize("capability", list(_RESTS_ON))
    def test_a_capability_is_declared_with_the_one_that_it_rests_on(
        self, store_url: str, capability: Capability
    ) -> None:
        declared = create_store(store_url).capabilities
        assert capability not in declared or _RESTS_ON[capability] in declared

    @pytest.mark.parametrize("capability", list(Capability))
    async def test_what_is_declared_works_and_what_works_is_declared(
        self, store: Store, capability: Capability
    ) -> None:
        declared = capability in store.capabilities
        try:
            works = await _PROBES[capability](self, store)
        except StoreError:  # Unsupported, or the data store's own refusal
            if declared:
                raise
            works = False
        assert works == declared, f"{capability} {'works' if works else 'does not work'}, declared: {declared}"


async def _execute(tests: HonestyTests, store: Store) -> bool:
    await store.execute(*tests.dialect.read(_name()))
    return True


async def _connect(tests: HonestyTests, store: Store) -> bool:
    await (await store.connect()).close()
    return True


async def _transactions(tests: HonestyTests, store: Store) -> bool:
    return len(await store.execute_transaction([Command(tests.dialect.read(_name()))])) == 1


async def _watch(tests: HonestyTests, store: Store) -> bool:
    await (await store.watch(_name())).release()
    return True


async def _pubsub(tests: HonestyTests, store: Store) -> bool:
    async with store.pubsub() as pubsub:
        await pubsub.subscribe(_name())
    return True


async def _patterns(tests: HonestyTests, store: Store) -> bool:
    async with store.pubsub() as pubsub:
        await pubsub.psubscribe(f"{_name()}*")
    return True


async def _sharded(tests: HonestyTests, store: Store) -> bool:
    async with store.pubsub() as pubsub:
        await pubsub.ssubscribe(_name())
    return True


async def _receivers(tests: HonestyTests, store: Store) -> bool:
    name = _name()
    async with store.pubsub() as pubsub:
        return await pubsub.count(name) == {name: 0} and await pubsub.publish(name, "x") == 0


async def _blocking(tests: HonestyTests, store: Store) -> bool:
    name = _name()
    push, pop = tests.dialect.push(name, b"x"), tests.dialect.blocking_pop(name, 1)
    if push is None or pop is None:
        return False
    await store.execute(*push)
    return tests.dialect.popped_value(await store.execute(*pop)) == b"x"


async def _namespace(tests: HonestyTests, store: Store) -> bool:
    if "namespace" not in store.params:
        return False
    return create_store(store.dsn, namespace="conformance:").namespace == "conformance:"


async def _flush(tests: HonestyTests, store: Store) -> bool:
    if Capability.NAMESPACE in store.capabilities:
        async with tests.opened(store.dsn, namespace=f"{_name()}:") as spaced:
            await spaced.flush()
        return True
    if not tests.may_flush:
        return _overrides(store, "flush")
    await store.flush()
    return True


async def _databases(tests: HonestyTests, store: Store) -> bool:
    if not tests.may_flush:
        return _overrides(store, "create_database") and _overrides(store, "delete_database")
    name = await store.create_database(tests.dialect.database())
    await store.delete_database(name)
    return True


async def _client(tests: HonestyTests, store: Store) -> bool:
    return store.client() is not None


async def _start(tests: HonestyTests, store: Store) -> bool:
    if not store._dsn.hosts and Capability.START not in store.capabilities:
        return False  # a form without an address has nothing to start, whatever its class inherits
    if Capability.START in store.capabilities or not _overrides(store, "start_server"):
        return _overrides(store, "start_server")
    # A form that cannot be started refuses what its class inherits.
    server = await type(store).start_server(store._dsn, store.params)
    await server.stop()
    return True


async def _pipeline(tests: HonestyTests, store: Store) -> bool:
    return _overrides(store, "execute_pipeline")


async def _records(tests: HonestyTests, store: Store) -> bool:
    return callable(getattr(store, "find", None)) and callable(getattr(store, "count", None))


def _overrides(store: Store, name: str) -> bool:
    return next(kind for kind in type(store).__mro__ if name in vars(kind)) is not Store


def _name() -> str:
    return f"conformance-{uuid4().hex}"


#: For each capability, whether it works. ``Unsupported`` says no, and any other error of the tree as much.
_PROBES: dict[Capability, Callable[[HonestyTests, Store], Awaitable[bool]]] = {
    Capability.EXECUTE: _execute,
    Capability.CONNECT: _connect,
    Capability.PIPELINE: _pipeline,
    Capability.TRANSACTIONS: _transactions,
    Capability.WATCH: _watch,
    Capability.PUBSUB: _pubsub,
    Capability.PATTERNS: _patterns,
    Capability.SHARDED: _sharded,
    Capability.RECEIVERS: _receivers,
    Capability.BLOCKING: _blocking,
    Capability.NAMESPACE: _namespace,
    Capability.FLUSH: _flush,
    Capability.DATABASES: _databases,
    Capability.CLIENT: _client,
    Capability.START: _start,
    Capability.RECORDS: _records,
}
