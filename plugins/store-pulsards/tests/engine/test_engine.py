from __future__ import annotations

import gc
import weakref
from typing import Protocol

import pytest

from store_pulsards.engine.engine import Engine
from store_pulsards.engine.replies import BLOCKED, NO_REPLY, NULL_ARRAY, OK, QUEUED, ErrorReply, Reply
from store_pulsards.session import Session


class Clock(Protocol):
    now: float


def run(engine: Engine, session: Session, line: str) -> Reply:
    reply = engine.execute(session, line.encode().split())
    return reply.message if isinstance(reply, ErrorReply) else reply


@pytest.mark.parametrize("name", ["get", "GET", "gEt"])
def test_a_command_is_found_in_any_case(engine: Engine, name: str) -> None:
    session = engine.session()
    run(engine, session, "SET a 1")
    assert run(engine, session, f"{name} a") == b"1"


def test_an_error_is_a_reply_that_keeps_no_frame_alive(engine: Engine) -> None:
    session = engine.session()
    run(engine, session, "SET a x")
    reply = engine.execute(session, [b"INCR", b"a"])
    assert isinstance(reply, ErrorReply)
    assert reply.__traceback__ is None


def test_an_error_in_a_transaction_keeps_no_frame_alive(engine: Engine) -> None:
    session = engine.session()
    for line in ("SET a x", "MULTI", "INCR a"):
        run(engine, session, line)
    (error,) = run(engine, session, "EXEC")
    assert isinstance(error, ErrorReply)
    assert error.__traceback__ is None


def test_a_session_that_ends_leaves_nothing_behind(engine: Engine) -> None:
    session = engine.session()
    for line in ("WATCH a", "SUBSCRIBE c", "PSUBSCRIBE p*", "SSUBSCRIBE s", "HELLO 3", "RESET"):
        run(engine, session, line)
    for line in ("HELLO 3", "WATCH a b", "SUBSCRIBE c", "PSUBSCRIBE p*", "SSUBSCRIBE s", "BLPOP list 0"):
        run(engine, session, line)
    assert session.blocked is not None
    engine.close_session(session)
    assert engine.keyspace.observers == 0
    assert not engine.keyspace.databases[0].watchers
    assert not engine.keyspace.databases[0].waiters
    assert not engine.pubsub.channels
    assert not engine.pubsub.patterns
    assert not engine.pubsub.shard_channels
    assert not engine.sessions


def test_time_stands_still_inside_a_command_and_not_between_two(engine: Engine, clock: Clock) -> None:
    session = engine.session()
    run(engine, session, "SET a 1 PX 1000")
    clock.now += 0.4
    assert run(engine, session, "PTTL a") == 600
    clock.now += 0.6
    assert run(engine, session, "GET a") is None


def test_a_skipped_reply_is_skipped_once(engine: Engine) -> None:
    session = engine.session()
    assert run(engine, session, "CLIENT REPLY SKIP") is NO_REPLY
    assert run(engine, session, "INCR a") is NO_REPLY
    assert run(engine, session, "INCR a") == 2


def test_a_silenced_client_gets_no_reply_even_when_it_had_blocked(engine: Engine) -> None:
    session, other = engine.session(), engine.session()
    delivered: list[Reply] = []
    session.deliver = delivered.append
    run(engine, session, "CLIENT REPLY OFF")
    assert run(engine, session, "BLPOP list 0") is BLOCKED
    run(engine, other, "RPUSH list x")
    assert delivered == [NO_REPLY]
    assert session.blocked is None


def test_a_paused_client_goes_on_when_its_deadline_comes(engine: Engine, clock: Clock) -> None:
    session, other = engine.session(), engine.session()
    assert run(engine, other, "CLIENT PAUSE 500 WRITE") is OK
    assert run(engine, session, "GET a") is None
    assert run(engine, session, "SET a 1") is BLOCKED
    assert session.blocked is not None
    assert session.blocked.deadline == clock.now + 0.5
    clock.now += 0.2
    run(engine, other, "CLIENT PAUSE 1000 WRITE")
    clock.now += 0.3
    assert engine.unblock(session) is BLOCKED
    clock.now += 1
    assert engine.unblock(session) is OK
    assert session.gate == 0
    assert run(engine, session, "GET a") == b"1"


def test_a_transaction_with_writes_waits_for_the_end_of_a_pause(engine: Engine, clock: Clock) -> None:
    session, other = engine.session(), engine.session()
    run(engine, session, "MULTI")
    run(engine, session, "SET a 1")
    run(engine, other, "CLIENT PAUSE 500 WRITE")
    assert run(engine, session, "EXEC") is BLOCKED
    clock.now += 1
    assert engine.unblock(session) == [OK]


