"""Sorted set commands: members, scores and ranks, and taking members out.

Ranges are in ``sorted_sets_ranges``, unions and their kin in ``sorted_sets_algebra``.
"""
# ruff: noqa: E501  (the first line of a handler's docstring is its summary in COMMAND DOCS, as long as Valkey's)

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import copysign, isnan
from random import randrange, sample

from store_pulsards.encoder import format_double
from store_pulsards.engine import args, counts, encodings, errors, scan
from store_pulsards.engine.commands.element_scan import scan_page
from store_pulsards.engine.commands.waiting import attempt_or_wait, parse_mpop
from store_pulsards.engine.context import Context
from store_pulsards.engine.keyspace import ValueType, register_type
from store_pulsards.engine.replies import NULL_ARRAY, Pairs, Reply
from store_pulsards.engine.sorted_set import Entry, SortedSet
from store_pulsards.engine.table import (
    ALL_BUT_LAST,
    BLOCKING,
    DENYOOM,
    FAST,
    FIRST,
    READONLY,
    WRITE,
    family,
    numkeys,
)

command = family("sorted-set")

register_type(
    SortedSet,
    ValueType(b"zset", SortedSet.copy, encodings.of_sorted_set, lambda value: [member for _, member in value]),
)

EXACT_DIGITS = 16  # so many digits are a whole number that a double holds
POP_ACCESS = "RW access delete"

ZADD_OPTIONS = frozenset((b"NX", b"XX", b"GT", b"LT", b"CH", b"INCR"))
NO_OPTIONS: frozenset[bytes] = frozenset()
INCREMENT = frozenset((b"INCR",))


