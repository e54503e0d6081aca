"""MurmurHash64A: the hash of Redis's HyperLogLog."""

from __future__ import annotations

from struct import iter_unpack
from typing import Final

MULTIPLIER: Final = 0xC6A4A7935BD1E995
MASK: Final = 2**64 - 1


def murmur64a(data: bytes, seed: int) -> int:
    """64 bits of hash; words are read little-endian, on any machine."""
    size = len(data)
    number = seed ^ size * MULTIPLIER & MASK
    whole = size & ~7
    for (word,) in iter_unpack("<Q", data[:whole]):
        mixed = word * MULTIPLIER & MASK
        number = (number ^ (mixed ^ mixed >> 47) * MULTIPLIER & MASK) * MULTIPLIER & MASK
    if size & 7:
        number = (number ^ int.from_bytes(data[whole:], "little")) * MULTIPLIER & MASK
    number ^= number >> 47
    number = number * MULTIPLIER & MASK
    return number ^ number >> 47