def test_a_killed_client_is_hung_up_and_forgotten(engine: Engine) -> None:
    victim, killer = engine.session(address="1.2.3.4:5"), engine.session()
    hung_up: list[bool] = []
    victim.hang_up = lambda: hung_up.append(True)
    assert run(engine, killer, "CLIENT KILL 1.2.3.4:5") is OK
    assert hung_up == [True]
    assert victim.id not in engine.sessions


def test_a_client_that_kills_itself_gets_its_reply_first(engine: Engine) -> None:
    session = engine.session()
    assert run(engine, session, f"CLIENT KILL SKIPME no ID {session.id}") == 1
    assert session.closing


def test_a_watched_key_that_ends_spoils_the_transaction(engine: Engine, clock: Clock) -> None:
    session = engine.session()
    for line in ("SET a 1 PX 100", "WATCH a", "MULTI", "PING"):
        run(engine, session, line)
    clock.now += 1
    assert run(engine, session, "EXEC") is NULL_ARRAY


def test_a_key_that_was_over_when_it_was_watched_spoils_nothing_by_going_away(engine: Engine, clock: Clock) -> None:
    session, other = engine.session(), engine.session()
    run(engine, session, "SET a 1 PX 100")
    clock.now += 1
    run(engine, session, "WATCH a")
    run(engine, other, "GET a")
    run(engine, session, "MULTI")
    assert run(engine, session, "PING") is QUEUED
    assert run(engine, session, "EXEC") == [b"PONG"]
    run(engine, session, "WATCH a")
    run(engine, other, "SET a 2")
    run(engine, session, "MULTI")
    assert run(engine, session, "EXEC") is NULL_ARRAY


def test_replies_are_not_the_state_itself(engine: Engine) -> None:
    session = engine.session()
    run(engine, session, "CONFIG SET requirepass x")
    reply = run(engine, session, "CONFIG GET *")
    reply.clear()
    assert run(engine, session, "CONFIG GET requirepass") == {b"requirepass": b"x"}


def test_an_embedded_engine_refuses_to_be_shut_down(engine: Engine) -> None:
    session = engine.session()
    assert run(engine, session, "SHUTDOWN NOSAVE") == "ERR Errors trying to SHUTDOWN. Check logs."
    assert not session.closing


def test_active_expiry_can_be_switched_off(engine: Engine, clock: Clock) -> None:
    session = engine.session()
    run(engine, session, "SET a 1 PX 10")
    clock.now += 1
    run(engine, session, "DEBUG SET-ACTIVE-EXPIRE 0")
    engine.expire_some()
    assert run(engine, session, "DBSIZE") == 1
    run(engine, session, "DEBUG SET-ACTIVE-EXPIRE 1")
    engine.expire_some()
    assert run(engine, session, "DBSIZE") == 0


def test_a_reader_that_has_gone_is_not_kept_by_the_keys_it_read(engine: Engine) -> None:
    def push(message: Reply) -> None:
        raise AssertionError(message)

    session, writer = engine.session(push), engine.session()
    session.resp = 3
    run(engine, session, "CLIENT TRACKING ON")
    run(engine, session, "GET a")
    gone = weakref.ref(push)  # what only the session holds: a compiled session cannot be referred to weakly
    engine.close_session(session)
    del session, push
    gc.collect()
    assert gone() is None
    assert run(engine, writer, "SET a 1") is OK


def test_a_client_may_be_closed_by_the_message_that_it_cannot_take(engine: Engine) -> None:
    monitor, tracker, writer = engine.session(), engine.session(), engine.session()
    tracker.resp = 3
    run(engine, tracker, "CLIENT TRACKING ON BCAST")
    run(engine, monitor, "MONITOR")
    monitor.push = lambda _: engine.kill(monitor)
    tracker.push = lambda _: engine.kill(tracker)
    assert run(engine, writer, "SET a 1") is OK
    assert engine.sessions == {writer.id: writer}
    assert writer.gate == engine.keyspace.observers == 0


LONG_NUMBER = b"1" * 5000  # more digits than Python makes an int of


@pytest.mark.parametrize(
    "command",
    [
        [b"SCAN", LONG_NUMBER],
        [b"SCAN", LONG_NUMBER.replace(b"1", b"0")],
        [b"INCRBYFLOAT", b"k", LONG_NUMBER],
        [b"BLPOP", b"k", LONG_NUMBER],
        [b"COMMAND", b"GETKEYS", b"ZDIFF", LONG_NUMBER, b"k"],
        [b"XADD", b"k", LONG_NUMBER + b"-*", b"a", b"b"],
        [b"BITFIELD", b"k", b"GET", b"u8", b"#" + LONG_NUMBER],
        [b"ZADD", b"k", b"0." + LONG_NUMBER, b"m"],
        [b"LMPOP", LONG_NUMBER, b"k", b"LEFT"],
    ],
)
def test_a_number_of_any_length_is_an_answer_and_no_exception(engine: Engine, command: list[bytes]) -> None:
    session = engine.session()
    assert engine.execute(session, command) is not None
    assert session.blocked is None
