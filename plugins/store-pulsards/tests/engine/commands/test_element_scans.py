"""HSCAN, SSCAN and ZSCAN of collections too large for one page."""

from __future__ import annotations

from typing import Any

import pytest

from store_pulsards.engine.engine import Engine
from store_pulsards.session import Session

NAMES = [b"m%d" % number for number in range(1000)]


@pytest.fixture
def session(engine: Engine) -> Session:
    session = engine.session()
    for name in NAMES:
        engine.execute(session, [b"HSET", b"hash", name, b"v" + name])
        engine.execute(session, [b"SADD", b"set", name])
        engine.execute(session, [b"ZADD", b"zset", name[1:], name])
    return session


def scan(engine: Engine, session: Session, *command: bytes) -> tuple[list[Any], int]:
    """Everything that a whole scan gives, and in how many pages."""
    cursor, found, pages = b"0", [], 0
    while True:
        cursor, page = engine.execute(session, [*command[:2], cursor, *command[2:]])
        found += page
        pages += 1
        if cursor == b"0":
            return found, pages


def test_a_scan_gives_every_element_once(engine: Engine, session: Session) -> None:
    fields, pages = scan(engine, session, b"HSCAN", b"hash", b"COUNT", b"100")
    assert dict(zip(fields[::2], fields[1::2], strict=True)) == {name: b"v" + name for name in NAMES}
    assert 5 < pages <= 10  # a page has 100 elements or more: how many more is in their hashes
    members, _ = scan(engine, session, b"SSCAN", b"set")
    assert sorted(members) == sorted(NAMES)
    scores, _ = scan(engine, session, b"ZSCAN", b"zset")
    assert dict(zip(scores[::2], scores[1::2], strict=True)) == {name: name[1:] for name in NAMES}


def test_options_leave_out(engine: Engine, session: Session) -> None:
    assert sorted(scan(engine, session, b"HSCAN", b"hash", b"NOVALUES")[0]) == sorted(NAMES)
    assert sorted(scan(engine, session, b"ZSCAN", b"zset", b"NOSCORES")[0]) == sorted(NAMES)
    assert sorted(scan(engine, session, b"SSCAN", b"set", b"MATCH", b"m99*")[0]) == sorted(
        name for name in NAMES if name.startswith(b"m99")
    )


def test_what_stays_is_found_while_others_go_and_come(engine: Engine, session: Session) -> None:
    cursor, found = b"0", []
    for number in range(1000):
        cursor, page = engine.execute(session, [b"SSCAN", b"set", cursor])
        found += page
        engine.execute(session, [b"SREM", b"set", NAMES[number // 2]])
        engine.execute(session, [b"SADD", b"set", b"new%d" % number])
        if cursor == b"0":
            break
    assert cursor == b"0"
    assert set(NAMES[500:]) <= set(found)
