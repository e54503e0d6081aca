"""Sorted set commands that take a range: by rank, by score, by member.

ZRANGE says with options what its five older forms say with their names; all of them are one ``Query``.
"""
# ruff: noqa: E501  (the first line of a handler's docstring is its summary in COMMAND DOCS, as long as Valkey's)

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from store_pulsards.engine import args, errors
from store_pulsards.engine.commands.sorted_sets import member_scores, settled, shrunk
from store_pulsards.engine.context import Context
from store_pulsards.engine.ranges import Span, by_member, by_rank, by_score
from store_pulsards.engine.replies import Pairs, Reply
from store_pulsards.engine.sorted_set import Entry, SortedSet
from store_pulsards.engine.table import DENYOOM, FAST, FIRST, READONLY, SECOND, WRITE, family

command = family("sorted-set")


@dataclass(slots=True)
class Query:
    """What to take from a sorted set."""

    span: Span
    reverse: bool
    offset: int
    limit: int  # negative: no limit
    with_scores: bool

    def entries(self, value: SortedSet) -> list[Entry]:
        """The entries asked for, in the order asked for."""
        start, stop = self.span(value)
        if self.offset < 0:
            return []
        limit = self.limit if self.limit >= 0 else len(value)
        if self.reverse:
            stop -= self.offset
            start = max(start, stop - limit)
        else:
            start += self.offset
            stop = min(stop, start + limit)
        return value.entries(start, stop, self.reverse) if start < stop else []

    def reply(self, value: SortedSet) -> Reply:
        """The entries as the client wants them."""
        entries = self.entries(value)
        return Pairs(member_scores(entries)) if self.with_scores else [member for _, member in entries]


def _parse(
    start: bytes,
    stop: bytes,
    options: Sequence[bytes],
    *,
    allowed: frozenset[bytes] = frozenset((b"WITHSCORES",)),
    implied: frozenset[bytes] = frozenset(),
) -> Query:
    """Options and bounds of any range command, checked in Valkey's order.

    Args:
        start: The bound that the command has first (with REV, BYSCORE and BYLEX have the upper one first).
        stop: The other one.
        options: What the client gave.
        allowed: Options without a value that this command knows.
        implied: Options that are in the command's name.
    """
    if not options and not implied:
        return Query(by_rank(start, stop), reverse=False, offset=0, limit=-1, with_scores=False)
    given = _options(options, allowed)
    chosen = implied.union(given)
    offset, limit = given.get(b"LIMIT", (0, -1))
    by_value = chosen & {b"BYSCORE", b"BYLEX"}
    if limit != -1 and not by_value:
        raise errors.limit_without_by()
    if b"WITHSCORES" in chosen and b"BYLEX" in chosen:
        raise errors.withscores_with_bylex()
    reverse = b"REV" in chosen
    if not by_value:
        span = by_rank(start, stop, reverse=reverse)
    else:
        bounds = (stop, start) if reverse else (start, stop)
        span = by_score(*bounds) if b"BYSCORE" in chosen else by_member(*bounds)
    return Query(span, reverse, offset, limit, b"WITHSCORES" in chosen)


def _options(options: Sequence[bytes], allowed: frozenset[bytes]) -> dict[bytes, Any]:
    given: dict[bytes, Any] = {}
    index = 0
    while index < len(options):
        name = options[index].upper()
        if name == b"LIMIT" and index + 2 < len(options):
            given[name] = (args.integer(options[index + 1]), args.integer(options[index + 2]))
            index += 3
        elif (
            name in allowed
            and not (name in given and name == b"REV")
            and _EXCLUSIVE.isdisjoint(given if name in _EXCLUSIVE else ())
        ):
            given[name] = True
            index += 1
        else:
            raise errors.syntax_error()
    return given


_EXCLUSIVE = frozenset((b"BYSCORE", b"BYLEX"))
_ZRANGESTORE = _EXCLUSIVE | {b"REV"}
_ZRANGE = _ZRANGESTORE | {b"WITHSCORES"}


def _range(ctx: Context, key: bytes, query: Query) -> Reply:
    value = ctx.lookup(key, SortedSet)
    return [] if value is None else query.reply(value)


@command("ZRANGE", arity=-4, flags=READONLY, keys=FIRST, since="1.2.0")
def zrange(ctx: Context, key: bytes, start: bytes, stop: bytes, *options: bytes) -> Reply:
    """Returns members in a sorted set within a range of indexes."""
    return _range(ctx, key, _parse(start, stop, options, allowed=_ZRANGE))


@command("ZREVRANGE", arity=-4, flags=READONLY, keys=FIRST, since="1.2.0")
def zrevrange(ctx: Context, key: bytes, start: bytes, stop: bytes, *options: bytes) -> Reply:
    """Returns members in a sorted set within a range of indexes in reverse order."""
    return _range(ctx, key, _parse(start, stop, options, implied=frozenset((b"REV",))))


