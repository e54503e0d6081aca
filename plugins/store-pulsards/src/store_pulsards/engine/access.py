"""Access: when a key was last used, or how often, in 32 bits for each key.

With an LRU policy (and wherever there is no LFU policy) they are the time of the last use, in tenths of a second.
With an LFU policy they are Valkey's: 16 bits with the minute in which the counter was last lowered, and a counter of
8 bits. The counter grows ever more slowly (``lfu-log-factor``), begins at 5, so that a new key has its chance, and
is lowered by one every ``lfu-decay-time`` minutes.
"""

from __future__ import annotations

from random import random
from typing import Final

from store_pulsards.engine.config import Config

NEW: Final = 5  # the counter of a new key
MOST: Final = 255
TENTH: Final = 100  # milliseconds
TIMES: Final = 2**32  # tenths of a second are counted modulo this: 13 years
LONGEST: Final = TIMES // 2  # idle times beyond it are taken for this one
MINUTE: Final = 60_000  # milliseconds
MINUTES: Final = 2**16


class Access:
    """How uses are recorded; ``now`` is always in milliseconds since the epoch."""

    __slots__ = ("_config", "lfu")

    def __init__(self, config: Config) -> None:
        self._config = config
        self.lfu = False

    def first(self, now: int) -> int:
        """The record of a key that is new."""
        return self.with_frequency(NEW, now) if self.lfu else now // TENTH % TIMES

    def again(self, record: int, now: int) -> int:
        """The record of a key that is used once more."""
        if not self.lfu:
            return now // TENTH % TIMES
        return self.with_frequency(self._raised(self.frequency(record, now)), now)

    def with_frequency(self, counter: int, now: int) -> int:
        """The record of a key with a counter of its own (RESTORE)."""
        return now // MINUTE % MINUTES << 8 | counter

    def with_idle_time(self, seconds: int, now: int) -> int:
        """The record of a key that was last used so long ago (RESTORE)."""
        return (now // TENTH - min(seconds * 10, LONGEST)) % TIMES

    def frequency(self, record: int, now: int) -> int:
        """The counter, lowered for the time that has gone by."""
        counter, decay = record & MOST, self._config.number(b"lfu-decay-time")
        if not decay:
            return counter
        return max(0, counter - (now // MINUTE - (record >> 8)) % MINUTES // decay)

    def idle_time(self, record: int, now: int) -> int:
        """Tenths of a second since the last use."""
        idle = (now // TENTH - record) % TIMES
        return idle if idle <= LONGEST else 0  # the clock was set back

    def worth_evicting(self, record: int, now: int) -> int:
        """The greater, the less a key is needed."""
        return MOST - self.frequency(record, now) if self.lfu else self.idle_time(record, now)

    def _raised(self, counter: int) -> int:
        if counter >= MOST:
            return MOST
        steps = max(0, counter - NEW) * self._config.number(b"lfu-log-factor")
        return counter + (random() * (steps + 1) < 1)
