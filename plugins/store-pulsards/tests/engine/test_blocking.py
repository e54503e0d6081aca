from __future__ import annotations

from typing import Protocol

from store_pulsards.engine.engine import Engine
from store_pulsards.engine.replies import BLOCKED, NULL_ARRAY, ErrorReply, Reply
from store_pulsards.session import Session


class Clock(Protocol):
    now: float


class Waiting:
    """A client, and what was delivered to it."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.session: Session = engine.session()
        self.delivered: list[Reply] = []
        self.session.deliver = self.delivered.append

    def run(self, line: str) -> Reply:
        return self.engine.execute(self.session, line.encode().split())


def test_clients_are_served_in_the_order_in_which_they_came(engine: Engine) -> None:
    first, second, pusher = Waiting(engine), Waiting(engine), Waiting(engine)
    assert first.run("BLPOP list 0") is BLOCKED
    assert second.run("BLPOP other list 0") is BLOCKED
    pusher.run("RPUSH list a")
    assert first.delivered == [[b"list", b"a"]]
    assert second.delivered == []
    assert pusher.run("RPUSH list b") == 1
    assert second.delivered == [[b"list", b"b"]]
    assert engine.keyspace.observers == 0


def test_a_transaction_serves_nobody_before_its_end(engine: Engine) -> None:
    waiting, pusher = Waiting(engine), Waiting(engine)
    waiting.run("BLPOP list 0")
    for line in ("MULTI", "RPUSH list a", "DEL list"):
        pusher.run(line)
    assert pusher.run("EXEC") == [1, 1]
    assert waiting.delivered == []
    assert waiting.session.blocked is not None


def test_one_served_client_may_serve_the_next(engine: Engine) -> None:
    mover, popper, pusher = Waiting(engine), Waiting(engine), Waiting(engine)
    mover.run("BLMOVE a b LEFT RIGHT 0")
    popper.run("BLPOP b 0")
    pusher.run("RPUSH a x")
    assert mover.delivered == [b"x"]
    assert popper.delivered == [[b"b", b"x"]]


def test_a_client_whose_time_is_over_gets_the_timeout_reply(engine: Engine, clock: Clock) -> None:
    waiting = Waiting(engine)
    waiting.run("BLPOP list 0.5")
    assert waiting.session.blocked is not None
    assert waiting.session.blocked.deadline == clock.now + 0.5
    assert engine.unblock(waiting.session) is NULL_ARRAY
    assert waiting.session.blocked is None
    assert not engine.keyspace.databases[0].waiters


def test_a_client_can_be_unblocked_by_another(engine: Engine) -> None:
    waiting, other = Waiting(engine), Waiting(engine)
    waiting.run("BLPOP list 0")
    assert other.run(f"CLIENT UNBLOCK {waiting.session.id}") == 1
    assert waiting.delivered == [NULL_ARRAY]
    waiting.run("BLPOP list 0")
    assert other.run(f"CLIENT UNBLOCK {waiting.session.id} ERROR") == 1
    assert isinstance(waiting.delivered[1], ErrorReply)
    assert waiting.delivered[1].message == "UNBLOCKED client unblocked via CLIENT UNBLOCK"
    assert other.run(f"CLIENT UNBLOCK {waiting.session.id}") == 0


def test_swapping_databases_serves_those_who_wait_for_what_comes(engine: Engine) -> None:
    waiting, other = Waiting(engine), Waiting(engine)
    waiting.run("BLPOP list 0")
    for line in ("SELECT 1", "RPUSH list a", "SWAPDB 0 1"):
        other.run(line)
    assert waiting.delivered == [[b"list", b"a"]]


def test_a_renamed_or_copied_key_serves_those_who_wait_for_it(engine: Engine) -> None:
    waiting, other = Waiting(engine), Waiting(engine)
    waiting.run("BLPOP list 0")
    other.run("RPUSH source a")
    other.run("RENAME source list")
    waiting.run("BLPOP list 0")
    other.run("RPUSH source 7")
    other.run("COPY source list")
    waiting.run("BLPOP list 0")
    other.run("SORT source STORE list")
    assert waiting.delivered == [[b"list", b"a"], [b"list", b"7"], [b"list", b"7"]]
