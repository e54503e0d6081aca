"""Streams through ``store.client()``, on every form: redis-py's methods, with its own shapes of replies."""

from __future__ import annotations

import asyncio

import pytest
import redis

from store_core import Store


async def test_entries_are_added_read_trimmed_and_deleted(store: Store) -> None:
    client = store.client()
    assert await client.xadd("s", {"a": 1, "b": 2}, id="1-1") == b"1-1"
    assert await client.xadd("s", {"a": 3}, id="1-*") == b"1-2"
    assert await client.xadd("none", {"a": 3}, nomkstream=True) is None
    assert await client.xadd("s", {"a": 4}, id="2-1", maxlen=100, approximate=True) == b"2-1"
    assert await client.xlen("s") == 3
    assert await client.xrange("s", "-", "(2-1") == [(b"1-1", {b"a": b"1", b"b": b"2"}), (b"1-2", {b"a": b"3"})]
    assert await client.xrevrange("s", count=1) == [(b"2-1", {b"a": b"4"})]
    assert await client.xdel("s", "1-2", "9-9") == 1
    assert await client.xtrim("s", maxlen=1, approximate=False) == 1
    read = await client.xread({"s": "0", "none": "0"}, count=5)
    assert _entries(read) == {b"s": [(b"2-1", {b"a": b"4"})]}
    assert await client.xread({"s": "$"}) in ([], {})


async def test_a_group_shares_its_entries(store: Store) -> None:
    client = store.client()
    assert await client.xgroup_create("s", "g", "$", mkstream=True) is True
    with pytest.raises(redis.ResponseError, match="BUSYGROUP"):
        await client.xgroup_create("s", "g")
    assert await client.xgroup_createconsumer("s", "g", "idle") == 1
    for number in range(1, 4):
        await client.xadd("s", {"n": number}, id=f"1-{number}")
    mine = await client.xreadgroup("g", "me", {"s": ">"}, count=2)
    assert _entries(mine) == {b"s": [(b"1-1", {b"n": b"1"}), (b"1-2", {b"n": b"2"})]}
    await client.xreadgroup("g", "you", {"s": ">"})
    summary = await client.xpending("s", "g")
    assert (summary["pending"], summary["min"], summary["max"]) == (3, b"1-1", b"1-3")
    assert summary["consumers"] == [{"name": b"me", "pending": 2}, {"name": b"you", "pending": 1}]
    assert [each["message_id"] for each in await client.xpending_range("s", "g", "-", "+", 10, "me")] == [
        b"1-1",
        b"1-2",
    ]
    assert await client.xack("s", "g", "1-1") == 1
    await client.xdel("s", "1-2")
    following, claimed, deleted = await client.xautoclaim("s", "g", "you", 0)
    assert (following, claimed, deleted) == (b"0-0", [(b"1-3", {b"n": b"3"})], [b"1-2"])
    assert await client.xclaim("s", "g", "me", 0, ["1-3"], justid=True) == [b"1-3"]
    assert await client.xgroup_delconsumer("s", "g", "me") == 1
    assert await client.xgroup_setid("s", "g", "0") is True
    assert await client.xgroup_destroy("s", "g") == 1


async def test_what_is_told_of_a_stream(store: Store) -> None:
    client = store.client()
    await client.xadd("s", {"a": 1}, id="1-1")
    await client.xadd("s", {"a": 2}, id="1-2")
    await client.xgroup_create("s", "g", "0")
    await client.xreadgroup("g", "c", {"s": ">"}, count=1)
    told = await client.xinfo_stream("s")
    assert (told["length"], told["last-generated-id"], told["groups"]) == (2, b"1-2", 1)
    assert told["first-entry"] == (b"1-1", {b"a": b"1"})
    full = await client.xinfo_stream("s", full=True)
    assert full["entries"] == {b"1-1": {b"a": b"1"}, b"1-2": {b"a": b"2"}}
    assert len(full["groups"]) == 1
    (group,) = await client.xinfo_groups("s")
    assert (group["name"], group["pending"], group["entries-read"], group["lag"]) == (b"g", 1, 1, 1)
    (consumer,) = await client.xinfo_consumers("s", "g")
    assert (consumer["name"], consumer["pending"]) == (b"c", 1)


async def test_readers_wait_without_holding_anybody_up(store: Store) -> None:
    client = store.client()
    await client.xgroup_create("s", "g", "$", mkstream=True)
    readers = [
        asyncio.create_task(client.xread({"s": "0"}, block=20_000)),
        asyncio.create_task(client.xreadgroup("g", "c", {"s": ">"}, block=20_000)),
    ]
    while (await client.info("clients"))["blocked_clients"] < 2:
        await asyncio.sleep(0.005)
    await client.xadd("s", {"a": 1}, id="1-1")
    assert [_entries(each) for each in await asyncio.gather(*readers)] == [{b"s": [(b"1-1", {b"a": b"1"})]}] * 2
    assert await client.xread({"s": "$"}, block=1) in ([], {})


def _entries(read: object) -> dict[bytes, list[object]]:
    """What XREAD gave, in RESP2's form or RESP3's."""
    if isinstance(read, dict):
        return {
            key: entries[0] if entries and isinstance(entries[0], list) else entries for key, entries in read.items()
        }
    assert isinstance(read, list)
    return dict(read)
