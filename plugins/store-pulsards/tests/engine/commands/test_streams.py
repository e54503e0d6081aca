"""Streams where time matters: IDs, idle times, waiting; and what Python's callers see of them."""

from __future__ import annotations

from typing import Any

import pytest

from store_pulsards.engine.engine import Engine
from store_pulsards.engine.replies import BLOCKED, NULL_ARRAY, ErrorReply

START = 1_700_000_000_000  # ms, the time at which the clock of these tests begins


class Client:
    """A client of the engine that keeps what comes later."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.session = engine.session()
        self.delivered: list[Any] = []
        self.session.deliver = self.delivered.append

    def __call__(self, line: str) -> Any:
        return self.engine.execute(self.session, [word.encode() for word in line.split()])


@pytest.fixture
def client(engine: Engine) -> Client:
    return Client(engine)


@pytest.fixture
def waiting(engine: Engine) -> Client:
    return Client(engine)


def test_an_id_is_the_time_and_a_number_within_it(client: Client, clock: Any) -> None:
    assert client("XADD s * a 1") == b"%d-0" % START
    assert client("XADD s * a 1") == b"%d-1" % START
    clock.now += 0.001
    assert client("XADD s * a 1") == b"%d-0" % (START + 1)
    assert client(f"XADD s {START + 1}-* a 1") == b"%d-1" % (START + 1)


def test_ids_go_on_when_the_clock_goes_back(client: Client, clock: Any) -> None:
    client("XADD s * a 1")
    clock.now -= 60
    assert client("XADD s * a 1") == b"%d-1" % START
    assert client(f"XADD s {START}-18446744073709551615 a 1") == b"%d-18446744073709551615" % START
    assert client("XADD s * a 1") == b"%d-0" % (START + 1)


def test_pending_entries_grow_idle(client: Client, clock: Any) -> None:
    client("XGROUP CREATE s g 0 MKSTREAM")
    client("XADD s 1-1 a 1")
    client("XADD s 1-2 a 2")
    client("XREADGROUP GROUP g c COUNT 1 STREAMS s >")
    clock.now += 5
    client("XREADGROUP GROUP g d STREAMS s >")
    clock.now += 2
    assert client("XPENDING s g - + 10") == [[b"1-1", b"c", 7000, 1], [b"1-2", b"d", 2000, 1]]
    assert client("XPENDING s g IDLE 7000 - + 10") == [[b"1-1", b"c", 7000, 1]]
    assert client("XPENDING s g IDLE 7001 - + 10") == []
    client("XREADGROUP GROUP g c STREAMS s 0")
    assert client("XPENDING s g - + 10 c") == [[b"1-1", b"c", 0, 2]]
    clock.now -= 60
    assert client("XPENDING s g - + 10 c") == [[b"1-1", b"c", 0, 2]]


def test_a_claim_takes_what_was_idle_and_sets_its_time(client: Client, clock: Any) -> None:
    client("XGROUP CREATE s g 0 MKSTREAM")
    client("XADD s 1-1 a 1")
    client("XREADGROUP GROUP g c STREAMS s >")
    clock.now += 1
    assert client("XCLAIM s g d 1001 1-1") == []
    assert client("XCLAIM s g d 1000 1-1") == [[b"1-1", [b"a", b"1"]]]
    assert client("XPENDING s g - + 10") == [[b"1-1", b"d", 0, 2]]
    assert client("XCLAIM s g d 0 1-1 IDLE 300 JUSTID") == [b"1-1"]
    assert client("XPENDING s g - + 10") == [[b"1-1", b"d", 300, 2]]
    client(f"XCLAIM s g d 0 1-1 TIME {START + 900} RETRYCOUNT 5")
    assert client("XPENDING s g - + 10") == [[b"1-1", b"d", 100, 5]]
    client(f"XCLAIM s g d 0 1-1 TIME {START + 1001} JUSTID")
    assert client("XPENDING s g - + 10") == [[b"1-1", b"d", 0, 5]]


def test_an_automatic_claim_leaves_what_is_not_idle(client: Client, clock: Any) -> None:
    client("XGROUP CREATE s g 0 MKSTREAM")
    for number in range(1, 5):
        client(f"XADD s 1-{number} a 1")
    client("XREADGROUP GROUP g c COUNT 2 STREAMS s >")
    clock.now += 1
    client("XREADGROUP GROUP g c COUNT 2 STREAMS s >")
    clock.now += 1
    assert client("XAUTOCLAIM s g d 1500 0 JUSTID") == [b"0-0", [b"1-1", b"1-2"], []]
    assert client("XAUTOCLAIM s g d 500 0 COUNT 1 JUSTID") == [b"1-4", [b"1-3"], []]
    assert client("XPENDING s g") == [4, b"1-1", b"1-4", [[b"c", b"1"], [b"d", b"3"]]]


def test_consumers_tell_when_they_were_seen_and_when_they_got_something(client: Client, clock: Any) -> None:
    client("XGROUP CREATE s g 0 MKSTREAM")
    client("XGROUP CREATECONSUMER s g c")
    clock.now += 1
    assert client("XINFO CONSUMERS s g") == [{b"name": b"c", b"pending": 0, b"idle": 1000, b"inactive": -1}]
    client("XADD s 1-1 a 1")
    client("XREADGROUP GROUP g c STREAMS s >")
    clock.now += 2
    client("XREADGROUP GROUP g c STREAMS s >")
    clock.now += 3
    assert client("XINFO CONSUMERS s g") == [{b"name": b"c", b"pending": 1, b"idle": 3000, b"inactive": 5000}]
    (group,) = client("XINFO STREAM s FULL")[b"groups"]
    assert group[b"pending"] == [[b"1-1", b"c", START + 1000, 1]]
    assert group[b"consumers"] == [
        {
            b"name": b"c",
            b"seen-time": START + 3000,
            b"active-time": START + 1000,
            b"pel-count": 1,
            b"pending": [[b"1-1", START + 1000, 1]],
        }
    ]


@pytest.mark.parametrize("command", ["XREAD BLOCK 1500 STREAMS s $", "XREADGROUP GROUP g c BLOCK 1500 STREAMS s >"])
def test_a_wait_ends_with_nothing(command: str, client: Client, waiting: Client) -> None:
    client("XGROUP CREATE s g $ MKSTREAM")
    assert waiting(command) is BLOCKED
    assert waiting.session.blocked is not None
    assert waiting.session.blocked.deadline == START / 1000 + 1.5
    assert client.engine.unblock(waiting.session) is NULL_ARRAY
    client("XADD s 1-1 a 1")
    assert waiting.delivered == []


def test_a_wait_ends_with_an_error_when_somebody_says_so(client: Client, waiting: Client) -> None:
    assert waiting("XREAD BLOCK 0 STREAMS s $") is BLOCKED
    assert client(f"CLIENT UNBLOCK {waiting.session.id} ERROR") == 1
    (error,) = waiting.delivered
    assert isinstance(error, ErrorReply)
    assert error.message == "UNBLOCKED client unblocked via CLIENT UNBLOCK"


def test_a_group_whose_key_expires_is_gone_for_who_waits(client: Client, waiting: Client, clock: Any) -> None:
    client("XGROUP CREATE s g $ MKSTREAM")
    client("PEXPIRE s 1000")
    assert waiting("XREADGROUP GROUP g c BLOCK 0 STREAMS s >") is BLOCKED
    clock.now += 2
    client.engine.expire_some()
    assert [error.message for error in waiting.delivered] == [
        "NOGROUP No such key 's' or consumer group 'g' in XREADGROUP with GROUP option"
    ]


def test_a_key_of_another_type_wakes_no_reader(client: Client, waiting: Client) -> None:
    client("XADD s 1-1 a 1")
    assert waiting("XREAD BLOCK 0 STREAMS s t $ $") is BLOCKED
    client("SET t x")
    assert waiting.delivered == []
    client("DEL t")
    client("XADD t 5-5 b 2")
    assert waiting.delivered == [[(b"t", [[b"5-5", [b"b", b"2"]]])]]


def test_a_list_does_not_hear_of_a_key_that_is_gone(client: Client, waiting: Client) -> None:
    client("XADD k 1-1 a 1")
    other = Client(client.engine)
    assert other("BLPOP l k 0").message.startswith("WRONGTYPE")
    assert waiting("BLPOP l 0") is BLOCKED
    client("XADD l 1-1 a 1")
    client("DEL l")
    assert waiting.delivered == []


def test_changes_are_counted_also_where_no_event_tells_of_them(client: Client) -> None:
    client("XGROUP CREATE s g 0 MKSTREAM")
    client("XADD s 1-1 a 1")
    counts = []
    for command in (
        "XREADGROUP GROUP g c STREAMS s >",
        "XREADGROUP GROUP g c STREAMS s >",
        "XCLAIM s g c 0 1-1",
        "XAUTOCLAIM s g c 0 0",
        "XACK s g 1-1 1-2",
        "XACK s g 1-1",
        "XPENDING s g",
    ):
        before = client.engine.keyspace.dirty
        client(command)
        counts.append(client.engine.keyspace.dirty - before)
    assert counts == [2, 0, 1, 1, 1, 0, 0]


def test_an_entry_of_more_than_a_gibibyte_is_refused(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("store_pulsards.engine.commands.streams.LARGEST_ENTRY", 10)
    assert client("XADD s 1-1 field 12345") == b"1-1"
    assert client("XADD s 1-2 field 123456").message == "ERR Elements are too large to be stored"
    assert client("XADD t 1-2 field 123456").message == "ERR Elements are too large to be stored"
    assert client("EXISTS t") == 0


def test_the_memory_of_a_stream_grows_with_its_entries_and_its_pending_ones(client: Client) -> None:
    client("XADD s 1-1 a 1")
    client("XGROUP CREATE s g 0")
    sizes = [client("MEMORY USAGE s SAMPLES 0")]
    for number in range(2, 500):
        client(f"XADD s {number}-1 a {'x' * 50}")
    sizes.append(client("MEMORY USAGE s SAMPLES 0"))
    client("XREADGROUP GROUP g c STREAMS s >")
    sizes.append(client("MEMORY USAGE s SAMPLES 0"))
    assert sizes[0] < 4000 < 25_000 < sizes[1] < 80_000
    assert sizes[2] > sizes[1] + 498 * 40
