"""DEBUG DIGEST: one number for what a data set holds, the same as Valkey's for the same data.

A digest is 20 bytes. What has no order (keys, members, fields) is combined by exclusive or; what has one (lists, the
parts of an element) by hashing what came before together with the new part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from hashlib import sha1
from typing import Any, Final

from store_pulsards.encoder import shortest_digits
from store_pulsards.engine.keyspace import TYPES, Database, Value
from store_pulsards.engine.stream_ids import show

SIZE: Final = 20
TYPE_NUMBERS: Final = {b"string": 0, b"list": 1, b"set": 2, b"zset": 3, b"hash": 4, b"stream": 6}


def _xor(digest: int, data: bytes) -> int:
    return digest ^ int.from_bytes(sha1(data, usedforsecurity=False).digest())


def _mix(digest: int, data: bytes) -> int:
    mixed = _xor(digest, data).to_bytes(SIZE)
    return int.from_bytes(sha1(mixed, usedforsecurity=False).digest())


def _mixed(parts: Iterable[bytes], digest: int = 0) -> int:
    for part in parts:
        digest = _mix(digest, part)
    return digest


def _unordered(elements: Iterable[tuple[bytes, ...]], digest: int) -> int:
    for parts in elements:
        digest = _xor(digest, _mixed(parts).to_bytes(SIZE))
    return digest


def _of_set(value: Any, digest: int) -> int:
    for member in value:
        digest = _xor(digest, member)
    return digest


def _of_stream(value: Any, digest: int) -> int:
    for number, texts in value.entries():
        digest = _mixed((show(number).replace(b"-", b"."), *texts), digest)
    return digest


_OF: Final[dict[bytes, Callable[[Any, int], int]]] = {
    b"string": lambda value, digest: _mix(digest, bytes(value)),
    b"list": _mixed,
    b"set": _of_set,
    b"zset": lambda value, digest: _unordered(
        ((member, shortest_digits(score)) for member, score in value.scores.items()), digest
    ),
    b"hash": lambda value, digest: _unordered(value.items(), digest),
    b"stream": _of_stream,
}


def of_value(database: Database, key: bytes, value: Value, digest: int = 0) -> int:
    """The digest of a value (and of whether it expires), added to another."""
    name = TYPES[type(value)].name
    digest = _OF[name](value, _mix(digest, TYPE_NUMBERS[name].to_bytes(4)))
    return _xor(digest, b"!!expire!!") if key in database.expires else digest


def of_everything(databases: Iterable[Database]) -> int:
    """The digest of all keys of all databases."""
    final = 0
    for database in databases:
        if database.data:
            final = _mix(final, database.index.to_bytes(4))
        for key in database.data:
            value = database.data[key]
            final = _xor(final, of_value(database, key, value, _mix(0, key)).to_bytes(SIZE))
    return final


def shown(digest: int) -> bytes:
    return digest.to_bytes(SIZE).hex().encode()
