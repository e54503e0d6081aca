"""SCAN and RANDOMKEY over a whole cluster.

A cursor of ours is one number that carries the node: the lowest slot of the primary that is being scanned, a mark of
who it was, and that server's own cursor. Primaries are visited in the order of their lowest slots. Where the mark is
another's (a failover, a slot that moved), that primary is scanned from its beginning: keys may come twice, as SCAN's
contract allows, and none that was there all the time is missed for it.
"""

from __future__ import annotations

from binascii import crc_hqx
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from store_redis.cluster.slots import SLOTS
from store_redis.cluster.topology import Address, Topology

_SLOT_BITS, _MARK_BITS = 14, 16


class Cursor(NamedTuple):
    """Where a scan stands.

    Attributes:
        slot: The lowest slot of the primary.
        mark: Of the primary's address.
        own: The server's own cursor; 0 to begin.
    """

    slot: int
    mark: int
    own: int

    @classmethod
    def parse(cls, text: Any) -> Cursor:
        """A cursor as callers hand it back.

        Raises:
            ValueError: It is no number.
        """
        number = int(text)
        if number < 0:
            raise ValueError(text)
        rest, slot = divmod(number, SLOTS)
        own, mark = divmod(rest, 1 << _MARK_BITS)
        return cls(slot, mark, own)

    def __int__(self) -> int:
        return ((self.own << _MARK_BITS | self.mark) << _SLOT_BITS) | self.slot


def mark(address: Address) -> int:
    """What tells one primary from another in a cursor."""
    return crc_hqx(str(address).encode(), 0)


async def scan_step(
    topology: Topology, cursor: Cursor, scan: Callable[[int, int], Awaitable[list[Any]]]
) -> tuple[int, list[Any]]:
    """One step of a scan; returns the next cursor, 0 at the end, and the keys found.

    Args:
        topology: Who serves what.
        cursor: Where the scan stands.
        scan: Scans the primary of a slot from a cursor of its own.
    """
    places = sorted((slot, address) for address, slot in topology.first_slots.items())
    if not places:
        return 0, (await scan(0, 0))[1]
    # The primary whose lowest slot is the cursor's, or the next one: slots may have moved since.
    index = next((index for index, (slot, _) in enumerate(places) if slot >= cursor.slot), None)
    if index is None:
        return 0, []
    slot, address = places[index]
    own = cursor.own if (slot, mark(address)) == (cursor.slot, cursor.mark) else 0
    after, keys = await scan(slot, own)
    if int(after):
        return int(Cursor(slot, mark(address), int(after))), keys
    if index + 1 == len(places):
        return 0, keys
    slot, address = places[index + 1]
    return int(Cursor(slot, mark(address), 0)), keys
