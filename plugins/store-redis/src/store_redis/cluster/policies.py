"""Combining the replies of several nodes, by the server's own *response policies*.

COMMAND gives each command tips (https://valkey.io/topics/command-tips): which nodes to ask, and what their replies
make together. Pure functions from a list of replies to one; a reply that is an error is an exception in the list.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import reduce
from operator import add
from typing import Any

Combine = Callable[[list[Any]], Any]


def _whole(combine: Combine) -> Combine:
    """Combines only when every node succeeded; else the first error stands for all."""

    def combined(replies: list[Any]) -> Any:
        failed = next((reply for reply in replies if isinstance(reply, Exception)), None)
        return combine(replies) if failed is None else failed

    return combined


def _each(function: Callable[[Any, Any], Any]) -> Combine:
    """Folds numbers, or lists of numbers element by element (``SCRIPT EXISTS``, ``WAITAOF``)."""

    def both(left: Any, right: Any) -> Any:
        if isinstance(left, list):
            return [function(one, other) for one, other in zip(left, right, strict=True)]
        return function(left, right)

    return lambda replies: reduce(both, replies)


def _one_succeeded(replies: list[Any]) -> Any:
    # SCRIPT KILL: every node but the busy one says NOTBUSY, and what another one says counts more.
    succeeded = [reply for reply in replies if not isinstance(reply, Exception)]
    if succeeded:
        return succeeded[0]
    return next((reply for reply in replies if not str(reply).startswith("NOTBUSY")), replies[0])


def concatenated(replies: list[Any]) -> Any:
    """What a command without a policy gives: one list of all elements, or one map; else the first reply."""
    if all(isinstance(reply, list) for reply in replies):
        return [element for reply in replies for element in reply]
    if all(isinstance(reply, dict) for reply in replies):
        return {name: value for reply in replies for name, value in reply.items()}
    return replies[0]


def counts_added(replies: list[Any]) -> Any:
    """``PUBSUB NUMSUB``: name and count in turns (RESP2), or a map (RESP3); counts of one name are added."""
    totals: dict[Any, int] = {}
    for reply in replies:
        pairs: Iterable[tuple[Any, int]] = (
            reply.items() if isinstance(reply, dict) else zip(reply[::2], reply[1::2], strict=True)
        )
        for name, count in pairs:
            totals[name] = totals.get(name, 0) + count
    if isinstance(replies[0], dict):
        return totals
    return [part for pair in totals.items() for part in pair]


def united(replies: list[Any]) -> list[Any]:
    """``PUBSUB CHANNELS``: each name once."""
    return list(dict.fromkeys(name for reply in replies for name in reply))


_SUM = _whole(_each(add))

#: Response policy to how replies are combined.
BY_POLICY: dict[str, Combine] = {
    "": _whole(concatenated),
    "agg_logical_and": _whole(_each(lambda left, right: int(bool(left and right)))),
    "agg_logical_or": _whole(_each(lambda left, right: int(bool(left or right)))),
    "agg_max": _whole(_each(max)),
    "agg_min": _whole(_each(min)),
    "agg_sum": _SUM,
    "all_succeeded": _whole(lambda replies: replies[0]),
    "one_succeeded": _one_succeeded,
}

#: Commands that are a matter of every node, though the server gives no tips.
WITHOUT_TIPS: dict[str, tuple[str, Combine]] = {
    "PUBSUB CHANNELS": ("all_nodes", _whole(united)),
    "PUBSUB NUMPAT": ("all_nodes", _SUM),
    "PUBSUB NUMSUB": ("all_nodes", _whole(counts_added)),
    "PUBSUB SHARDCHANNELS": ("all_nodes", _whole(united)),
    "PUBSUB SHARDNUMSUB": ("all_nodes", _whole(counts_added)),
}

#: Tips for servers that are older than tips (before Redis 7): where a single node's answer would be wrong.
BEFORE_TIPS: dict[str, tuple[str, str]] = {
    "DBSIZE": ("all_shards", "agg_sum"),
    "FLUSHALL": ("all_shards", "all_succeeded"),
    "FLUSHDB": ("all_shards", "all_succeeded"),
    "KEYS": ("all_shards", ""),
    "PING": ("all_shards", "all_succeeded"),
    "SCRIPT EXISTS": ("all_shards", "agg_logical_and"),
    "SCRIPT FLUSH": ("all_nodes", "all_succeeded"),
    "SCRIPT LOAD": ("all_nodes", "all_succeeded"),
    "WAIT": ("all_shards", "agg_min"),
}
