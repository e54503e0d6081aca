"""Deadlines: in which order keys may be over.

Heaps of (time, key), earliest first. An entry may be outdated (the key was prolonged, or is gone): it is checked when
its time comes, so that prolonging a key costs no more than a dictionary entry. A heap that has doubled since it was
last cleaned is cleaned of them. Above ``LARGE`` entries there are 256 heaps, chosen by the key's hash, so that no
cleaning is long: one heap of a million entries would take half a second.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from itertools import islice
from random import randrange
from time import perf_counter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from store_pulsards.engine.keyspace import Database

LARGE: Final = 4096  # entries of one heap, after cleaning
LEAST: Final = 64  # entries before a heap is worth cleaning
COUNT: Final = 256
SLICE_CHECK: Final = 64  # keys expired between two looks at the clock
ATTEMPTS: Final = 3  # at most, to find a key by chance where half of the entries may be outdated


class Deadlines:
    """When the keys of one database may be over."""

    __slots__ = ("bounds", "heaps", "mask")

    def __init__(self) -> None:
        self.heaps: list[list[tuple[int, bytes]]] = [[]]
        self.bounds = [LEAST]  # of each heap: entries at which it is cleaned
        self.mask = 0

    def __len__(self) -> int:
        """How many entries there are, outdated ones included."""
        return sum(map(len, self.heaps))

    def add(self, db: Database, when: int, key: bytes) -> None:
        """A key may be over at ``when``, which ``db.expires`` has already."""
        index = hash(key) & self.mask
        heap = self.heaps[index]
        heappush(heap, (when, key))
        if len(heap) > self.bounds[index]:
            self._clean(db, index)

    def earliest(self) -> int | None:
        """The first time at which a key may be over."""
        return min((heap[0][0] for heap in self.heaps if heap), default=None)

    def sweep(self, db: Database, now: int, deadline: float) -> bool:
        """Remove dead keys until ``deadline`` (of ``perf_counter``); whether some are left."""
        done = 0
        for heap in self.heaps:
            while heap and heap[0][0] <= now:
                _, key = heappop(heap)
                due = db.expires.get(key)
                if due is not None and due > now:
                    heappush(heap, (due, key))
                elif due is not None:
                    db.expire(key)
                done += 1
                if done % SLICE_CHECK == 0 and perf_counter() >= deadline:
                    earliest = self.earliest()
                    return earliest is not None and earliest <= now
        return False

    def some(self, db: Database, count: int) -> list[bytes]:
        """About so many keys that expire, by chance; at least one where there is one."""
        found: list[bytes] = []
        for _ in range(ATTEMPTS * count):
            heap = self.heaps[randrange(len(self.heaps))]
            if heap:
                key = heap[randrange(len(heap))][1]
                if key in db.expires:
                    found.append(key)
                    if len(found) == count:
                        return found
        return found or list(islice(db.expires, 1))

    def soonest(self, db: Database) -> bytes | None:
        """The key that is over first; None where no key expires."""
        found: tuple[int, bytes] | None = None
        for heap in self.heaps:
            while heap:
                first = heap[0]
                due = db.expires.get(first[1])
                if due == first[0]:
                    if found is None or first < found:
                        found = first
                    break
                heappop(heap)
                if due is not None:
                    heappush(heap, (due, first[1]))
        return None if found is None else found[1]

    def contents(self) -> list[object]:
        """The containers that this one consists of."""
        return list(self.heaps)

    def _clean(self, db: Database, index: int) -> None:
        """Drop the outdated entries of one heap."""
        expires = db.expires
        # In one pass, whatever the heap holds of a key: its true time, once.
        true = {key: due for _, key in self.heaps[index] if (due := expires.get(key)) is not None}
        heap = self.heaps[index] = [(due, key) for key, due in true.items()]
        heapify(heap)
        self.bounds[index] = 2 * len(heap) + LEAST
        if len(heap) > LARGE and not self.mask:
            self._divide()

    def _divide(self) -> None:
        """Put the entries of the one heap into many."""
        entries = self.heaps[0]
        self.mask = COUNT - 1
        self.heaps = [[] for _ in range(COUNT)]
        for entry in entries:
            self.heaps[hash(entry[1]) & self.mask].append(entry)
        for heap in self.heaps:
            heapify(heap)
        self.bounds = [2 * len(heap) + LEAST for heap in self.heaps]
