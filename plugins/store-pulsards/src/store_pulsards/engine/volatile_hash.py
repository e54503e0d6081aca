"""Hashes with fields that expire.

A hash is a plain ``dict`` until a field of it gets a time to live; then it becomes a ``VolatileHash``, which is a
``dict`` still, so that every command reads and writes it in the same way. Writing a field ends its time to live, as in
Valkey; ``keep`` is for those that go on counting (HINCRBY).

Fields past their time are taken away before a hash command sees them (``Context.lookup``), and by the sweep of the
keyspace where nobody looks. Both heaps may hold outdated entries; each is checked when its time comes.
"""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heapify, heappop, heappush
from typing import Any, Final

from store_pulsards.engine.shards import Shards

NEVER: Final = 2**63

SPARE: Final = 64  # outdated entries that a heap may always have


class VolatileHash(dict[bytes, bytes]):
    """A hash, and when (ms since the epoch) which of its fields are over."""

    __slots__ = ("_heap", "expires", "scheduled")

    def __init__(self, fields: dict[bytes, bytes]) -> None:
        super().__init__(fields)
        self.expires: dict[bytes, int] = {}
        self.scheduled = NEVER  # the first entry for it in the schedule of its database
        self._heap: list[tuple[int, bytes]] = []

    def __setitem__(self, field: bytes, value: bytes) -> None:
        super().__setitem__(field, value)
        if field in self.expires:
            del self.expires[field]

    def update(self, fields: Any) -> None:
        """Write fields, given as pairs or as a dict; none of them expires any more."""
        pairs = dict(fields)
        super().update(pairs)
        if self.expires:
            self.persist(pairs)

    def keep(self, field: bytes, value: bytes) -> None:
        """Write a field that lives as long as before."""
        super().__setitem__(field, value)

    def pop(self, field: bytes, default: bytes | None = None) -> bytes | None:  # type: ignore[override]
        """Take a field away."""
        self.expires.pop(field, None)
        return super().pop(field, default)

    def copy(self) -> VolatileHash:
        other = VolatileHash(self)
        other.expires = self.expires.copy()
        other._heap = self._heap.copy()
        return other

    def persist(self, fields: Iterable[bytes]) -> int:
        """Let fields live forever; how many were to expire."""
        before = len(self.expires)
        for field in fields:
            self.expires.pop(field, None)
        return before - len(self.expires)

    def expire_at(self, field: bytes, when: int) -> None:
        """Let a field that is there live until ``when``."""
        self.expires[field] = when
        heappush(self._heap, (when, field))
        if len(self._heap) > 2 * len(self.expires) + SPARE:
            self._heap = [(due, name) for name, due in self.expires.items()]
            heapify(self._heap)

    def due(self) -> int:
        """When the first field is over; NEVER when none will be."""
        heap, expires = self._heap, self.expires
        while heap:
            when, field = heap[0]
            if expires.get(field) == when:
                return when
            heappop(heap)
        return NEVER

    def expire(self, now: int, most: int = NEVER) -> int:
        """Take away fields whose time is over, at most so many; how many there were."""
        done = 0
        while done < most and self.due() <= now:
            self.pop(heappop(self._heap)[1])
            done += 1
        return done


class FieldSchedule:
    """Which hashes of a database have a field that is over next."""

    __slots__ = ("_limit", "heap")

    def __init__(self) -> None:
        self.heap: list[tuple[int, bytes]] = []
        self._limit = SPARE

    def add(self, key: bytes, value: VolatileHash, data: dict[bytes, Any] | Shards[Any]) -> None:
        """Note when the first field of a hash is over, unless an earlier time is noted for it.

        Args:
            key: Where the hash is.
            value: The hash.
            data: Of the database: entries for what is no more there are dropped now and then.
        """
        due = value.due()
        if due >= value.scheduled:
            return
        value.scheduled = due
        heappush(self.heap, (due, key))
        if len(self.heap) > self._limit:
            self._drop_outdated(data)
            self._limit = 2 * len(self.heap) + SPARE

    def _drop_outdated(self, data: dict[bytes, Any] | Shards[Any]) -> None:
        live: dict[bytes, int] = {}
        for _, key in self.heap:
            value = data.get(key)
            if key not in live and type(value) is VolatileHash:
                value.scheduled = live[key] = value.due()
        self.heap = [(due, key) for key, due in live.items() if due < NEVER]
        heapify(self.heap)
