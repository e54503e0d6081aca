"""SortedSet against a plain sorted list of (score, member)."""

from __future__ import annotations

from math import inf

from hypothesis import given
from hypothesis import strategies as st

from store_pulsards.engine.sorted_set import SortedSet

MEMBERS = st.binary(max_size=2)
SCORES = st.sampled_from([-inf, -1.5, -0.0, 0.0, 1.0, 2.0, 5e-324, 1e308, inf])
PAIRS = st.dictionaries(MEMBERS, SCORES, max_size=30)


def model(scores: dict[bytes, float]) -> list[tuple[float, bytes]]:
    return sorted((score, member) for member, score in scores.items())


@given(st.lists(st.tuples(st.booleans(), MEMBERS, SCORES)))
def test_additions_moves_and_removals_keep_the_order(steps: list[tuple[bool, bytes, float]]) -> None:
    value, expected = SortedSet(), dict[bytes, float]()
    for add, member, score in steps:
        if add:
            value.add(member, score)
            if expected.get(member) != score:
                expected[member] = score
        else:
            assert value.discard(member) == (expected.pop(member, None) is not None)
    assert list(value) == model(expected)
    assert value.scores == expected
    assert len(value) == len(expected)


@given(PAIRS)
def test_a_rank_is_the_position(scores: dict[bytes, float]) -> None:
    value = SortedSet(scores)
    for position, (_, member) in enumerate(model(scores)):
        assert value.rank(member) == position
        assert value.at(position)[1] == member
    assert value.rank(b"not there") is None


@given(PAIRS, SCORES)
def test_score_bounds_divide_the_entries(scores: dict[bytes, float], bound: float) -> None:
    value, entries = SortedSet(scores), model(scores)
    assert value.from_score(bound) == sum(score < bound for score, _ in entries)
    assert value.after_score(bound) == sum(score <= bound for score, _ in entries)


@given(st.sets(MEMBERS), SCORES, MEMBERS)
def test_member_bounds_divide_the_entries_of_one_score(members: set[bytes], score: float, bound: bytes) -> None:
    value = SortedSet(dict.fromkeys(members, score))
    assert value.from_member(bound) == sum(member < bound for member in members)
    assert value.after_member(bound) == sum(member <= bound for member in members)


@given(PAIRS, st.integers(0, 30), st.integers(0, 30))
def test_a_slice_is_given_and_removed(scores: dict[bytes, float], start: int, stop: int) -> None:
    value, entries = SortedSet(scores.copy()), model(scores)
    assert value.entries(start, stop) == entries[start:stop]
    assert value.entries(start, stop, reverse=True) == entries[start:stop][::-1]
    assert value.remove_slice(start, stop) == entries[start:stop]
    del entries[start : max(start, stop)]
    assert list(value) == entries
    assert value.scores == {member: score for score, member in entries}


def test_a_copy_is_its_own() -> None:
    value = SortedSet({b"a": 1.0})
    copy = value.copy()
    copy.add(b"b", 2.0)
    assert list(value) == [(1.0, b"a")]
    assert b"b" in copy
    assert b"b" not in value


def test_minus_zero_does_not_replace_zero() -> None:
    value = SortedSet({b"a": 0.0})
    value.add(b"a", -0.0)
    assert str(value.scores[b"a"]) == "0.0"
