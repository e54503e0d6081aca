"""Disposal: freeing what is large, in slices.

To let go of 10 million keys, or of a list of a million elements, takes seconds, or tens of milliseconds: the last
reference frees it all at once. What was cleared, deleted or has expired is left here instead, and taken apart a piece
at a time while clients are served (as Valkey does with another thread).

A container tells with ``contents()`` which containers it consists of; dicts, lists, sets and deques are known.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sized
from time import perf_counter
from typing import Any, Final

LARGE: Final = 512  # elements; fewer are freed at once, in some ten microseconds
PIECE: Final = 256  # elements freed between two looks at the clock
PLAIN: Final = frozenset({bytes, int, float, tuple})


def is_large(value: Any) -> bool:
    """Whether it takes long to free a value of the keyspace."""
    return type(value) not in PLAIN and isinstance(value, Sized) and len(value) > LARGE


class Disposal:
    """What waits for being freed."""

    __slots__ = ("waiting",)

    def __init__(self) -> None:
        self.waiting: list[Any] = []

    def take(self, container: Any) -> None:
        """Free something, soon; nobody else holds it."""
        self.waiting.append(container)

    def work(self, deadline: float) -> bool:
        """Free until ``deadline`` (of ``perf_counter``); whether something is left."""
        waiting = self.waiting
        while waiting:
            self._free_piece(waiting.pop())
            if perf_counter() >= deadline:
                break
        return bool(waiting)

    def _free_piece(self, container: Any) -> None:
        """Take a piece off, and put the others back."""
        waiting = self.waiting
        if isinstance(container, dict):
            rest = len(container) - PIECE
            for _ in range(min(PIECE, len(container))):
                value = dict.popitem(container)[1]
                if is_large(value):
                    waiting.append(value)
        elif isinstance(container, (list, deque)):
            rest = len(container) - PIECE
            for _ in range(min(PIECE, len(container))):
                container.pop()
        elif isinstance(container, set):
            rest = len(container) - PIECE
            for _ in range(min(PIECE, len(container))):
                set.pop(container)
        else:
            contents = getattr(container, "contents", None)
            waiting += contents() if contents is not None else ()
            rest = 0
        if rest > 0:
            waiting.append(container)
