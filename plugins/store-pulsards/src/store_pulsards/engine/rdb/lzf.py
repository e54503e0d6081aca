"""LZF: how Redis compresses long strings.

A control byte below 32 has as many bytes, and one, behind it as they are. Any other refers to what is already there:
three bits of length (7: a byte with more follows), five high bits of the distance, and a byte with the low ones.
"""

from __future__ import annotations

from store_pulsards.engine.rdb.errors import RdbError


def decompress(data: bytes, size: int) -> bytes:
    """The ``size`` bytes that were compressed.

    Raises:
        RdbError: They are not what ``data`` tells.
    """
    found = bytearray()
    at = 0
    try:
        while at < len(data):
            control = data[at]
            at += 1
            if control < 32:
                found += data[at : at + control + 1]
                at += control + 1
            else:
                length = control >> 5
                if length == 7:
                    length += data[at]
                    at += 1
                _repeat(found, ((control & 31) << 8 | data[at]) + 1, length + 2)
                at += 1
            if len(found) > size:
                break
    except IndexError:
        raise RdbError("a compressed string breaks off") from None
    if len(found) != size or at != len(data):
        raise RdbError("a compressed string has another length")
    return bytes(found)


def _repeat(found: bytearray, distance: int, length: int) -> None:
    start = len(found) - distance
    if start < 0:
        raise RdbError("a compressed string refers to what is before it")
    piece = bytes(found[start : start + length])
    found += (piece * (length // len(piece) + 1))[:length]  # it may go on with what is just being written
