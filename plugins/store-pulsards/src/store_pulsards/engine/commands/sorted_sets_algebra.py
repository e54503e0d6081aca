"""Sorted set commands that combine several keys: unions, intersections, differences.

A source may also be a set, whose members then have the score 1. Where infinities cancel out, the
result is 0, as in Valkey; sources are taken smallest first, which fixes the order in which floats are added.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import isnan
from typing import Any, TypeAlias

from store_pulsards.engine import args, counts, errors
from store_pulsards.engine.commands.sorted_sets import member_scores
from store_pulsards.engine.commands.sorted_sets_ranges import store
from store_pulsards.engine.context import Context
from store_pulsards.engine.errors import wrong_type
from store_pulsards.engine.members import Members
from store_pulsards.engine.replies import Pairs, Reply
from store_pulsards.engine.sorted_set import SortedSet
from store_pulsards.engine.table import DENYOOM, FIRST, READONLY, WRITE, family, numkeys

command = family("sorted-set")

STORE_ACCESS = ("OW update", "RO access")

Scores: TypeAlias = Mapping[bytes, float]
Aggregate: TypeAlias = Callable[[float, float], float]
Operation: TypeAlias = Callable[[Sequence[Scores], Sequence[float], Aggregate], dict[bytes, float]]


def _sum(one: float, other: float) -> float:
    return _number(one + other)


def _number(score: float) -> float:
    return 0.0 if isnan(score) else score


# The new score comes second: where it is NaN (a weight of 0 times infinity), the old one stays.
AGGREGATES: Mapping[bytes, Aggregate] = {
    b"SUM": _sum,
    b"MIN": lambda old, new: new if new < old else old,
    b"MAX": lambda old, new: new if new > old else old,
}


def _union(sources: Sequence[Scores], weights: Sequence[float], aggregate: Aggregate) -> dict[bytes, float]:
    result: dict[bytes, float] = {}
    for scores, weight in _smallest_first(sources, weights):
        for member, score in scores.items():
            weighted = _number(score * weight)
            old = result.get(member)
            result[member] = weighted if old is None else aggregate(old, weighted)
    return result


def _intersection(sources: Sequence[Scores], weights: Sequence[float], aggregate: Aggregate) -> dict[bytes, float]:
    (first, first_weight), *others = _smallest_first(sources, weights)
    result: dict[bytes, float] = {}
    for member, score in first.items():
        total = _number(score * first_weight)
        for scores, weight in others:
            if member not in scores:
                break
            total = aggregate(total, scores[member] * weight)
        else:
            result[member] = total
    return result


def _difference(sources: Sequence[Scores], weights: Sequence[float], aggregate: Aggregate) -> dict[bytes, float]:
    first, *others = sources
    left = first.keys() - set().union(*others)
    return {member: first[member] for member in left}


def _smallest_first(sources: Sequence[Scores], weights: Sequence[float]) -> list[tuple[Scores, float]]:
    return sorted(zip(sources, weights, strict=True), key=lambda source: len(source[0]))


def _combine(
    ctx: Context,
    name: str,
    operation: Operation,
    rest: Sequence[bytes],
    *,
    weighted: bool,
    with_scores: bool,
) -> tuple[dict[bytes, float], bool]:
    """The result of ``numkeys key … [WEIGHTS …] [AGGREGATE …] [WITHSCORES]``, and whether its scores are wanted."""
    sources, options = _sources(ctx, name, rest)
    weights = [1.0] * len(sources)
    aggregate: Aggregate = _sum
    wanted = False
    while options:
        option, left = options[0].upper(), len(options) - 1
        if weighted and option == b"WEIGHTS" and left >= len(sources):
            weights = [args.real(text, errors.weight_not_a_float) for text in options[1 : 1 + len(sources)]]
            options = options[1 + len(sources) :]
        elif weighted and option == b"AGGREGATE" and left and options[1].upper() in AGGREGATES:
            aggregate = AGGREGATES[options[1].upper()]
            options = options[2:]
        elif with_scores and option == b"WITHSCORES":
            wanted = True
            options = options[1:]
        else:
            raise errors.syntax_error()
    return operation(sources, weights, aggregate), wanted


def _sources(ctx: Context, name: str, rest: Sequence[bytes]) -> tuple[list[Scores], Sequence[bytes]]:
    """The scores of each source, and the options behind them."""
    count = args.integer(rest[0])
    if count < 1:
        raise errors.no_input_key(name)
    if count > len(rest) - 1:
        raise errors.syntax_error()
    return [_scores(ctx.lookup_any(key)) for key in rest[1 : 1 + count]], rest[1 + count :]


def _scores(value: Any) -> Scores:
    if value is None:
        return {}
    if type(value) is SortedSet:
        return value.scores
    if type(value) is Members:
        return dict.fromkeys(value, 1.0)
    raise wrong_type()


def _answer(ctx: Context, name: str, operation: Operation, rest: Sequence[bytes], *, weighted: bool = True) -> Reply:
    result, wanted = _combine(ctx, name, operation, rest, weighted=weighted, with_scores=True)
    entries = sorted((score, member) for member, score in result.items())
    return Pairs(member_scores(entries)) if wanted else [member for _, member in entries]


def _store(
    ctx: Context,
    name: str,
    operation: Operation,
    destination: bytes,
    rest: Sequence[bytes],
    *,
    weighted: bool = True,
) -> Reply:
    result, _ = _combine(ctx, name, operation, rest, weighted=weighted, with_scores=False)
    return store(ctx, destination, result, name)


@command("ZUNION", arity=-3, flags=READONLY, keys=numkeys(1), since="6.2.0")
def zunion(ctx: Context, *rest: bytes) -> Reply:
    """Returns the union of multiple sorted sets."""
    return _answer(ctx, "zunion", _union, rest)


@command("ZINTER", arity=-3, flags=READONLY, keys=numkeys(1), since="6.2.0")
def zinter(ctx: Context, *rest: bytes) -> Reply:
    """Returns the intersect of multiple sorted sets."""
    return _answer(ctx, "zinter", _intersection, rest)


@command("ZDIFF", arity=-3, flags=READONLY, keys=numkeys(1), since="6.2.0")
def zdiff(ctx: Context, *rest: bytes) -> Reply:
    """Returns the difference between multiple sorted sets."""
    return _answer(ctx, "zdiff", _difference, rest, weighted=False)


@command("ZUNIONSTORE", arity=-4, flags=WRITE | DENYOOM, keys=(FIRST, numkeys(2)), access=STORE_ACCESS, since="2.0.0")
def zunionstore(ctx: Context, destination: bytes, *rest: bytes) -> Reply:
    """Stores the union of multiple sorted sets in a key."""
    return _store(ctx, "zunionstore", _union, destination, rest)


@command("ZINTERSTORE", arity=-4, flags=WRITE | DENYOOM, keys=(FIRST, numkeys(2)), access=STORE_ACCESS, since="2.0.0")
def zinterstore(ctx: Context, destination: bytes, *rest: bytes) -> Reply:
    """Stores the intersect of multiple sorted sets in a key."""
    return _store(ctx, "zinterstore", _intersection, destination, rest)


@command("ZDIFFSTORE", arity=-4, flags=WRITE | DENYOOM, keys=(FIRST, numkeys(2)), access=STORE_ACCESS, since="6.2.0")
def zdiffstore(ctx: Context, destination: bytes, *rest: bytes) -> Reply:
    """Stores the difference of multiple sorted sets in a key."""
    return _store(ctx, "zdiffstore", _difference, destination, rest, weighted=False)


@command("ZINTERCARD", arity=-3, flags=READONLY, keys=numkeys(1), since="7.0.0")
def zintercard(ctx: Context, *rest: bytes) -> Reply:
    """Returns the number of members of the intersect of multiple sorted sets."""
    sources, options = _sources(ctx, "zintercard", rest)
    limit = args.options(options, values={b"LIMIT": counts.limit}).get(b"LIMIT", 0)
    smallest, *others = sorted((scores.keys() for scores in sources), key=len)
    size = sum(all(member in other for other in others) for member in smallest)
    return min(size, limit) if limit else size
