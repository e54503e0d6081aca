"""Connections for one caller at a time: blocking commands, WATCH. Bounded; further callers wait their turn."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from store_redis.link import Link


class DedicatedLinks:
    """Links lent to one caller at a time, and kept open for the next.

    Args:
        open_link: Opens one.
        limit: Most links at once.
    """

    def __init__(self, open_link: Callable[[], Awaitable[Link]], limit: int) -> None:
        self._open_link = open_link
        self._limit = limit
        self._idle: list[Link] = []
        self._lent: set[Link] = set()
        self._slots = asyncio.Semaphore(limit)

    async def take(self) -> Link:
        """An idle link, or a new one; waits while all are lent. Give it back, or close it and give it back."""
        await self._slots.acquire()
        try:
            while self._idle:
                link = self._idle.pop()
                if not link.closed:
                    break
            else:
                link = await self._open_link()
        except BaseException:
            self._slots.release()
            raise
        self._lent.add(link)
        return link

    def give_back(self, link: Link) -> None:
        """Lend the link to the next caller; one that is closed is forgotten."""
        if link not in self._lent:
            return
        self._lent.discard(link)
        self._slots.release()
        if not link.closed:
            self._idle.append(link)

    @asynccontextmanager
    async def lend(self) -> AsyncIterator[Link]:
        """A link for the block; a block that is interrupted closes it, since a reply may still be under way."""
        link = await self.take()
        try:
            yield link
        except BaseException:
            if link.load():
                link.close()
            raise
        finally:
            self.give_back(link)

    def lent(self) -> int:
        """How many links are with a caller."""
        return len(self._lent)

    def drop_idle(self) -> None:
        """Close the idle links: the next callers get new ones."""
        for link in self._idle:
            link.close()
        self._idle.clear()

    def close(self) -> None:
        """Close every link; callers that wait on one get ``ConnectionLost``."""
        for link in (*self._idle, *self._lent):
            link.close()
        self._idle.clear()

    def abandon(self) -> None:
        """Drop everything that belongs to an event loop that is gone."""
        for link in (*self._idle, *self._lent):
            link.abandon()
        self._idle.clear()
        self._lent.clear()
        self._slots = asyncio.Semaphore(self._limit)
