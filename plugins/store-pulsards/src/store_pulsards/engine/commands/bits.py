"""Bits of strings: the first bit of a byte is its highest.

Whole strings are handled as one integer or by slices, never bit by bit: a string may have megabytes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from operator import and_, or_, xor
from typing import Final

from store_pulsards.engine import args, errors
from store_pulsards.engine.config import MAX_STRING
from store_pulsards.engine.context import Context
from store_pulsards.engine.replies import Reply
from store_pulsards.engine.table import DENYOOM, FAST, FIRST, READONLY, SECOND, WRITE, Keys, family

command = family("bitmap")

UNITS: Final = {b"BYTE": 1, b"BIT": 8}  # positions in a byte
OPERATIONS: Final[dict[bytes, Callable[[int, int], int]]] = {b"AND": and_, b"OR": or_, b"XOR": xor}
INVERTED: Final = bytes(range(255, -1, -1))


def _offset(text: bytes) -> tuple[int, int]:
    """Index of the byte, and how far its bit is shifted."""
    offset = args.integer(text, 0, MAX_STRING * 8 - 1, errors.bit_offset)
    return offset >> 3, 7 - (offset & 7)


@command("GETBIT", arity=3, flags=READONLY | FAST, keys=FIRST, since="2.2.0")
def getbit(ctx: Context, key: bytes, offset: bytes) -> Reply:
    """Returns a bit value by offset."""
    index, shift = _offset(offset)
    value = ctx.lookup(key, bytes) or b""
    return value[index] >> shift & 1 if index < len(value) else 0


@command("SETBIT", arity=4, flags=WRITE | DENYOOM, keys=FIRST, access="RW access update", since="2.2.0")
def setbit(ctx: Context, key: bytes, offset: bytes, bit: bytes) -> Reply:
    """Sets or clears the bit at offset of the string value. Creates the key if it doesn't exist."""
    index, shift = _offset(offset)
    if bit not in (b"0", b"1"):
        raise errors.bit_value()
    value = ctx.lookup(key, bytes)
    changed = bytearray((value or b"").ljust(index + 1, b"\0"))
    old = changed[index] >> shift & 1
    if value is None or len(value) <= index or old != int(bit):
        changed[index] ^= (old ^ int(bit)) << shift
        ctx.update(key, bytes(changed))
        ctx.notify("setbit", key)
    return old


@command("BITCOUNT", arity=-2, flags=READONLY, keys=FIRST, since="2.6.0")
def bitcount(ctx: Context, key: bytes, *options: bytes) -> Reply:
    """Counts the number of set bits (population counting) in a string."""
    if len(options) > 3:
        raise errors.syntax_error()
    bounds, scale = _bounds(options)
    value = ctx.lookup(key, bytes) or b""
    if len(bounds) == 2 and bounds[1] < bounds[0] < 0:
        return 0
    start, end = _range(bounds, len(value) * scale)
    if start > end:
        return 0
    bits = int.from_bytes(value[start // scale : end // scale + 1], "big")
    if scale == 8:
        after = (end | 7) - end  # bits of the last byte behind the range
        bits = (bits >> after) & ((1 << (end - start + 1)) - 1)
    return bits.bit_count()


def _bounds(options: Sequence[bytes]) -> tuple[list[int], int]:
    """The bounds that were given, and how many positions a byte has; checked in Valkey's order."""
    bounds = [args.integer(bound) for bound in options[:1]]
    scale = _unit(options[2:])
    return bounds + [args.integer(bound) for bound in options[1:2]], scale


def _unit(option: Sequence[bytes]) -> int:
    """How many positions a byte has: 1, or 8 where they are counted in bits."""
    if not option:
        return 1
    scale = UNITS.get(option[0].upper())
    if scale is None:
        raise errors.syntax_error()
    return scale


def _range(bounds: Sequence[int], size: int) -> tuple[int, int]:
    """First and last index of a range in which negative ones count from the end."""
    start = bounds[0] if bounds else 0
    end = bounds[1] if len(bounds) > 1 else -1
    start = max(0, start + size if start < 0 else start)
    end = max(0, end + size if end < 0 else end)
    return start, min(end, size - 1)


@command("BITPOS", arity=-3, flags=READONLY, keys=FIRST, since="2.8.7")
def bitpos(ctx: Context, key: bytes, wanted: bytes, *options: bytes) -> Reply:
    """Finds the first set (1) or clear (0) bit in a string."""
    bit = args.integer(wanted)
    if bit not in (0, 1):
        raise errors.bit_is_not_one()
    if len(options) > 3:
        raise errors.syntax_error()
    bounds, scale = _bounds(options)
    value = ctx.lookup(key, bytes)
    if value is None:
        return -1 if bit else 0
    start, end = _range(bounds, len(value) * scale)
    if start > end:
        return -1
    if scale == 1:
        start, end = start * 8, end * 8 + 7
    found = _first(value, bit, start, end)
    if found < 0 and not bit and len(bounds) < 2:
        return len(value) * 8  # without an end, a string goes on with zeros
    return found


def _first(value: bytes, bit: int, start: int, end: int) -> int:
    """Position of the first such bit between two positions, both included; -1 where there is none."""
    first = start >> 3
    chunk = value[first : (end >> 3) + 1]
    if not bit:
        chunk = chunk.translate(INVERTED)
    # Bits of the first byte before the range do not count; those of the last behind it are told by the position.
    head = chunk[0] & 0xFF >> (start & 7)
    if head:
        position = start | 7
        position -= head.bit_length() - 1
    else:
        rest = chunk[1:].lstrip(b"\0")
        if not rest:
            return -1
        position = (first + len(chunk) - len(rest)) * 8 + 8 - rest[0].bit_length()
    return position if position <= end else -1


@command(
    "BITOP",
    arity=-4,
    flags=WRITE | DENYOOM,
    keys=(SECOND, Keys(3, last=-1)),
    access=("OW update", "RO access"),
    since="2.6.0",
)
def bitop(ctx: Context, operation: bytes, destination: bytes, *keys: bytes) -> Reply:
    """Performs bitwise operations on multiple strings, and stores the result."""
    name = operation.upper()
    if name != b"NOT" and name not in OPERATIONS:
        raise errors.syntax_error()
    if name == b"NOT" and len(keys) != 1:
        raise errors.bitop_not()
    values = [ctx.lookup(key, bytes) or b"" for key in keys]
    result = values[0].translate(INVERTED) if name == b"NOT" else _combine(OPERATIONS[name], values)
    if result:
        ctx.set(destination, result)
        ctx.notify("set", destination)
    elif ctx.delete(destination):
        ctx.notify("del", destination)
    return len(result)


def _combine(operation: Callable[[int, int], int], values: Sequence[bytes]) -> bytes:
    """The values bit by bit, shorter ones going on with zeros (which little-endian integers do by themselves)."""
    size = max(map(len, values))
    return reduce(operation, [int.from_bytes(value, "little") for value in values]).to_bytes(size, "little")
