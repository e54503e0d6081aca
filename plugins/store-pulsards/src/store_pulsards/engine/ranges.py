"""Ranges: which part of a list or a sorted set a client asks for.

Each kind of range (by index, score or member) is parsed first, so that its errors come before those of the key, and
applied later: a ``Span`` gives the positions ``start <= p < stop`` in a sorted set.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, TypeAlias

from store_pulsards.engine import args, errors
from store_pulsards.engine.sorted_set import SortedSet

Span: TypeAlias = Callable[[SortedSet], tuple[int, int]]
Position: TypeAlias = Callable[[SortedSet], int]

_DIGITS: Final = re.compile(rb"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def clip(start: int, stop: int, size: int) -> tuple[int, int]:
    """Redis's indexes (negative: from the end; the last one included) as Python's."""
    if start < 0:
        start = max(start + size, 0)
    if stop < 0:
        stop += size
    stop = min(stop + 1, size)
    return (start, stop) if start < stop else (0, 0)


def by_rank(start: bytes, stop: bytes, *, reverse: bool = False) -> Span:
    """``ZRANGE key 0 -1``; with ``reverse``, indexes count from the highest score."""
    first, last = args.integer(start), args.integer(stop)

    def span(value: SortedSet) -> tuple[int, int]:
        size = len(value)
        begin, end = clip(first, last, size)
        return (size - end, size - begin) if reverse else (begin, end)

    return span


def by_score(low: bytes, high: bytes) -> Span:
    """``ZRANGE key (1 +inf BYSCORE``."""
    return _between(_score_position(low, upper=False), _score_position(high, upper=True))


def by_member(low: bytes, high: bytes) -> Span:
    """``ZRANGE key [a (c BYLEX``."""
    return _between(_member_position(low, upper=False), _member_position(high, upper=True))


def _between(lower: Position, upper: Position) -> Span:
    return lambda value: (lower(value), upper(value))


def _score_position(text: bytes, *, upper: bool) -> Position:
    exclusive = text[:1] == b"("
    score = _bound(text[1:] if exclusive else text)
    if exclusive is upper:
        return lambda value: value.from_score(score)
    return lambda value: value.after_score(score)


def _bound(number: bytes) -> float:
    """A bound as ``strtod`` reads it: no characters are 0, and what no double can hold is infinite."""
    number = number.partition(b"\0")[0]
    if not number:
        return 0.0
    return float(number) if _DIGITS.fullmatch(number) else args.real(number, errors.bound_not_a_float)


def _member_position(text: bytes, *, upper: bool) -> Position:
    if text == b"-":
        return lambda value: 0
    if text == b"+":
        return len
    if text[:1] not in (b"(", b"["):
        raise errors.bound_not_a_string()
    exclusive, member = text[:1] == b"(", text[1:]
    if exclusive is upper:
        return lambda value: value.from_member(member)
    return lambda value: value.after_member(member)
