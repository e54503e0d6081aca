"""Links lent to one caller at a time, without a socket."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from store_core import ConnectionFailed
from store_redis.dedicated import DedicatedLinks


class FakeLink:
    def __init__(self) -> None:
        self.closed = False
        self.abandoned = False
        self.due = 0

    def load(self) -> int:
        return self.due

    def close(self) -> None:
        self.closed = True

    def abandon(self) -> None:
        self.closed = self.abandoned = True


class Opener:
    """Opens fake links and remembers them."""

    def __init__(self) -> None:
        self.links: list[FakeLink] = []
        self.error: Exception | None = None

    async def __call__(self) -> Any:
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        self.links.append(FakeLink())
        return self.links[-1]


async def test_an_idle_link_is_lent_again() -> None:
    opener = Opener()
    links = DedicatedLinks(opener, 2)
    first = await links.take()
    links.give_back(first)
    assert await links.take() is first
    assert len(opener.links) == 1


async def test_a_closed_link_is_never_lent_again() -> None:
    opener = Opener()
    links = DedicatedLinks(opener, 2)
    first, second = await links.take(), await links.take()
    links.give_back(first)
    first.close()  # it broke while it was idle
    second.close()  # it broke while it was lent
    links.give_back(second)
    third = await links.take()
    assert third not in (first, second)


async def test_callers_beyond_the_limit_wait_in_order() -> None:
    links = DedicatedLinks(Opener(), 1)
    served: list[int] = []

    async def use(number: int) -> None:
        async with links.lend():
            served.append(number)
            await asyncio.sleep(0)

    await asyncio.gather(*(use(number) for number in range(5)))
    assert served == [0, 1, 2, 3, 4]


async def test_giving_back_twice_makes_no_second_place() -> None:
    links = DedicatedLinks(Opener(), 1)
    link = await links.take()
    links.give_back(link)
    links.give_back(link)
    await links.take()
    waiting = asyncio.create_task(links.take())
    await asyncio.sleep(0)
    assert not waiting.done()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)


async def test_a_link_that_cannot_be_opened_takes_no_place() -> None:
    opener = Opener()
    opener.error = ConnectionFailed("nobody")
    links = DedicatedLinks(opener, 1)
    for _ in range(3):
        with pytest.raises(ConnectionFailed):
            await links.take()
    opener.error = None
    async with asyncio.timeout(10):
        await links.take()


async def test_a_caller_cancelled_while_a_link_opens_takes_no_place() -> None:
    links = DedicatedLinks(Opener(), 1)
    opening = asyncio.create_task(links.take())
    await asyncio.sleep(0)
    opening.cancel()
    await asyncio.gather(opening, return_exceptions=True)
    async with asyncio.timeout(10):
        await links.take()


@pytest.mark.parametrize(("due", "closed"), [(0, False), (1, True)])
async def test_an_interrupted_block_closes_the_link_only_where_a_reply_is_due(due: int, closed: bool) -> None:
    opener = Opener()
    links = DedicatedLinks(opener, 1)
    with pytest.raises(ZeroDivisionError):
        async with links.lend():
            opener.links[0].due = due
            raise ZeroDivisionError
    assert opener.links[0].closed is closed


async def test_close_closes_the_lent_and_the_idle() -> None:
    opener = Opener()
    links = DedicatedLinks(opener, 2)
    first, _ = await links.take(), await links.take()
    links.give_back(first)
    links.close()
    assert all(link.closed for link in opener.links)


async def test_after_abandon_all_places_are_free_and_what_was_lent_changes_nothing() -> None:
    opener = Opener()
    links = DedicatedLinks(opener, 1)
    old = await links.take()
    links.abandon()
    assert opener.links[0].abandoned
    async with asyncio.timeout(10):
        new = await links.take()
    links.give_back(old)
    assert new is not old
    waiting = asyncio.create_task(links.take())
    await asyncio.sleep(0)
    assert not waiting.done(), "the old link's return made no place"
    links.give_back(new)
    assert await waiting is new
