from __future__ import annotations

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store_pulsards.engine.scan import Scans
from store_pulsards.engine.shards import COUNT, Shards, random_key

KEYS = st.binary(max_size=2)
STEPS = st.lists(st.tuples(st.sampled_from(["get", "set", "del", "pop", "in", "settle"]), KEYS, st.integers()))


@given(st.dictionaries(KEYS, st.integers()), STEPS)
def test_shards_do_what_a_dict_does_while_they_take_it_over(
    given_: dict[bytes, int], steps: list[tuple[str, bytes, int]]
) -> None:
    model = dict(given_)
    shards = Shards(given_)
    for verb, key, number in steps:
        if verb == "set":
            model[key] = shards[key] = number
        elif verb == "del" and key in model:
            del model[key]
            del shards[key]
        elif verb == "pop":
            assert shards.pop(key, None) == model.pop(key, None)
        elif verb == "in":
            assert (key in shards) is (key in model)
        elif verb == "settle":
            shards.settle(0)
        assert shards.get(key) == model.get(key)
        assert shards.get(key, -1) == model.get(key, -1)
        assert len(shards) == len(model)
        assert bool(shards) is bool(model)
    assert sorted(shards) == sorted(model)
    assert {key: shards[key] for key in shards} == model


def test_a_key_that_is_not_there_is_an_error_as_in_a_dict() -> None:
    shards = Shards({b"a": 1})
    with pytest.raises(KeyError):
        del shards[b"b"]
    with pytest.raises(KeyError):
        shards[b"b"]


def test_settling_keeps_to_its_slice() -> None:
    shards = Shards(dict.fromkeys((b"%d" % number for number in range(10_000)), 1))
    assert shards.settle(0) is True
    assert 0 < len(shards.rest) < 10_000
    assert shards.settle(inf) is False
    assert len(shards) == 10_000
    assert sum(bool(part) for part in shards.parts) == COUNT


def test_any_key_may_be_drawn() -> None:
    keys = [b"%d" % number for number in range(40)]
    shards = Shards(dict.fromkeys(keys[:20], 1))
    for key in keys[20:]:
        shards[key] = 1
    assert {random_key(shards) for _ in range(2000)} == set(keys)


def test_a_scan_goes_on_with_its_cursor_when_the_dict_becomes_shards() -> None:
    keys = [b"%d" % number for number in range(5000)]
    plain = dict.fromkeys(keys, 1)
    scans = Scans()
    cursor, seen = scans.page(plain, 0, 1000)
    shards = Shards(plain)
    while cursor:
        cursor, page = scans.page(shards, cursor, 100)
        seen += page
    assert set(seen) == set(keys)


@given(st.integers(0, 2**64 - 1), st.integers(1, 50))
def test_any_cursor_is_survived(cursor: int, size: int) -> None:
    following, page = Scans().page(Shards(dict.fromkeys((b"%d" % number for number in range(99)), 1)), cursor, size)
    assert 0 <= following < 2**48
    assert len(set(page)) == len(page)


def test_shards_that_are_not_changed_are_scanned_once() -> None:
    shards = Shards(dict.fromkeys((b"%d" % number for number in range(3000)), 1))
    scans, seen = Scans(), []
    cursor = -1
    while cursor:
        cursor, page = scans.page(shards, max(cursor, 0), 10)
        seen += page
    assert len(seen) == 3000
    assert set(seen) == set(shards)
