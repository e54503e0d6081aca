"""While replies are due: looking for them without going to sleep, and giving them up in the end.

Two companions of a multiplexed link, started by each write and idle when nothing is due. They are objects of their own
for a reason beside order: Python finds the attributes of an object fast as long as it has at most thirty.
"""

from __future__ import annotations

import asyncio
from collections import deque
from time import perf_counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from store_redis.multiplexed import MultiplexedLink

#: How many times within one timeout the queue is checked: a reply times out between 1 and 1 1/8 times its time.
TICKS = 8

#: Busy polling is given up when it was in vain this often more than it paid, and tried again after so many writes.
PATIENCE, RETRY_AFTER = 8, 1024


class BusyPoll:
    """Keeps the loop awake: a callback that schedules itself makes it look at its sockets instead of sleeping.

    Args:
        link: Whose replies are looked for.
        seconds: For how long after a write.
    """

    __slots__ = ("_link", "_patience", "_polling", "_seconds", "_until")

    def __init__(self, link: MultiplexedLink, seconds: float) -> None:
        self._link = link
        self._seconds = seconds
        self._until = 0.0
        self._polling = False
        self._patience = PATIENCE

    def start(self) -> None:
        """Something was written."""
        if self._polling:
            return
        if self._patience <= 0:
            self._patience -= 1
            if self._patience > -RETRY_AFTER:
                return
            self._patience = 1
        self._polling = True
        self._until = perf_counter() + self._seconds
        self._link.loop.call_soon(self._look_again)

    def _look_again(self) -> None:
        if not self._link.load():
            self._polling = False
            self._patience = min(self._patience + 1, PATIENCE)
        elif perf_counter() < self._until:
            self._link.loop.call_soon(self._look_again)
        else:
            self._polling = False
            self._patience -= 1


class Deadlines:
    """Times replies out, with one timer for the whole queue.

    Args:
        link: Whose replies are due.
        seconds: How long each may take.
    """

    __slots__ = ("_link", "_marks", "_seconds", "_timer")

    def __init__(self, link: MultiplexedLink, seconds: float) -> None:
        self._link = link
        self._seconds = seconds
        # When, and how many replies had been received or were due then.
        self._marks: deque[tuple[float, int]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Something was written."""
        if self._timer is None:
            self._timer = self._link.loop.call_later(self._seconds / TICKS, self._tick)

    def stop(self) -> None:
        """Nothing is due any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        self._timer = None
        link, marks = self._link, self._marks
        due = link.load()
        if not due:
            marks.clear()
            return
        now, received = link.loop.time(), link.received()
        marks.append((now, received + due))
        while marks and marks[0][0] <= now - self._seconds:
            link.time_out(max(marks.popleft()[1] - received, 0))
        self._timer = link.loop.call_later(self._seconds / TICKS, self._tick)
