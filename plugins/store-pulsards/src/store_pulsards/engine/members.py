"""Members: the value behind every S command, a set that can be drawn from at random.

A Python set has no way to a random element but walking. The first draw lists the members; as long as nothing but
draws and additions follow, the list is kept in step, and each draw is O(1). A removal by name drops the list; the next
draw makes it anew. Hence the one rule: members come and go through the methods here, not through those of ``set``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from random import choices, randrange, sample


class Members(set[bytes]):
    """A Redis set."""

    __slots__ = ("_listed",)

    def __init__(self, members: Iterable[bytes] = ()) -> None:
        super().__init__(members)
        self._listed: list[bytes] | None = None

    def copy(self) -> Members:
        return Members(self)

    def insert(self, members: Collection[bytes]) -> int:
        """Add members; how many of them are new."""
        if len(members) == 1 and self.issuperset(members):
            return 0
        before = len(self)
        if self._listed is not None:
            self._listed.extend(member for member in dict.fromkeys(members) if member not in self)
        self.update(members)
        return len(self) - before

    def withdraw(self, members: Collection[bytes]) -> int:
        """Take members out; how many of them were there."""
        before = len(self)
        self.difference_update(members)
        if len(self) != before:
            self._listed = None
        return before - len(self)

    def pop_random(self) -> bytes:
        """Take out a member by chance."""
        listed = self._list()
        index = randrange(len(listed))
        listed[index], listed[-1] = listed[-1], listed[index]
        member = listed.pop()
        self.discard(member)
        return member

    def choose(self) -> bytes:
        """A member by chance."""
        listed = self._list()
        return listed[randrange(len(listed))]

    def choose_distinct(self, count: int) -> list[bytes]:
        """So many different members by chance; all of them when there are no more."""
        return list(self) if count >= len(self) else sample(self._list(), count)

    def choose_any(self, count: int) -> list[bytes]:
        """So many members by chance, some perhaps several times."""
        return choices(self._list(), k=count)

    def _list(self) -> list[bytes]:
        if self._listed is None:
            self._listed = list(self)
        return self._listed
