"""Lengths and strings of RDB.

A length has its kind in the two highest bits of the first byte: 6 bits, 14 bits, or (0x80, 0x81) 32 and 64 bits
big-endian. The fourth kind is no length but a string in a special form: an integer of 8, 16 or 32 bits, or compressed.
"""

from __future__ import annotations

from struct import pack, unpack_from
from typing import Final

from store_pulsards.engine.rdb.errors import RdbError
from store_pulsards.engine.rdb.lzf import decompress

INTEGERS: Final = {0: "<b", 1: "<h", 2: "<i"}  # special forms, and how they are packed
COMPRESSED: Final = 3
LONGEST_INTEGER: Final = 11  # characters

_WIDTHS: Final = {"<b": 1, "<h": 2, "<i": 4}


def write_length(out: bytearray, length: int) -> None:
    """Append a length."""
    if length < 1 << 6:
        out.append(length)
    elif length < 1 << 14:
        out += (0x4000 | length).to_bytes(2, "big")
    elif length < 1 << 32:
        out += b"\x80" + length.to_bytes(4, "big")
    else:
        out += b"\x81" + length.to_bytes(8, "big")


def write_string(out: bytearray, text: bytes) -> None:
    """Append a string; a short canonical integer as such."""
    if len(text) <= LONGEST_INTEGER and text[-1:].isdigit() and _write_integer(out, text):
        return
    write_length(out, len(text))
    out += text


def _write_integer(out: bytearray, text: bytes) -> bool:
    if not text.removeprefix(b"-").isdigit():
        return False
    number = int(text)
    if b"%d" % number != text:
        return False
    for form, packed in INTEGERS.items():
        bits = 8 << form
        if -(1 << bits - 1) <= number < 1 << bits - 1:
            out.append(0xC0 | form)
            out += pack(packed, number)
            return True
    return False


class Reader:
    """Reads bytes from the beginning on; ``RdbError`` where they end too soon."""

    __slots__ = ("at", "data")

    def __init__(self, data: bytes, at: int = 0) -> None:
        self.data = data
        self.at = at

    def take(self, size: int) -> bytes:
        """The next so many bytes."""
        end = self.at + size
        if end > len(self.data):
            raise RdbError(f"{size} bytes are missing at {self.at}")
        found = self.data[self.at : end]
        self.at = end
        return found

    def byte(self) -> int:
        return self.take(1)[0]

    def number(self, size: int, *, signed: bool = False) -> int:
        """A little-endian integer of so many bytes."""
        return int.from_bytes(self.take(size), "little", signed=signed)

    def double(self) -> float:
        found: float = unpack_from("<d", self.take(8))[0]
        return found

    def length(self) -> int:
        """A length; never a string in a special form."""
        length, special = self._length()
        if special:
            raise RdbError(f"no length at {self.at}")
        return length

    def string(self) -> bytes:
        length, special = self._length()
        if not special:
            return self.take(length)
        if length in INTEGERS:
            packed = INTEGERS[length]
            return b"%d" % unpack_from(packed, self.take(_WIDTHS[packed]))[0]
        if length == COMPRESSED:
            return self._compressed()
        raise RdbError(f"unknown form of a string at {self.at}")

    def _compressed(self) -> bytes:
        size, whole = self.length(), self.length()
        return decompress(self.take(size), whole)

    def _length(self) -> tuple[int, bool]:
        first = self.byte()
        kind = first >> 6
        if kind == 0:
            return first, False
        if kind == 1:
            return (first & 63) << 8 | self.byte(), False
        if kind == 3:
            return first & 63, True
        if first in (0x80, 0x81):
            return int.from_bytes(self.take(4 if first == 0x80 else 8), "big"), False
        raise RdbError(f"unknown length at {self.at}")
