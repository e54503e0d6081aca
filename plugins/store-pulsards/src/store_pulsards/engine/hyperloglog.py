"""HyperLogLog: how many different elements there were, from 16384 registers of 6 bits.

The bytes are Redis's own: a header of 16 bytes (``HYLL``, the encoding, three zeros, the last cardinality as 64 bits
little-endian, whose highest bit says that it is out of date), and the registers.

- **dense**: 6 bits a register, from the lowest bit of the first byte on: 12288 bytes.
- **sparse**: run lengths. ``00xxxxxx``: x+1 zeros. ``01xxxxxx yyyyyyyy``: xy+1 zeros. ``1vvvvvxx``: x+1 times the value
  v+1. A new one is sparse; it becomes dense when a value exceeds 32, or the bytes ``hll-sparse-max-bytes``.

The same elements in the same order give the same bytes here and in Valkey. Functions that go through all registers
work on one byte a register, by slices and tables.
"""

from __future__ import annotations

from math import inf, sqrt
from typing import Final

from store_pulsards.engine.murmur import murmur64a

INDEX_BITS: Final = 14
REGISTERS: Final = 1 << INDEX_BITS
HASH_BITS: Final = 64 - INDEX_BITS  # of the hash, those in which zeros are counted
SEED: Final = 0xADC83B19
ALPHA: Final = 0.721347520444481703680  # 0.5 / ln 2

MAGIC: Final = b"HYLL"
HEADER: Final = 16
DENSE: Final = 0
SPARSE: Final = 1
DENSE_SIZE: Final = HEADER + REGISTERS * 6 // 8
DENSE_HEAD: Final = MAGIC + bytes(12)
STALE: Final = 0x80  # in the last byte of the header

MAX_SPARSE_VALUE: Final = 32
MAX_RUN: Final = 4  # registers in one opcode with a value
MAX_ZEROS: Final = 64  # registers in one opcode of one byte

# Registers that an opcode stands for; of one with two bytes, without what its second byte adds.
SPAN: Final = bytes((op & 3) + 1 if op & 0x80 else (op & 63) + 1 for op in range(256))


class CorruptedError(ValueError):
    """The bytes are not those of a HyperLogLog."""


def new() -> bytearray:
    """One that has seen nothing."""
    return bytearray(MAGIC + b"\x01" + bytes(11) + b"\x7f\xff")


def is_valid(value: bytes) -> bool:
    """Whether the header and the length are those of a HyperLogLog."""
    if len(value) < HEADER or value[:4] != MAGIC:
        return False
    return value[4] == SPARSE or (value[4] == DENSE and len(value) == DENSE_SIZE)


def is_dense(value: bytes | bytearray) -> bool:
    return value[4] == DENSE


def invalidate(value: bytearray) -> None:
    """Say that the cached cardinality is out of date."""
    value[15] |= STALE


def cached(value: bytes) -> int | None:
    """The cardinality that was counted last; None when it is out of date."""
    return None if value[15] & STALE else int.from_bytes(value[8:HEADER], "little")


def cache(value: bytes, cardinality: int) -> bytes:
    """The value with a counted cardinality."""
    return b"%b%b%b" % (value[:8], (cardinality & 2**64 - 1).to_bytes(8, "little"), value[HEADER:])


def add(value: bytearray, element: bytes, max_sparse: int) -> bool:
    """Let it see an element.

    Args:
        value: Changed in place.
        element: What was seen.
        max_sparse: The most bytes that a sparse one may have.

    Returns:
        Whether a register has changed.
    """
    number = murmur64a(element, SEED)
    index = number & REGISTERS - 1
    rest = number >> INDEX_BITS | 1 << HASH_BITS
    return raise_register(value, index, (rest & -rest).bit_length(), max_sparse)


def raise_register(value: bytearray, index: int, count: int, max_sparse: int) -> bool:
    """Set a register to ``count`` where it is less; whether it was."""
    if value[4] == DENSE:
        return _raise_dense(value, index, count)
    if value[4] != SPARSE:
        raise CorruptedError
    return _raise_sparse(value, index, count, max_sparse)


