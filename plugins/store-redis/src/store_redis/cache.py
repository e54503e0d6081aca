"""The cache: replies by the command that asked for them, dropped when one of its keys changes.

No I/O here: ``tracking.py`` asks the server and hears from it. Three rules hold. An answer is kept only if nothing
was heard of its keys between the moment at which the server made it and now: a question is entered when it is sent
(``expect``), and what is heard meanwhile spoils it. No more than ``limit`` answers are kept, the one asked for
longest ago goes first. Whoever asks gets an object of his own: a list that one caller changes is not another's.
"""

from __future__ import annotations

import math
from asyncio import Future
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any

from store_redis.link import Link

Question = tuple[str | bytes, ...]
#: A key as the server announces its change: text where replies are decoded.
Announced = str | bytes

#: What ``find`` returns when there is no answer; a reply may be None.
MISSING = object()

_Copy = Callable[[Any], Any]


class Answer:
    """A reply that is kept, or one that is awaited.

    Attributes:
        question: The command.
        keys: Its keys.
        link: The connection that it was read on, whose server tells of changes.
        asked: The reply's future. What is heard after it was done concerns this answer; what came before does not,
            since the order of one connection is the order in which the server did things.
        valid: Whether nothing was heard of its keys since.
        expires: When its first key expires, by the clock of ``time.perf_counter``.
    """

    __slots__ = ("asked", "copy", "expires", "keys", "link", "question", "reply", "valid")

    def __init__(self, question: Question, keys: tuple[Announced, ...], link: Link, asked: Future[Any]) -> None:
        self.question = question
        self.keys = keys
        self.link = link
        self.asked: Future[Any] | None = asked
        self.valid = True
        self.expires = math.inf
        self.reply: Any = None
        self.copy: _Copy | None = None


class Cache:
    """Replies in memory; ``store.cache`` for its figures.

    Args:
        limit: The most replies that it keeps.

    Attributes:
        limit: The most replies that it keeps.
        hits: Commands answered from memory.
        misses: Commands that could have been, and had to be sent.
        invalidations: Replies dropped because a key of theirs changed, or may have.
        evictions: Replies dropped because there was no room.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.hits = 0
        self.misses = 0
        self.invalidations = 0
        self.evictions = 0
        self._answers: OrderedDict[tuple[Any, ...], Answer] = OrderedDict()
        # Kept and awaited answers by each of their keys.
        self._by_key: dict[Announced, set[Answer]] = {}

    @property
    def entries(self) -> int:
        """How many replies are kept now."""
        return len(self._answers)

    def __repr__(self) -> str:
        figures = f"hits={self.hits} misses={self.misses} invalidations={self.invalidations}"
        return f"<Cache entries={self.entries}/{self.limit} {figures} evictions={self.evictions}>"

    def knows_nothing(self) -> bool:
        """Whether there is no answer, kept or awaited."""
        return not self._by_key

    def holds(self, question: tuple[Any, ...]) -> bool:
        """Whether the reply to a command is kept; raises what ``find`` raises."""
        return question in self._answers

    def find(self, question: tuple[Any, ...], now: float) -> Any:
        """The reply to a command, the caller's to change, or ``MISSING``; this is a hit's whole way.

        Raises:
            TypeError: The command cannot be a key of a mapping.
            ValueError: The same, of a ``memoryview``.
        """
        answers = self._answers
        answer = answers.get(question)
        if answer is None:
            return MISSING
        if now >= answer.expires:
            self._drop(answer)
            return MISSING
        answers.move_to_end(question)
        self.hits += 1
        return answer.reply if answer.copy is None else answer.copy(answer.reply)

    def expect(self, question: Question, keys: tuple[Announced, ...], link: Link, asked: Future[Any]) -> Answer:
        """Enter a question that is being sent; ``keep`` or ``forget`` the answer."""
        answer = Answer(question, keys, link, asked)
        by_key = self._by_key
        for key in keys:
            found = by_key.get(key)
            if found is None:
                by_key[key] = {answer}
            else:
                found.add(answer)
        return answer

    def keep(self, answer: Answer, reply: Any, expires: float) -> None:
        """Keep the reply to a question, unless it is spoilt."""
        if not answer.valid:
            return
        answers = self._answers
        former = answers.pop(answer.question, None)
        if former is not None:
            self.forget(former)
        answer.copy = copier(reply)
        answer.reply = reply if answer.copy is None else answer.copy(reply)
        answer.expires = expires
        answer.asked = None
        answers[answer.question] = answer
        if len(answers) > self.limit:
            self.forget(answers.popitem(last=False)[1])
            self.evictions += 1

    def forget(self, answer: Answer) -> None:
        """Take out an answer that shall not be kept."""
        if not answer.valid:
            return
        answer.valid = False
        for key in answer.keys:
            answers = self._by_key.get(key)
            if answers is not None:
                answers.discard(answer)
                if not answers:
                    del self._by_key[key]

    def changed(self, key: Announced, link: Link | None = None) -> None:
        """Drop what is known of a key.

        Args:
            key: The key.
            link: The connection that told of it; None when a caller wrote it.
        """
        for answer in tuple(self._by_key.get(key, ())):
            if _concerned(answer, link):
                self._drop(answer)

    def clear(self, link: Link | None = None) -> None:
        """Drop everything.

        Args:
            link: The connection that told of it; None for another reason.
        """
        for answer in self._all():
            if _concerned(answer, link):
                self._drop(answer)

    def drop_link(self, link: Link) -> None:
        """Drop what was read on a connection whose server can no longer tell of changes."""
        for answer in self._all():
            if answer.link is link:
                self._drop(answer)

    def _all(self) -> set[Answer]:
        return set().union(*self._by_key.values())

    def _drop(self, answer: Answer) -> None:
        if answer.asked is None and answer.valid:
            del self._answers[answer.question]
            self.invalidations += 1
        self.forget(answer)


def _concerned(answer: Answer, link: Link | None) -> bool:
    # A reply that is still to come on the connection that told of the change was made after the change.
    return answer.link is not link or answer.asked is None or answer.asked.done()


def copier(reply: Any) -> _Copy | None:
    """What makes a caller's own object of a reply; None for one that nobody can change."""
    kind = type(reply)
    if kind is list:
        return list.copy if _all_plain(reply) else _fresh
    if kind is dict:
        return dict.copy if _all_plain(reply.values()) else _fresh
    return set.copy if kind is set else None


def _all_plain(values: Iterable[Any]) -> bool:
    return not any(type(value) in (list, dict, set) for value in values)


def _fresh(reply: Any) -> Any:
    kind = type(reply)
    if kind is list:
        return [_fresh(value) for value in reply]
    if kind is dict:
        return {key: _fresh(value) for key, value in reply.items()}
    return set(reply) if kind is set else reply
