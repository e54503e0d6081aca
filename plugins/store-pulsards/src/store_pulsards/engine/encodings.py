"""Encodings: what OBJECT ENCODING says of hashes, lists, sets and sorted sets.

Nothing here is stored in those ways; clients and tests look at the names, and a small collection is scanned in one page
because of them. Each is found from the value when asked for, by Valkey's default limits. Valkey remembers that a
collection was once too large; here one that has shrunk is small again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from typing import Final

from store_pulsards.engine.members import Members
from store_pulsards.engine.sorted_set import SortedSet
from store_pulsards.engine.volatile_hash import VolatileHash

HASH_ENTRIES: Final = 512
SET_ENTRIES: Final = 128
SORTED_SET_ENTRIES: Final = 128
INTSET_ENTRIES: Final = 512
LISTPACK_VALUE: Final = 64  # longest element
LISTPACK_BYTES: Final = 8192  # of a list
LISTPACK_FRAME: Final = 7  # header and end mark

_MAX_INT: Final = 2**63


def of_hash(value: dict[bytes, bytes]) -> bytes:
    if type(value) is VolatileHash:
        return b"hashtable"
    small = _small(value, HASH_ENTRIES) and _small(value.values(), HASH_ENTRIES)
    return b"listpack" if small else b"hashtable"


def of_list(value: deque[bytes]) -> bytes:
    size = LISTPACK_FRAME
    for element in value:
        size += entry_size(element)
        if size > LISTPACK_BYTES:
            return b"quicklist"
    return b"listpack"


def of_set(value: Members) -> bytes:
    if len(value) <= INTSET_ENTRIES and all(map(is_integer, value)):
        return b"intset"
    return b"listpack" if _small(value, SET_ENTRIES) else b"hashtable"


def of_sorted_set(value: SortedSet) -> bytes:
    return b"listpack" if small_sorted_set(value.scores) else b"skiplist"


def small_sorted_set(members: Collection[bytes]) -> bool:
    return _small(members, SORTED_SET_ENTRIES)


def is_integer(text: bytes) -> bool:
    """Whether the text is the canonical form of a 64 bit integer."""
    if len(text) > 20 or not text.lstrip(b"-").isdigit():
        return False
    number = int(text) if text.count(b"-") <= 1 else _MAX_INT
    return -_MAX_INT <= number < _MAX_INT and b"%d" % number == text


def _small(elements: Collection[bytes], entries: int) -> bool:
    return len(elements) <= entries and all(len(element) <= LISTPACK_VALUE for element in elements)


def entry_size(element: bytes) -> int:
    """Bytes in a listpack: the header, the text or number, and the length again for walking backwards."""
    size = _integer_size(int(element)) if is_integer(element) else len(element) + _header_size(len(element))
    return size + 1 if size < 128 else size + 1 + sum(size >= 1 << 7 * more for more in range(1, 5))


def number_size(number: int) -> int:
    """Bytes in a listpack of a number of 64 bits that is written as such."""
    return _integer_size(number) + 1


def _header_size(length: int) -> int:
    if length < 64:
        return 1
    return 2 if length < 4096 else 5


def _integer_size(number: int) -> int:
    if 0 <= number < 128:
        return 1
    if -(2**12) <= number < 2**12:
        return 2
    bits = (number if number >= 0 else ~number).bit_length()
    return next(1 + width // 8 for width in (16, 24, 32, 64) if bits < width)
