"""Bits of strings: the first bit of a byte is its highest."""

from __future__ import annotations

from store_pulsards.engine import args, replies
from store_pulsards.engine.config import MAX_STRING
from store_pulsards.engine.context import Context
from store_pulsards.engine.replies import Reply
from store_pulsards.engine.table import DENYOOM, FAST, FIRST, READONLY, WRITE, family

command = family("bitmap")


def _offset(text: bytes) -> tuple[int, int]:
    """Index of the byte, and how far its bit is shifted."""
    offset = args.integer(text, 0, MAX_STRING * 8 - 1, replies.bit_offset)
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
        raise replies.bit_value()
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
        raise replies.syntax_error()
    bounds = [args.integer(bound) for bound in options[:2]]
    unit = options[2].upper() if len(options) == 3 else b"BYTE"
    if unit not in (b"BIT", b"BYTE"):
        raise replies.syntax_error()
    value = ctx.lookup(key, bytes) or b""
    scale = 8 if unit == b"BIT" else 1
    start, end = _range(bounds, len(value) * scale)
    if start > end:
        return 0
    first, last = start // scale, end // scale
    bits = int.from_bytes(value[first : last + 1], "big")
    if unit == b"BIT":
        bits &= (1 << ((last + 1) * 8 - start)) - 1
        bits >>= (last + 1) * 8 - 1 - end
    return bits.bit_count()


def _range(bounds: list[int], size: int) -> tuple[int, int]:
    """First and last index of a range in which negative ones count from the end."""
    start, end = bounds + [0, -1][len(bounds) :]
    if start < 0 and end < 0 and start > end:
        return 1, 0
    start = max(0, start + size if start < 0 else start)
    end = max(0, end + size if end < 0 else end)
    return start, min(end, size - 1)
