"""SCAN, HSCAN, SSCAN, ZSCAN: paging through a collection that changes meanwhile.

Elements are visited in the order of their hash, low bits before the others; a cursor is the place in that order at
which the next page begins. Whatever was there from the first page to the last is seen, and a cursor needs nothing to
be kept for it. A database in shards is visited shard by shard, which is the same order. What is kept is only speed:
the elements of a collection (or shard) that is being scanned, sorted into buckets by their hash when the scan begins.
Buckets made later than the scan that uses them serve as well. A page is whole buckets, so that COUNT is a hint, as
in Redis.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from math import inf
from typing import Final

from store_pulsards.engine import args, errors
from store_pulsards.engine.shards import COUNT, SHARD_BITS, Shards

CURSOR_BITS: Final = 48  # a cursor that JavaScript's numbers can hold
INNER_BITS: Final = CURSOR_BITS - SHARD_BITS  # of a cursor: the place within a shard
INNER_MASK: Final = (1 << INNER_BITS) - 1
BUCKET: Final = 16  # elements in one, more or less
KEPT: Final = 16  # scans under way

_CURSOR: Final = re.compile(rb"[ \t-\r]*([+-]?)(\d+)")


def cursor(text: bytes) -> int:
    """The cursor that a client gives, as ``strtoull`` reads it."""
    text = text.partition(b"\0")[0]
    found = _CURSOR.fullmatch(text)
    digits = found[2].lstrip(b"0") if found is not None else b""
    if found is None or len(digits) > 20:
        raise errors.invalid_cursor()
    number = int(digits or b"0")
    canonical = 0 < number <= 2**63 and text == b"-%d" % number  # those are read as signed, and refused
    if number >= 2**64 or canonical:
        raise errors.invalid_cursor()
    return (-number if found[1] == b"-" else number) % 2**64  # C's way with what is negative


def count(text: bytes) -> int:
    """The value of COUNT."""
    number = args.integer(text)
    if number < 1:
        raise errors.syntax_error()
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
        if isinstance(collection, Shards):
            return self._page_of_shards(collection, begin, size)
        return self._page(collection, begin, size, CURSOR_BITS)

    def forget(self) -> None:
        """Let go of all that was kept; scans under way go on all the same."""
        self._buckets.clear()

    def _page_of_shards(self, shards: Shards[object], begin: int, size: int) -> tuple[int, list[bytes]]:
        shards.settle(inf)
        index, inner = begin >> INNER_BITS, begin & INNER_MASK
        found: list[bytes] = []
        while index < COUNT and len(found) < size:
            inner, page = self._page(shards.parts[index], inner, size - len(found), INNER_BITS)
            found += page
            index += not inner
        return (index << INNER_BITS | inner if index < COUNT else 0), found

    def _page(self, collection: Collection[bytes], begin: int, size: int, bits: int) -> tuple[int, list[bytes]]:
        """One page of a collection of which ``bits`` of the order tell the elements apart."""
        buckets = self._of(collection, bits, anew=begin == 0)
        shift = bits - (len(buckets).bit_length() - 1)
        index = begin >> shift
        found: list[bytes] = []
        while index < len(buckets) and len(found) < size:
            found += buckets[index]
            index += 1
        if index >= len(buckets):
            del self._buckets[id(collection)]
            index = 0
        return index << shift, [element for element in found if element in collection]

    def _of(self, collection: Collection[bytes], bits: int, *, anew: bool) -> list[list[bytes]]:
        """The buckets of a collection, a power of two of them."""
        kept = self._buckets.pop(id(collection), None)
        if anew or kept is None or kept[0] is not collection:
            kept = (collection, _sort_out(collection, bits))
        self._buckets[id(collection)] = kept
        if len(self._buckets) > KEPT:
            del self._buckets[next(iter(self._buckets))]
        return kept[1]


def _sort_out(collection: Collection[bytes], order_bits: int) -> list[list[bytes]]:
    bits = (len(collection) // BUCKET).bit_length()
    buckets: list[list[bytes]] = [[] for _ in range(1 << bits)]
    if order_bits == INNER_BITS:
        shift = order_bits - bits
        for element in collection:
            buckets[(hash(element) >> SHARD_BITS & INNER_MASK) >> shift].append(element)
    else:
        shift = order_bits - bits
        for element in collection:
            buckets[_order(hash(element)) >> shift].append(element)
    return buckets


def _order(number: int) -> int:
    """The place of an element of that hash: low bits, which choose the shard, first."""
    return (number & COUNT - 1) << INNER_BITS | (number >> SHARD_BITS & INNER_MASK)