@command("ZADD", arity=-4, flags=WRITE | DENYOOM | FAST, keys=FIRST, since="1.2.0")
def zadd(ctx: Context, key: bytes, *rest: bytes) -> Reply:
    """Adds one or more members to a sorted set, or updates their scores. Creates the key if it doesn't exist."""
    if len(rest) == 2 and (rest[0].isdigit() or rest[0].upper() not in ZADD_OPTIONS):  # the usual form, and the fastest
        return _add_one(ctx, key, rest[1], _score(rest[0]))
    options, pairs = _split_options(rest)
    if not pairs or len(pairs) & 1:
        raise errors.syntax_error()
    _check_options(options, len(pairs) // 2)
    scored = [(pairs[index + 1], _score(pairs[index])) for index in range(0, len(pairs), 2)]
    added, updated, score = _add(ctx, key, scored, options)
    if b"INCR" in options:
        return score
    return added + updated if b"CH" in options else added


def _add_one(ctx: Context, key: bytes, member: bytes, score: float) -> int:
    """``_add`` without options, for one member; whether it is new."""
    db = ctx.db
    value = db.data.get(key)
    if type(value) is not SortedSet or key in db.expires:  # ctx.lookup, written out where it counts
        value = ctx.lookup(key, SortedSet)
    old = None if value is None else value.scores.get(member)
    if old == score:
        return 0
    if value is None or not score:
        return _add(ctx, key, ((member, score),), NO_OPTIONS)[0]
    value.add(member, score)
    ctx.notify("zadd", key)
    return int(old is None)


def _score(text: bytes) -> float:
    if text.isdigit() and len(text) < EXACT_DIGITS:
        return float(text)
    score = args.real(text)
    if not score and text.lower().partition(b"e")[0].strip(b"+-0."):
        raise errors.not_a_float()  # too small to be told from 0, which Valkey refuses
    return score


def settled(scores: dict[bytes, float]) -> dict[bytes, float]:
    """Scores as they are kept: a small sorted set has whole numbers as integers, which know no ``-0``."""
    if 0.0 in scores.values() and encodings.small_sorted_set(scores):
        return {member: score + 0.0 for member, score in scores.items()}
    return scores


def _split_options(rest: Sequence[bytes]) -> tuple[frozenset[bytes], Sequence[bytes]]:
    index = 0
    while index < len(rest) and rest[index].upper() in ZADD_OPTIONS:
        index += 1
    if not index:
        return NO_OPTIONS, rest
    return frozenset(map(bytes.upper, rest[:index])), rest[index:]


def _check_options(options: frozenset[bytes], pairs: int) -> None:
    if not options:
        return
    if options >= {b"NX", b"XX"}:
        raise errors.zadd_nx_and_xx()
    if len(options & {b"GT", b"LT", b"NX"}) > 1:
        raise errors.zadd_gt_lt_nx()
    if b"INCR" in options and pairs > 1:
        raise errors.zadd_incr_of_several()


def _add(
    ctx: Context,
    key: bytes,
    scored: Sequence[tuple[bytes, float]],
    options: frozenset[bytes],
) -> tuple[int, int, float | None]:
    """Add or update members; how many were added and updated, and the last score (None when it was refused)."""
    value = ctx.lookup(key, SortedSet)
    if value is None:
        if b"XX" in options:
            return 0, 0, None
        value = SortedSet()
        ctx.set(key, value)
    before, updated, score = len(value), 0, None
    for member, given in scored:
        old = value.scores.get(member)
        score = _resulting(old, given, options) if options else given
        if score is not None and score != old:
            value.add(member, score or _zero(value, member, score, scored))
            updated += old is not None
    added = len(value) - before
    if added or updated:
        ctx.notify("zincr" if b"INCR" in options else "zadd", key)
    return added, updated, score


def _zero(value: SortedSet, member: bytes, zero: float, scored: Sequence[tuple[bytes, float]]) -> float:
    """How a score of 0 is kept, of a member that is added with others."""
    if copysign(1.0, zero) > 0 or max(len(value), len(scored)) > encodings.USUAL.sorted_set_entries:
        return zero
    return settled({**value.scores, **dict(scored), member: zero})[member]


def _resulting(old: float | None, given: float, options: frozenset[bytes]) -> float | None:
    """The score that a member has afterwards; None where the options leave it alone."""
    if old is None:
        return None if b"XX" in options else given
    if b"NX" in options:
        return None
    score = old + given if b"INCR" in options else given
    if isnan(score):
        raise errors.score_not_a_number()
    if (b"GT" in options and score <= old) or (b"LT" in options and score >= old):
        return None
    return score


@command("ZINCRBY", arity=4, flags=WRITE | DENYOOM | FAST, keys=FIRST, access="RW access update", since="1.2.0")
def zincrby(ctx: Context, key: bytes, increment: bytes, member: bytes) -> Reply:
    """Increments the score of a member in a sorted set."""
    if increment.upper() in ZADD_OPTIONS:  # ZADD's arguments, for Valkey, without a pair
        raise errors.syntax_error()
    return _add(ctx, key, ((member, _score(increment)),), INCREMENT)[2]


@command("ZREM", arity=-3, flags=WRITE | FAST, keys=FIRST, access="RW delete", since="1.2.0")
def zrem(ctx: Context, key: bytes, *members: bytes) -> Reply:
    """Removes one or more members from a sorted set. Deletes the sorted set if all members were removed."""
    value = ctx.lookup(key, SortedSet)
    if value is None:
        return 0
    removed = sum(map(value.discard, members))
    if removed:
        shrunk(ctx, key, value, "zrem")
    return removed


def shrunk(ctx: Context, key: bytes, value: SortedSet, event: str) -> None:
    """Tell that members were taken out; a sorted set that is empty then is gone."""
    ctx.notify(event, key)
    if not value:
        ctx.delete(key)
        ctx.notify("del", key)


@command("ZCARD", arity=2, flags=READONLY | FAST, keys=FIRST, access="RO", since="1.2.0")
def zcard(ctx: Context, key: bytes) -> Reply:
    """Returns the number of members in a sorted set."""
    return len(ctx.lookup(key, SortedSet) or ())


@command("ZSCORE", arity=3, flags=READONLY | FAST, keys=FIRST, since="1.2.0")
def zscore(ctx: Context, key: bytes, member: bytes) -> Reply:
    """Returns the score of a member in a sorted set."""
    value = ctx.lookup(key, SortedSet)
    return None if value is None else value.scores.get(member)


@command("ZMSCORE", arity=-3, flags=READONLY | FAST, keys=FIRST, since="6.2.0")
def zmscore(ctx: Context, key: bytes, *members: bytes) -> Reply:
    """Returns the score of one or more members in a sorted set."""
    value = ctx.lookup(key, SortedSet)
    return [None] * len(members) if value is None else list(map(value.scores.get, members))


@command("ZRANK", arity=-3, flags=READONLY | FAST, keys=FIRST, since="2.0.0")
def zrank(ctx: Context, key: bytes, member: bytes, *options: bytes) -> Reply:
    """Returns the index of a member in a sorted set ordered by ascending scores."""
    return _rank(ctx, "zrank", key, member, options)


@command("ZREVRANK", arity=-3, flags=READONLY | FAST, keys=FIRST, since="2.0.0")
def zrevrank(ctx: Context, key: bytes, member: bytes, *options: bytes) -> Reply:
    """Returns the index of a member in a sorted set ordered by descending scores."""
    return _rank(ctx, "zrevrank", key, member, options)


def _rank(ctx: Context, name: str, key: bytes, member: bytes, options: Sequence[bytes]) -> Reply:
    if len(options) > 1:
        raise errors.wrong_arity(name)
    if options and options[0].upper() != b"WITHSCORE":
        raise errors.syntax_error()
    value = ctx.lookup(key, SortedSet)
    rank = None if value is None else value.rank(member)
    if value is None or rank is None:
        return NULL_ARRAY if options else None
    if name == "zrevrank":
        rank = len(value) - 1 - rank
    return [rank, value.scores[member]] if options else rank


@command("ZPOPMIN", arity=-2, flags=WRITE | FAST, keys=FIRST, access=POP_ACCESS, since="5.0.0")
def zpopmin(ctx: Context, key: bytes, *count: bytes) -> Reply:
    """Returns the lowest-scoring members from a sorted set after removing them. Deletes the sorted set if the last member was popped."""
    return _pop(ctx, key, count, lowest=True)


@command("ZPOPMAX", arity=-2, flags=WRITE | FAST, keys=FIRST, access=POP_ACCESS, since="5.0.0")
def zpopmax(ctx: Context, key: bytes, *count: bytes) -> Reply:
    """Returns the highest-scoring members from a sorted set after removing them. Deletes the sorted set if the last member was popped."""
    return _pop(ctx, key, count, lowest=False)


def _pop(ctx: Context, key: bytes, options: Sequence[bytes], *, lowest: bool) -> Reply:
    count = counts.to_pop(options) if options else None
    value = ctx.lookup(key, SortedSet)
    if value is None or count == 0:
        return []
    popped = take(ctx, key, value, lowest=lowest, count=1 if count is None else count)
    if count is None:
        return list(popped[0])
    return Pairs(popped)


def take(ctx: Context, key: bytes, value: SortedSet, *, lowest: bool, count: int) -> list[tuple[bytes, float]]:
    """Pop members from one end, at least one, the outermost first."""
    size = len(value)
    entries = value.remove_slice(0, count) if lowest else value.remove_slice(max(size - count, 0), size)[::-1]
    shrunk(ctx, key, value, "zpopmin" if lowest else "zpopmax")
    return member_scores(entries)


def member_scores(entries: Sequence[Entry]) -> list[tuple[bytes, float]]:
    """Entries the way replies have them."""
    return [(member, score) for score, member in entries]


@command("ZMPOP", arity=-4, flags=WRITE, keys=numkeys(1), access=POP_ACCESS, since="7.0.0")
def zmpop(ctx: Context, *rest: bytes) -> Reply:
    """Returns the highest- or lowest-scoring members from one or more sorted sets after removing them. Deletes the sorted set if the last member was popped."""
    keys, lowest, count = parse_mpop(rest, b"MIN", b"MAX")
    return _take_first(ctx, keys, lowest=lowest, count=count) or NULL_ARRAY


def _take_first(ctx: Context, keys: Sequence[bytes], *, lowest: bool, count: int) -> list[Reply] | None:
    """Pop from the first sorted set that has anything: its key, and the members with their scores."""
    for key in keys:
        value = ctx.lookup(key, SortedSet)
        if value is not None:
            return [key, take(ctx, key, value, lowest=lowest, count=count)]
    return None


@command("BZPOPMIN", arity=-3, flags=WRITE | BLOCKING | FAST, keys=ALL_BUT_LAST, access=POP_ACCESS, since="5.0.0")
def bzpopmin(ctx: Context, *rest: bytes) -> Reply:
    """Removes and returns the member with the lowest score from one or more sorted sets. Blocks until a member is available otherwise. Deletes the sorted set if the last element was popped."""
    return _blocking_pop(ctx, rest[:-1], rest[-1], lowest=True)


@command("BZPOPMAX", arity=-3, flags=WRITE | BLOCKING | FAST, keys=ALL_BUT_LAST, access=POP_ACCESS, since="5.0.0")
def bzpopmax(ctx: Context, *rest: bytes) -> Reply:
    """Removes and returns the member with the highest score from one or more sorted sets. Blocks until a member is available otherwise. Deletes the sorted set if the last element was popped."""
    return _blocking_pop(ctx, rest[:-1], rest[-1], lowest=False)


def _blocking_pop(ctx: Context, keys: Sequence[bytes], timeout: bytes, *, lowest: bool) -> Reply:
    def attempt() -> Reply | None:
        popped = _take_first(ctx, keys, lowest=lowest, count=1)
        return popped and [popped[0], *popped[1][0]]

    return attempt_or_wait(ctx, keys, SortedSet, args.timeout(timeout), attempt)


@command("BZMPOP", arity=-5, flags=WRITE | BLOCKING, keys=numkeys(2), access=POP_ACCESS, since="7.0.0")
def bzmpop(ctx: Context, timeout: bytes, *rest: bytes) -> Reply:
    """Removes and returns a member by score from one or more sorted sets. Blocks until a member is available otherwise. Deletes the sorted set if the last element was popped."""
    keys, lowest, count = parse_mpop(rest, b"MIN", b"MAX")

    def attempt() -> Reply | None:
        return _take_first(ctx, keys, lowest=lowest, count=count)

    return attempt_or_wait(ctx, keys, SortedSet, args.timeout(timeout), attempt)


@command("ZRANDMEMBER", arity=-2, flags=READONLY, keys=FIRST, since="6.2.0", tips=("nondeterministic_output",))
def zrandmember(ctx: Context, key: bytes, *options: bytes) -> Reply:
    """Returns one or more random members from a sorted set."""
    count, with_scores = counts.at_random(options, b"WITHSCORES")
    value = ctx.lookup(key, SortedSet)
    if value is None:
        return None if count is None else []
    if count is None:
        return value.at(randrange(len(value)))[1]
    size = len(value)
    chosen = [randrange(size) for _ in range(-count)] if count < 0 else _distinct(size, count)
    entries = [value.at(position) for position in chosen]
    return Pairs(member_scores(entries)) if with_scores else [member for _, member in entries]


def _distinct(size: int, count: int) -> Sequence[int]:
    return range(size) if count >= size else sample(range(size), count)


@command("ZSCAN", arity=-3, flags=READONLY, keys=FIRST, since="2.8.0", tips=("nondeterministic_output",))
def zscan(ctx: Context, key: bytes, cursor: bytes, *options: bytes) -> Reply:
    """Iterates over members and scores of a sorted set."""
    begin = scan.cursor(cursor)
    value = ctx.lookup(key, SortedSet)
    if value is None:
        return [b"0", []]
    scores = value.scores
    small = encodings.of_sorted_set(value, ctx.engine.config.encodings) == b"listpack"
    members = [member for _, member in value] if small else scores
    following, found, only_members = scan_page(ctx, members, begin, options, at_once=small, flag=b"NOSCORES")
    if only_members:
        return [following, found]
    # Also in RESP3, these scores are bulk strings; those of a large sorted set are printed with ``%.17g``.
    digits: Callable[[float], bytes] = format_double if small else b"%.17g".__mod__
    return [following, [text for member in found for text in (member, digits(scores[member]))]]
