from __future__ import annotations

import weakref
from collections import deque
from math import inf

import pytest

from store_pulsards.engine.disposal import LARGE, Disposal, is_large
from store_pulsards.engine.members import Members
from store_pulsards.engine.sorted_set import SortedSet
from store_pulsards.engine.stream import Stream

NAMES = [b"%d" % number for number in range(5 * LARGE)]


def a_stream() -> Stream:
    stream = Stream()
    for number in range(5 * LARGE):
        stream.append(number + 1, (b"field",), (b"value",))
    return stream


@pytest.mark.parametrize(
    "value",
    [
        deque(NAMES),
        dict.fromkeys(NAMES, b""),
        Members(NAMES),
        SortedSet({name: float(index) for index, name in enumerate(NAMES)}),
        a_stream(),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_large_value_is_taken_apart_piece_by_piece(value: object) -> None:
    assert is_large(value)
    disposal = Disposal()
    disposal.take(value)
    pieces = 1
    while disposal.work(0):
        pieces += 1
    assert pieces > 1
    assert not disposal.waiting


def test_what_is_small_is_no_business_of_it() -> None:
    for value in (None, b"x" * 10 * LARGE, 5, deque([b"a"]), {b"a": b"b"}, Members([b"a"]), SortedSet()):
        assert not is_large(value)


def test_large_values_inside_a_database_are_taken_apart_too() -> None:
    members = Members(NAMES)
    gone = weakref.ref(members)
    disposal = Disposal()
    disposal.take({b"small": b"", b"large": members})
    del members
    assert disposal.work(0) is True
    assert len(gone() or ()) == len(NAMES)
    assert disposal.work(inf) is False
    assert gone() is None
