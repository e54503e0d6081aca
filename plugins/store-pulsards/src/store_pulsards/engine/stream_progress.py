"""How far a consumer group is: the entries that it has read, and those that it has yet to read.

Nobody counts entries between two IDs. A group counts what it reads; the count holds while no deleted entry lies
ahead of it. Where it does not hold, it can be found again for a few IDs (the last one, the first one, one before the
first): everywhere else it is unknown.
"""

from __future__ import annotations

from store_pulsards.engine.stream import Stream
from store_pulsards.engine.stream_groups import UNKNOWN, Group


def advance(stream: Stream, group: Group, number: int) -> None:
    """Note that an entry was delivered to a group, the first one after those that it had."""
    if group.entries_read != UNKNOWN and group.last >= stream.first and not _deleted_after(stream, group.last):
        group.entries_read += 1
    elif stream.added:
        group.entries_read = _entries_up_to(stream, number)
    group.last = number


def lag(stream: Stream, group: Group) -> int | None:
    """How many entries a group has yet to read; None where nobody knows."""
    if not stream.added:
        return 0
    read = group.entries_read
    if read == UNKNOWN or _deleted_after(stream, group.last):
        read = _entries_up_to(stream, group.last)
    return None if read == UNKNOWN else stream.added - read


def _deleted_after(stream: Stream, number: int) -> bool:
    """Whether an entry was deleted at that ID, or after it."""
    return bool(stream.length and stream.max_deleted) and number <= stream.max_deleted


def _entries_up_to(stream: Stream, number: int) -> int:
    """How many entries have ever been added up to an ID, itself included."""
    if not stream.length and number <= stream.last:
        return stream.added
    if 0 < number < stream.max_deleted or number > stream.last:
        return UNKNOWN
    if number == stream.last:
        return stream.added
    if not stream.max_deleted or stream.max_deleted < stream.first:
        if number < stream.first:
            return stream.added - stream.length
        if number == stream.first:
            return stream.added - stream.length + 1
    return UNKNOWN
