from __future__ import annotations

from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from store_pulsards.engine.engine import Engine
from store_pulsards.engine.replies import NULL_ARRAY
from store_pulsards.engine.volatile_hash import NEVER, SPARE, VolatileHash

FIELDS = st.sampled_from([b"a", b"b", b"c"])


class Model(RuleBasedStateMachine):
    """A hash against two dicts: values, and when they are over."""

    def __init__(self) -> None:
        super().__init__()
        self.hash = VolatileHash({b"a": b"0"})
        self.values = {b"a": b"0"}
        self.ends: dict[bytes, int] = {}

    @rule(field=FIELDS, value=st.binary(max_size=1))
    def write(self, field: bytes, value: bytes) -> None:
        self.hash[field] = value
        self.values[field] = value
        self.ends.pop(field, None)

    @rule(fields=st.lists(FIELDS))
    def write_several(self, fields: list[bytes]) -> None:
        self.hash.update((field, b"1") for field in fields)
        for field in fields:
            self.values[field] = b"1"
            self.ends.pop(field, None)

    @rule(field=FIELDS)
    def keep(self, field: bytes) -> None:
        self.hash.keep(field, b"2")
        self.values[field] = b"2"

    @rule(field=FIELDS, when=st.integers(0, 9))
    def expire_at(self, field: bytes, when: int) -> None:
        if field in self.values:
            self.hash.expire_at(field, when)
            self.ends[field] = when

    @rule(field=FIELDS)
    def take_away(self, field: bytes) -> None:
        assert self.hash.pop(field) == self.values.pop(field, None)
        self.ends.pop(field, None)

    @rule(field=FIELDS)
    def persist(self, field: bytes) -> None:
        assert self.hash.persist((field,)) == (self.ends.pop(field, None) is not None)

    @rule(now=st.integers(0, 9))
    def expire(self, now: int) -> None:
        over = [field for field, when in self.ends.items() if when <= now]
        assert self.hash.expire(now) == len(over)
        for field in over:
            del self.values[field], self.ends[field]

    @rule()
    def copy(self) -> None:
        self.hash = self.hash.copy()

    @invariant()
    def it_is_as_the_model(self) -> None:
        assert self.hash == self.values
        assert self.hash.expires == self.ends
        assert self.hash.due() == min(self.ends.values(), default=NEVER)


TestModel = Model.TestCase


def ask(engine: Engine, *words: bytes) -> Any:
    return engine.execute(engine.session(), words)


def test_a_hash_without_times_is_a_plain_dict(engine: Engine) -> None:
    ask(engine, b"HSETEX", b"h", b"FIELDS", b"1", b"a", b"1")
    assert type(engine.keyspace.databases[0].data[b"h"]) is dict


def test_a_field_that_is_over_is_seen_by_no_command(engine: Engine, clock: Any) -> None:
    ask(engine, b"HSET", b"h", b"a", b"1", b"b", b"2")
    ask(engine, b"HPEXPIRE", b"h", b"1000", b"FIELDS", b"1", b"a")
    clock.now += 0.999
    assert ask(engine, b"HLEN", b"h") == 2
    clock.now += 0.001
    assert ask(engine, b"HGET", b"h", b"a") is None
    assert ask(engine, b"HLEN", b"h") == 1
    assert engine.keyspace.expired_fields == 1


def test_sorting_sees_no_field_that_is_over(engine: Engine, clock: Any) -> None:
    ask(engine, b"RPUSH", b"ids", b"h")
    ask(engine, b"HSETEX", b"h", b"EX", b"1", b"FIELDS", b"2", b"a", b"1", b"b", b"2")
    clock.now += 1
    assert ask(engine, b"SORT", b"ids", b"ALPHA", b"GET", b"*->a", b"GET", b"*->b") == [None, None]


def test_the_sweep_takes_away_fields_that_nobody_looks_at(engine: Engine, clock: Any) -> None:
    for key in (b"x", b"y"):
        ask(engine, b"HSET", key, b"a", b"1", b"b", b"2")
    ask(engine, b"HEXPIRE", b"x", b"5", b"FIELDS", b"2", b"a", b"b")
    ask(engine, b"HEXPIRE", b"y", b"3", b"FIELDS", b"1", b"b")
    assert engine.next_expiry() == clock.now + 3
    clock.now += 3
    assert not engine.expire_some()
    assert engine.keyspace.databases[0].data[b"y"] == {b"a": b"1"}
    assert engine.next_expiry() == clock.now + 2
    clock.now += 2
    assert not engine.expire_some()
    assert ask(engine, b"KEYS", b"*") == [b"y"]
    assert engine.next_expiry() is None


def test_the_sweep_goes_in_slices_through_a_hash_of_many_dead_fields(engine: Engine, clock: Any) -> None:
    fields = [b"%d" % number for number in range(10_000)]
    ask(engine, b"HSETEX", b"h", b"EX", b"1", b"FIELDS", b"10000", *[word for field in fields for word in (field, b"")])
    clock.now += 1
    assert engine.expire_some(0)
    left = len(engine.keyspace.databases[0].data[b"h"])
    assert 0 < left < 10_000
    while engine.expire_some():
        pass
    assert ask(engine, b"EXISTS", b"h") == 0
    assert engine.keyspace.expired_fields == 10_000


@pytest.mark.parametrize(
    "line", [b"RENAME h g", b"COPY h g", b"MOVE h 1", b"SWAPDB 0 1", b"COPY h g DB 1", b"HEXPIRE h 1 FIELDS 1 a"]
)
def test_times_go_along_with_a_hash_wherever_it_goes(engine: Engine, clock: Any, line: bytes) -> None:
    ask(engine, b"HSETEX", b"h", b"EX", b"5", b"FIELDS", b"1", b"a", b"1")
    ask(engine, *line.split())
    clock.now += 5
    while engine.expire_some():
        pass
    assert not any(db.data for db in engine.keyspace.databases)


def test_a_hash_that_loses_a_field_by_time_spoils_a_transaction(engine: Engine, clock: Any) -> None:
    session = engine.session()
    ask(engine, b"HSETEX", b"h", b"EX", b"5", b"FIELDS", b"1", b"a", b"1")
    for line in (b"WATCH h", b"MULTI", b"PING"):
        engine.execute(session, line.split())
    clock.now += 5
    engine.expire_some()
    assert engine.execute(session, [b"EXEC"]) is NULL_ARRAY


def test_the_schedule_does_not_grow_with_hashes_that_are_no_more(engine: Engine) -> None:
    for _ in range(20 * SPARE):
        ask(engine, b"HSETEX", b"h", b"EX", b"100", b"FIELDS", b"1", b"a", b"1")
        ask(engine, b"DEL", b"h")
    assert len(engine.keyspace.databases[0].fields.heap) <= SPARE + 1


def test_a_field_that_is_prolonged_again_and_again_leaves_nothing_behind(engine: Engine) -> None:
    ask(engine, b"HSET", b"h", b"a", b"1")
    for seconds in range(20 * SPARE, 0, -1):
        ask(engine, b"HEXPIRE", b"h", b"%d" % seconds, b"FIELDS", b"1", b"a")
    value = engine.keyspace.databases[0].data[b"h"]
    assert len(value._heap) <= SPARE + 3
    assert len(engine.keyspace.databases[0].fields.heap) <= 3 * SPARE


def test_flushing_forgets_the_schedule(engine: Engine) -> None:
    ask(engine, b"HSETEX", b"h", b"EX", b"100", b"FIELDS", b"1", b"a", b"1")
    ask(engine, b"FLUSHALL")
    assert engine.next_expiry() is None
