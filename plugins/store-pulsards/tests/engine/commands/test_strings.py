"""What differs from a single exchange with a real server: the scripts in ``tests/differential`` have all the rest."""

from __future__ import annotations

from typing import Protocol

from hypothesis import given
from hypothesis import strategies as st

from store_pulsards.engine.engine import Engine


class Clock(Protocol):
    now: float


@given(st.binary(max_size=12), st.integers(-15, 15), st.integers(-15, 15))
def test_getrange_slices_as_redis_does(value: bytes, first: int, last: int) -> None:
    engine = Engine()
    session = engine.session()
    engine.execute(session, [b"SET", b"a", value])
    size = len(value)
    start = max(0, first + size if first < 0 else first)
    end = min(size - 1, max(0, last + size if last < 0 else last))
    expected = b"" if (first < 0 and last < 0 and first > last) or start > end else value[start : end + 1]
    assert engine.execute(session, [b"GETRANGE", b"a", b"%d" % first, b"%d" % last]) == expected


@given(st.binary(max_size=6), st.integers(-60, 60), st.integers(-60, 60))
def test_bitcount_counts_the_bits_of_a_range(value: bytes, first: int, last: int) -> None:
    engine = Engine()
    session = engine.session()
    engine.execute(session, [b"SET", b"a", value])
    bits = "".join(f"{byte:08b}" for byte in value)
    size = len(bits)
    start = max(0, first + size if first < 0 else first)
    end = min(size - 1, max(0, last + size if last < 0 else last))
    counted = bits[start : end + 1].count("1") if start <= end and not (first < 0 and last < 0 and first > last) else 0
    assert engine.execute(session, [b"BITCOUNT", b"a", b"%d" % first, b"%d" % last, b"BIT"]) == counted


def test_a_changed_string_keeps_its_time_to_live_and_a_new_one_does_not(engine: Engine, clock: Clock) -> None:
    session = engine.session()
    for change in (
        b"INCR a",
        b"APPEND a 1",
        b"SETRANGE a 0 1",
        b"INCRBYFLOAT a 1",
        b"SETBIT a 0 0",
        b"SET a 1 KEEPTTL",
    ):
        engine.execute(session, b"SET a 1 EX 100".split())
        engine.execute(session, change.split())
        assert engine.execute(session, [b"TTL", b"a"]) == 100, change
    for change in (b"SET a 1", b"GETSET a 1", b"MSET a 1"):
        engine.execute(session, b"SET a 1 EX 100".split())
        engine.execute(session, change.split())
        assert engine.execute(session, [b"TTL", b"a"]) == -1, change


def test_an_expired_counter_begins_anew(engine: Engine, clock: Clock) -> None:
    session = engine.session()
    engine.execute(session, b"SET a 41 PX 100".split())
    clock.now += 1
    assert engine.execute(session, [b"INCR", b"a"]) == 1
    assert engine.execute(session, [b"TTL", b"a"]) == -1
