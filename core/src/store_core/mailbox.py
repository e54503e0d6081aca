"""Messages, and the queue in which one reader finds them.

The queue is bounded: when a reader is too slow, the oldest message goes, and the one after it says how many went.
Reading a message that is there costs no turn of the event loop; this is the hot path of every subscriber, together with
``Subscriptions.deliver`` and what a backend makes of it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, NamedTuple, Self

from store_core.errors import StoreError


class Message(NamedTuple):
    """One message.

    Attributes:
        channel: The channel it was published to.
        data: The payload, as the PubSub's protocol decodes it.
        pattern: The pattern that matched, for a ``psubscribe``; else None.
        lost: How many messages this reader lost just before this one.
    """

    channel: str
    data: Any
    pattern: str | None = None
    lost: int = 0


class Mailbox:
    """A bounded queue of one reader; iterating over it ends when it is closed and empty.

    Args:
        limit: Messages that may stay unread.

    Attributes:
        append: Adds a message without a look at the limit or at the reader: ``settle`` follows in the same turn of the
            event loop, once for all that were added.
    """

    __slots__ = ("_closed", "_limit", "_messages", "_waiter", "append")

    def __init__(self, limit: int) -> None:
        self._messages: deque[Message] = deque()
        self._limit = limit
        self._closed = False
        self._waiter: asyncio.Future[None] | None = None
        self.append = self._messages.append

    def put(self, message: Message) -> None:
        """Add a message; called on the event loop."""
        self.append(message)
        self.settle()

    def settle(self) -> None:
        """Let the oldest go above the limit, and wake the reader."""
        if len(self._messages) > self._limit:
            self._trim()
        if self._waiter is not None:
            self._wake()

    def discard(self) -> None:
        """Let the reader end now, whatever is there."""
        self._messages.clear()
        self.close()

    def close(self) -> None:
        """Let the reader end once it has read what is there."""
        self._closed = True
        self._wake()

    async def get(self) -> Message | None:
        """The next message; None when closed and empty."""
        while not self._messages:
            if self._closed:
                return None
            if self._waiter is not None:
                raise StoreError("two tasks read one PubSub at once; open a PubSub for each")
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return self._messages.popleft()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Message:
        try:
            return self._messages.popleft()
        except IndexError:
            message = await self.get()
        if message is None:
            raise StopAsyncIteration
        return message

    def _trim(self) -> None:
        messages, lost = self._messages, 0
        while len(messages) > self._limit:
            lost += 1 + messages.popleft().lost
        oldest = messages[0]
        messages[0] = oldest._replace(lost=oldest.lost + lost)

    def _wake(self) -> None:
        waiter = self._waiter
        # A reader whose event loop has been closed cannot be woken, and needs it no more.
        if waiter is not None and not waiter.done() and not waiter.get_loop().is_closed():
            waiter.set_result(None)
