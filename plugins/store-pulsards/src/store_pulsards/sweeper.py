"""The sweeper: the one timer by which dead keys that nobody looks up go away, and large ones are freed.

It sleeps until ``Engine.next_expiry`` says that there is something to do. Whoever runs commands tells it with
``stir``, since any of them may have set an expiry; with no volatile key there is no timer, and an idle process uses
no CPU.
"""

from __future__ import annotations

import asyncio
from typing import Final

from store_pulsards.engine.engine import Engine

SLICE: Final = 0.001  # seconds in a slice of active expiry
PAUSE: Final = 0.003  # between two slices: a quarter of the time at most
RHYTHM: Final = 0.1  # at most this often while there is not much to sweep, as Redis with hz 10


class Sweeper:
    """Sweeps one engine on one event loop.

    Attributes:
        stirred: The timer is set for soon: ``stir`` has nothing to do.
    """

    def __init__(self, engine: Engine, loop: asyncio.AbstractEventLoop) -> None:
        self.stirred = False
        self._engine = engine
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None

    @property
    def wakes_at(self) -> float | None:
        """When the timer fires, in the loop's time; None: there is no timer."""
        return None if self._timer is None else self._timer.when()

    def stir(self) -> None:
        """Commands have run and may have set an expiry: find out soon, once for all of them."""
        if not self.stirred:
            self.stirred = True
            self._arm(RHYTHM)

    def close(self) -> None:
        """Sweep no more."""
        self.stirred = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self, delay: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(delay, self._sweep)

    def _sweep(self) -> None:
        self.stirred = False
        self._timer = None
        if self._engine.tend(SLICE):
            self.stirred = True  # a command that comes now may not put it off
            self._arm(PAUSE)
            return
        due = self._engine.next_expiry()
        if due is not None:
            self._arm(max(RHYTHM, due - self._engine.keyspace.clock()))
