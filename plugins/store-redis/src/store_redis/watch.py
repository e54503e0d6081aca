"""Watching keys: a dedicated connection that is held from WATCH to EXEC."""

from __future__ import annotations

from store_redis.dedicated import DedicatedLinks
from store_redis.link import Link


class RedisWatch:
    """The connection on which keys are watched.

    Attributes:
        link: The connection.
        changed: Whether its state is not what the next user expects: then it is closed instead of lent again.
    """

    def __init__(self, dedicated: DedicatedLinks, link: Link, *, changed: bool = False) -> None:
        self.link = link
        self.changed = changed
        self._dedicated = dedicated

    async def release(self) -> None:
        """Stop watching and give the connection back; harmless after the transaction ran."""
        link = self.link
        if link.closed or self.changed or link.load():
            # A reply may still be under way: nobody else may get it.
            link.close()
        else:
            # Nobody waits for the reply; the next user's command stands behind it in any case.
            link.send(("UNWATCH",)).cancel()
        self._dedicated.give_back(link)

    def forget(self) -> None:
        """Close the connection for a user who was collected as garbage, on whatever thread that happens."""
        if not self.link.loop.is_closed():
            self.link.loop.call_soon_threadsafe(self._drop)

    def _drop(self) -> None:
        self.link.close()
        self._dedicated.give_back(self.link)
