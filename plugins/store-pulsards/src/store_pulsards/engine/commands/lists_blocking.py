"""List commands that wait until there is something to pop."""
# ruff: noqa: E501  (the first line of a handler's docstring is its summary in COMMAND DOCS, as long as Valkey's)

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from functools import partial

from store_pulsards.engine import args
from store_pulsards.engine.commands.lists import MOVE_ACCESS, is_left, move, take_first
from store_pulsards.engine.commands.waiting import attempt_or_wait, parse_mpop
from store_pulsards.engine.context import Context
from store_pulsards.engine.replies import Reply
from store_pulsards.engine.table import (
    ALL_BUT_LAST,
    BLOCKING,
    DENYOOM,
    FIRST,
    SECOND,
    WRITE,
    family,
    numkeys,
)

command = family("list")


@command("BLPOP", arity=-3, flags=WRITE | BLOCKING, keys=ALL_BUT_LAST, access="RW access delete", since="2.0.0")
def blpop(ctx: Context, *rest: bytes) -> Reply:
    """Removes and returns the first element in a list. Blocks until an element is available otherwise. Deletes the list if the last element was popped."""
    return _pop(ctx, rest[:-1], rest[-1], left=True)


@command("BRPOP", arity=-3, flags=WRITE | BLOCKING, keys=ALL_BUT_LAST, access="RW access delete", since="2.0.0")
def brpop(ctx: Context, *rest: bytes) -> Reply:
    """Removes and returns the last element in a list. Blocks until an element is available otherwise. Deletes the list if the last element was popped."""
    return _pop(ctx, rest[:-1], rest[-1], left=False)


def _pop(ctx: Context, keys: Sequence[bytes], timeout: bytes, *, left: bool) -> Reply:
    def attempt() -> Reply | None:
        popped = take_first(ctx, keys, left=left, count=1)
        return popped and [popped[0], popped[1][0]]

    return attempt_or_wait(ctx, keys, deque, args.timeout(timeout), attempt)


@command(
    "BLMOVE",
    arity=6,
    flags=WRITE | DENYOOM | BLOCKING,
    keys=(FIRST, SECOND),
    access=MOVE_ACCESS,
    since="6.2.0",
)
def blmove(ctx: Context, source: bytes, destination: bytes, origin: bytes, target: bytes, timeout: bytes) -> Reply:
    """Pops an element from a list, pushes it to another list and returns it. Blocks until an element is available otherwise. Deletes the list if the last element was moved."""
    from_left, to_left = is_left(origin), is_left(target)
    attempt = partial(move, ctx, source, destination, from_left=from_left, to_left=to_left)
    return attempt_or_wait(ctx, (source,), deque, args.timeout(timeout), attempt, at_once=None)


@command(
    "BRPOPLPUSH",
    arity=4,
    flags=WRITE | DENYOOM | BLOCKING,
    keys=(FIRST, SECOND),
    access=MOVE_ACCESS,
    since="2.2.0",
)
def brpoplpush(ctx: Context, source: bytes, destination: bytes, timeout: bytes) -> Reply:
    """Pops an element from a list, pushes it to another list and returns it. Blocks until an element is available otherwise. Deletes the list if the last element was popped."""
    attempt = partial(move, ctx, source, destination, from_left=False, to_left=True)
    return attempt_or_wait(ctx, (source,), deque, args.timeout(timeout), attempt, at_once=None)


@command("BLMPOP", arity=-5, flags=WRITE | BLOCKING, keys=numkeys(2), access="RW access delete", since="7.0.0")
def blmpop(ctx: Context, timeout: bytes, *rest: bytes) -> Reply:
    """Pops the first element from one of multiple lists. Blocks until an element is available otherwise. Deletes the list if the last element was popped."""
    keys, left, count = parse_mpop(rest, b"LEFT", b"RIGHT")
    attempt = partial(take_first, ctx, keys, left=left, count=count)
    return attempt_or_wait(ctx, keys, deque, args.timeout(timeout), attempt)
