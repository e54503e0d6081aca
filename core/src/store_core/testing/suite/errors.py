"""Errors: of the tree, each saying what the caller may conclude."""

from __future__ import annotations

import asyncio
import copy
import pickle
import socket
from collections.abc import Callable

import pytest

from store_core.capabilities import Capability
from store_core.errors import ArgumentError, ConnectionFailed, ConnectionLost, ReplyError, StoreError, Timeout
from store_core.store import Store, create_store
from store_core.testing.section import Section, needs

Key = Callable[..., str]


def closed_port() -> int:
    """A port of this machine at which nobody answers."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port


class ErrorTests(Section, section="errors"):
    """What goes wrong, as the tree in ``store_core.errors`` says it."""

    async def test_where_nobody_answers_it_is_connection_failed_and_nothing_was_sent(
        self, store: Store, store_url: str
    ) -> None:
        if self.dialect.address(store) is None:
            pytest.skip("the store has no TCP address")
        async with create_store(self.dialect.at(store_url, closed_port())) as nowhere:
            for _ in range(2):
                with pytest.raises(ConnectionFailed) as caught:
                    await nowhere.ping()
                assert not isinstance(caught.value, ConnectionLost)
                assert str(caught.value).strip(), "the error says nothing"

    async def test_many_callers_of_one_failed_connection_get_an_error_each(self, store: Store, store_url: str) -> None:
        if self.dialect.address(store) is None:
            pytest.skip("the store has no TCP address")
        async with create_store(self.dialect.at(store_url, closed_port())) as nowhere:
            errors = await asyncio.gather(*(nowhere.ping() for _ in range(10)), return_exceptions=True)
        assert [error for error in errors if not isinstance(error, ConnectionFailed)] == []
        assert len({id(error) for error in errors}) == 10
        assert [error for error in errors if not str(error).strip()] == []

    @needs(Capability.EXECUTE)
    async def test_a_reply_error_is_the_data_stores_words_and_survives_copies(self, store: Store) -> None:
        with pytest.raises(ReplyError) as caught:
            await store.execute(*self.dialect.refused())
        assert caught.value.code
        for again in (pickle.loads(pickle.dumps(caught.value)), copy.copy(caught.value)):  # noqa: S301 - our own
            assert isinstance(again, ReplyError)
            assert (str(again), again.code) == (str(caught.value), caught.value.code)

    @needs(Capability.EXECUTE)
    async def test_an_argument_that_cannot_be_sent_is_refused_and_nothing_has_run(self, store: Store, key: Key) -> None:
        name = key()
        command = self.said(self.dialect.unsendable(name), "argument that cannot be sent")
        with pytest.raises(ArgumentError):
            await store.execute(*command)
        assert await self.read(store, name) is None

    @needs(Capability.EXECUTE)
    async def test_no_command_at_all_is_a_type_error(self, store: Store) -> None:
        with pytest.raises(TypeError):
            await store.execute()
        assert await store.ping() is True

    @needs(Capability.EXECUTE)
    async def test_a_reply_that_does_not_come_in_time_is_a_timeout_and_the_store_goes_on(
        self, store: Store, key: Key
    ) -> None:
        name = key()
        command = self.said(self.dialect.slow(self.patience), "slow command")
        with pytest.raises(Timeout) as caught:
            await store.execute(*command, timeout=0.1)
        assert isinstance(caught.value, StoreError)
        await self.write(store, name, b"on time")
        assert await self.read(store, name) == b"on time"
