"""A multiplexed connection with a bound on the commands under way: ``max_in_flight``.

Rules: a caller beyond the bound waits in line, and is let in when it is its turn; whoever comes later stands behind,
even when there is room. Callers are let in together once half of the commands under way have had their replies, so
that a full link still writes many commands at once. A pipeline or a transaction counts each of its commands, and is
let in whole when there is room for one.

The bound costs nothing where it is not set: this class is chosen when the connection opens.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

from store_redis.connection import took_no_more
from store_redis.multiplexed import MultiplexedLink
from store_redis.waiting import TICKS


class BoundedLink(MultiplexedLink):
    """A multiplexed link that takes so many commands at a time.

    Args:
        limit: Most commands under way.
        timeout: Seconds to a reply; 0 for none.
        encoding: Decode replies with it; None leaves bytes.
        busy_poll: Seconds for which the loop is kept awake while replies are due; 0 lets it sleep at once.
    """

    def __init__(self, limit: int, timeout: float = 0.0, encoding: str | None = None, busy_poll: float = 0.0) -> None:
        super().__init__(timeout, encoding, busy_poll)
        self._limit = limit
        self._enough = limit // 2
        self.line: WaitingLine = WaitingLine(self)

    def send(self, args: tuple[Any, ...]) -> asyncio.Future[Any]:
        try:
            return super().send(args)
        finally:
            self._look()

    def send_batch(self, commands: list[tuple[Any, ...]]) -> asyncio.Future[list[Any]]:
        try:
            return super().send_batch(commands)
        finally:
            self._look()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.writable is not None and len(self._waiters) <= self._enough:
            self._take_more()

    def room(self) -> int:
        """How many more commands it takes now."""
        return 0 if self._paused else self._limit - len(self._waiters) - self.line.coming

    def go_on(self) -> None:
        """Let in whoever may come in; takes commands again from anybody once nobody waits."""
        self._take_more()

    def _take_more(self) -> None:
        if self.line.let_in():
            super()._take_more()

    def _send_around(self, args: tuple[Any, ...]) -> asyncio.Future[Any]:
        try:
            return super()._send_around(args)
        finally:
            self._look()

    def _look(self) -> None:
        full = self.room() <= 0
        if full and self.writable is None:
            self.unwritable_since = self.loop.time()
            self.writable = self._create_future()
        elif not full and self.writable is not None and not self._waiters:
            # Whoever was let in had nothing to send after all, and no reply will come to let in the next.
            self.go_on()


class WaitingLine:
    """The callers that wait to get on a link, first come, first served.

    Args:
        link: The link.

    Attributes:
        coming: How many were let in and do not run yet: their commands are not among those under way.
    """

    def __init__(self, link: BoundedLink) -> None:
        self._link = link
        # Those with no time of their own wait as long as the link takes anybody.
        self._turns: deque[tuple[asyncio.Future[None], bool]] = deque()
        self.coming = 0
        self._timer: asyncio.TimerHandle | None = None

    async def wait(self, seconds: float) -> None:
        """Return when it is the caller's turn, which it uses without waiting again.

        Raises:
            ConnectionTimeout: The link has taken nobody for so many seconds (0: it never gives up).
        """
        turn: asyncio.Future[None] = self._link.loop.create_future()
        self._turns.append((turn, seconds > 0))
        if seconds and self._timer is None:
            self._watch(seconds)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                # Let in and cancelled at once: the place is the next caller's.
                self.coming -= 1
                self._link.go_on()
            raise
        self.coming -= 1

    def let_in(self) -> bool:
        """Call as many as there is room for; True when there is room left and nobody waits."""
        link, turns = self._link, self._turns
        if link.closed:
            self._dismiss()
            return True
        room = link.room()
        if room > 0:
            link.unwritable_since = link.loop.time()
        while turns and room > 0:
            room -= self._call(turns.popleft()[0])
        return room > 0

    def _call(self, turn: asyncio.Future[None]) -> bool:
        if turn.done():
            return False
        turn.set_result(None)
        self.coming += 1
        return True

    def _dismiss(self) -> None:
        # They find the link closed.
        turns, self._turns = self._turns, deque()
        for turn, _ in turns:
            self._call(turn)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # One timer for all of them, running while somebody waits.

    def _watch(self, seconds: float) -> None:
        self._timer = self._link.loop.call_later(seconds / TICKS, self._look, seconds)

    def _look(self, seconds: float) -> None:
        self._timer = None
        link = self._link
        if link.loop.time() - link.unwritable_since >= seconds:
            turns, self._turns = self._turns, deque()
            for turn, impatient in turns:
                if not impatient:
                    self._turns.append((turn, False))
                elif not turn.done():
                    turn.set_exception(took_no_more(link, seconds))
        elif any(impatient for _, impatient in self._turns):
            self._watch(seconds)
