"""SentinelLink: a connection to a primary, which leaves when the primary turns out to be one no more.

A demoted primary answers writes with ``READONLY``: those did not run. The link then takes no more commands, hands out
the replies that are due, and closes, so that the next command finds the new primary. A link that leads to the primary
for want of a replica leaves in the same way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from weakref import ref

from store_core import ReplyError
from store_redis.bounded import BoundedLink
from store_redis.errors import reply_error
from store_redis.multiplexed import MultiplexedLink


class SentinelLink(MultiplexedLink):
    """A link to a server that sentinels named.

    Args:
        options: As of ``MultiplexedLink``.
        writes: Whether the server is wanted for writing.

    Attributes:
        role: What the server said that it is, in its own word.
    """

    def __init__(self, *options: Any, writes: bool) -> None:
        super().__init__(*options)
        self.role = ""
        self._leaving = False
        if writes:
            self._reader = self._make_reader(self.encoding, _watchful(self))

    def leave(self) -> None:
        """Take no more commands, and close once the replies that are due have come."""
        if self._leaving or self.closed:
            return
        self._leaving = True
        # hiredis may be in the middle of reading; the callers of this turn get their replies after this.
        self.loop.call_soon(self._leave)

    def _leave(self) -> None:
        if self.closed:
            return
        on_lost, self.on_lost = self.on_lost, None
        if on_lost is not None:
            on_lost(self)
        if not self.load():
            self.close()
            return
        # Replies come in order: with this one all that were due have come.
        self.send(("PING",)).add_done_callback(self._left)

    def _left(self, last: asyncio.Future[Any]) -> None:
        if not last.cancelled():
            last.exception()  # nobody else asks for it
        self.close()


class BoundedSentinelLink(SentinelLink, BoundedLink):
    """The same with a bound on the commands under way, which is the first of its options."""


def _watchful(link: SentinelLink) -> Callable[[str], ReplyError]:
    """What hiredis calls for each error reply; it holds the link weakly, since the link holds the reader."""
    reference = ref(link)

    def make_error(message: str) -> ReplyError:
        if message.startswith("READONLY"):
            leaving = reference()
            if leaving is not None:
                leaving.leave()
        return reply_error(message)

    return make_error
