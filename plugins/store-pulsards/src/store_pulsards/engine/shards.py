"""Shards: a dictionary that grows without stalls.

A dict that is full moves all of its entries at once: 100 ms at 3 million keys, 300 ms at 6 million, and nobody is
served meanwhile. ``Shards`` are 256 dicts, chosen by the key's hash; each one grows on its own, in a 256th of the
time. A database begins as a plain dict, which costs a look-up nothing, and becomes ``Shards`` above ``LARGE`` keys.
They take that dict over as ``rest``, and move its entries in slices (``settle``).

There are only the methods that the keyspace uses, with the meaning that they have in ``dict``. No value is None.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice
from random import randrange
from time import perf_counter
from typing import Final, Generic, TypeVar, overload

V = TypeVar("V")
D = TypeVar("D")

LARGE: Final = 2**17  # keys; a dict of so many grows in about 5 ms
SHARD_BITS: Final = 8
COUNT: Final = 2**SHARD_BITS
MASK: Final = COUNT - 1
SLICE_CHECK: Final = 256  # entries moved between two looks at the clock


class Shards(Generic[V]):
    """Many keys, and their values."""

    __slots__ = ("parts", "rest")

    def __init__(self, rest: dict[bytes, V]) -> None:
        self.parts: list[dict[bytes, V]] = [{} for _ in range(COUNT)]  # by the low bits of the hash
        self.rest = rest  # not yet moved; no key is in both

    @overload
    def get(self, key: bytes) -> V | None: ...
    @overload
    def get(self, key: bytes, default: D) -> V | D: ...
    def get(self, key: bytes, default: D | None = None) -> V | D | None:
        """On the hot path of every command."""
        value = self.parts[hash(key) & MASK].get(key)
        if value is None:
            return self.rest.get(key, default) if self.rest else default
        return value

    def __getitem__(self, key: bytes) -> V:
        value = self.parts[hash(key) & MASK].get(key)
        return self.rest[key] if value is None else value

    def __setitem__(self, key: bytes, value: V) -> None:
        self.parts[hash(key) & MASK][key] = value
        if self.rest:
            self.rest.pop(key, None)

    def __delitem__(self, key: bytes) -> None:
        if self.pop(key, None) is None:
            raise KeyError(key)

    def __contains__(self, key: object) -> bool:
        return key in self.parts[hash(key) & MASK] or (bool(self.rest) and key in self.rest)

    def __iter__(self) -> Iterator[bytes]:
        return chain(*self.parts, self.rest)

    def __len__(self) -> int:
        return sum(map(len, self.parts)) + len(self.rest)

    def __bool__(self) -> bool:
        return bool(self.rest) or any(self.parts)

    def pop(self, key: bytes, default: None) -> V | None:
        value = self.parts[hash(key) & MASK].pop(key, None)
        if value is None and self.rest:
            return self.rest.pop(key, default)
        return value

    def settle(self, deadline: float) -> bool:
        """Move what is not yet moved, until ``deadline`` (of ``perf_counter``); whether some is left."""
        parts, rest = self.parts, self.rest
        while rest:
            for _ in range(min(SLICE_CHECK, len(rest))):
                key, value = rest.popitem()
                parts[hash(key) & MASK][key] = value
            if perf_counter() >= deadline:
                break
        if not rest:
            self.rest = {}  # an emptied dict keeps its size
        return bool(rest)

    def contents(self) -> list[object]:
        """The containers that this one consists of."""
        return [*self.parts, self.rest]


def random_key(entries: dict[bytes, V] | Shards[V]) -> bytes:
    """A key by chance, each as likely as any other; there is one."""
    index = randrange(len(entries))
    if isinstance(entries, dict):
        return next(islice(entries, index, None))
    for part in (*entries.parts, entries.rest):
        if index < len(part):
            return next(islice(part, index, None))
        index -= len(part)
    raise AssertionError("the parts have fewer keys than the whole")
