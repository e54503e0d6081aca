"""What a server of a cluster means by an error, and how long a caller goes on.

``MOVED``: the slot is another node's, from now on. ``ASK``: this one command is, while the slot migrates. ``TRYAGAIN``:
the keys of the command are on both sides at this moment. ``CLUSTERDOWN``, ``READONLY``, ``LOADING``, ``MASTERDOWN``: a
failover is under way, or a node has just come back. In each case the command was certainly not run, so it is sent
again; so is one that was not sent at all. A command that was sent to a connection that broke is never sent again.
"""

from __future__ import annotations

import asyncio
import random
from enum import Enum

from store_core import ConnectionFailed, ConnectionLost, ReplyError, StoreError
from store_redis.cluster.topology import Address
from store_redis.retry import Retry

#: Redirections that one command follows, and how many of them without a pause: two nodes may each name the other for
#: a moment, while a failover gets about.
REDIRECTIONS, AT_ONCE = 16, 4

#: Seconds of the first pause and of the longest.
FIRST_PAUSE, LONGEST_PAUSE = 0.02, 0.5

#: Seconds after which a command is given up where the store has no timeout.
GIVE_UP = 60.0


class Verdict(Enum):
    """What to do with a command that was not run."""

    FINAL = 0  #: the error is the caller's
    MOVED = 1  #: send it where the error says, and remember that
    ASK = 2  #: send it where the error says, once, after ASKING
    WAIT = 3  #: send it again after a pause
    REFRESH = 4  #: look who serves the slot now, and send it there, after a pause


_BY_CODE = {
    "MOVED": Verdict.MOVED,
    "ASK": Verdict.ASK,
    "TRYAGAIN": Verdict.WAIT,
    "CLUSTERDOWN": Verdict.REFRESH,
    "LOADING": Verdict.REFRESH,
    "MASTERDOWN": Verdict.REFRESH,
    "READONLY": Verdict.REFRESH,
}

#: Codes of errors that are not the caller's business yet.
REDIRECTING = frozenset(_BY_CODE)


def verdict(error: object) -> Verdict:
    """What an outcome means; FINAL for a reply, too."""
    if isinstance(error, ReplyError):
        if error.code == "UNBLOCKED" and "instance state changed" in str(error):
            return Verdict.REFRESH  # a primary became a replica while the caller was blocked
        return _BY_CODE.get(error.code, Verdict.FINAL)
    if isinstance(error, ConnectionFailed) and not isinstance(error, ConnectionLost):
        return Verdict.REFRESH
    return Verdict.FINAL


def destination(error: ReplyError, asked: Address) -> tuple[int, Address]:
    """Slot and address in a ``MOVED`` or ``ASK``; one without a host means the host of the server that said it."""
    _, slot, address = str(error).split(maxsplit=2)
    return int(slot), Address.parse(address.split()[0], asked.host)


class ClusterRetry(Retry):
    """The policy of ``retry`` in a cluster: what was certainly not run has been sent again as often as it may be."""

    def _may_repeat(self, error: StoreError, repeated: int) -> bool:
        return verdict(error) is Verdict.FINAL and super()._may_repeat(error, repeated)


class Patience:
    """How far one caller goes before it takes an error for an answer.

    Args:
        seconds: How long, in all; 0 for as long as ``GIVE_UP``.
    """

    def __init__(self, seconds: float) -> None:
        self._time = asyncio.get_running_loop().time
        self._seconds = seconds or GIVE_UP
        self._until = self._time() + self._seconds
        self._redirections = 0
        self._pause = 0.0

    def restart(self) -> None:
        """Begin anew: the time until now was not spent on redirections."""
        self._until = self._time() + self._seconds

    async def redirected(self, error: object) -> bool:
        """Count a redirection; whether to follow it, after a pause if there were many."""
        self._redirections += 1
        if self._redirections <= AT_ONCE:
            return True
        return self._redirections <= REDIRECTIONS and await self.pause(error)

    async def pause(self, error: object) -> bool:
        """Wait before the next attempt, each time longer; False, at once, where there is no time left for it."""
        if not self._pause and isinstance(error, ConnectionFailed):
            self._pause = FIRST_PAUSE  # a connection that was lost since its last use: the next one may be made at once
            return True
        pause = max(self._pause, FIRST_PAUSE) * random.uniform(0.5, 1.0)
        if self._time() + pause > self._until:
            return False
        self._pause = min(max(self._pause, FIRST_PAUSE) * 2, LONGEST_PAUSE)
        await asyncio.sleep(pause)
        return True
