"""Blocking commands on a real server: what is popped for a caller that has gone goes back, and none is lost."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

import pytest

from store_core import Store, StoreError, Timeout, Unsupported, create_store

pytestmark = pytest.mark.timeout(120)

ROUNDS = 150


async def settled(store: Any) -> None:
    """Wait until nothing is being taken back any more."""
    await store._node.blocking.settle()
    assert not store._node.blocking._tasks


async def gone(waiting: asyncio.Task[Any]) -> bool:
    """Cancel a caller; whether it is gone without its reply."""
    waiting.cancel()
    return isinstance((await asyncio.gather(waiting, return_exceptions=True))[0], asyncio.CancelledError)


async def turns(number: int) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


#: A command that pops from "a", how one element comes to "a", how to read all, and what a reply holds.
LISTS = {
    "BLPOP": ("BLPOP", "a", 0),
    "BRPOP": ("BRPOP", "a", 0),
    "BLMPOP": ("BLMPOP", 0, 2, "none", "a", "LEFT", "COUNT", 3),
    "BLMPOP right": ("BLMPOP", 0, 1, "a", "RIGHT"),
}
SETS = {
    "BZPOPMIN": ("BZPOPMIN", "a", 0),
    "BZPOPMAX": ("BZPOPMAX", "a", 0),
    "BZMPOP": ("BZMPOP", 0, 2, "none", "a", "MIN", "COUNT", 2),
}


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("name", [*LISTS, *SETS])
async def test_no_element_is_lost_when_cancellations_race_with_pushes(
    open_store: Callable[..., Store], name: str, protocol: int
) -> None:
    store = open_store(protocol=protocol, namespace="n.", decode_responses=protocol == 2)
    scored = name in SETS
    command = SETS[name] if scored else LISTS[name]
    chance = random.Random(4)
    received = cancelled = 0
    await store.ping()
    for number in range(ROUNDS):
        waiting = asyncio.create_task(store.execute(*command))
        await asyncio.sleep(chance.choice((0, 0.001, 0.003)))
        push = ("ZADD", "a", f"{number}.25", f"m{number}") if scored else ("RPUSH", "a", f"m{number}")
        pushing = asyncio.create_task(store.execute(*push))
        await turns(chance.randrange(12))
        if await gone(waiting):
            cancelled += 1
        else:
            received += _size(waiting.result())
        await pushing
    await settled(store)
    left = await store.execute("ZCARD" if scored else "LLEN", "a")
    assert received + left == ROUNDS
    assert 0 < cancelled < ROUNDS
    if scored:
        pairs = await store.execute("ZRANGE", "a", 0, -1, "WITHSCORES")
        flat = pairs if protocol == 2 else [part for pair in pairs for part in pair]
        for member, score in zip(flat[::2], flat[1::2], strict=True):
            text = member if isinstance(member, str) else member.decode()
            assert float(score) == float(text[1:]) + 0.25


def _size(reply: Any) -> int:
    # [key, element], [key, member, score], [key, [elements]] or [key, [[member, score]]]
    return len(reply[1]) if isinstance(reply[1], list) else 1


@pytest.mark.parametrize("end", ["L", "R"])
async def test_what_was_popped_for_nobody_goes_back_to_the_end_that_it_came_from(store: Store, end: str) -> None:
    await store.execute("RPUSH", "a", "1", "2", "3")
    waiting = asyncio.create_task(store.execute(f"B{end}POP", "a", 0))
    # The reply has come, and the caller is cancelled before it runs.
    link = await _link_of(store, waiting)
    while link.load():
        await asyncio.sleep(0)
    assert await gone(waiting)
    await settled(store)
    assert await store.execute("LRANGE", "a", 0, -1) == [b"1", b"2", b"3"]


async def _link_of(store: Any, waiting: asyncio.Task[Any]) -> Any:
    while not (lent := [link for link in store._node.dedicated._lent if link.load()]):
        assert not waiting.done()
        await asyncio.sleep(0)
    return lent[0]


async def test_several_elements_popped_at_once_go_back_in_their_order(store: Store) -> None:
    for side in ("LEFT", "RIGHT"):
        await store.execute("DEL", "a")
        await store.execute("RPUSH", "a", *range(6))
        waiting = asyncio.create_task(store.execute("BLMPOP", 0, 1, "a", side, "COUNT", 4))
        link = await _link_of(store, waiting)
        while link.load():
            await asyncio.sleep(0)
        assert await gone(waiting)
        await settled(store)
        assert await store.execute("LRANGE", "a", 0, -1) == [b"0", b"1", b"2", b"3", b"4", b"5"]


async def test_a_caller_out_of_time_loses_no_element_either(store: Store) -> None:
    served = 0
    for number in range(60):
        pushing = asyncio.create_task(_later(store, 0.004, number))
        try:
            await store.execute("BLPOP", "a", 0, timeout=0.005)
            served += 1
        except Timeout:
            pass
        await pushing
    await settled(store)
    assert served + await store.execute("LLEN", "a") == 60


async def _later(store: Store, seconds: float, number: int) -> None:
    await asyncio.sleep(seconds)
    await store.execute("RPUSH", "a", number)


async def test_the_connection_of_a_cancelled_caller_serves_the_next_one(store: Store) -> None:
    ids = set()
    for _ in range(5):
        waiting = asyncio.create_task(store.execute("BLPOP", "a", 0))
        link = await _link_of(store, waiting)
        ids.add(link.client_id)
        await asyncio.sleep(0.005)
        assert await gone(waiting)
        await settled(store)
        assert not link.closed
    assert len(ids) == 1


async def test_the_cancelled_caller_waits_for_nothing(store: Store) -> None:
    waiting = asyncio.create_task(store.execute("BLPOP", "a", 0))
    await _link_of(store, waiting)
    waiting.cancel()
    await turns(2)
    assert waiting.done()
    await settled(store)


async def test_a_member_that_was_added_again_keeps_its_new_score(store: Store) -> None:
    await store.execute("ZADD", "a", 1, "m")
    waiting = asyncio.create_task(store.execute("BZPOPMIN", "a", 0))
    link = await _link_of(store, waiting)
    while link.load():
        await asyncio.sleep(0)
    adding = store._node.links[0].send(("ZADD", "a", "7", "m"))
    assert await gone(waiting)
    await adding
    await settled(store)
    assert await store.execute("ZSCORE", "a", "m") == 7.0


async def test_what_cannot_go_back_is_reported(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    await store.execute("RPUSH", "a", "secret")
    waiting = asyncio.create_task(store.execute("BLPOP", "a", 0))
    link = await _link_of(store, waiting)
    while link.load():
        await asyncio.sleep(0)
    setting = store._node.links[0].send(("SET", "a", "text"))
    assert await gone(waiting)
    await setting
    await settled(store)
    assert "what BLPOP popped for a caller that has gone may be lost: WRONGTYPE" in caplog.text
    assert "secret" not in caplog.text


async def test_a_user_who_may_not_unblock_has_the_connection_closed(store: Store, valkey_url: str) -> None:
    await store.execute("ACL", "SETUSER", "weak", "on", ">pw", "~*", "+@all", "-client|unblock")
    async with create_store(valkey_url, username="weak", password="pw") as weak:
        waiting = asyncio.create_task(weak.execute("BLPOP", "a", 0))
        link = await _link_of(weak, waiting)
        await asyncio.sleep(0.005)
        assert await gone(waiting)
        await settled(weak)
        assert link.closed
        assert await weak.ping()
    await store.execute("ACL", "DELUSER", "weak")


async def test_a_store_closes_while_something_is_taken_back(valkey_url: str, store: Store) -> None:
    async with create_store(valkey_url) as other:
        waiting = asyncio.create_task(other.execute("BLPOP", "a", 0))
        await _link_of(other, waiting)
        waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await store.execute("RPUSH", "a", 1)
    assert await store.execute("LLEN", "a") == 1


async def test_a_cancelled_command_on_a_connection_of_ones_own_holds_up_nobody_and_loses_nothing(store: Store) -> None:
    async with await store.connect() as connection:
        waiting = asyncio.create_task(connection.execute("BLPOP", "a", 0))
        await turns(3)
        assert await gone(waiting)
        async with asyncio.timeout(10):
            assert await connection.execute("ECHO", "x") == b"x"
        await store.execute("RPUSH", "a", 1)
        assert await store.execute("LLEN", "a") == 1
        await settled(store)


async def test_a_cancelled_command_does_not_end_the_wait_of_the_one_before_it(store: Store) -> None:
    async with await store.connect() as connection:
        first = asyncio.create_task(connection.execute("BLPOP", "a", 0))
        await turns(3)
        second = asyncio.create_task(connection.execute("BLPOP", "b", 0))
        await turns(3)
        assert await gone(second)
        await asyncio.sleep(0.1)
        assert not first.done()
        await store.execute("RPUSH", "b", "kept")
        await store.execute("RPUSH", "a", "taken")
        assert await first == [b"a", b"taken"]
        await settled(store)
        assert await connection.execute("LRANGE", "b", 0, -1) == [b"kept"]


@pytest.mark.parametrize("mode", ["OFF", b"skip"])
async def test_a_connection_that_would_stop_answering_is_refused(store: Store, mode: Any) -> None:
    async with await store.connect() as connection:
        with pytest.raises(Unsupported, match="CLIENT REPLY"):
            await connection.execute("CLIENT", "REPLY", mode)
        assert await connection.execute("CLIENT", "REPLY", "ON") == b"OK"
        assert await connection.execute("ECHO", "x") == b"x"
    with pytest.raises(Unsupported):
        await store.execute("CLIENT", "REPLY", mode)


async def test_a_blocking_command_is_told_when_its_connection_is_lost_and_nothing_stays_behind(store: Any) -> None:
    waiting = asyncio.create_task(store.execute("BLPOP", "a", 0))
    link = await _link_of(store, waiting)
    waiting.cancel()
    await turns(1)
    link.close()
    await settled(store)
    assert not store._node.dedicated._lent
    with pytest.raises(StoreError):
        await store.execute("BLPOP", "a")  # and the place is free for the next


async def test_what_was_popped_goes_back_on_the_next_connection_when_the_shared_one_breaks(store: Any) -> None:
    await store.execute("RPUSH", "a", "x")
    waiting = asyncio.create_task(store.execute("BLPOP", "a", 0))
    link = await _link_of(store, waiting)
    while link.load():
        await asyncio.sleep(0)
    waiting.cancel()
    shared = store._node.links[0]
    async with asyncio.timeout(10):
        while not shared._unsent:
            await asyncio.sleep(0)
    shared.close()  # before the push is written
    assert await gone(waiting)
    await settled(store)
    assert await store.execute("LRANGE", "a", 0, -1) == [b"x"]
