"""The embedded store's hot path answers as the long way does, whatever it is given."""

from __future__ import annotations

from collections.abc import AsyncIterator
from enum import IntEnum
from typing import Any

import pytest

from store_core import Store, StoreError, create_store
from store_pulsards import EmbeddedStore


class Level(IntEnum):
    HIGH = 3


COMMANDS: list[tuple[Any, ...]] = [
    (),
    ("PING",),
    ("ping",),
    ("PiNg",),
    (b"PING",),
    (bytearray(b"PING"),),
    (["PING"],),
    (None,),
    (7,),
    ("GET", "text"),
    (b"GET", b"text"),
    ("GET", bytearray(b"text")),
    ("GET", memoryview(b"text")),
    ("GET", 7),
    ("GET", True),
    ("GET", None),
    ("GET", {}),
    ("GET", "\ud800"),
    ("GET", "list"),
    ("GET",),
    ("GET", "text", "more"),
    ("APPEND", "text", "ü"),
    ("APPEND", "text", 1.5),
    ("APPEND", "text", Level.HIGH),
    ("APPEND", "text", "\udfff"),
    ("APPEND", 7, object()),
    ("SETRANGE", "text", 2, "xyz"),
    ("SETRANGE", "text", 2, object()),
    ("SETRANGE", "\ud800", 2, "xyz"),
    ("SETRANGE", "text", "two", "xyz"),
    ("RPUSH", "other", *range(20)),
    ("MSET", *"aAbBcCdDeE"),
    ("MSET", *"aAbBcCdDe"),
    ("OBJECT", "ENCODING", "text"),
    ("OBJECT", "NOTHING", "text"),
    ("CLIENT", "GETNAME"),
    ("CLIENT GETNAME",),
    ("XADD", "stream", "1-1", "f", "v"),
    ("XREAD", "STREAMS", "stream", "0"),
    ("BLPOP", "list", 0),
    ("WATCH", "text"),
    ("SELECT", 1),
    ("NOSUCH",),
    ("NOSUCH", "\ud800"),
]


@pytest.fixture
async def stores() -> AsyncIterator[tuple[Store, Store]]:
    async with create_store("pulsards://") as direct, create_store("pulsards://") as other:
        for store in (direct, other):
            await store.execute("SET", "text", "abc")
            await store.execute("RPUSH", "list", "a", "b")
        yield direct, other


async def outcome(store: Store, command: tuple[Any, ...], **options: Any) -> Any:
    try:
        return await store.execute(*command, **options)
    except (StoreError, TypeError) as error:
        return type(error), str(error)


@pytest.mark.parametrize("command", COMMANDS, ids=repr)
async def test_a_command_is_answered_as_on_the_long_way(stores: tuple[Store, Store], command: tuple[Any, ...]) -> None:
    direct, other = stores
    # With a time of its own no command takes the short way.
    assert await outcome(direct, command) == await outcome(other, command, timeout=60)
    for key in ("text", "other", "7", "e"):
        assert await outcome(direct, ("DUMP", key)) == await outcome(other, ("DUMP", key), timeout=60)


@pytest.mark.parametrize(
    "command", [("GET", "text"), ("SET", "text", "new"), ("SETRANGE", "text", 1, "x"), ("GET", "list"), ("GET", None)]
)
async def test_it_is_counted_as_on_the_long_way(stores: tuple[Store, Store], command: tuple[Any, ...]) -> None:
    async def told(store: Store) -> list[Any]:
        info = await store.execute("INFO", "stats", timeout=60)
        fields = dict(line.split(":", 1) for line in info.decode().split() if ":" in line)
        clients = (await store.execute("CLIENT", "LIST", timeout=60)).decode()
        return [fields["total_commands_processed"], fields["total_error_replies"], "cmd=client|list" in clients]

    direct, other = stores
    assert await outcome(direct, command) == await outcome(other, command, timeout=60)
    assert await told(direct) == await told(other)


async def test_the_engine_knows_which_command_ran_last(stores: tuple[Store, Store]) -> None:
    store = stores[0]
    assert isinstance(store, EmbeddedStore)
    await store.execute("STRLEN", "text")
    assert [session.command.name for session in store.engine.sessions.values() if session.command] == ["strlen"]


async def test_a_monitor_sees_it(stores: tuple[Store, Store]) -> None:
    store = stores[0]
    async with store.client().monitor() as monitor:
        await store.execute("SET", "seen", "1")
        assert (await monitor.next_command())["command"] == "SET seen 1"
