"""What passes through servers: bytes, clients that were refused or dropped, and how many commands run in a second.

A connection counts once for each chunk that it reads or writes; no command counts anything. The rate is told from
samples that are taken when the sweeper tidies up after commands, at most ten in a second: an idle engine takes none.
"""

from __future__ import annotations

from collections import deque
from typing import Final

RHYTHM: Final = 0.1  # seconds between two samples
WINDOW: Final = 1.6  # seconds that a rate looks back, as in Valkey: 16 samples of a tenth of a second
KILOBYTE: Final = 1024


class Traffic:
    """The figures of one engine."""

    __slots__ = ("before", "dropped_for_input", "dropped_for_output", "received", "refused", "samples", "sent")

    def __init__(self) -> None:
        self.received = 0  # bytes
        self.sent = 0
        self.refused = 0  # clients that were not taken in
        self.before = 0  # clients that had come when the count began
        self.dropped_for_input = 0  # clients that sent too much at once
        self.dropped_for_output = 0  # clients that did not read what they got
        self.samples: deque[tuple[float, int, int, int]] = deque()  # when; commands, bytes in, bytes out until then

    def reset(self, clients: int) -> None:
        """Begin to count anew (CONFIG RESETSTAT), when so many clients had come."""
        self.before = clients
        self.received = self.sent = self.refused = self.dropped_for_input = self.dropped_for_output = 0
        self.samples.clear()

    def sample(self, now: float, executed: int) -> None:
        """Remember how far it has come, unless that was done a moment ago."""
        samples = self.samples
        if samples and 0 <= now - samples[-1][0] < RHYTHM:
            return
        samples.append((now, executed, self.received, self.sent))
        while len(samples) > 1 and samples[1][0] <= now - WINDOW:
            samples.popleft()

    def rates(self, now: float, executed: int) -> tuple[float, float, float]:
        """Commands, kilobytes in and kilobytes out in a second, of late."""
        recent = [each for each in self.samples if each[0] >= now - WINDOW] or list(self.samples)[-1:]
        if not recent:
            return 0.0, 0.0, 0.0
        when, commands, received, sent = recent[0]
        seconds = max(now - when, RHYTHM)
        return (
            (executed - commands) / seconds,
            (self.received - received) / KILOBYTE / seconds,
            (self.sent - sent) / KILOBYTE / seconds,
        )
