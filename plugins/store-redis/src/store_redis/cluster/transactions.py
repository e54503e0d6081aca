"""Transactions in a cluster: one slot, so one node; and what it means when that slot moves in the middle.

MULTI, the commands and EXEC go in one write. Where a node redirects one of them, the server runs none
(``EXECABORT``), so the whole goes again to where the redirection points. With watched keys it cannot: the watch was
on the old node, so the transaction gives way (``TransactionAborted``), and ``transact`` begins anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from store_core import ConnectionFailed, ConnectionLost, ReplyError, TransactionAborted
from store_redis.cluster.node import ClusterNode
from store_redis.cluster.redirects import Verdict, verdict
from store_redis.connection import send, until_writable
from store_redis.errors import make, reply_error
from store_redis.link import Link
from store_redis.watch import RedisWatch


def crossing(note: str) -> ReplyError:
    """The error of keys in several slots, in the server's words, with a note for people."""
    error = reply_error("CROSSSLOT Keys in request don't hash to the same slot")
    error.add_note(note)
    return error


async def queue(link: Link, prepared: Sequence[tuple[Any, ...]], asking: bool) -> list[Any]:
    """Send a transaction in one write; the replies to MULTI, the commands and EXEC.

    ASKING before MULTI holds for the whole transaction.
    """
    await until_writable(link, link.timeout)
    commands: list[tuple[Any, ...]] = [("MULTI",), *prepared, ("EXEC",)]
    replies = await link.send_batch([("ASKING",), *commands] if asking else commands)
    return replies[1:] if asking else replies


def moved_away(replies: Sequence[Any]) -> ReplyError | None:
    """The redirection for which a transaction did not run; None where it ran, or was refused for another reason."""
    executed = replies[-1]
    if not isinstance(executed, ReplyError):
        return None
    refused = [executed] if executed.code != "EXECABORT" else [each for each in replies if isinstance(each, ReplyError)]
    kinds = [verdict(each) for each in refused if each.code != "EXECABORT"]
    if not kinds or Verdict.FINAL in kinds:
        return None
    return next(each for each in refused if each.code != "EXECABORT")


class ClusterWatch(RedisWatch):
    """The connection on which keys are watched, to the node of their slot."""

    def __init__(self, node: ClusterNode, slot: int | None, link: Link, asking: bool, *, changed: bool = False) -> None:
        super().__init__(node.dedicated, link, changed=changed)
        self._node = node
        self._slot = slot
        self._asking = asking

    @classmethod
    async def begin(cls, node: ClusterNode, slot: int | None, prepared: tuple[Any, ...], asking: bool) -> ClusterWatch:
        """Watch keys on a node."""
        watch = cls(node, slot, await node.dedicated.take(), asking)
        try:
            if asking:
                watch.link.send(("ASKING",)).cancel()
            await send(watch.link, prepared)
        except BaseException:
            await watch.release()
            raise
        return watch

    async def run(self, prepared: Sequence[tuple[Any, ...]], slot: int | None) -> list[Any]:
        """Run a transaction where the keys are watched; the replies to MULTI, the commands and EXEC.

        Raises:
            TransactionAborted: The slot has moved, or the connection was lost before; nothing was run.
        """
        if slot is not None and self._slot is not None and slot != self._slot:
            raise crossing("the keys of a transaction are in the slot of those that it watches")
        try:
            replies = await queue(self.link, prepared, self._asking)
        except ConnectionLost:
            raise
        except ConnectionFailed as error:
            raise make(TransactionAborted, f"the watch was lost; nothing was run: {error}") from error
        redirected = moved_away(replies)
        if redirected is not None:
            raise make(TransactionAborted, f"the watched slot moved; nothing was run: {redirected}") from redirected
        return replies
