"""The names of encodings change at Valkey's limits."""

from __future__ import annotations

from collections import deque

import pytest

from store_pulsards.engine import encodings
from store_pulsards.engine.members import Members
from store_pulsards.engine.sorted_set import SortedSet

LONG = b"x" * 65


def numbered(count: int) -> list[bytes]:
    return [b"m%d" % number for number in range(count)]


def test_hashes() -> None:
    assert encodings.of_hash(dict.fromkeys(numbered(512), b"")) == b"listpack"
    assert encodings.of_hash(dict.fromkeys(numbered(513), b"")) == b"hashtable"
    assert encodings.of_hash({LONG: b""}) == b"hashtable"
    assert encodings.of_hash({b"": LONG}) == b"hashtable"


def test_sets() -> None:
    integers = [b"%d" % number for number in range(-256, 256)]
    assert encodings.of_set(Members(integers)) == b"intset"
    assert encodings.of_set(Members([*integers, b"256"])) == b"hashtable"
    assert encodings.of_set(Members(numbered(128))) == b"listpack"
    assert encodings.of_set(Members(numbered(129))) == b"hashtable"
    assert encodings.of_set(Members([LONG])) == b"hashtable"


def test_sorted_sets() -> None:
    assert encodings.of_sorted_set(SortedSet(dict.fromkeys(numbered(128), 0.0))) == b"listpack"
    assert encodings.of_sorted_set(SortedSet(dict.fromkeys(numbered(129), 0.0))) == b"skiplist"
    assert encodings.of_sorted_set(SortedSet({LONG: 0.0})) == b"skiplist"


def test_lists_count_bytes() -> None:
    assert encodings.of_list(deque([b"x" * 8000])) == b"listpack"
    assert encodings.of_list(deque([b"x" * 8192])) == b"quicklist"
    assert encodings.of_list(deque([b"1"] * 4092)) == b"listpack"
    assert encodings.of_list(deque([b"1"] * 4093)) == b"quicklist"


@pytest.mark.parametrize("text", [b"0", b"-1", b"9223372036854775807", b"-9223372036854775808"])
def test_integers(text: bytes) -> None:
    assert encodings.is_integer(text)


@pytest.mark.parametrize(
    "text", [b"", b"-", b"--1", b"01", b"-0", b"+1", b" 1", b"1.0", b"9223372036854775808", b"1_0"]
)
def test_texts_that_are_no_integers(text: bytes) -> None:
    assert not encodings.is_integer(text)
