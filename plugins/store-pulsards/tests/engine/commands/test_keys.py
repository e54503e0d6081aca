from __future__ import annotations

from typing import Protocol

from store_pulsards.engine.engine import Engine
from store_pulsards.engine.replies import Reply


class Clock(Protocol):
    now: float


def run(engine: Engine, line: str) -> Reply:
    session = engine.sessions.get(1) or engine.session()
    return engine.execute(session, line.encode().split())


def test_a_full_scan_gives_every_key_once(engine: Engine) -> None:
    for number in range(500):
        run(engine, f"SET key:{number} 1")
    seen: list[bytes] = []
    cursor = b"0"
    while True:
        cursor, page = run(engine, f"SCAN {cursor.decode()} COUNT 50 MATCH key:*")
        seen += page
        if cursor == b"0":
            break
    assert sorted(seen) == sorted(b"key:%d" % number for number in range(500))


def test_keys_that_are_over_are_in_no_listing(engine: Engine, clock: Clock) -> None:
    run(engine, "SET a 1 PX 100")
    run(engine, "SET b 1")
    clock.now += 1
    assert run(engine, "KEYS *") == [b"b"]
    assert run(engine, "SCAN 0") == [b"0", [b"b"]]
    run(engine, "SET c 1 PX 100")
    clock.now += 1
    assert {run(engine, "RANDOMKEY") for _ in range(20)} == {b"b"}


def test_a_copy_is_not_the_same_object(engine: Engine) -> None:
    for create, change in (
        ("RPUSH a 1", "RPUSH b 2"),
        ("SADD a 1", "SADD b 2"),
        ("HSET a f 1", "HSET b f 2"),
        ("ZADD a 1 m", "ZADD b 2 m"),
    ):
        run(engine, "FLUSHALL")
        run(engine, create)
        assert run(engine, "COPY a b") == 1
        before = repr(engine.keyspace.databases[0].data[b"a"])
        run(engine, change)
        assert repr(engine.keyspace.databases[0].data[b"a"]) == before


def test_a_moved_key_takes_its_time_to_live_along(engine: Engine) -> None:
    run(engine, "SET a 1 EX 100")
    assert run(engine, "MOVE a 3") == 1
    run(engine, "SELECT 3")
    assert run(engine, "TTL a") == 100


def test_expiry_is_told_by_the_engine_when_it_is_due(engine: Engine, clock: Clock) -> None:
    assert engine.next_expiry() is None
    run(engine, "SET a 1 PX 1500")
    assert engine.next_expiry() == clock.now + 1.5
    clock.now += 2
    assert engine.expire_some() is False
    assert not engine.keyspace.databases[0].data
    assert engine.next_expiry() is None
