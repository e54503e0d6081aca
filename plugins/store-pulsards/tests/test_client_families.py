"""redis-py's own methods over the embedded store, a test for each family of commands."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from store_core import create_store


@pytest.fixture
async def client() -> AsyncIterator[Any]:
    async with create_store("pulsards://") as store:
        yield store.client()


async def test_bits(client: Any) -> None:
    assert await client.setbit("a", 7, 1) == 0
    assert await client.getbit("a", 7) == 1
    assert await client.bitcount("a") == 1
    assert await client.bitpos("a", 1) == 7
    assert await client.bitop("NOT", "b", "a") == 1
    assert await client.get("b") == b"\xfe"
    field = client.bitfield("a", default_overflow="SAT")
    assert await field.set("u8", "#1", 255).incrby("u8", "#1", 1).get("i4", 8).execute() == [0, 255, -1]
    assert await client.bitfield_ro("a", "u4", 4) == [1]


async def test_hyperloglogs(client: Any) -> None:
    assert await client.pfadd("a", "x", "y", "z") == 1
    assert await client.pfadd("a", "x") == 0
    assert await client.pfadd("b", "z", "u") == 1
    assert await client.pfcount("a") == 3
    assert await client.pfcount("a", "b") == 4
    assert await client.pfmerge("c", "a", "b")
    assert await client.pfcount("c") == 4
    assert (await client.get("c"))[:4] == b"HYLL"


async def test_geo(client: Any) -> None:
    assert await client.geoadd("g", [13.361389, 38.115556, "Palermo", 15.087269, 37.502669, "Catania"]) == 2
    assert await client.geodist("g", "Palermo", "Catania", "km") == pytest.approx(166.2742)
    assert await client.geohash("g", "Palermo") == ["sqc8b49rny0"]
    ((longitude, latitude),) = await client.geopos("g", "Palermo")
    assert (longitude, latitude) == (13.361389338970184, 38.1155563954963)
    found = await client.geosearch("g", longitude=15, latitude=37, radius=200, unit="km", sort="ASC", withdist=True)
    assert [member for member, _ in found] == [b"Catania", b"Palermo"]
    assert await client.geosearchstore("to", "g", member="Palermo", width=400, height=400, unit="km") == 2
    assert await client.georadius("g", 15, 37, 200, unit="km", count=1) == [b"Catania"]
    assert await client.georadiusbymember("g", "Palermo", 10, unit="km") == [b"Palermo"]


async def test_fields_that_expire(client: Any) -> None:
    await client.hset("h", mapping={"a": "1", "b": "2"})
    assert await client.hexpire("h", 100, "a", "nothing") == [1, -2]
    assert await client.httl("h", "a", "b", "nothing") == [100, -1, -2]
    assert await client.hpersist("h", "a") == [1]
    assert await client.hpexpire("h", 100_000, "a", nx=True) == [1]
    assert 99_000 < (await client.hpttl("h", "a"))[0] <= 100_000
    assert await client.hexpireat("h", 33177117420, "a") == [1]
    assert await client.hpexpireat("h", 33177117420123, "b") == [1]
    assert await client.hexpiretime("h", "a") == [33177117420]
    assert await client.hpexpiretime("h", "b") == [33177117420123]
    assert await client.hgetex("h", "a", ex=10) == [b"1"]
    assert await client.hsetex("h", "c", "3", ex=10) == 1
    assert await client.hgetdel("h", "c", "nothing") == [b"3", None]
    assert await client.hgetall("h") == {b"a": b"1", b"b": b"2"}


async def test_dump_and_restore(client: Any) -> None:
    await client.zadd("a", {"x": 1, "y": 2.5})
    dumped = await client.dump("a")
    assert await client.restore("b", 0, dumped) == b"OK"
    assert await client.zrange("b", 0, -1, withscores=True) == [(b"x", 1.0), (b"y", 2.5)]
    assert await client.restore("b", 1000, dumped, replace=True) == b"OK"
    assert 0 < await client.pttl("b") <= 1000


async def test_waiting_for_replicas_that_are_not_there(client: Any) -> None:
    assert await client.wait(0, 0) == 0
    assert await client.wait(1, 10) == 0
    assert await client.waitaof(0, 0, 0) == [0, 0]
