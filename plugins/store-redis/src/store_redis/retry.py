"""Retry: which failures are answered by sending a command again, how often, and after what pause.

By default a command is sent again only when it certainly did not run: the server is still loading its data, or the
connection leads to a primary that no longer is one. ``retry`` allows more: ``reads`` and ``all`` also repeat what
was refused for now or found nobody at the other end, ``reads`` commands that only read (by the server's own flags)
whose connection was lost, ``all`` every command whose connection was lost. A ``Timeout`` is never repeated: the
caller's time is over.

Nothing here runs while all goes well: ``execute`` comes here with an error in its hands.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from store_core import ConnectionFailed, ConnectionLost, ReplyError, StoreClosed, StoreError, Timeout
from store_core.parameters import Params

T = TypeVar("T")

NEVER, READS, ALL = "never", "reads", "all"

#: Seconds before the second repetition (the first follows at once where that makes sense), and the longest pause.
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0

#: The server reads its data from disk; it says so until it has them.
_LOADING = frozenset({"LOADING"})
#: What a primary says that has become a replica: whoever has taken its place is found by connecting again.
_DEMOTED = frozenset({"READONLY", "MASTERDOWN"})
#: The server could not now; what is wrong may last (a script that runs for ever), so only ``retry`` repeats these.
_NOT_NOW = frozenset({"BUSY", "TRYAGAIN", "CLUSTERDOWN"})
_REFUSED = _LOADING | _DEMOTED | _NOT_NOW
_ELSEWHERE = frozenset({"MOVED", "ASK"})

#: What an attempt may fail with, and yet be repeated.
FAILURES = (ConnectionFailed, ReplyError)

Commands = Sequence[tuple[Any, ...]]


class Retry:
    """The policy of one store.

    Args:
        params: The store's parameters: ``retry``, ``retries``, ``timeout``.
        only_read: Whether the server says that these commands only read.
        redial: Makes the next attempt connect anew.
    """

    def __init__(
        self, params: Params, only_read: Callable[[Commands], Awaitable[bool]], redial: Callable[[], None]
    ) -> None:
        self._mode: str = params["retry"]
        self._retries: int = params["retries"]
        self._timeout: float = params["timeout"]
        self._only_read = only_read
        self._redial = redial

    async def run(self, attempt: Callable[[], Awaitable[T]], commands: Commands) -> T:
        """What ``attempt()`` returns; it is called again as the policy says."""
        try:
            return await attempt()
        except FAILURES as error:
            return await self.again(error, attempt, commands)

    async def again(self, error: StoreError, attempt: Callable[[], Awaitable[T]], commands: Commands) -> T:
        """Call ``attempt()``, which has failed with ``error``, until it works or the policy says no more.

        The last repetition begins within ``timeout`` of the first failure.

        Raises:
            StoreError: The last error; ``ConnectionLost`` where any attempt may have run and none has had a reply.
        """
        lost: StoreError | None = None
        course = _Course(self._timeout)
        while True:
            if isinstance(error, ConnectionLost):
                lost = error
            if not self._may_repeat(error, course.repeated) or not await course.pause(_follows_at_once(error)):
                break
            if isinstance(error, ReplyError) and error.code in _DEMOTED:
                self._redial()
            try:
                if lost is not None and not await self._may_run_twice(commands):
                    break
                return await attempt()
            except FAILURES as failure:
                error = failure
            except StoreError as failure:
                error = failure
                break
        raise _outcome(error, lost)

    async def _may_run_twice(self, commands: Commands) -> bool:
        if self._mode == ALL:
            return True
        try:
            return await self._only_read(commands)
        except ReplyError:
            return False  # a server that does not tell its commands' flags

    def _may_repeat(self, error: StoreError, repeated: int) -> bool:
        asked = self._mode != NEVER and repeated < self._retries
        if isinstance(error, ReplyError):
            code = error.code
            if code in _ELSEWHERE:
                error.add_note("the server is a node of a cluster; connect with redis+cluster://")
            return code in _LOADING or (code in _DEMOTED and not repeated) or (code in _REFUSED and asked)
        return asked and not isinstance(error, Timeout)


class _Course:
    """How far the repetitions of one call have come."""

    def __init__(self, timeout: float) -> None:
        self.repeated = 0
        self._clock = asyncio.get_running_loop().time
        self._deadline = self._clock() + timeout if timeout else float("inf")
        self._pause = FIRST_PAUSE

    async def pause(self, at_once: bool) -> bool:
        """Wait before the next repetition; False when there is no time left for it."""
        self.repeated += 1
        if self.repeated == 1 and at_once:
            return True
        pause = self._pause * random.uniform(0.5, 1.0)
        self._pause = min(self._pause * 2, LONGEST_PAUSE)
        if self._clock() + pause > self._deadline:
            return False
        await asyncio.sleep(pause)
        return True


def nothing_ran(replies: Sequence[Any]) -> bool:
    """Whether the server refused every command of a pipeline, for a reason that passes."""
    return all(isinstance(reply, ReplyError) and reply.code in _REFUSED for reply in replies)


def _follows_at_once(error: StoreError) -> bool:
    return not isinstance(error, ReplyError) or error.code in _DEMOTED


def _outcome(error: StoreError, lost: StoreError | None) -> StoreError:
    """What the caller is told: not that nothing ran, when an attempt before the last may have."""
    if lost is None or error is lost:
        return error
    if isinstance(error, StoreClosed) or (
        isinstance(error, ConnectionFailed) and not isinstance(error, ConnectionLost)
    ):
        lost.add_note(f"it was not repeated: {error}")
        return lost
    error.add_note(f"an attempt before this one may have run: {lost}")
    return error
