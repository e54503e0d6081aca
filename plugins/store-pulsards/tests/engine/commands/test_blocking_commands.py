"""Commands that wait: who is served, when, and that nothing is lost."""

from __future__ import annotations

from typing import Any

import pytest

from store_pulsards.engine.engine import Engine
from store_pulsards.engine.replies import BLOCKED, NULL_ARRAY, ErrorReply
from store_pulsards.session import Session


class Client:
    """A client of the engine that keeps what comes later."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.session: Session = engine.session()
        self.delivered: list[Any] = []
        self.session.deliver = self.delivered.append

    def __call__(self, line: str) -> Any:
        return self.engine.execute(self.session, [word.encode() for word in line.split()])


@pytest.fixture
def client(engine: Engine) -> Client:
    return Client(engine)


@pytest.fixture
def waiting(engine: Engine) -> list[Client]:
    return [Client(engine) for _ in range(3)]


WAITING = ["BLPOP k 0", "BRPOP k 0", "BLMOVE k d LEFT LEFT 0", "BRPOPLPUSH k d 0", "BLMPOP 0 1 k LEFT"]


@pytest.mark.parametrize("command", WAITING)
def test_clients_are_served_in_the_order_in_which_they_came(
    command: str, client: Client, waiting: list[Client]
) -> None:
    for other in waiting:
        assert other(command) is BLOCKED
    assert client("RPUSH k a") == 1
    assert [len(other.delivered) for other in waiting] == [1, 0, 0]
    assert client("RPUSH k b c d") == 3
    assert [len(other.delivered) for other in waiting] == [1, 1, 1]
    assert client("LLEN k") == 1


def test_sorted_sets_serve_in_order_too(client: Client, waiting: list[Client]) -> None:
    for other, command in zip(waiting, ("BZPOPMIN z 0", "BZPOPMAX z 0", "BZMPOP 0 1 z MIN COUNT 5"), strict=True):
        assert other(command) is BLOCKED
    client("ZADD z 1 a 2 b 3 c 4 d")
    assert [other.delivered for other in waiting] == [
        [[b"z", b"a", 1.0]],
        [[b"z", b"d", 4.0]],
        [[b"z", [(b"b", 2.0), (b"c", 3.0)]]],
    ]
    assert client("EXISTS z") == 0


def test_a_transaction_wakes_when_it_is_over(client: Client, waiting: list[Client]) -> None:
    assert waiting[0]("BLPOP k 0") is BLOCKED
    client("MULTI")
    client("RPUSH k a")
    client("LPUSH k b")
    assert waiting[0].delivered == []
    assert client("EXEC") == [1, 2]
    assert waiting[0].delivered == [[b"k", b"b"]]
    assert client("LRANGE k 0 -1") == [b"a"]


def test_a_transaction_that_takes_back_what_it_gave_wakes_nobody(client: Client, waiting: list[Client]) -> None:
    assert waiting[0]("BLPOP k 0") is BLOCKED
    client("MULTI")
    client("RPUSH k a")
    client("DEL k")
    client("EXEC")
    assert waiting[0].delivered == []
    assert waiting[0].session.blocked is not None


def test_in_a_transaction_nothing_waits(client: Client) -> None:
    client("MULTI")
    client("BLPOP k 0")
    client("BLMOVE k d LEFT LEFT 0")
    client("BZPOPMIN k 0")
    assert client("EXEC") == [NULL_ARRAY, None, NULL_ARRAY]


@pytest.mark.parametrize("command", ["BLPOP k 5", "BRPOPLPUSH k d 5", "BLMPOP 5 1 k LEFT", "BZPOPMIN k 5"])
def test_a_wait_ends_with_its_time(command: str, engine: Engine, client: Client) -> None:
    assert client(command) is BLOCKED
    blocked = client.session.blocked
    assert blocked is not None
    assert blocked.deadline == engine.keyspace.clock() + 5
    assert engine.unblock(client.session) is NULL_ARRAY
    assert client.session.blocked is None
    assert Client(engine)("RPUSH k a") == 1
    assert client("LLEN k") == 1


def test_a_wait_of_zero_seconds_has_no_end(client: Client) -> None:
    client("BLPOP k 0")
    assert client.session.blocked is not None
    assert client.session.blocked.deadline is None


def test_a_client_that_goes_away_loses_nothing(engine: Engine, client: Client, waiting: list[Client]) -> None:
    for other in waiting[:2]:
        other("BLPOP k j 0")
    engine.close_session(waiting[0].session)
    client("RPUSH k a")
    assert waiting[0].delivered == []
    assert waiting[1].delivered == [[b"k", b"a"]]
    engine.close_session(waiting[1].session)
    client("RPUSH k b")
    assert client("LRANGE k 0 -1") == [b"b"]


def test_a_client_that_waits_for_several_keys_is_served_once(client: Client, waiting: list[Client]) -> None:
    waiting[0]("BLPOP j k j 0")
    client("MULTI")
    client("RPUSH k a")
    client("RPUSH j b")
    client("EXEC")
    assert waiting[0].delivered == [[b"j", b"b"]]
    assert client("LRANGE k 0 -1") == [b"a"]


def test_a_served_move_serves_the_next(client: Client, waiting: list[Client]) -> None:
    waiting[0]("BLMOVE a b LEFT RIGHT 0")
    waiting[1]("BLMOVE b c LEFT RIGHT 0")
    waiting[2]("BLPOP c 0")
    client("RPUSH a x")
    assert [other.delivered for other in waiting] == [[b"x"], [b"x"], [[b"c", b"x"]]]
    assert client("EXISTS a b c") == 0


def test_a_key_of_another_type_wakes_nobody(client: Client, waiting: list[Client]) -> None:
    waiting[0]("BLPOP k 0")
    waiting[1]("BZPOPMIN k 0")
    client("SET k x")
    client("DEL k")
    client("ZADD k 1 m")
    assert [other.delivered for other in waiting[:2]] == [[], [[b"k", b"m", 1.0]]]


def test_a_move_to_a_key_of_another_type_fails_and_keeps_the_element(client: Client, waiting: list[Client]) -> None:
    waiting[0]("BLMOVE k d LEFT LEFT 0")
    client("SET d x")
    client("RPUSH k a")
    (reply,) = waiting[0].delivered
    assert isinstance(reply, ErrorReply)
    assert reply.message.startswith("WRONGTYPE")
    assert client("LRANGE k 0 -1") == [b"a"]


def test_a_wait_is_for_the_database_where_it_began(engine: Engine, client: Client, waiting: list[Client]) -> None:
    waiting[0]("BLPOP k 0")
    client("SELECT 1")
    client("RPUSH k a")
    assert waiting[0].delivered == []
    client("MOVE k 0")
    assert waiting[0].delivered == [[b"k", b"a"]]
