"""Sizes: how much memory a key and its value take, estimated in constant time.

The size of a value is that of its containers, which Python tells at once, and that of its elements, told from a few
of them. What Python does not tell is here as constants: how its allocator rounds, and what a dictionary's table takes
for one entry (a table is half to wholly full; the mean is taken, so that an estimate neither jumps when a table
grows nor forgets what an evicted key gave back).

``docs/memory.md`` has how far the estimate is off for each type; ``benchmarks/memory_estimate.py`` measures it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from itertools import islice
from sys import getsizeof
from typing import Any, Final

from store_pulsards.engine.members import Members
from store_pulsards.engine.sorted_set import SortedSet
from store_pulsards.engine.stream import Block, Stream
from store_pulsards.engine.stream_groups import Group
from store_pulsards.engine.volatile_hash import VolatileHash

BYTES: Final = 33  # of a bytes object, beside the text
TABLE: Final = 43  # of a dictionary, for one entry
NUMBER: Final = 32  # an int or a float
PAIR: Final = 64  # a tuple of two
SLOT: Final = 9  # in a list or an array that grows
DATABASE: Final = 750  # an empty one
EXPIRY: Final = TABLE + NUMBER + PAIR + SLOT  # when a key or a field is over, and its place in the order of deadlines
SORTED_SET: Final = 380  # an empty one, its dictionary apart
SORTED_ENTRY: Final = NUMBER + PAIR + SLOT  # a score, and its place in the order
GROUP: Final = 1_800  # an empty one
CONSUMER: Final = 1_700  # an empty one
PENDING: Final = 2 * (TABLE + SLOT) + 2 * NUMBER + 64  # an entry that a group has delivered

STREAM: Final = 220  # an empty one
BLOCK: Final = 160  # of a stream, beside its arrays

SAMPLES: Final = 16  # elements looked at
REACH: Final = 4096  # elements among which they are chosen
SMALL_BLOCK: Final = 512  # above it, Python leaves memory to the system's allocator


def block(size: int) -> int:
    """What the allocator gives for so many bytes."""
    return (size + 15) & ~15 if size <= SMALL_BLOCK else (size + 23) & ~15


_SHORT: Final = (0, 0, *(block(size + BYTES) for size in range(2, SMALL_BLOCK)))


def of_text(text: bytes) -> int:
    """The memory of a key, an element or a string; Python has the shortest ones once and for all."""
    size = len(text)
    return _SHORT[size] if size < SMALL_BLOCK else block(size + BYTES)


def of_key(key: bytes, *, volatile: bool) -> int:
    """The memory of a key, and of its places in the tables of its database."""
    return of_name(key, volatile=volatile) + TABLE + (EXPIRY if volatile else 0)


def of_name(key: bytes, *, volatile: bool) -> int:
    """The memory of a key alone; the command that made it expire brought its text a second time."""
    return of_text(key) * (2 if volatile else 1)


def of_value(value: Any, samples: int = SAMPLES) -> int:
    """The memory of a value.

    Args:
        value: Of the keyspace.
        samples: How many of its elements are looked at; 0 for all.
    """
    if type(value) is bytes:
        return of_text(value)
    return fixed(value) + int(count(value) * mean(value, samples))


def count(value: Any) -> int:
    """How many elements a collection has; those of a stream are its blocks."""
    return len(value) if type(value) is not Stream else value.block_count


def fixed(value: Any) -> int:
    """The memory of a collection without its elements."""
    return _SHAPES[type(value)][0](value)


def mean(value: Any, samples: int = SAMPLES) -> float:
    """The memory of one element of a collection, told from some that are not far from the first; 0: from all."""
    _, elements, size = _SHAPES[type(value)]
    reach = min(count(value), REACH)
    step = max(1, reach // samples) if samples else 1
    found = 0
    total = 0
    for element in islice(elements(value), 0, reach if samples else None, step):
        total += size(element)
        found += 1
    return total / found if found else 0.0


def _of_volatile_hash(value: VolatileHash) -> int:
    return getsizeof(value) + getsizeof(value.expires) + (EXPIRY - TABLE) * len(value.expires)


def _of_sorted_set(value: SortedSet) -> int:
    return SORTED_SET + getsizeof(value.scores) + SORTED_ENTRY * len(value.scores)


def _of_stream(value: Stream) -> int:
    return STREAM + SLOT * value.block_count + sum(map(_of_group, value.groups.values()))


def _of_group(group: Group) -> int:
    return GROUP + CONSUMER * len(group.consumers) + PENDING * len(group.pending)


def _of_field(field: tuple[bytes, bytes]) -> int:
    return of_text(field[0]) + of_text(field[1])


def _of_block(part: Block) -> int:
    return BLOCK + getsizeof(part)


_Shape = tuple[Callable[[Any], int], Callable[[Any], Iterable[Any]], Callable[[Any], int]]

# The memory of the containers; the elements; the memory of one of them.
_SHAPES: Final[dict[type[Any], _Shape]] = {
    deque: (getsizeof, iter, of_text),
    dict: (getsizeof, dict.items, _of_field),
    VolatileHash: (_of_volatile_hash, dict.items, _of_field),
    Members: (getsizeof, iter, of_text),
    SortedSet: (_of_sorted_set, lambda value: value.scores, of_text),
    Stream: (_of_stream, Stream.blocks, _of_block),
}
