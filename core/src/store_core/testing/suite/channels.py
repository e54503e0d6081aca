"""Channels: events over a PubSub."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest

from store_core.capabilities import Capability
from store_core.store import Store
from store_core.testing.section import Section, eventually

Key = Callable[..., str]


class ChannelsTests(Section, section="channels", needs=[Capability.PUBSUB]):
    """``store.channels``."""

    async def test_events_reach_the_callbacks_that_want_them(self, store: Store, key: Key) -> None:
        room, hall = key("room"), key("hall")
        got: list[tuple[str, str, Any]] = []

        async def callback(channel: str, event: str, data: Any) -> None:
            await asyncio.sleep(0)
            got.append((channel, event, data))

        async with store.channels() as channels:
            await channels.register(room, "user.*", callback)
            await channels.register(hall, "*", callback)
            await channels.publish(room, "message", "not for us")
            await channels.publish(room, "user.joined", {"name": "Ada"})
            await channels.publish(hall, "anything")
            await eventually(lambda: len(got) == 2)
        assert sorted(got, key=str) == sorted(
            [(hall, "anything", None), (room, "user.joined", {"name": "Ada"})], key=str
        )

    async def test_namespaces_do_not_meet(self, store: Store, key: Key) -> None:
        room, space = key("room"), key("space")
        got: list[str] = []
        async with store.channels(space) as mine, store.channels(f"{space}-other") as theirs:
            await mine.register(room, "*", lambda channel, event, data: got.append(f"{channel} {data}"))
            await theirs.publish(room, "event", "theirs")
            await mine.publish(room, "event", "mine")
            await eventually(lambda: got)
        assert got == [f"{room} mine"]

    async def test_an_unregistered_callback_is_not_called(self, store: Store, key: Key) -> None:
        room = key("room")
        left: list[Any] = []
        kept: list[Any] = []

        def leaving(channel: str, event: str, data: Any) -> None:
            left.append(data)

        async with store.channels() as channels:
            await channels.register(room, "*", leaving)
            await channels.register(room, "*", lambda channel, event, data: kept.append(data))
            await channels.unregister(room, "*", leaving)
            await channels.publish(room, "event", 1)
            await eventually(lambda: kept)
        assert (left, kept) == ([], [1])

    async def test_a_callback_that_raises_is_logged_and_stays(
        self, store: Store, key: Key, caplog: pytest.LogCaptureFixture
    ) -> None:
        room = key("room")
        calls: list[Any] = []

        def bad(channel: str, event: str, data: Any) -> None:
            calls.append(data)
            raise ZeroDivisionError

        with caplog.at_level(logging.ERROR):
            async with store.channels() as channels:
                await channels.register(room, "*", bad)
                await channels.publish(room, "event", 1)
                await channels.publish(room, "event", 2)
                await eventually(lambda: len(calls) == 2)
        assert calls == [1, 2]
        assert sum("failed on the event" in record.message for record in caplog.records) == 2
