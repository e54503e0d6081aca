"""Encodings: what OBJECT ENCODING says of hashes, lists, sets and sorted sets.

Nothing here is stored in those ways; clients and tests look at the names, and a small collection is scanned in one page
because of them. Each is found from the value when asked for, by the limits that are configured then. Valkey remembers
that a collection was once too large; here one that has shrunk is small again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from typing import Final

from store_pulsards.engine.members import Members
from store_pulsards.engine.sorted_set import SortedSet
from store_pulsards.engine.volatile_hash import VolatileHash

LISTPACK_BYTES: Final = (4096, 8192, 16384, 32768, 65536)  # of a list, for list-max-listpack-size -1 to -5
SAFE_BYTES: Final = 8192  # of a list whose limit is a number of elements
LISTPACK_FRAME: Final = 7  # header and end mark

_MAX_INT: Final = 2**63


class Limits:
    """Up to which size collections are small; the defaults are Valkey's. A ``value`` is the longest element."""

    __slots__ = (
        "hash_entries",
        "hash_value",
        "list_bytes",
        "list_entries",
        "set_entries",
        "set_integers",
        "set_value",
        "sorted_set_entries",
        "sorted_set_value",
    )

    def __init__(
        self,
        *,
        hash_entries: int = 512,
        hash_value: int = 64,
        set_integers: int = 512,
        set_entries: int = 128,
        set_value: int = 64,
        sorted_set_entries: int = 128,
        sorted_set_value: int = 64,
        list_size: int = -2,
    ) -> None:
        self.hash_entries = hash_entries
        self.hash_value = hash_value
        self.set_integers = set_integers
        self.set_entries = set_entries
        self.set_value = set_value
        self.sorted_set_entries = sorted_set_entries
        self.sorted_set_value = sorted_set_value
        self.list_entries = max(1, list_size) if list_size >= 0 else _MAX_INT
        self.list_bytes = SAFE_BYTES if list_size >= 0 else LISTPACK_BYTES[min(-list_size, len(LISTPACK_BYTES)) - 1]


USUAL: Final = Limits()


def of_hash(value: dict[bytes, bytes], limits: Limits = USUAL) -> bytes:
    if type(value) is VolatileHash:
        return b"hashtable"
    small = _small(value, limits.hash_entries, limits.hash_value) and _small(
        value.values(), limits.hash_entries, limits.hash_value
    )
    return b"listpack" if small else b"hashtable"


def of_list(value: deque[bytes], limits: Limits = USUAL) -> bytes:
    if len(value) > limits.list_entries:
        return b"quicklist"
    size = LISTPACK_FRAME
    for element in value:
        size += entry_size(element)
        if size > limits.list_bytes:
            return b"quicklist"
    return b"listpack"


def of_set(value: Members, limits: Limits = USUAL) -> bytes:
    if len(value) <= max(limits.set_integers, limits.set_entries) and all(map(is_integer, value)):
        return b"intset" if len(value) <= limits.set_integers else b"hashtable"
    return b"listpack" if _small(value, limits.set_entries, limits.set_value) else b"hashtable"


def of_sorted_set(value: SortedSet, limits: Limits = USUAL) -> bytes:
    small = _small(value.scores, limits.sorted_set_entries, limits.sorted_set_value)
    return b"listpack" if small else b"skiplist"


def is_integer(text: bytes) -> bool:
    """Whether the text is the canonical form of a 64 bit integer."""
    if len(text) > 20 or not text.lstrip(b"-").isdigit():
        return False
    number = int(text) if text.count(b"-") <= 1 else _MAX_INT
    return -_MAX_INT <= number < _MAX_INT and b"%d" % number == text


def _small(elements: Collection[bytes], entries: int, longest: int) -> bool:
    return len(elements) <= entries and all(len(element) <= longest for element in elements)


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
