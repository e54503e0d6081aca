"""Stream IDs: milliseconds and a sequence number, as one whole number of 128 bits.

The upper half is the time, so that IDs compare as numbers, and the next one is one more. Text is read as Valkey reads
it: what ``strtoull`` takes is a number, up to the first NUL.
"""

from __future__ import annotations

import re
from typing import Final

from store_pulsards.engine import errors

ZERO: Final = 0
LAST: Final = 2**128 - 1
SEQUENCE_BITS: Final = 64
SEQUENCE: Final = 2**64 - 1  # the lower half, and the largest value of either half

_LONGEST: Final = 127
_UNSIGNED: Final = re.compile(rb"[ \t\n\v\f\r]*([+-]?)([0-9]+)")
_CANONICAL_NEGATIVE: Final = re.compile(rb"-[1-9][0-9]*")


def make(milliseconds: int, sequence: int) -> int:
    """The ID of two halves."""
    return milliseconds << SEQUENCE_BITS | sequence


def show(number: int) -> bytes:
    """An ID as clients see it."""
    return b"%d-%d" % (number >> SEQUENCE_BITS, number & SEQUENCE)


def parse(text: bytes, missing: int = 0) -> int:
    """An ID as a client writes it: ``ms-seq``, or ``ms`` alone.

    Args:
        text: What the client wrote.
        missing: The sequence number where there is none.
    """
    if len(text) > _LONGEST:
        raise errors.invalid_stream_id()
    head, dash, tail = text.partition(b"-")
    if head.isdigit() and (tail.isdigit() or not dash):
        milliseconds, sequence = int(head), int(tail) if dash else missing
        if milliseconds <= SEQUENCE and sequence <= SEQUENCE:
            return milliseconds << SEQUENCE_BITS | sequence
    head, dash, tail = text.partition(b"\0")[0].partition(b"-")
    return make(_unsigned(head), _unsigned(tail) if dash else missing)


def parse_new(text: bytes) -> tuple[int, bool]:
    """The ID of an entry to come, and whether its sequence number is given (it is not in ``ms-*``)."""
    head, dash, tail = text.partition(b"\0")[0].partition(b"-")
    if dash and tail == b"*" and len(text) <= _LONGEST:
        return make(_unsigned(head), 0), False
    return parse(text), True


def parse_bound(text: bytes, missing: int = 0) -> int:
    """An ID, or ``-`` (the least) or ``+`` (the greatest)."""
    if text == b"-":
        return ZERO
    if text == b"+":
        return LAST
    return parse(text, missing)


def parse_start(text: bytes) -> int:
    """The lower end of a range; ``(`` before it leaves it out."""
    if len(text) < 2 or not text.startswith(b"("):
        return parse_bound(text)
    number = parse(text[1:])
    if number == LAST:
        raise errors.invalid_interval("start")
    return number + 1


def parse_end(text: bytes) -> int:
    """The upper end of a range; ``(`` before it leaves it out."""
    if len(text) < 2 or not text.startswith(b"("):
        return parse_bound(text, SEQUENCE)
    number = parse(text[1:], SEQUENCE)
    if number == ZERO:
        raise errors.invalid_interval("end")
    return number - 1


def _unsigned(text: bytes) -> int:
    """A number as C's ``strtoull`` reads it: a minus counts down from the greatest, unless it is a canonical number."""
    match = _UNSIGNED.fullmatch(text)
    if match is None or _CANONICAL_NEGATIVE.fullmatch(text):
        raise errors.invalid_stream_id()
    number = int(match[2])
    if number > SEQUENCE:
        raise errors.invalid_stream_id()
    return -number & SEQUENCE if match[1] == b"-" else number
