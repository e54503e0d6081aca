"""Node: one server as a store uses it, its shared connections and its dedicated ones.

A store of one server has one node; a cluster has one for each of its servers. Connections open when the first
command needs them, all callers waiting for the same opening, and again when one was lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from operator import methodcaller
from typing import Any

from store_core import ConnectionFailed
from store_redis.blocking import Blocking
from store_redis.dedicated import DedicatedLinks
from store_redis.errors import make
from store_redis.link import Link
from store_redis.single_flight import SingleFlight

_LOAD = methodcaller("load")

#: Seconds for which a link is not given up for another: a server that is a replica on purpose is not dialled for
#: each command that it refuses.
KEPT = 1.0

#: Most links whose replies stay bytes.
UNDECODED = 8


class Node:
    """The links to one server.

    Args:
        open_link: Opens one.
        connections: How many links all callers share.
        dedicated: Most links for one caller at a time.
        on_change: Called whenever ``links`` changed.
        open_shared: Opens a shared one, where that takes more than ``open_link``.

    Attributes:
        links: The shared links that are open.
        dedicated: Links for one caller at a time.
        blocking: Runs blocking commands on those.
        undecoded: Links for one caller at a time whose replies stay bytes. Not of the dedicated ones: callers that
            block may hold all of those for ever.
    """

    def __init__(
        self,
        open_link: Callable[[], Awaitable[Link]],
        connections: int,
        dedicated: int,
        on_change: Callable[[], None] | None = None,
        open_shared: Callable[[], Awaitable[Link]] | None = None,
    ) -> None:
        self.links: list[Link] = []
        self.dedicated = DedicatedLinks(open_link, dedicated)
        self.blocking = Blocking(self.dedicated, self.shared)
        self.undecoded = DedicatedLinks(partial(_open_undecoded, open_link), UNDECODED)
        self._leaving: set[Link] = set()
        self._open_link = open_shared or open_link
        self._connections = connections
        self._on_change = on_change
        self._open = SingleFlight(self._open_missing)

    async def shared(self) -> Link:
        """A link that all callers share, the one with the fewest replies due; opens what is missing.

        Raises:
            ConnectionFailed: Nobody answers.
            ReplyError: The server refused the password, the database, or the connection.
            Timeout: No answer in time.
        """
        while len(self.links) < self._connections:
            await self._open()
        return self.links[0] if len(self.links) == 1 else min(self.links, key=_LOAD)

    def redial(self) -> None:
        """Leave the links that are open: the next command opens others; callers on the old ones are served."""
        for link in tuple(self.links):
            if link.loop.time() - link.opened_at >= KEPT:
                self.links.remove(link)
                self._leaving.add(link)
                self._leave(link)
        self._changed()
        self.dedicated.drop_idle()
        self.undecoded.drop_idle()

    async def close(self) -> None:
        """Close every link; callers that wait get ``ConnectionLost``."""
        await self.blocking.settle()
        await self._open.settled()
        links, self.links = self.links, []
        self._changed()
        for link in (*links, *self._leaving):
            link.close()
        self.dedicated.close()
        self.undecoded.close()

    def abandon(self) -> None:
        """Drop everything that belongs to an event loop that is gone."""
        links, self.links = self.links, []
        self._changed()
        for link in (*links, *self._leaving):
            link.abandon()
        self._leaving.clear()
        self._open.forget()
        self.blocking.forget()
        self.dedicated.abandon()
        self.undecoded.abandon()

    async def _open_missing(self) -> None:
        missing = self._connections - len(self.links)
        opened = await asyncio.gather(*(self._open_link() for _ in range(missing)), return_exceptions=True)
        failures: list[BaseException] = []
        for link in opened:
            if isinstance(link, BaseException):
                failures.append(link)
            elif link.closed:
                failures.append(lost_at_once(link))
            else:
                link.on_lost = self._on_lost
                self.links.append(link)
        self._changed()
        if failures:
            raise failures[0]

    def _leave(self, link: Link) -> None:
        # Replies come in order: after this one nobody waits for another.
        link.send(("PING",)).add_done_callback(lambda last: self._left(link, last))

    def _left(self, link: Link, last: asyncio.Future[Any]) -> None:
        if not last.cancelled():
            last.exception()  # whatever it was, the server answered
        if link.closed:
            return
        if link.load():
            self._leave(link)
        else:
            link.close()

    def _on_lost(self, link: Link) -> None:
        self._leaving.discard(link)
        if link in self.links:
            self.links.remove(link)
            self._changed()

    def _changed(self) -> None:
        if self._on_change is not None:
            self._on_change()


def lost_at_once(link: Link) -> ConnectionFailed:
    """The error of a link that broke between its handshake and its first use."""
    return make(ConnectionFailed, f"the connection to {link.address} was lost as soon as it was made")


async def _open_undecoded(open_link: Callable[[], Awaitable[Link]]) -> Link:
    link = await open_link()
    link.leave_bytes()
    return link
