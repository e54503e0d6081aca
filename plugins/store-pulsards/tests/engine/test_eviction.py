"""Eviction: which keys go, and which stay."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, TypeAlias

import pytest

from store_pulsards.engine.engine import Engine
from store_pulsards.engine.replies import NULL_ARRAY, ErrorReply, Push

Run: TypeAlias = Callable[..., Any]
FULL = 2_000_000  # bytes, about 7,000 keys
POLICIES_OF_THE_VOLATILE = ["volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl"]


@pytest.fixture
def run(engine: Engine) -> Run:
    """Run a command whose words may be of any type."""
    session = engine.session()
    return lambda *words: engine.execute(session, [str(word).encode() for word in words])


def limit(run: Run, policy: str, *more: object) -> None:
    run("CONFIG", "SET", "maxmemory", FULL, "maxmemory-policy", policy, "maxmemory-eviction-tenacity", 100, *more)


def kept(run: Run, names: list[str]) -> float:
    """The share of keys that are there."""
    return run("EXISTS", *names) / len(names)


def test_lru_keeps_the_keys_that_were_read_lately(clock: Any, run: Run) -> None:
    limit(run, "allkeys-lru")
    for number in range(5_000):
        run("SET", f"old:{number}", "x" * 50)
    read = [f"old:{number}" for number in range(0, 5_000, 5)]
    unread = [f"old:{number}" for number in range(1, 5_000, 5)]
    clock.now += 100
    for name in read:
        run("GET", name)
    clock.now += 100
    for number in range(4_500):
        run("SET", f"new:{number}", "x" * 50)
    assert kept(run, read) > 0.9
    assert kept(run, unread) < 0.6
    assert kept(run, [f"new:{number}" for number in range(4_500)]) > 0.95


def test_lfu_keeps_the_keys_that_are_read_often_although_others_were_read_later(clock: Any, run: Run) -> None:
    limit(run, "allkeys-lfu", "lfu-log-factor", 1)
    often = [f"often:{number}" for number in range(300)]
    for name in often:
        run("SET", name, "x" * 50)
        for _ in range(50):
            run("GET", name)
    for number in range(10_000):
        clock.now += 0.01
        run("SET", f"once:{number}", "x" * 50)
    assert kept(run, often) == 1


def test_a_key_that_is_read_no_more_loses_its_frequency(clock: Any, run: Run) -> None:
    run("CONFIG", "SET", "maxmemory-policy", "allkeys-lfu", "lfu-log-factor", 0, "lfu-decay-time", 2)
    run("SET", "a", 1)
    for _ in range(45):
        run("GET", "a")
    assert run("OBJECT", "FREQ", "a") == 50
    clock.now += 60 * 20
    assert run("OBJECT", "FREQ", "a") == 40
    clock.now += 60 * 1000
    assert run("OBJECT", "FREQ", "a") == 0


def test_the_counter_grows_ever_more_slowly(run: Run) -> None:
    run("CONFIG", "SET", "maxmemory-policy", "allkeys-lfu")
    run("SET", "a", 1)
    for _ in range(5_000):
        run("GET", "a")
    assert 20 < run("OBJECT", "FREQ", "a") < 60


def test_volatile_ttl_keeps_what_lives_longest(run: Run) -> None:
    limit(run, "volatile-ttl")
    numbers = list(range(12_000))
    Random(1).shuffle(numbers)
    for number in numbers:
        run("SET", f"k:{number}", "x" * 50, "EX", 1000 + number)
    there = [number for number in range(12_000) if run("EXISTS", f"k:{number}")]
    # What came last was not yet there when room was made for the others.
    assert sum(number >= 12_000 - len(there) for number in there) > 0.97 * len(there)


@pytest.mark.parametrize("policy", POLICIES_OF_THE_VOLATILE)
def test_a_key_that_lives_forever_is_never_evicted_by_a_volatile_policy(policy: str, engine: Engine, run: Run) -> None:
    limit(run, policy)
    forever = [f"forever:{number}" for number in range(1_000)]
    for name in forever:
        run("SET", name, "x" * 50)
    for number in range(10_000):
        assert run("SET", f"volatile:{number}", "x" * 50, "EX", 1000) == b"OK"
    assert kept(run, forever) == 1
    assert engine.memory.evicted > 3_000


@pytest.mark.parametrize("policy", POLICIES_OF_THE_VOLATILE)
def test_when_nothing_may_be_evicted_any_more_what_takes_memory_is_refused(policy: str, run: Run) -> None:
    limit(run, policy)
    run("SET", "volatile", "x", "EX", 1000)
    replies = [run("SET", f"forever:{number}", "x" * 500) for number in range(5_000)]
    assert isinstance(replies[-1], ErrorReply)
    assert replies[-1].message == "OOM command not allowed when used memory > 'maxmemory'."
    assert run("EXISTS", "volatile") == 0
    assert run("GET", "forever:0") == b"x" * 500
    assert run("DEL", *(f"forever:{number}" for number in range(500))) == 500
    assert run("SET", "again", 1) == b"OK"


@pytest.mark.parametrize("policy", ["allkeys-random", "volatile-random"])
def test_random_eviction_spares_neither_old_nor_new_keys(policy: str, run: Run) -> None:
    limit(run, policy)
    names = [f"k:{number}" for number in range(10_000)]
    for name in names:
        run("SET", name, "x" * 50, "EX", 1000)
    assert 0.1 < kept(run, names[:3_000]) < 0.6
    assert 0.5 < kept(run, names[-3_000:]) < 0.99


def test_keys_of_every_database_may_go(engine: Engine, run: Run) -> None:
    limit(run, "allkeys-lru")
    for database in (0, 3, 15):
        run("SELECT", database)
        for number in range(4_000):
            run("SET", f"k:{number}", "x" * 50)
    counts = [len(engine.keyspace.databases[database].data) for database in (0, 3, 15)]
    assert all(0 < count < 4_000 for count in counts[:2])
    assert engine.memory.evicted == 12_000 - sum(counts)


def test_a_key_that_was_read_since_it_was_drawn_is_not_the_next_to_go(clock: Any, run: Run) -> None:
    limit(run, "allkeys-lru", "maxmemory-samples", 64)
    run("SET", "pooled", "x" * 50)
    clock.now += 100
    fillers = 0
    while run("DBSIZE") == fillers + 1:
        run("SET", f"filler:{fillers}", "x" * 50)
        fillers += 1
        clock.now += 1
        run("GET", "pooled")
    for number in range(3_000):
        clock.now += 1
        run("SET", f"more:{number}", "x" * 50)
        run("GET", "pooled")
    assert run("EXISTS", "pooled") == 1


def test_a_key_that_is_only_looked_at_is_not_used(clock: Any, run: Run) -> None:
    run("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    run("SET", "a", 1)
    clock.now += 50
    for command in ("EXISTS", "TYPE", "TTL", "PEXPIRETIME"):
        run(command, "a")
    assert run("OBJECT", "IDLETIME", "a") == 50
    run("TOUCH", "a")
    assert run("OBJECT", "IDLETIME", "a") == 0


def test_a_client_that_does_not_touch_leaves_idle_times_alone(clock: Any, run: Run) -> None:
    run("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    run("SET", "a", 1)
    run("CLIENT", "NO-TOUCH", "ON")
    clock.now += 50
    run("GET", "a")
    assert run("OBJECT", "IDLETIME", "a") == 50
    run("TOUCH", "a")
    assert run("OBJECT", "IDLETIME", "a") == 0
    run("CLIENT", "NO-TOUCH", "OFF")
    clock.now += 50
    run("GET", "a")
    assert run("OBJECT", "IDLETIME", "a") == 0


def test_a_restored_key_has_been_idle_as_long_as_it_says(engine: Engine, clock: Any, run: Run) -> None:
    session = engine.session()
    run("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    run("RPUSH", "list", 1, 2)
    dump = run("DUMP", "list")
    engine.execute(session, [b"RESTORE", b"copy", b"0", dump, b"IDLETIME", b"1000"])
    clock.now += 5
    assert run("OBJECT", "IDLETIME", "copy") == 1005
    engine.execute(session, [b"RESTORE", b"ancient", b"0", dump, b"IDLETIME", b"99999999999"])
    assert run("OBJECT", "IDLETIME", "ancient") > 10**8
    run("CONFIG", "SET", "maxmemory-policy", "allkeys-lfu")
    engine.execute(session, [b"RESTORE", b"famous", b"0", dump, b"FREQ", b"200"])
    assert run("OBJECT", "FREQ", "famous") == 200


def test_idle_times_begin_anew_when_the_policy_comes_from_lfu(clock: Any, run: Run) -> None:
    run("CONFIG", "SET", "maxmemory-policy", "allkeys-lfu")
    run("SET", "a", 1)
    clock.now += 500
    run("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    assert run("OBJECT", "IDLETIME", "a") == 0
    clock.now += 7
    assert run("OBJECT", "IDLETIME", "a") == 7
    run("CONFIG", "SET", "maxmemory-policy", "volatile-lfu")
    assert run("OBJECT", "FREQ", "a") == 5


def test_who_tracks_a_key_hears_of_its_eviction(engine: Engine, run: Run) -> None:
    told: list[Any] = []
    reader = engine.session(told.append)
    for words in ([b"HELLO", b"3"], [b"SET", b"a", b"1"], [b"CLIENT", b"TRACKING", b"ON"], [b"GET", b"a"]):
        engine.execute(reader, words)
    run("CONFIG", "SET", "maxmemory", 1, "maxmemory-policy", "allkeys-lru")
    run("PING")
    assert told == [Push([b"invalidate", [b"a"]])]


def test_a_watched_key_that_is_evicted_spoils_the_transaction(engine: Engine, run: Run) -> None:
    other = engine.session()
    run("SET", "a", 1)
    run("WATCH", "a")
    run("MULTI")
    run("PING")
    engine.execute(other, b"CONFIG SET maxmemory 1 maxmemory-policy allkeys-random".split())
    assert run("EXEC") is NULL_ARRAY
    assert engine.memory.evicted == 1
