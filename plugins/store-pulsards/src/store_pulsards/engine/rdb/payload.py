"""One value by itself, as DUMP gives it: the value, two bytes of version, eight of checksum, both little-endian."""

from __future__ import annotations

from typing import Any, Final

from store_pulsards.engine.rdb import values
from store_pulsards.engine.rdb.codec import Reader
from store_pulsards.engine.rdb.crc64 import crc64
from store_pulsards.engine.rdb.errors import PayloadError

VERSION: Final = 80  # of Valkey 9
NEWEST_OF_REDIS: Final = 11  # later ones, up to 79, are of a Redis that went other ways
FOOTER: Final = 10


def dump(value: Any) -> bytes:
    """A value as bytes."""
    out = bytearray()
    values.write(out, value)
    return seal(bytes(out))


def seal(content: bytes) -> bytes:
    """Bytes with version and checksum behind them."""
    content += VERSION.to_bytes(2, "little")
    return content + crc64(content).to_bytes(8, "little")


def unseal(payload: bytes) -> bytes:
    """What was sealed.

    Raises:
        PayloadError: It is of an unknown version, or damaged.
    """
    _check(payload)
    return payload[:-FOOTER]


def load(payload: bytes) -> Any:
    """The value of a payload.

    Raises:
        PayloadError: It is of an unknown version, or damaged.
        RdbError: There is no value in it.
    """
    _check(payload)
    return values.read(Reader(payload))  # as in Valkey, nobody minds where the value ends


def _check(payload: bytes) -> None:
    if len(payload) < FOOTER:
        raise PayloadError("too short")
    version = int.from_bytes(payload[-10:-8], "little")
    if version > VERSION or NEWEST_OF_REDIS < version < VERSION:
        raise PayloadError(f"unknown version {version}")
    if crc64(payload[:-8]) != int.from_bytes(payload[-8:], "little"):
        raise PayloadError("wrong checksum")
