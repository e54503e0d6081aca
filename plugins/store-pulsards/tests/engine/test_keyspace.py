from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from store_pulsards.engine.keyspace import Keyspace


class Time:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def a_keyspace() -> tuple[Keyspace, Time]:
    time = Time()
    return Keyspace(2, time), time


def test_a_key_past_its_time_is_dead_at_once() -> None:
    keyspace, time = a_keyspace()
    db = keyspace.databases[0]
    db.put(b"a", b"1")
    db.expire_at(b"a", 1_000_100)
    assert db.get(b"a") == b"1"
    time.now += 0.1
    keyspace.frozen = 0
    assert db.get(b"a") is None
    assert not db.data
    assert keyspace.expired == 1


def test_nothing_is_due_while_nothing_expires() -> None:
    keyspace, _ = a_keyspace()
    keyspace.databases[0].put(b"a", b"1")
    assert keyspace.next_expiry() is None
    assert keyspace.expire_some(0.001) is False


def test_a_prolonged_key_outlives_its_old_heap_entry() -> None:
    keyspace, time = a_keyspace()
    db = keyspace.databases[0]
    db.put(b"a", b"1")
    db.expire_at(b"a", 1_000_100)
    db.expire_at(b"a", 1_000_900)
    time.now += 0.5
    assert keyspace.expire_some(1) is False
    assert db.data == {b"a": b"1"}
    assert keyspace.next_expiry() == 1_000_900
    time.now += 0.5
    keyspace.expire_some(1)
    assert not db.data
    assert keyspace.next_expiry() is None


def test_a_sweep_keeps_to_its_slice() -> None:
    keyspace, time = a_keyspace()
    db = keyspace.databases[0]
    for number in range(1000):
        db.put(b"%d" % number, b"")
        db.expire_at(b"%d" % number, 1_000_001)
    time.now += 1
    assert keyspace.expire_some(0) is True
    assert 0 < len(db.data) < 1000
    while keyspace.expire_some(0.001):
        pass
    assert not db.data


def test_the_heap_does_not_grow_with_keys_that_are_set_again_and_again() -> None:
    keyspace, _ = a_keyspace()
    db = keyspace.databases[0]
    for number in range(10_000):
        db.put(b"a", b"")
        db.expire_at(b"a", 2_000_000 - number)
    assert len(db.heap) < 200


VERBS = ["set", "expire", "persist", "del", "tick"]


@given(st.lists(st.tuples(st.sampled_from(VERBS), st.integers(0, 5), st.integers(1, 50))))
def test_a_swept_keyspace_holds_what_a_plain_model_holds(steps: list[tuple[str, int, int]]) -> None:
    keyspace, time = a_keyspace()
    db = keyspace.databases[0]
    model: dict[bytes, float] = {}
    for verb, number, amount in steps:
        key = b"%d" % number
        now = int(time.now * 1000)
        keyspace.frozen = 0
        if verb == "set":
            db.put(key, b"")
            model[key] = float("inf")
        elif verb == "expire" and db.get(key) is not None:
            db.expire_at(key, now + amount)
            model[key] = now + amount
        elif verb == "persist" and db.get(key) is not None:
            db.expires.pop(key, None)
            model[key] = float("inf")
        elif verb == "del":
            db.remove(key)
            model.pop(key, None)
        elif verb == "tick":
            time.now += amount / 1000
            if random.random() < 0.5:
                keyspace.expire_some(1)
        now = int(time.now * 1000)
        model = {key: due for key, due in model.items() if due > now}
        keyspace.frozen = 0
        assert {key for key in tuple(db.data) if db.get(key) is not None} == set(model)