@command("ZRANGEBYSCORE", arity=-4, flags=READONLY, keys=FIRST, since="1.0.5")
def zrangebyscore(ctx: Context, key: bytes, low: bytes, high: bytes, *options: bytes) -> Reply:
    """Returns members in a sorted set within a range of scores."""
    return _range(ctx, key, _parse(low, high, options, implied=frozenset((b"BYSCORE",))))


@command("ZREVRANGEBYSCORE", arity=-4, flags=READONLY, keys=FIRST, since="2.2.0")
def zrevrangebyscore(ctx: Context, key: bytes, high: bytes, low: bytes, *options: bytes) -> Reply:
    """Returns members in a sorted set within a range of scores in reverse order."""
    return _range(ctx, key, _parse(high, low, options, implied=frozenset((b"BYSCORE", b"REV"))))


@command("ZRANGEBYLEX", arity=-4, flags=READONLY, keys=FIRST, since="2.8.9")
def zrangebylex(ctx: Context, key: bytes, low: bytes, high: bytes, *options: bytes) -> Reply:
    """Returns members in a sorted set within a lexicographical range."""
    return _range(ctx, key, _parse(low, high, options, implied=frozenset((b"BYLEX",))))


@command("ZREVRANGEBYLEX", arity=-4, flags=READONLY, keys=FIRST, since="2.8.9")
def zrevrangebylex(ctx: Context, key: bytes, high: bytes, low: bytes, *options: bytes) -> Reply:
    """Returns members in a sorted set within a lexicographical range in reverse order."""
    return _range(ctx, key, _parse(high, low, options, implied=frozenset((b"BYLEX", b"REV"))))


@command(
    "ZRANGESTORE",
    arity=-5,
    flags=WRITE | DENYOOM,
    keys=(FIRST, SECOND),
    access=("OW update", "RO access"),
    since="6.2.0",
)
def zrangestore(ctx: Context, destination: bytes, source: bytes, start: bytes, stop: bytes, *options: bytes) -> Reply:
    """Stores a range of members from sorted set in a key."""
    query = _parse(start, stop, options, allowed=_ZRANGESTORE)
    value = ctx.lookup(source, SortedSet)
    entries = [] if value is None else query.entries(value)
    return store(ctx, destination, {member: score for score, member in entries}, "zrangestore")


def store(ctx: Context, destination: bytes, scores: dict[bytes, float], event: str) -> int:
    """Put a result where the client wants it; an empty one leaves no key."""
    if scores:
        ctx.set(destination, SortedSet(settled(scores)))
        ctx.notify(event, destination)
    elif ctx.delete(destination):
        ctx.notify("del", destination)
    return len(scores)


def _count(ctx: Context, key: bytes, span: Span) -> int:
    value = ctx.lookup(key, SortedSet)
    if value is None:
        return 0
    start, stop = span(value)
    return max(stop - start, 0)


@command("ZCOUNT", arity=4, flags=READONLY | FAST, keys=FIRST, since="2.0.0")
def zcount(ctx: Context, key: bytes, low: bytes, high: bytes) -> Reply:
    """Returns the count of members in a sorted set that have scores within a range."""
    return _count(ctx, key, by_score(low, high))


@command("ZLEXCOUNT", arity=4, flags=READONLY | FAST, keys=FIRST, since="2.8.9")
def zlexcount(ctx: Context, key: bytes, low: bytes, high: bytes) -> Reply:
    """Returns the number of members in a sorted set within a lexicographical range."""
    return _count(ctx, key, by_member(low, high))


def _remove(ctx: Context, key: bytes, span: Span, event: str) -> int:
    value = ctx.lookup(key, SortedSet)
    if value is None:
        return 0
    start, stop = span(value)
    if start >= stop:
        return 0
    removed = value.remove_slice(start, stop)
    shrunk(ctx, key, value, event)
    return len(removed)


@command("ZREMRANGEBYRANK", arity=4, flags=WRITE, keys=FIRST, access="RW delete", since="2.0.0")
def zremrangebyrank(ctx: Context, key: bytes, start: bytes, stop: bytes) -> Reply:
    """Removes members in a sorted set within a range of indexes. Deletes the sorted set if all members were removed."""
    return _remove(ctx, key, by_rank(start, stop), "zremrangebyrank")


@command("ZREMRANGEBYSCORE", arity=4, flags=WRITE, keys=FIRST, access="RW delete", since="1.2.0")
def zremrangebyscore(ctx: Context, key: bytes, low: bytes, high: bytes) -> Reply:
    """Removes members in a sorted set within a range of scores. Deletes the sorted set if all members were removed."""
    return _remove(ctx, key, by_score(low, high), "zremrangebyscore")


@command("ZREMRANGEBYLEX", arity=4, flags=WRITE, keys=FIRST, access="RW delete", since="2.8.9")
def zremrangebylex(ctx: Context, key: bytes, low: bytes, high: bytes) -> Reply:
    """Removes members in a sorted set within a lexicographical range. Deletes the sorted set if all members were removed."""
    return _remove(ctx, key, by_member(low, high), "zremrangebylex")
