from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from store_pulsards.engine import deadlines
from store_pulsards.engine.keyspace import Keyspace
from store_pulsards.engine.shards import LARGE, Shards


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
    assert len(db.deadlines) < 200


def test_a_database_of_many_keys_becomes_shards_a_slice_at_a_time() -> None:
    keyspace, _ = a_keyspace()
    db = keyspace.databases[0]
    for number in range(LARGE + 1):
        db.put(b"%d" % number, b"")
        db.expire_at(b"%d" % number, 2_000_000 + number)
    assert keyspace.tend(0) is True
    assert isinstance(db.data, Shards)
    assert isinstance(db.expires, Shards)
    assert db.data.rest
    while keyspace.tend(0.01):
        pass
    assert not db.data.rest
    assert not db.expires.rest
    assert len(db.data) == len(db.expires) == LARGE + 1
    assert db.get(b"17") == b""
    assert db.expires[b"17"] == 2_000_017
    assert keyspace.next_expiry() == 2_000_000


def test_small_databases_stay_plain_dicts() -> None:
    keyspace, _ = a_keyspace()
    keyspace.databases[0].put(b"a", b"")
    assert keyspace.tend(0) is False
    assert type(keyspace.databases[0].data) is dict


def test_keys_in_many_heaps_expire_in_slices_and_none_is_forgotten() -> None:
    keyspace, time = a_keyspace()
    db = keyspace.databases[0]
    count = 3 * deadlines.LARGE
    for turn in range(3):  # again and again, so that heaps are cleaned and divided
        for number in range(count):
            db.put(b"%d" % number, b"")
            db.expire_at(b"%d" % number, 1_000_100 + (number + turn) % 50)
    assert len(db.deadlines.heaps) > 1
    assert count <= len(db.deadlines) < 3 * count
    assert keyspace.next_expiry() == 1_000_100
    time.now += 0.125
    assert keyspace.expire_some(0) is True
    while keyspace.expire_some(0.001):
        pass
    keyspace.frozen = 0
    assert all(due > keyspace.now() for due in db.expires.values())
    assert len(db.data) == len(db.expires) > 0
    time.now += 1
    keyspace.expire_some(10)
    assert not db.data
    assert keyspace.next_expiry() is None


def test_what_was_cleared_is_gone_at_once_and_freed_in_slices() -> None:
    keyspace, _ = a_keyspace()
    db = keyspace.databases[0]
    for number in range(10_000):
        db.put(b"%d" % number, b"")
    assert db.clear() == 10_000
    assert not db.data
    assert keyspace.tend(0) is True
    while keyspace.tend(0.001):
        pass
    assert not keyspace.disposal.waiting


def test_a_large_value_is_freed_in_slices_but_gone_at_once() -> None:
    keyspace, time = a_keyspace()
    db = keyspace.databases[0]
    for key in (b"unlinked", b"expired"):
        db.put(key, {b"%d" % number: b"" for number in range(2000)})
    db.expire_at(b"expired", 1_000_100)
    assert db.unlink(b"unlinked")
    assert db.get(b"unlinked") is None
    time.now += 1
    keyspace.frozen = 0
    assert db.get(b"expired") is None
    assert len(keyspace.disposal.waiting) == 2
    assert keyspace.tend(1) is False
    assert not keyspace.disposal.waiting


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
