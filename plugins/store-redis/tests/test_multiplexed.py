"""The multiplexed link without a socket: bytes go in, replies come out in order."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store_core import ConnectionFailed, ConnectionLost, ReplyError, Timeout
from store_redis import waiting
from store_redis.multiplexed import CHUNK, MultiplexedLink


class Wire(asyncio.Transport):
    """A transport that keeps what is written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.aborted = False

    def write(self, data: Any) -> None:
        self.writes.append(bytes(data))

    def abort(self) -> None:
        self.aborted = True


def make_link(**options: Any) -> tuple[MultiplexedLink, Wire]:
    link, wire = MultiplexedLink(**options), Wire()
    link.address = "here"
    link.connection_made(wire)
    return link, wire


async def turn() -> None:
    """Let the loop run what was scheduled."""
    await asyncio.sleep(0)
    await asyncio.sleep(0)


async def test_commands_of_one_turn_are_written_together_in_order() -> None:
    link, wire = make_link()
    for number in range(5):
        link.send(("ECHO", number))
    assert wire.writes == []
    await turn()
    assert len(wire.writes) == 1
    assert wire.writes[0] == b"".join(b"*2\r\n$4\r\nECHO\r\n$1\r\n%d\r\n" % number for number in range(5))


async def test_a_turn_with_many_commands_is_written_in_chunks_and_nothing_is_written_twice() -> None:
    link, wire = make_link()
    for number in range(CHUNK * 3 + 1):
        link.send(("ECHO", number))
    assert len(wire.writes) == 3
    await turn()
    assert len(wire.writes) == 4
    assert b"".join(wire.writes).count(b"ECHO") == CHUNK * 3 + 1


REPLIES = [
    (b"+OK\r\n", b"OK"),
    (b":5\r\n", 5),
    (b"$-1\r\n", None),
    (b"#f\r\n", False),
    (b"#t\r\n", True),
    (b",1.5\r\n", 1.5),
    (b"_\r\n", None),
    (b"$5\r\nhel\r\n\r\n", b"hel\r\n"),
    (b"%1\r\n+a\r\n*2\r\n:1\r\n_\r\n", {b"a": [1, None]}),
    (b"~1\r\n+m\r\n", [b"m"]),
    (b"*0\r\n", []),
]
PUSH = b">2\r\n+invalidate\r\n_\r\n"


@pytest.mark.parametrize("pushes", [False, True])
async def test_replies_split_anywhere_reach_their_callers(pushes: bool) -> None:
    stream = b"".join((PUSH if pushes else b"") + wire for wire, _ in REPLIES)
    for cut in range(len(stream) + 1):
        link, _ = make_link()
        pushed: list[Any] = []
        link.on_push = pushed.append
        futures = [link.send(("PING",)) for _ in REPLIES]
        link.data_received(stream[:cut])
        link.data_received(stream[cut:])
        assert [await future for future in futures] == [value for _, value in REPLIES]
        assert len(pushed) == (len(REPLIES) if pushes else 0)


@given(st.lists(st.booleans(), min_size=1, max_size=40), st.integers(1, 50))
@settings(max_examples=50, deadline=None)
def test_cancelled_callers_keep_their_place(cancelled: list[bool], size: int) -> None:
    async def check() -> None:
        link, _ = make_link()
        futures = [link.send(("ECHO", number)) for number in range(len(cancelled))]
        for future, gone in zip(futures, cancelled, strict=True):
            if gone:
                future.cancel()
        stream = b"".join(b":%d\r\n" % number for number in range(len(cancelled)))
        for start in range(0, len(stream), size):
            link.data_received(stream[start : start + size])
        for number, (future, gone) in enumerate(zip(futures, cancelled, strict=True)):
            assert future.cancelled() if gone else future.result() == number
        assert link.load() == 0

    asyncio.run(check())


@pytest.mark.parametrize("last", [b"garbage\r\n", b"-ERR max number of clients reached\r\n", None])
async def test_a_command_for_a_link_that_has_broken_is_told_so_and_not_left_waiting(last: bytes | None) -> None:
    link, wire = make_link()
    if last is None:
        link.connection_lost(None)
    else:
        link.data_received(last)
    assert link.closed
    many = [link.send_patient(("A",)) for _ in range(2 * CHUNK)]
    for future in (link.send(("A",)), link.send_batch([("B",), ("C",)]), *many):
        with pytest.raises(ConnectionFailed, match=r"(RESP|max number|was lost).*; the command was not sent") as caught:
            async with asyncio.timeout(10):
                await future
        assert not isinstance(caught.value, ConnectionLost)
    assert wire.writes == []
    assert link.load() == 0


async def test_errors_are_raised_for_their_caller_and_stay_values_inside_arrays() -> None:
    link, _ = make_link()
    first, second = link.send(("A",)), link.send(("B",))
    link.data_received(b"-WRONGTYPE no\r\n*2\r\n-ERR inner\r\n:1\r\n")
    with pytest.raises(ReplyError, match="WRONGTYPE no"):
        await first
    inner, one = await second
    assert isinstance(inner, ReplyError)
    assert one == 1


