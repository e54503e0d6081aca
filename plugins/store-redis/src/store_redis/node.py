"""Node: one server as a store uses it, its shared connections and its dedicated ones.

A store of one server has one node; a cluster has one for each of its servers. Connections open when the first
command needs them, all callers waiting for the same opening, and again when one was lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from operator import methodcaller

from store_core import ConnectionFailed
from store_redis.dedicated import DedicatedLinks
from store_redis.errors import make
from store_redis.link import Link
from store_redis.single_flight import SingleFlight

_LOAD = methodcaller("load")


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

    async def close(self) -> None:
        """Close every link; callers that wait get ``ConnectionLost``."""
        await self._open.settled()
        links, self.links = self.links, []
        self._changed()
        for link in links:
            link.close()
        self.dedicated.close()

    def abandon(self) -> None:
        """Drop everything that belongs to an event loop that is gone."""
        links, self.links = self.links, []
        self._changed()
        for link in links:
            link.abandon()
        self._open.forget()
        self.dedicated.abandon()

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

    def _on_lost(self, link: Link) -> None:
        if link in self.links:
            self.links.remove(link)
            self._changed()

    def _changed(self) -> None:
        if self._on_change is not None:
            self._on_change()


def lost_at_once(link: Link) -> ConnectionFailed:
    """The error of a link that broke between its handshake and its first use."""
    return make(ConnectionFailed, f"the connection to {link.address} was lost as soon as it was made")
