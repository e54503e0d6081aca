"""Members: a set that can be drawn from."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from store_pulsards.engine.members import Members

NAMES = st.binary(max_size=1)
STEPS = st.lists(st.tuples(st.sampled_from(["insert", "withdraw", "pop", "choose"]), st.lists(NAMES, max_size=4)))


@given(STEPS)
def test_draws_know_every_addition_and_removal(steps: list[tuple[str, list[bytes]]]) -> None:
    value, expected = Members(), set[bytes]()
    for action, names in steps:
        if action == "insert":
            assert value.insert(names) == len(set(names) - expected)
            expected.update(names)
        elif action == "withdraw":
            assert value.withdraw(names) == len(set(names) & expected)
            expected.difference_update(names)
        elif expected and action == "pop":
            member = value.pop_random()
            assert member in expected
            expected.remove(member)
        elif expected:
            assert value.choose() in expected
        assert value == expected
        assert sorted(value.choose_distinct(len(expected))) == sorted(expected)
        if expected:
            assert set(value.choose_any(20)) <= expected


def test_every_member_has_the_same_chance() -> None:
    value = Members(b"%d" % number for number in range(10))
    drawn = Counter(value.choose() for _ in range(10_000))
    assert len(drawn) == 10
    assert all(800 < times < 1200 for times in drawn.values())


def test_a_member_that_came_after_the_first_draw_is_drawn_too() -> None:
    value = Members([b"a"])
    value.choose()
    value.insert([b"b"])
    assert {value.choose() for _ in range(200)} == {b"a", b"b"}


def test_distinct_members_are_distinct() -> None:
    value = Members(b"%d" % number for number in range(100))
    assert len(set(value.choose_distinct(50))) == 50
    assert len(value.choose_distinct(1000)) == 100


def test_a_copy_is_its_own() -> None:
    value = Members([b"a"])
    copy = value.copy()
    copy.insert([b"b"])
    assert value == {b"a"}
    assert type(copy) is Members
