"""Pipelines: commands that travel together. A backend without the capability has them too, one command at a time."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from store_core.capabilities import Capability
from store_core.errors import ReplyError, StoreError
from store_core.store import Store
from store_core.testing.section import Section

Key = Callable[..., str]


class PipelineTests(Section, section="pipeline", needs=[Capability.EXECUTE]):
    """``store.pipeline``."""

    async def test_replies_are_in_order(self, store: Store, key: Key) -> None:
        name = key()
        async with store.pipeline() as pipeline:
            for _ in range(100):
                pipeline.execute(*self.dialect.increment(name))
            pipeline.execute(*self.dialect.read(name))
            assert pipeline.results is None
        assert pipeline.results is not None
        *counts, value = pipeline.results
        assert list(map(self.dialect.increment_value, counts)) == list(range(1, 101))
        assert self.dialect.read_value(value) == b"100"

    async def test_an_error_is_named_and_stops_nothing(self, store: Store, key: Key) -> None:
        before, after = key("before"), key("after")
        with pytest.raises(ReplyError) as caught:
            async with store.pipeline() as pipeline:
                pipeline.execute(*self.dialect.write(before, b"1"))
                pipeline.execute(*self.dialect.refused())
                pipeline.execute(*self.dialect.write(after, b"2"))
        assert any("command 2 of 3" in note for note in getattr(caught.value, "__notes__", ()))
        assert (await self.read(store, before), await self.read(store, after)) == (b"1", b"2")

    async def test_errors_stay_in_their_place_where_the_caller_wants_them(self, store: Store, key: Key) -> None:
        name = key()
        async with store.pipeline(raise_on_error=False) as pipeline:
            pipeline.execute(*self.dialect.refused())
            pipeline.execute(*self.dialect.increment(name))
        assert pipeline.results is not None
        assert isinstance(pipeline.results[0], ReplyError)
        assert self.dialect.increment_value(pipeline.results[1]) == 1

    async def test_a_pipeline_whose_block_raises_runs_nothing(self, store: Store, key: Key) -> None:
        name = key()
        with pytest.raises(ZeroDivisionError):
            async with store.pipeline() as pipeline:
                pipeline.execute(*self.dialect.write(name, b"value"))
                raise ZeroDivisionError
        assert await self.read(store, name) is None

    async def test_an_empty_pipeline_has_no_results(self, store: Store) -> None:
        async with store.pipeline() as pipeline:
            pass
        assert pipeline.results == []

    async def test_no_command_can_be_added_to_a_pipeline_after_its_end(self, store: Store, key: Key) -> None:
        name = key()
        async with store.pipeline() as pipeline:
            pipeline.execute(*self.dialect.increment(name))
        with pytest.raises(StoreError):
            pipeline.execute(*self.dialect.increment(name))
        assert await self.read(store, name) == b"1"
