"""SCAN, HSCAN, SSCAN, ZSCAN: paging through a collection that changes meanwhile.

Elements are visited in the order of their hash; a cursor is the hash at which the next page begins. Whatever was
there from the first page to the last is seen, and a cursor needs nothing to be kept for it. What is kept is only
speed: the elements of a collection that is being scanned, sorted into buckets by their hash when the scan begins.
Buckets made later than the scan that uses them serve as well. A page is whole buckets, so that COUNT is a hint, as
in Redis.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from store_pulsards.engine import args, replies

CURSOR_BITS: Final = 48  # a cursor that JavaScript's numbers can hold
MASK: Final = (1 << CURSOR_BITS) - 1
BUCKET: Final = 16  # elements in one, more or less
KEPT: Final = 16  # scans under way


def cursor(text: bytes) -> int:
    """The cursor that a client gives."""
    if not text.isdigit() or len(text) > 20:
        raise replies.invalid_cursor()
    number = int(text)
    if number >= 2**64:
        raise replies.invalid_cursor()
    return number


def count(text: bytes) -> int:
    """The value of COUNT."""
    number = args.integer(text)
    if number < 1:
        raise replies.syntax_error()
    return number


class Scans:
    """The scans under way in one engine."""

    __slots__ = ("_buckets",)

    def __init__(self) -> None:
        self._buckets: dict[int, tuple[Collection[bytes], list[list[bytes]]]] = {}  # by the collection's identity

    def page(self, collection: Collection[bytes], begin: int, size: int) -> tuple[int, list[bytes]]:
        """One page.

        Args:
            collection: The keys, fields or members; a dict or a set, the same object for each page.
            begin: The cursor; 0 at first.
            size: How many elements to visit, at least.

        Returns:
            The next cursor (0 when this was the last page), and the elements.
        """
        buckets = self._of(collection, anew=begin == 0)
        shift = CURSOR_BITS - (len(buckets).bit_length() - 1)
        index = begin >> shift
        found: list[bytes] = []
        while index < len(buckets) and len(found) < size:
            found += buckets[index]
            index += 1
        if index >= len(buckets):
            del self._buckets[id(collection)]
            index = 0
        return index << shift, [element for element in found if element in collection]

    def forget(self) -> None:
        """Let go of all that was kept; scans under way go on all the same."""
        self._buckets.clear()

    def _of(self, collection: Collection[bytes], *, anew: bool) -> list[list[bytes]]:
        """The buckets of a collection, a power of two of them."""
        kept = self._buckets.pop(id(collection), None)
        if anew or kept is None or kept[0] is not collection:
            kept = (collection, _sort_out(collection))
        self._buckets[id(collection)] = kept
        if len(self._buckets) > KEPT:
            del self._buckets[next(iter(self._buckets))]
        return kept[1]


def _sort_out(collection: Collection[bytes]) -> list[list[bytes]]:
    bits = (len(collection) // BUCKET).bit_length()
    buckets: list[list[bytes]] = [[] for _ in range(1 << bits)]
    shift = CURSOR_BITS - bits
    for element in collection:
        buckets[(hash(element) & MASK) >> shift].append(element)
    return buckets