async def test_a_batch_gets_all_its_replies_errors_in_place_and_its_neighbours_theirs() -> None:
    link, wire = make_link()
    before, batch, after = link.send(("A",)), link.send_batch([("B",), ("C",), ("D",)]), link.send(("E",))
    await turn()
    assert len(wire.writes) == 1
    link.data_received(b":1\r\n:2\r\n-ERR 3\r\n:4\r\n:5\r\n")
    assert (await before, await after) == (1, 5)
    two, three, four = await batch
    assert (two, str(three), four) == (2, "ERR 3", 4)


async def test_a_cancelled_batch_keeps_all_its_places() -> None:
    link, _ = make_link()
    batch, after = link.send_batch([("B",)] * 3), link.send(("E",))
    link.data_received(b":1\r\n")
    batch.cancel()
    link.data_received(b":2\r\n:3\r\n:4\r\n")
    assert await after == 4


async def test_losing_the_connection_tells_written_callers_from_unwritten_ones() -> None:
    link, _ = make_link()
    lost: list[Any] = []
    link.on_lost = lost.append
    written, batch = link.send(("A",)), link.send_batch([("B",), ("C",)])
    await turn()
    unwritten = link.send(("D",))
    link.connection_lost(ConnectionResetError(104, "Connection reset by peer"))
    for future in (written, batch):
        with pytest.raises(ConnectionLost, match="here was lost"):
            await future
    with pytest.raises(ConnectionFailed, match="was not sent") as caught:
        await unwritten
    assert not isinstance(caught.value, ConnectionLost)
    link.connection_lost(None)
    assert lost == [link], "it is told once"


@pytest.mark.parametrize("garbage", [b"HTTP/1.1 400 Bad Request\r\n", b"\x16\x03\x01", b"$abc\r\n"])
async def test_garbage_ends_the_connection_for_everybody(garbage: bytes) -> None:
    link, wire = make_link()
    futures = [link.send(("A",)), link.send(("B",))]
    await turn()
    link.data_received(b":1\r\n" + garbage)
    assert await futures[0] == 1
    with pytest.raises(ConnectionLost, match="does not speak RESP"):
        await futures[1]
    assert wire.aborted


async def test_an_unasked_error_is_the_reason_that_callers_hear() -> None:
    link, _ = make_link()
    link.data_received(b"-ERR max number of clients reached\r\n")
    assert link.closed


async def test_a_reply_that_does_not_decode_harms_nobody_else() -> None:
    link, _ = make_link(encoding="utf-8")
    futures = [link.send(("A",)) for _ in range(3)]
    link.data_received(b"+a\r\n$1\r\n\xff\r\n+c\r\n")
    with pytest.raises(UnicodeDecodeError):
        await futures[1]
    assert [await futures[0], await futures[2]] == ["a", "c"]


async def test_a_reply_that_python_cannot_hold_ends_the_connection_for_everybody() -> None:
    link, wire = make_link()
    futures = [link.send(("A",)), link.send(("B",))]
    await turn()
    link.data_received(b"%1\r\n*1\r\n:1\r\n:1\r\n:2\r\n")
    for future in futures:
        with pytest.raises(ConnectionLost, match="cannot hold"):
            await future
    assert wire.aborted


async def test_a_full_buffer_makes_callers_wait_until_it_has_room() -> None:
    link, _ = make_link()
    link.pause_writing()
    assert link.writable is not None
    waiting = link.writable
    link.resume_writing()
    assert link.writable is None
    assert waiting.done()


async def test_a_reply_that_does_not_come_times_out_and_its_place_is_kept() -> None:
    link, _ = make_link(timeout=0.05)
    late, patient = link.send(("A",)), link.send_patient(("B",))
    await turn()
    with pytest.raises(Timeout, match=r"within 0\.05 s"):
        await late
    assert not patient.done()
    after = link.send(("C",))
    link.data_received(b":1\r\n:2\r\n:3\r\n")
    assert (await patient, await after) == (2, 3)


async def test_the_timer_runs_only_while_replies_are_due() -> None:
    link, _ = make_link(timeout=0.01)
    future = link.send(("A",))
    await turn()
    assert link._deadlines._timer is not None
    link.data_received(b":1\r\n")
    await future
    async with asyncio.timeout(5):
        while link._deadlines._timer is not None:
            await asyncio.sleep(0.001)


async def test_busy_polling_is_given_up_when_it_does_not_pay_and_tried_again_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(waiting, "RETRY_AFTER", 3)
    link, _ = make_link(busy_poll=0.0001)
    polled: list[bool] = []
    for _ in range(waiting.PATIENCE + 4):
        future = link.send(("A",))
        await turn()
        polled.append(link._poll._polling)
        while link._poll._polling:
            await asyncio.sleep(0)
        link.data_received(b":1\r\n")
        await future
    assert polled[: waiting.PATIENCE] == [True] * waiting.PATIENCE
    assert False in polled[waiting.PATIENCE :]
    assert polled[-1] or True in polled[waiting.PATIENCE :]


async def test_an_abandoned_link_sends_nothing_and_tells_nobody() -> None:
    link, wire = make_link()
    link.on_lost = cast(Any, pytest.fail)
    link.send(("A",))
    link.abandon()
    assert link.closed
    await turn()
    assert wire.writes == []
