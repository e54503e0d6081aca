"""What hashes, lists, sets and sorted sets owe to the rest of the engine: events, expiry, replies of their own."""

from __future__ import annotations

from typing import Any

import pytest

from store_pulsards.engine.engine import Engine
from store_pulsards.session import Session


@pytest.fixture
def session(engine: Engine) -> Session:
    return engine.session()


def run(engine: Engine, session: Session, line: str) -> Any:
    return engine.execute(session, [word.encode() for word in line.split()])


EVENTS = {
    "HSET k a 1": ["hset k"],
    "HDEL h f": ["hdel h", "del h"],
    "HDEL h none": [],
    "HINCRBY k a 1": ["hincrby k"],
    "HINCRBYFLOAT k a 1": ["hincrbyfloat k"],
    "LPUSH k a": ["lpush k"],
    "RPUSHX l a": ["rpush l"],
    "LPOP l": ["lpop l", "del l"],
    "LPOP l 0": [],
    "LREM l 0 e": ["lrem l", "del l"],
    "LTRIM l 0 0": ["ltrim l"],
    "LTRIM l 1 0": ["ltrim l", "del l"],
    "LINSERT l BEFORE e x": ["linsert l"],
    "LSET l 0 x": ["lset l"],
    "LMOVE l k LEFT RIGHT": ["rpush k", "lpop l", "del l"],
    "LMPOP 1 l RIGHT": ["rpop l", "del l"],
    "SADD s m": [],
    "SADD s n": ["sadd s"],
    "SREM s m": ["srem s", "del s"],
    "SPOP s": ["spop s", "del s"],
    "SMOVE s k m": ["srem s", "del s", "sadd k"],
    "SUNIONSTORE k s": ["sunionstore k"],
    "SDIFFSTORE s s s": ["del s"],
    "ZADD z 1 m": [],
    "ZADD z 2 m": ["zadd z"],
    "ZADD z INCR 1 m": ["zincr z"],
    "ZINCRBY z 1 m": ["zincr z"],
    "ZREM z m": ["zrem z", "del z"],
    "ZPOPMIN z": ["zpopmin z", "del z"],
    "ZMPOP 1 z MAX": ["zpopmax z", "del z"],
    "ZREMRANGEBYSCORE z 0 9": ["zremrangebyscore z", "del z"],
    "ZRANGESTORE k z 0 -1": ["zrangestore k"],
    "ZINTERSTORE z 1 none": ["del z"],
}


@pytest.mark.parametrize("line", EVENTS)
def test_a_change_is_told_in_valkeys_words_and_order(line: str, engine: Engine, session: Session) -> None:
    for preparation in ("HSET h f 1", "RPUSH l e", "SADD s m", "ZADD z 1 m"):
        run(engine, session, preparation)
    heard: list[str] = []
    engine.keyspace.listen(lambda db, event, key: heard.append(f"{event} {key.decode()}"))
    run(engine, session, line)
    assert heard == EVENTS[line]


@pytest.mark.parametrize(
    ("make", "read"),
    [
        ("HSET k a 1", "HGETALL k"),
        ("HSET k a 1", "HKEYS k"),
        ("RPUSH k a b", "LRANGE k 0 -1"),
        ("SADD k a", "SMEMBERS k"),
        ("SADD k a", "SUNION k"),
        ("ZADD k 1 a", "ZRANGE k 0 -1 WITHSCORES"),
    ],
)
def test_a_reply_is_the_callers_own(make: str, read: str, engine: Engine, session: Session) -> None:
    run(engine, session, make)
    first = run(engine, session, read)
    again = run(engine, session, read)
    first.clear()
    assert run(engine, session, read) == again
    assert again


@pytest.mark.parametrize("result", ["SUNIONSTORE k s", "ZUNIONSTORE k 1 z", "ZRANGESTORE k z 0 -1"])
def test_a_stored_result_lives_forever_and_is_its_own(result: str, engine: Engine, session: Session) -> None:
    for line in ("SADD s m", "ZADD z 1 m", "SET k x EX 100", result, "SREM s m", "ZREM z m"):
        run(engine, session, line)
    assert run(engine, session, "TTL k") == -1
    assert run(engine, session, "EXISTS k s z") == 1


@pytest.mark.parametrize("line", ["RPUSH k b", "LPOP k", "LSET k 0 x", "LTRIM k 0 0", "LREM k 1 a", "RPOPLPUSH k k"])
def test_a_changed_key_keeps_its_time(line: str, engine: Engine, session: Session) -> None:
    run(engine, session, "RPUSH k a b c")
    run(engine, session, "EXPIRE k 100")
    run(engine, session, line)
    assert run(engine, session, "TTL k") == 100


@pytest.mark.parametrize("line", ["HGET k a", "LLEN k", "SCARD k", "ZCARD k"])
def test_a_dead_key_is_no_key_and_of_no_type(line: str, engine: Engine, session: Session, clock: Any) -> None:
    run(engine, session, "SET k x PX 10")
    clock.now += 1
    assert run(engine, session, line) in (None, 0)
