"""The cursor of a scan over several nodes, and nodes that change in the middle."""

from __future__ import annotations

from typing import Any

import pytest

from store_redis.cluster.scan import Cursor, mark, scan_step
from store_redis.cluster.slots import SLOTS
from store_redis.cluster.topology import Address, Shard, Topology

A, B, C = (Address("10.0.0.1", port) for port in (7001, 7002, 7003))


def topology(*ranges: tuple[int, Address]) -> Topology:
    ends = [first for first, _ in ranges[1:]] + [SLOTS]
    return Topology((first, end - 1, Shard(address, ())) for (first, address), end in zip(ranges, ends, strict=True))


class Servers:
    """Each address has two pages: cursor 0 leads to cursor 9, and that to the end."""

    def __init__(self, cluster: Topology) -> None:
        self.cluster = cluster
        self.asked: list[tuple[Address, int]] = []

    async def scan(self, slot: int, own: int) -> list[Any]:
        address = next(shard.primary for first, last, shard in self.cluster.ranges if first <= slot <= last)
        self.asked.append((address, own))
        return [b"0" if own else b"9", [f"{address.port}/{own}"]]

    async def walk(self, cursor: int = 0, steps: int = 100) -> tuple[int, list[str]]:
        found: list[str] = []
        for _ in range(steps):
            cursor, keys = await scan_step(self.cluster, Cursor.parse(cursor), self.scan)
            found += keys
            if not cursor:
                break
        return cursor, found


@pytest.mark.parametrize("cursor", [Cursor(0, 0, 0), Cursor(16383, 65535, 2**64 - 1), Cursor(5, 6, 7)])
def test_a_cursor_survives_its_way_through_the_caller(cursor: Cursor) -> None:
    assert Cursor.parse(str(int(cursor)).encode()) == cursor


async def test_every_page_of_every_node_is_read_once() -> None:
    servers = Servers(topology((0, A), (5000, B), (10000, C)))
    assert await servers.walk() == (0, ["7001/0", "7001/9", "7002/0", "7002/9", "7003/0", "7003/9"])


async def test_a_primary_that_was_replaced_is_scanned_from_its_beginning() -> None:
    servers = Servers(topology((0, A), (5000, B)))
    cursor, _ = await servers.walk(steps=3)
    servers.cluster = topology((0, A), (5000, C))
    assert await servers.walk(cursor) == (0, ["7003/0", "7003/9"])


async def test_a_boundary_that_moved_skips_nobody() -> None:
    servers = Servers(topology((0, A), (5000, B), (10000, C)))
    cursor, _ = await servers.walk(steps=3)
    servers.cluster = topology((0, A), (6000, B), (10000, C))
    assert await servers.walk(cursor) == (0, ["7002/0", "7002/9", "7003/0", "7003/9"])


async def test_a_last_node_that_has_gone_ends_the_scan() -> None:
    servers = Servers(topology((0, A), (5000, B)))
    cursor, _ = await servers.walk(steps=2)
    assert Cursor.parse(cursor) == Cursor(5000, mark(B), 0)
    servers.cluster = topology((0, A))
    assert await servers.walk(cursor) == (0, [])
