"""Hash slots: which of the 16384 a key belongs to.

The rule is the cluster specification's: CRC16 of the key, or of what stands between its first ``{`` and the next ``}``
where that is not empty. It is the same as ``redis.crc.key_slot``, which takes bytes alone and costs an import of all of
redis-py; a test holds the two together.
"""

from __future__ import annotations

from binascii import crc_hqx
from typing import Any

from store_redis.encoding import plain

SLOTS = 16384


def tagged_slot(key: bytes) -> int:
    """The slot of a key that may have a hash tag."""
    start = key.find(b"{")
    if start >= 0:
        end = key.find(b"}", start + 1)
        if end > start + 1:
            key = key[start + 1 : end]
    return crc_hqx(key, 0) % SLOTS


def slot_at(args: tuple[Any, ...], position: int) -> int:
    """The slot of the key at a position of a command, as it goes on the wire.

    Raises:
        ArgumentError: It is of a type that cannot be sent.
    """
    return tagged_slot(wire(args, position))


def wire(args: tuple[Any, ...], position: int) -> bytes:
    """An argument as it goes on the wire."""
    value = plain(args, position)
    if isinstance(value, bytes):
        return value
    return (repr(value) if isinstance(value, float) else str(value)).encode()
