"""SortedSet: the value behind every Z command.

Two views of the same members: a dict (member to score, for O(1) look-ups) and a sorted list of
(score, member) pairs, ordered as Redis orders them: by score, then by the member's bytes. Ranks,
score bounds and lexicographic bounds are all turned into positions in that list, O(log n) each;
a range is then one slice. A score is never NaN: whoever computes one checks first.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import inf, nextafter
from typing import Any, TypeAlias

from sortedcontainers import SortedList

Entry: TypeAlias = tuple[float, bytes]


class SortedSet:
    """Members with a score each; ``scores`` may be read by anyone, and is changed only here."""

    __slots__ = ("_entries", "scores")

    def __init__(self, scores: dict[bytes, float] | None = None) -> None:
        self.scores: dict[bytes, float] = {} if scores is None else scores
        self._entries: Any = SortedList((score, member) for member, score in self.scores.items())

    def __len__(self) -> int:
        return len(self.scores)

    def __contains__(self, member: object) -> bool:
        return member in self.scores

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries)

    def contents(self) -> list[object]:
        """The containers that this one consists of (a SortedList is documented as a list of lists)."""
        return [self.scores, *self._entries._lists]

    def copy(self) -> SortedSet:
        return SortedSet(self.scores.copy())

    def add(self, member: bytes, score: float) -> None:
        """Insert the member, or move it to another score (the same score changes nothing, not even ``-0``)."""
        old = self.scores.get(member)
        if old is not None:
            if old == score:
                return
            self._entries.remove((old, member))
        self.scores[member] = score
        self._entries.add((score, member))

    def discard(self, member: bytes) -> bool:
        """Take the member out; False when it was not there."""
        score = self.scores.pop(member, None)
        if score is None:
            return False
        self._entries.remove((score, member))
        return True

    def rank(self, member: bytes) -> int | None:
        """How many entries come before the member; None when it is not there."""
        score = self.scores.get(member)
        if score is None:
            return None
        position: int = self._entries.bisect_left((score, member))
        return position

    def at(self, position: int) -> Entry:
        """The entry at a position."""
        entry: Entry = self._entries[position]
        return entry

    def entries(self, start: int, stop: int, reverse: bool = False) -> list[Entry]:
        """The entries at positions ``start <= p < stop``, last first with ``reverse``."""
        found: list[Entry] = self._entries[start:stop]
        if reverse:
            found.reverse()
        return found

    def remove_slice(self, start: int, stop: int) -> list[Entry]:
        """Take out and return the entries at positions ``start <= p < stop``."""
        removed = self.entries(start, stop)
        del self._entries[start:stop]
        for _, member in removed:
            del self.scores[member]
        return removed

    def from_score(self, score: float) -> int:
        """The position of the first entry whose score is at least ``score``."""
        position: int = self._entries.bisect_left((score,))
        return position

    def after_score(self, score: float) -> int:
        """The position of the first entry whose score is greater than ``score``."""
        if score == inf:
            return len(self.scores)
        return self.from_score(nextafter(score, inf))

    def from_member(self, member: bytes) -> int:
        """The position of the first entry whose member is ``member`` or after it.

        Like ``after_member``, this is for sorted sets with one score, the only ones for which Redis defines
        lexicographic ranges.
        """
        if not self.scores:
            return 0
        position: int = self._entries.bisect_left((self._entries[0][0], member))
        return position

    def after_member(self, member: bytes) -> int:
        """The position of the first entry whose member is after ``member``."""
        if not self.scores:
            return 0
        position: int = self._entries.bisect_right((self._entries[0][0], member))
        return position