def _raise_dense(value: bytearray, index: int, count: int) -> bool:
    first = HEADER + index * 6 // 8
    shift = index * 6 & 7
    pair = int.from_bytes(value[first : first + 2], "little")
    if count <= pair >> shift & 63:
        return False
    pair = pair & ~(63 << shift) | count << shift
    value[first] = pair & 255
    if shift > 2:
        value[first + 1] = pair >> 8
    return True


def _raise_sparse(value: bytearray, index: int, count: int, max_sparse: int) -> bool:
    if count > MAX_SPARSE_VALUE:
        return _promote(value, index, count)
    before, at, first, span = _find(value, index)
    opcode = value[at]
    if opcode & 0x80:
        old = (opcode >> 2 & 31) + 1
        if old >= count:
            return False
        left, right = _run(old, index - first), _run(old, first + span - 1 - index)
    else:
        left, right = _zeros(index - first), _zeros(first + span - 1 - index)
    size = 2 if opcode & 0xC0 == 0x40 else 1
    new = left + _run(count, 1) + right
    if len(new) > size and len(value) + len(new) - size > max_sparse:
        return _promote(value, index, count)
    value[at : at + size] = new
    _merge(value, before)
    invalidate(value)
    return True


def _find(value: bytearray, index: int) -> tuple[int, int, int, int]:
    """Where the opcode of a register is: the one before it (or itself), it, its first register, and its registers."""
    before = at = HEADER
    first = 0
    end = len(value)
    while at < end:
        opcode = value[at]
        span, size = SPAN[opcode], 1
        if opcode & 0xC0 == 0x40:
            if at + 1 >= end:
                break
            span, size = ((opcode & 63) << 8 | value[at + 1]) + 1, 2
        if index < first + span:
            return before, at, first, span
        before = at
        at += size
        first += span
    raise CorruptedError


def _zeros(length: int) -> bytes:
    """The opcode of so many zeros; nothing for none."""
    if length > MAX_ZEROS:
        return bytes((0x40 | length - 1 >> 8, length - 1 & 255))
    return bytes((length - 1,)) if length else b""


def _run(register: int, length: int) -> bytes:
    """The opcode of so many registers with a value; nothing for none."""
    return bytes((0x80 | register - 1 << 2 | length - 1,)) if length else b""


def _merge(value: bytearray, at: int) -> None:
    """Join neighbours with the same value, in the five opcodes from ``at`` on."""
    for _ in range(5):
        if at >= len(value):
            break
        opcode = value[at]
        if opcode & 0xC0 == 0x40:
            at += 2
            continue
        if opcode & 0x80 and at + 1 < len(value):
            following = value[at + 1]
            length = (opcode & 3) + (following & 3) + 2
            if following & 0xFC == opcode & 0xFC and length <= MAX_RUN:
                value[at : at + 2] = bytes((opcode & 0xFC | length - 1,))
                continue
        at += 1


def _promote(value: bytearray, index: int, count: int) -> bool:
    to_dense(value)
    return _raise_dense(value, index, count)


def to_dense(value: bytearray) -> bool:
    """Make it dense, the header otherwise as before; whether it was sparse."""
    if value[4] == DENSE:
        return False
    packed = pack(registers(value))
    value[HEADER:] = packed
    value[4] = DENSE
    return True


def registers(value: bytes | bytearray) -> bytearray:
    """Every register as a byte."""
    return _unpack(value) if value[4] == DENSE else _decompress(value)


