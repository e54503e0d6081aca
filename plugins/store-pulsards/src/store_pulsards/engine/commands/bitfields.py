"""BITFIELD: a string as an array of integers of any width, anywhere in its bits.

All subcommands are parsed before the first is run, and the string is grown once, to the highest bit that is written,
even where an overflow then keeps it from being written.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from store_pulsards.engine import args, errors
from store_pulsards.engine.config import MAX_STRING
from store_pulsards.engine.context import Context
from store_pulsards.engine.replies import Reply
from store_pulsards.engine.table import DENYOOM, FAST, FIRST, READONLY, WRITE, Keys, family

command = family("bitmap")

BITFIELD_KEY: Final = Keys(note="This command allows both access and modification of the key")

ARGUMENTS: Final = {b"GET": 2, b"SET": 3, b"INCRBY": 3}  # of each subcommand
OVERFLOWS: Final = frozenset((b"WRAP", b"SAT", b"FAIL"))


class Field:
    """One subcommand: what to do with which bits."""

    __slots__ = ("bits", "name", "number", "offset", "overflow", "signed")

    def __init__(self, name: bytes, signed: bool, bits: int, offset: int, number: int, overflow: bytes) -> None:
        self.name = name
        self.signed = signed
        self.bits = bits
        self.offset = offset
        self.number = number  # what to store or to add
        self.overflow = overflow

    def read(self, data: bytes | bytearray) -> int:
        """The integer as it is; bits behind the end are zeros."""
        first, last = self.offset >> 3, (self.offset + self.bits - 1) >> 3
        chunk = bytes(data[first : last + 1]).ljust(last + 1 - first, b"\0")
        number = int.from_bytes(chunk, "big") >> self._behind() & (1 << self.bits) - 1
        return self._wrap(number)

    def write(self, data: bytearray, number: int) -> None:
        """Store an integer that fits; the bits are there."""
        first, last = self.offset >> 3, (self.offset + self.bits - 1) >> 3
        mask = (1 << self.bits) - 1
        around = int.from_bytes(data[first : last + 1], "big") & ~(mask << self._behind())
        data[first : last + 1] = (around | (number & mask) << self._behind()).to_bytes(last + 1 - first, "big")

    def result(self, old: int) -> int | None:
        """The integer to be stored; None where it does not fit and OVERFLOW says FAIL."""
        number = self.number + old if self.name == b"INCRBY" else self.number
        if not self.signed and self.name == b"SET":
            number &= 2**64 - 1  # Valkey takes it as an unsigned number of 64 bits
        high = (1 << self.bits - self.signed) - 1
        low = -high - 1 if self.signed else 0
        if low <= number <= high:
            return number
        if self.overflow == b"FAIL":
            return None
        if self.overflow == b"SAT":
            # Valkey takes a number for too large where its distance to the upper bound has no room in 64 bits.
            far = self.name == b"SET" and high - number > args.MAX_INT
            return low if number < low and not far else high
        return self._wrap(number & (1 << self.bits) - 1)

    def _wrap(self, number: int) -> int:
        return number - (1 << self.bits) if self.signed and number >> self.bits - 1 else number

    def _behind(self) -> int:
        """Bits of the last byte that do not belong to the field."""
        return -(self.offset + self.bits) & 7


@command(
    "BITFIELD",
    arity=-2,
    flags=WRITE | DENYOOM,
    keys=BITFIELD_KEY,
    access="RW access update variable_flags",
    since="3.2.0",
)
def bitfield(ctx: Context, key: bytes, *subcommands: bytes) -> Reply:
    """Performs arbitrary bitfield integer operations on strings."""
    fields = _parse(subcommands)
    written = [field.offset + field.bits for field in fields if field.name != b"GET"]
    if not written:
        return _read(ctx, key, fields)
    value = ctx.lookup(key, bytes) or b""
    data = bytearray(value)
    data.extend(bytes(max(0, (max(written) + 7 >> 3) - len(data))))
    found = [_run(field, data) for field in fields]
    if data != value:
        ctx.update(key, bytes(data))
        if any(field.name != b"GET" and number is not None for field, number in zip(fields, found, strict=True)):
            ctx.notify("setbit", key)  # not for zeros alone, with which a failed SET has grown the string
    return found


@command("BITFIELD_RO", arity=-2, flags=READONLY | FAST, keys=FIRST, since="6.0.0")
def bitfield_ro(ctx: Context, key: bytes, *subcommands: bytes) -> Reply:
    """Performs arbitrary read-only bitfield integer operations on strings."""
    fields = _parse(subcommands)
    if any(field.name != b"GET" for field in fields):
        raise errors.bitfield_read_only()
    return _read(ctx, key, fields)


def _read(ctx: Context, key: bytes, fields: Sequence[Field]) -> Reply:
    value = ctx.lookup(key, bytes) or b""
    return [field.read(value) for field in fields]


def _run(field: Field, data: bytearray) -> int | None:
    old = field.read(data)
    if field.name == b"GET":
        return old
    number = field.result(old)
    if number is not None:
        field.write(data, number)
    return old if field.name == b"SET" and number is not None else number


def _parse(words: Sequence[bytes]) -> list[Field]:
    fields: list[Field] = []
    overflow = b"WRAP"
    index = 0
    while index < len(words):
        name, left = words[index].upper(), len(words) - index - 1
        if name == b"OVERFLOW" and left:
            overflow = words[index + 1].upper()
            if overflow not in OVERFLOWS:
                raise errors.bitfield_overflow()
            index += 2
        elif name in ARGUMENTS and left >= ARGUMENTS[name]:
            end = index + 1 + ARGUMENTS[name]
            fields.append(_field(name, words[index + 1 : end], overflow))
            index = end
        else:
            raise errors.syntax_error()
    return fields


def _field(name: bytes, words: Sequence[bytes], overflow: bytes) -> Field:
    signed, bits = _type(words[0])
    offset = _offset(words[1], bits)
    number = args.integer(words[2]) if len(words) > 2 else 0
    return Field(name, signed, bits, offset, number, overflow)


def _type(text: bytes) -> tuple[bool, int]:
    """Whether it is signed, and how many bits it has: ``i16``, ``u8``."""
    signed = text[:1] == b"i"
    if not signed and text[:1] != b"u":
        raise errors.bitfield_type()
    return signed, args.integer(text[1:], 1, 64 if signed else 63, errors.bitfield_type)


def _offset(text: bytes, bits: int) -> int:
    """The first bit; ``#3`` counts in whole fields."""
    counted = text[:1] == b"#"
    offset = args.integer(text[counted:], error=errors.bit_offset) * (bits if counted else 1)
    if not 0 <= offset < MAX_STRING * 8:
        raise errors.bit_offset()
    return offset
