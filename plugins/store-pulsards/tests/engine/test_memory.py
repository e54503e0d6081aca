"""The limit of memory: what is counted, when it is counted, and who is refused."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, TypeAlias

import pytest

from store_pulsards.engine.engine import Engine
from store_pulsards.engine.replies import ErrorReply
from store_pulsards.session import Session

Run: TypeAlias = Callable[..., Any]


@pytest.fixture
def session(engine: Engine) -> Session:
    return engine.session()


@pytest.fixture
def run(engine: Engine, session: Session) -> Run:
    """Run a command whose words may be of any type."""
    return lambda *words: engine.execute(session, [str(word).encode() for word in words])


def info(run: Run, name: str) -> int:
    fields = dict(line.split(":", 1) for line in run("INFO", "everything").decode().splitlines() if ":" in line)
    return int(fields[name])


def some_command(chance: Random) -> list[object]:
    """A write of any family."""
    key, other = (f"{chance.choice('slhzxv')}{chance.randrange(12)}" for _ in range(2))
    text, number, size = "v" * chance.randrange(60), chance.randrange(20), chance.randrange(1, 12)
    few = [f"m{chance.randrange(30)}" for _ in range(size)]
    return chance.choice(
        [
            ["SET", f"s{number}", text],
            ["SET", f"s{number}", text, "PX", chance.randrange(1, 3000)],
            ["APPEND", f"s{number}", text],
            ["SETBIT", f"s{number}", number * 50, 1],
            ["RPUSH", f"l{number}", *few],
            ["LPOP", f"l{number}", size],
            ["LMOVE", f"l{number}", f"l{size}", "LEFT", "RIGHT"],
            ["HSET", f"h{number}", *(word for name in few for word in (name, text))],
            ["HDEL", f"h{number}", *few],
            ["HPEXPIRE", f"h{number}", chance.randrange(1, 3000), "FIELDS", 1, few[0]],
            ["SADD", f"v{number}", *few],
            ["SPOP", f"v{number}", size],
            ["SUNIONSTORE", f"v{size}", f"v{number}", f"v{number + 1}"],
            ["ZADD", f"z{number}", *(word for name in few for word in (size, name))],
            ["ZREM", f"z{number}", *few],
            ["ZRANGESTORE", f"z{size}", f"z{number}", 0, -1],
            ["XADD", f"x{number}", "*", *(word for name in few for word in (name, text))],
            ["XTRIM", f"x{number}", "MAXLEN", size],
            ["XGROUP", "CREATE", f"x{number}", f"g{size}", 0, "MKSTREAM"],
            ["XREADGROUP", "GROUP", f"g{size}", "c", "STREAMS", f"x{number}", ">"],
            ["PFADD", f"s{number}p", *few],
            ["SORT", f"l{number}", "ALPHA", "STORE", f"l{size}"],
            ["DEL", key, other],
            ["RENAME", key, other],
            ["COPY", key, other, "REPLACE"],
            ["MOVE", key, size % 3],
            ["EXPIRE", key, number],
            ["PERSIST", key],
            ["SELECT", size % 3],
            ["MULTI"],
            ["EXEC"],
        ]
        + [["SWAPDB", 0, size % 3], ["FLUSHDB"]] * (chance.random() < 0.1)
    )


@pytest.mark.parametrize("seed", range(5))
def test_the_ledger_comes_to_the_same_as_measuring_everything_anew(
    seed: int, engine: Engine, clock: Any, run: Run
) -> None:
    chance = Random(seed)
    run("CONFIG", "SET", "maxmemory", "1gb")
    for _ in range(3_000):
        run(*some_command(chance))
        clock.now += chance.random() / 50
        if chance.random() < 0.02:
            engine.expire_some()
    run("EXEC")
    while engine.expire_some():
        pass
    known = engine.memory.used()
    run("CONFIG", "SET", "maxmemory", 0)
    run("CONFIG", "SET", "maxmemory", "1gb")
    while engine.tend():
        pass
    assert engine.memory.used() == known


def test_without_a_limit_nobody_notices_anything(engine: Engine, session: Session, run: Run) -> None:
    assert session.gate == 0
    assert engine.keyspace.observers == 0
    run("CONFIG", "SET", "maxmemory", "1gb", "maxmemory-policy", "volatile-random")
    assert session.gate
    assert engine.session().gate
    run("CONFIG", "SET", "maxmemory", 0)
    assert session.gate == 0
    assert engine.session().gate == 0
    assert engine.keyspace.observers == 0
    assert all(db.ledger is None for db in engine.keyspace.databases)


def test_an_lru_policy_records_uses_also_without_a_limit(session: Session, clock: Any, run: Run) -> None:
    run("SET", "a", 1)
    clock.now += 100
    assert run("OBJECT", "IDLETIME", "a") == 0
    run("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    clock.now += 100
    assert run("OBJECT", "IDLETIME", "a") == 100
    run("CONFIG", "SET", "maxmemory-policy", "noeviction")
    assert session.gate == 0


def test_a_limit_on_many_keys_is_in_force_before_all_of_them_are_measured(engine: Engine, run: Run) -> None:
    for number in range(20_000):
        run("SET", f"key:{number}", "x" * (number % 100))
    run("CONFIG", "SET", "maxmemory", "1gb")
    guess = engine.memory.used()
    while engine.tend():
        pass
    assert guess == pytest.approx(engine.memory.used(), rel=0.05)
    assert run("SET", "a", 1) == b"OK"
    run("CONFIG", "SET", "maxmemory", 0)
    run("CONFIG", "SET", "maxmemory", "1mb")
    assert isinstance(run("SET", "a", 1), ErrorReply)


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-lru", "volatile-ttl", "allkeys-random"])
def test_no_more_is_evicted_than_must_be_while_keys_are_still_being_measured(
    policy: str, engine: Engine, run: Run
) -> None:
    for number in range(20_000):
        run("SET", f"key:{number}", "x" * 50, "EX", 1000)
    limit = engine.memory.used()
    run("CONFIG", "SET", "maxmemory", limit, "maxmemory-policy", policy, "maxmemory-eviction-tenacity", 100)
    run("PING")  # the ledger counts itself, and that is too much
    assert engine.memory.used() <= limit
    while engine.tend():
        pass
    assert engine.memory.used() <= limit
    assert 14_000 < run("DBSIZE") < 18_000


def test_everything_is_evicted_when_it_must_be_although_nothing_was_measured(engine: Engine, run: Run) -> None:
    for number in range(20_000):
        run("SET", f"key:{number}", "x" * 50)
    run("CONFIG", "SET", "maxmemory", "15kb", "maxmemory-policy", "allkeys-lru", "maxmemory-eviction-tenacity", 100)
    run("PING")
    assert engine.memory.used() <= 15 * 1024
    assert 0 < run("DBSIZE") < 50


def test_writes_are_refused_where_nothing_may_go_while_keys_are_still_being_measured(run: Run) -> None:
    for number in range(20_000):
        run("SET", f"key:{number}", "x" * 50)
    run("CONFIG", "SET", "maxmemory", "1mb")
    for _ in range(10):
        assert isinstance(run("SET", "key:1", "x"), ErrorReply)


def test_databases_may_be_swapped_and_flushed_while_keys_are_being_measured(engine: Engine, run: Run) -> None:
    for database in (0, 1, 2):
        run("SELECT", database)
        for number in range(5_000):
            run("SET", f"key:{number}", "x" * 50 * (database + 1))
    run("CONFIG", "SET", "maxmemory", "1gb")
    run("SWAPDB", 0, 2)
    run("SWAPDB", 1, 9)
    run("FLUSHDB")
    while engine.tend():
        pass
    known = engine.memory.used()
    assert [len(engine.keyspace.databases[database].data) for database in (0, 1, 2, 9)] == [5_000, 0, 0, 5_000]
    run("CONFIG", "SET", "maxmemory", 0)
    run("CONFIG", "SET", "maxmemory", "1gb")
    while engine.tend():
        pass
    assert engine.memory.used() == known


def test_keys_that_come_and_go_while_all_are_measured_are_counted_once(engine: Engine, run: Run) -> None:
    for number in range(150_000):  # enough for shards
        engine.keyspace.databases[0].data[b"key:%d" % number] = b"value"
    engine.keyspace.tend(1)
    run("CONFIG", "SET", "maxmemory", "1gb")
    assert info(run, "maxmemory") == 2**30
    for number in range(0, 2_000, 2):
        run("DEL", f"key:{number}")
        run("SET", f"new:{number}", "value", "EX", 1000)
        engine.tend(0.0001)
    while engine.tend():
        pass
    known = engine.memory.used()
    run("CONFIG", "SET", "maxmemory", 0)
    run("CONFIG", "SET", "maxmemory", "1gb")
    while engine.tend():
        pass
    assert engine.memory.used() == known


def test_the_survey_ends_also_where_nobody_tends_the_engine(engine: Engine, run: Run) -> None:
    for number in range(5_000):
        run("SET", f"key:{number}", number)
    run("CONFIG", "SET", "maxmemory", "1gb")
    for _ in range(500):
        run("PING")
    guess = engine.memory.used()
    assert not engine.tend()
    assert engine.memory.used() == guess


def test_keys_that_expire_give_their_memory_back(engine: Engine, clock: Any, run: Run) -> None:
    run("CONFIG", "SET", "maxmemory", "1gb")
    empty = engine.memory.used()
    for number in range(100):
        run("SET", f"key:{number}", "x", "EX", 10)
        run("HSETEX", f"hash:{number}", "EX", 10, "FIELDS", 1, "f", "v")
    assert engine.memory.used() > empty + 200 * 100
    clock.now += 11
    while engine.tend():
        pass
    assert engine.memory.used() == empty
    assert info(run, "expired_keys") == 100
    assert info(run, "evicted_keys") == 0


def test_no_write_leaves_more_than_the_limit_behind(engine: Engine, clock: Any, run: Run) -> None:
    chance = Random(7)
    limit, largest = 300_000, 40_000
    run("CONFIG", "SET", "maxmemory", limit, "maxmemory-policy", "allkeys-lru", "maxmemory-eviction-tenacity", 100)
    for number in range(100_000):
        command = some_command(chance)
        if len(command) > 1 and command[0] not in ("SELECT", "SWAPDB", "XGROUP"):
            run(command[0], f"{command[1]}:{number % 5_000}", *command[2:])
        else:
            run(*command)
        clock.now += 0.001
        assert engine.memory.used() <= limit + largest
    assert engine.memory.evicted > 5_000


def test_what_takes_memory_is_refused_when_eviction_does_not_keep_pace(engine: Engine, run: Run) -> None:
    for number in range(10_000):
        run("SET", f"key:{number}", "x" * 50, "EX", 1000)
    run("CONFIG", "SET", "maxmemory", "1gb", "maxmemory-policy", "volatile-random", "maxmemory-eviction-tenacity", 0)
    while engine.tend():
        pass
    run("CONFIG", "SET", "maxmemory", "1mb")
    before = engine.memory.used()
    assert run("SET", "small", 1) == b"OK"
    assert before - 16 * 1_000 < engine.memory.used() < before
    assert run("SET", "large", "x" * 500_000) == b"OK"
    assert isinstance(run("SET", "another", 1), ErrorReply)
    assert run("GET", "small") == b"1"
    assert info(run, "current_eviction_exceeded_time") >= 0
    while engine.tend():
        pass
    assert engine.memory.used() <= 2**20
    assert run("SET", "another", 1) == b"OK"


def test_the_time_over_the_limit_is_told(clock: Any, run: Run) -> None:
    run("SET", "a", 1)
    run("CONFIG", "SET", "maxmemory", 1)
    run("PING")
    clock.now += 3
    assert info(run, "current_eviction_exceeded_time") == 3000
    run("CONFIG", "SET", "maxmemory", "1gb")
    clock.now += 3
    assert info(run, "current_eviction_exceeded_time") == 0
    assert info(run, "total_eviction_exceeded_time") == 3000
    run("CONFIG", "RESETSTAT")
    assert info(run, "total_eviction_exceeded_time") == 0


def test_the_time_over_the_limit_ends_when_enough_was_evicted(engine: Engine, clock: Any, run: Run) -> None:
    for number in range(1_000):
        run("SET", f"key:{number}", "x" * 50)
    run("CONFIG", "SET", "maxmemory", "50kb", "maxmemory-policy", "allkeys-lru", "maxmemory-eviction-tenacity", 0)
    run("PING")
    clock.now += 2
    while engine.tend():
        pass
    clock.now += 100
    assert info(run, "total_eviction_exceeded_time") == 2000
    assert info(run, "current_eviction_exceeded_time") == 0


def test_what_is_evicted_is_freed_in_slices_when_it_is_large(engine: Engine, run: Run) -> None:
    run("SADD", "large", *range(5_000))
    run("CONFIG", "SET", "maxmemory", 1, "maxmemory-policy", "allkeys-lru")
    run("PING")
    assert run("DBSIZE") == 0
    assert engine.keyspace.disposal.waiting


def test_a_transaction_that_changes_a_key_often_has_it_measured_once(engine: Engine, run: Run) -> None:
    run("CONFIG", "SET", "maxmemory", "1gb")
    run("MULTI")
    for number in range(100):
        run("RPUSH", "list", number)
    assert len(run("EXEC")) == 100
    assert len(engine.memory._account.changed) == 1
    before = engine.memory.used()
    run("DEL", "list")
    assert before - engine.memory.used() == pytest.approx(90 * 48 + 1_500, rel=0.3)


def test_info_memory_stats_and_usage_come_from_one_estimate(engine: Engine, run: Run) -> None:
    empty = engine.memory.used()
    run("CONFIG", "SET", "maxmemory", "1gb")
    run("SET", "text", "x" * 100, "EX", 1000)
    run("RPUSH", "list", *range(1000, 1010))
    run("ZADD", "zset", 1, "member")
    used = engine.memory.used()
    assert sum(run("MEMORY", "USAGE", key, "SAMPLES", 0) for key in ("text", "list", "zset")) == used - empty
    stats = run("MEMORY", "STATS")
    assert stats[b"total.allocated"] == used == info(run, "used_memory")
    assert stats[b"overhead.total"] + stats[b"dataset.bytes"] == used
    assert info(run, "used_memory_overhead") + info(run, "used_memory_dataset") == used
    run("DEL", "text", "list", "zset")
    assert engine.memory.used() == empty
    assert info(run, "used_memory_peak") == used


def test_without_a_limit_the_memory_is_told_from_a_sample(engine: Engine, run: Run) -> None:
    for number in range(3_000):
        run("SET", f"key:{number:05}", "x" * 40)
    told = engine.memory.used()
    run("CONFIG", "SET", "maxmemory", "1gb")
    while engine.tend():
        pass
    own = 3_000 * (run("MEMORY", "USAGE", "key:00001") - 48 - 43 - 80)
    assert told == pytest.approx(engine.memory.used() - own, rel=0.02)
