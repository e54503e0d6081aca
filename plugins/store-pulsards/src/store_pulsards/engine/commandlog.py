"""The command logs: the last commands that were slow, or large in their request or their reply (SLOWLOG, COMMANDLOG).

An entry has at most 32 arguments of at most 128 bytes; secrets are taken out before they come here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

from store_pulsards.engine.replies import Reply
from store_pulsards.session import Session

MOST_ARGUMENTS: Final = 32
LONGEST_ARGUMENT: Final = 128


class CommandLog:
    """One kind of log, newest entry first; ``threshold`` -1 and ``limit`` 0 switch it off."""

    __slots__ = ("entries", "limit", "next_id", "threshold")

    def __init__(self) -> None:
        self.entries: deque[Reply] = deque()
        self.next_id = 0
        self.threshold = -1
        self.limit = 128

    @property
    def wanted(self) -> bool:
        """Whether anything at all can come into this log."""
        return self.threshold >= 0 and self.limit > 0

    def offer(self, session: Session, args: Sequence[bytes], value: int, now: int) -> None:
        """Log a command if its value (microseconds, bytes) reaches the threshold."""
        if not self.wanted or value < self.threshold:
            return
        entry = [self.next_id, now, value, _shortened(args), session.address.encode(), session.name]
        self.next_id += 1
        self.entries.appendleft(entry)
        self.trim()

    def trim(self) -> None:
        while len(self.entries) > self.limit:
            self.entries.pop()

    def latest(self, count: int) -> list[Reply]:
        """The newest entries; -1 for all."""
        entries = list(self.entries)
        return entries if count < 0 else entries[:count]


def _shortened(args: Sequence[bytes]) -> list[bytes]:
    kept = [_short(arg) for arg in args[:MOST_ARGUMENTS]]
    if len(args) > MOST_ARGUMENTS:
        kept[-1] = b"... (%d more arguments)" % (len(args) - MOST_ARGUMENTS + 1)
    return kept


def _short(arg: bytes) -> bytes:
    if len(arg) <= LONGEST_ARGUMENT:
        return bytes(arg)
    return b"%b... (%d more bytes)" % (arg[:LONGEST_ARGUMENT], len(arg) - LONGEST_ARGUMENT)
