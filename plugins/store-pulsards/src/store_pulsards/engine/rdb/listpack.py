"""Listpacks: many short strings in one, as Redis keeps and saves small collections.

Six bytes of header (all bytes, and the elements, 65535 where there are more), the elements, and 0xFF. Each element has
a header with its kind and size, its bytes, and its length once more, for those who read backwards.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from store_pulsards.engine.encodings import is_integer
from store_pulsards.engine.rdb.errors import RdbError

HEADER: Final = 6
END: Final = 0xFF
UNKNOWN_COUNT: Final = 65535
WIDTHS: Final = {0xF1: 2, 0xF2: 3, 0xF3: 4, 0xF4: 8}  # bytes of integers


def encode(elements: Iterable[bytes]) -> bytes:
    """The listpack of strings; canonical integers become such."""
    body = bytearray()
    count = 0
    for element in elements:
        body += entry(element)
        count += 1
    size = HEADER + len(body) + 1
    return size.to_bytes(4, "little") + min(count, UNKNOWN_COUNT).to_bytes(2, "little") + bytes(body) + b"\xff"


def entry(element: bytes) -> bytes:
    """One element, with its length behind."""
    content = _integer(int(element)) if is_integer(element) else _text(element)
    return content + _back(len(content))


def _integer(number: int) -> bytes:
    if 0 <= number < 128:
        return bytes((number,))
    if -4096 <= number < 4096:
        return (0xC000 | number & 0x1FFF).to_bytes(2, "big")
    for mark, width in WIDTHS.items():
        if -(1 << 8 * width - 1) <= number < 1 << 8 * width - 1:
            return bytes((mark,)) + number.to_bytes(width, "little", signed=True)
    raise OverflowError(number)


def _text(element: bytes) -> bytes:
    size = len(element)
    if size < 64:
        return bytes((0x80 | size,)) + element
    if size < 4096:
        return (0xE000 | size).to_bytes(2, "big") + element
    return b"\xf0" + size.to_bytes(4, "little") + element


def _back(length: int) -> bytes:
    """The length, seven bits a byte, the highest first; all but the first are marked."""
    size = _back_size(length)
    marked = [length >> 7 * index & 127 | 128 for index in range(size - 1, -1, -1)]
    marked[0] &= 127
    return bytes(marked)


def _back_size(length: int) -> int:
    # Redis's bounds: 127 goes into one byte, but 16383 no more into two.
    if length <= 127:
        return 1
    return 2 + (length >= 16383) + (length >= 2097151) + (length >= 268435455)


def decode(data: bytes) -> list[bytes]:
    """The strings of a listpack.

    Raises:
        RdbError: It is none.
    """
    if len(data) <= HEADER or int.from_bytes(data[:4], "little") != len(data):
        raise RdbError("a listpack has another length")
    count = int.from_bytes(data[4:6], "little")
    found: list[bytes] = []
    at = HEADER
    end = len(data) - 1
    while at < end:
        element, size = _element(data, at)
        at += size + _back_size(size)
        found.append(element)
    if at != end or data[end] != END or (count not in (UNKNOWN_COUNT, len(found))):
        raise RdbError("a listpack ends elsewhere")
    return found


def _element(data: bytes, at: int) -> tuple[bytes, int]:
    """An element, and how many bytes it has without its length behind."""
    first = data[at]
    if first < 0x80:
        return b"%d" % first, 1
    if first < 0xC0:
        return _piece(data, at, 1, first & 63)
    if first in WIDTHS:
        width = WIDTHS[first]
        return b"%d" % int.from_bytes(_piece(data, at, 1, width)[0], "little", signed=True), 1 + width
    if first == 0xF0:
        return _piece(data, at, 5, int.from_bytes(data[at + 1 : at + 5], "little"))
    second = data[at + 1]  # at worst the mark at the end
    if first < 0xE0:
        number = (first & 31) << 8 | second
        return b"%d" % (number - (1 << 13) if number >> 12 else number), 2
    if first < 0xF0:
        return _piece(data, at, 2, (first & 15) << 8 | second)
    raise RdbError("an element of a listpack is of an unknown kind")


def _piece(data: bytes, at: int, header: int, size: int) -> tuple[bytes, int]:
    start = at + header
    if start + size >= len(data):
        raise RdbError("an element of a listpack breaks off")
    return data[start : start + size], header + size
