"""How long commands take: spikes over time (LATENCY LATEST, HISTORY), and the distribution of each command.

A spike is a command that took at least ``latency-monitor-threshold`` milliseconds; of several within a second the
longest is kept, as in Valkey. A distribution counts nanoseconds in steps of at most 1/128, as Valkey's own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

HISTORY: Final = 160  # seconds with a spike that are remembered of an event
STEPS: Final = 8  # significant bits of a duration
FIRST_BUCKET: Final = 1024  # nanoseconds; each further bucket of LATENCY HISTOGRAM is twice as wide
BUCKETS: Final = 21  # the last one ends at about a second


class Spikes:
    """The spikes of one event, oldest first."""

    __slots__ = ("count", "longest", "samples", "total")

    def __init__(self) -> None:
        self.samples: deque[tuple[int, int]] = deque(maxlen=HISTORY)  # when (s), how long (ms)
        self.longest = 0
        self.total = 0
        self.count = 0

    def add(self, now: int, milliseconds: int) -> None:
        self.longest = max(self.longest, milliseconds)
        self.total += milliseconds
        self.count += 1
        if self.samples and self.samples[-1][0] == now:
            milliseconds = max(milliseconds, self.samples.pop()[1])
        self.samples.append((now, milliseconds))


class Distribution:
    """What one command has cost."""

    __slots__ = ("calls", "counts", "failed", "rejected", "seconds")

    def __init__(self) -> None:
        self.calls = 0
        self.rejected = 0
        self.failed = 0
        self.seconds = 0.0
        self.counts: dict[int, int] = {}  # longest duration (ns) of a step, and how many were in it

    def add(self, seconds: float, *, failed: bool) -> None:
        self.calls += 1
        self.failed += failed
        self.seconds += seconds
        step = _step(int(seconds * 1e9))
        self.counts[step] = self.counts.get(step, 0) + 1

    def percentile(self, percent: float) -> float:
        """Microseconds that so many percent of the calls did not exceed."""
        wanted = percent / 100 * self.calls
        seen = 0
        for step in sorted(self.counts):
            seen += self.counts[step]
            if seen >= wanted:
                return step / 1000
        return 0.0

    def cumulative(self) -> dict[int, int]:
        """How many calls took at most so many microseconds, where that number grows."""
        found: dict[int, int] = {}
        before = 0
        for end in _ENDS:
            count = sum(number for step, number in self.counts.items() if step <= end)
            if count > before:
                found[end // 1000] = before = count
        if before < self.calls:
            found[max(self.counts) // 1000] = self.calls
        return found


def _step(nanoseconds: int) -> int:
    """The longest duration that is not told apart from this one."""
    shift = max(0, nanoseconds.bit_length() - STEPS)
    return ((nanoseconds >> shift) + 1 << shift) - 1


_ENDS: Final[Sequence[int]] = [_step(FIRST_BUCKET << number) for number in range(BUCKETS)]