def opcodes(value: bytes | bytearray) -> list[tuple[int, int, int]]:
    """Those of a sparse one, as (bytes, register's value, registers)."""
    found: list[tuple[int, int, int]] = []
    at = HEADER
    while at < len(value):
        opcode = value[at]
        if opcode & 0x80:
            found.append((1, (opcode >> 2 & 31) + 1, (opcode & 3) + 1))
        elif opcode & 0x40:
            low = value[at + 1] if at + 1 < len(value) else 0  # Redis reads the zero that ends its strings
            found.append((2, 0, ((opcode & 63) << 8 | low) + 1))
            at += 1
        else:
            found.append((1, 0, opcode + 1))
        at += 1
    return found


def _decompress(value: bytes | bytearray) -> bytearray:
    found = bytearray()
    for _, register, length in opcodes(value):
        found += bytes((register,)) * length
        if len(found) > REGISTERS:
            raise CorruptedError
    if len(found) != REGISTERS:
        raise CorruptedError
    return found


def _shifted(by: int) -> bytes:
    """A table that shifts a byte left, or right where negative."""
    return bytes((byte << by if by >= 0 else byte >> -by) & 255 for byte in range(256))


def _masked(table: bytes) -> bytes:
    return bytes(byte & 63 for byte in table)


_LOW_6: Final = _masked(_shifted(0))
_HIGH_2: Final = _shifted(-6)
_LOW_4: Final = _masked(_shifted(2))
_HIGH_4: Final = _shifted(-4)
_LOW_2: Final = _masked(_shifted(4))
_HIGH_6: Final = _shifted(-2)
_LEFT_6: Final = _shifted(6)
_LEFT_4: Final = _shifted(4)
_LEFT_2: Final = _shifted(2)


def _either(one: bytes, other: bytes) -> bytes:
    """Both, bit by bit."""
    return (int.from_bytes(one, "little") | int.from_bytes(other, "little")).to_bytes(len(one), "little")


def _unpack(value: bytes | bytearray) -> bytearray:
    """Three bytes are four registers."""
    data = bytes(value[HEADER:])
    one, two, three = data[0::3], data[1::3], data[2::3]
    found = bytearray(REGISTERS)
    found[0::4] = one.translate(_LOW_6)
    found[1::4] = _either(one.translate(_HIGH_2), two.translate(_LOW_4))
    found[2::4] = _either(two.translate(_HIGH_4), three.translate(_LOW_2))
    found[3::4] = three.translate(_HIGH_6)
    return found


def pack(found: bytes | bytearray) -> bytearray:
    """The dense form of registers."""
    one, two, three, four = bytes(found[0::4]), bytes(found[1::4]), bytes(found[2::4]), bytes(found[3::4])
    packed = bytearray(REGISTERS * 6 // 8)
    packed[0::3] = _either(one, two.translate(_LEFT_6))
    packed[1::3] = _either(two.translate(_HIGH_6), three.translate(_LEFT_4))
    packed[2::3] = _either(three.translate(_HIGH_4), four.translate(_LEFT_2))
    return packed


def union(one: bytes | bytearray, other: bytes | bytearray) -> bytearray:
    """The greater of each register."""
    return bytearray(map(max, one, other))


def estimate(found: bytes | bytearray) -> int:
    """The cardinality that registers tell (Otmar Ertl, arXiv:1702.01284), rounded as Redis does."""
    size = float(REGISTERS)
    z = size * _tau((size - found.count(HASH_BITS + 1)) / size)
    for register in range(HASH_BITS, 0, -1):
        z = (z + found.count(register)) * 0.5
    z += size * _sigma(found.count(0) / size)
    if z == 0:
        return -(2**63)  # what C makes of infinity
    number = ALPHA * size * size / z
    whole = int(number)
    return whole + (number - whole >= 0.5)


def _sigma(x: float) -> float:
    if x == 1:
        return inf
    y, z, before = 1.0, x, -1.0
    while z != before:
        x *= x
        before = z
        z += x * y
        y += y
    return z


def _tau(x: float) -> float:
    if x in (0, 1):
        return 0.0
    y, z, before = 1.0, 1 - x, -1.0
    while z != before:
        x = sqrt(x)
        before = z
        y *= 0.5
        z -= (1 - x) ** 2 * y
    return z / 3
