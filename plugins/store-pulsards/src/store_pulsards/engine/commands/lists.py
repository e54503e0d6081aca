"""List commands. A list is a ``deque``: both ends are O(1), and positions count from the nearer end.

Those that may wait are in ``lists_blocking``.
"""
# ruff: noqa: E501  (the first line of a handler's docstring is its summary in COMMAND DOCS, as long as Valkey's)

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from itertools import islice

from store_pulsards.engine import args, encodings, errors
from store_pulsards.engine.commands.waiting import parse_mpop
from store_pulsards.engine.context import Context
from store_pulsards.engine.keyspace import ValueType, register_type
from store_pulsards.engine.ranges import clip
from store_pulsards.engine.replies import NULL_ARRAY, OK, Bulks, Reply
from store_pulsards.engine.table import DENYOOM, FAST, FIRST, READONLY, SECOND, WRITE, family, numkeys

command = family("list")

register_type(deque, ValueType(b"list", deque.copy, encodings.of_list, iter))

MOVE_ACCESS = ("RW access delete", "RW insert")


@command("LPUSH", arity=-3, flags=WRITE | DENYOOM | FAST, keys=FIRST, access="RW insert")
def lpush(ctx: Context, key: bytes, *elements: bytes) -> Reply:
    """Prepends one or more elements to a list. Creates the key if it doesn't exist."""
    db, keyspace = ctx.db, ctx.keyspace  # ctx.lookup and ctx.notify, written out where it counts
    value = db.data.get(key)
    if type(value) is not deque or key in db.expires:
        value = ctx.lookup(key, deque)
    if value is None:
        value = deque()
        ctx.set(key, value)
    value.extendleft(elements)
    if keyspace.observers:
        db.touched("lpush", key)
    else:
        keyspace.dirty += 1
    return len(value)


@command("RPUSH", arity=-3, flags=WRITE | DENYOOM | FAST, keys=FIRST, access="RW insert")
def rpush(ctx: Context, key: bytes, *elements: bytes) -> Reply:
    """Appends one or more elements to a list. Creates the key if it doesn't exist."""
    db, keyspace = ctx.db, ctx.keyspace  # ctx.lookup and ctx.notify, written out where it counts
    value = db.data.get(key)
    if type(value) is not deque or key in db.expires:
        value = ctx.lookup(key, deque)
    if value is None:
        value = deque()
        ctx.set(key, value)
    value.extend(elements)
    if keyspace.observers:
        db.touched("rpush", key)
    else:
        keyspace.dirty += 1
    return len(value)


@command("LPUSHX", arity=-3, flags=WRITE | DENYOOM | FAST, keys=FIRST, access="RW insert", since="2.2.0")
def lpushx(ctx: Context, key: bytes, *elements: bytes) -> Reply:
    """Prepends one or more elements to a list only when the list exists."""
    value = ctx.lookup(key, deque)
    if value is None:
        return 0
    value.extendleft(elements)
    ctx.notify("lpush", key)
    return len(value)


@command("RPUSHX", arity=-3, flags=WRITE | DENYOOM | FAST, keys=FIRST, access="RW insert", since="2.2.0")
def rpushx(ctx: Context, key: bytes, *elements: bytes) -> Reply:
    """Appends one or more elements to a list only when the list exists."""
    value = ctx.lookup(key, deque)
    if value is None:
        return 0
    value.extend(elements)
    ctx.notify("rpush", key)
    return len(value)


@command("LPOP", arity=-2, flags=WRITE | FAST, keys=FIRST, access="RW access delete")
def lpop(ctx: Context, key: bytes, *count: bytes) -> Reply:
    """Returns and removes one or more elements from the beginning of a list. Deletes the list if the last element was popped."""
    if count:
        return _pop_several(ctx, "lpop", key, count)
    db, keyspace = ctx.db, ctx.keyspace  # ctx.lookup and ctx.notify, written out where it counts
    value = db.data.get(key)
    if type(value) is not deque or key in db.expires:
        value = ctx.lookup(key, deque)
    if value is None:
        return None
    element = value.popleft()
    if not value or keyspace.observers:
        _shrunk(ctx, key, value, "lpop")
    else:
        keyspace.dirty += 1
    return element


@command("RPOP", arity=-2, flags=WRITE | FAST, keys=FIRST, access="RW access delete")
def rpop(ctx: Context, key: bytes, *count: bytes) -> Reply:
    """Returns and removes one or more elements from the end of a list. Deletes the list if the last element was popped."""
    if count:
        return _pop_several(ctx, "rpop", key, count)
    db, keyspace = ctx.db, ctx.keyspace  # ctx.lookup and ctx.notify, written out where it counts
    value = db.data.get(key)
    if type(value) is not deque or key in db.expires:
        value = ctx.lookup(key, deque)
    if value is None:
        return None
    element = value.pop()
    if not value or keyspace.observers:
        _shrunk(ctx, key, value, "rpop")
    else:
        keyspace.dirty += 1
    return element


def _pop_several(ctx: Context, name: str, key: bytes, options: Sequence[bytes]) -> Reply:
    if len(options) > 1:
        raise errors.wrong_arity(name)
    count = args.integer(options[0], 0, error=errors.must_be_positive)
    value = ctx.lookup(key, deque)
    if value is None:
        return NULL_ARRAY
    return take(ctx, key, value, left=name == "lpop", count=count) if count else []


def take(ctx: Context, key: bytes, value: deque[bytes], *, left: bool, count: int) -> list[bytes]:
    """Pop elements from one end, at least one; a list that is empty then is gone."""
    pop = value.popleft if left else value.pop
    popped = [pop() for _ in range(min(count, len(value)))]
    _shrunk(ctx, key, value, "lpop" if left else "rpop")
    return popped


def _shrunk(ctx: Context, key: bytes, value: deque[bytes], event: str) -> None:
    ctx.notify(event, key)
    if not value:
        ctx.delete(key)
        ctx.notify("del", key)


@command("LLEN", arity=2, flags=READONLY | FAST, keys=FIRST, access="RO")
def llen(ctx: Context, key: bytes) -> Reply:
    """Returns the length of a list."""
    return len(ctx.lookup(key, deque) or ())


@command("LRANGE", arity=4, flags=READONLY, keys=FIRST)
def lrange(ctx: Context, key: bytes, start: bytes, stop: bytes) -> Reply:
    """Returns a range of elements from a list."""
    first, last = args.integer(start), args.integer(stop)
    value = ctx.lookup(key, deque)
    if value is None:
        return []
    size = len(value)
    begin, end = clip(first, last, size)
    if begin <= size - end:
        return Bulks(islice(value, begin, end))
    found = Bulks(islice(reversed(value), size - end, size - begin))
    found.reverse()
    return found


@command("LINDEX", arity=3, flags=READONLY, keys=FIRST)
def lindex(ctx: Context, key: bytes, index: bytes) -> Reply:
    """Returns an element from a list by its index."""
    value = ctx.lookup(key, deque)
    if value is None:
        return None
    position = args.integer(index)
    return value[position] if -len(value) <= position < len(value) else None


@command("LSET", arity=4, flags=WRITE | DENYOOM, keys=FIRST)
def lset(ctx: Context, key: bytes, index: bytes, element: bytes) -> Reply:
    """Sets the value of an element in a list by its index."""
    value = ctx.lookup(key, deque)
    if value is None:
        raise errors.no_such_key()
    position = args.integer(index)
    if not -len(value) <= position < len(value):
        raise errors.index_out_of_range()
    value[position] = element
    ctx.notify("lset", key)
    return OK


@command("LINSERT", arity=5, flags=WRITE | DENYOOM, keys=FIRST, access="RW insert", since="2.2.0")
def linsert(ctx: Context, key: bytes, where: bytes, pivot: bytes, element: bytes) -> Reply:
    """Inserts an element before or after another element in a list."""
    side = where.upper()
    if side not in (b"BEFORE", b"AFTER"):
        raise errors.syntax_error()
    value = ctx.lookup(key, deque)
    if value is None:
        return 0
    if pivot not in value:
        return -1
    value.insert(value.index(pivot) + (side == b"AFTER"), element)
    ctx.notify("linsert", key)
    return len(value)


@command("LREM", arity=4, flags=WRITE, keys=FIRST, access="RW delete")
def lrem(ctx: Context, key: bytes, count: bytes, element: bytes) -> Reply:
    """Removes elements from a list. Deletes the list if the last element was removed."""
    number = args.integer(count)
    if number == args.MIN_INT:
        raise errors.out_of_symmetric_range()
    value = ctx.lookup(key, deque)
    if value is None:
        return 0
    before = len(value)
    _remove(value, element, number)
    removed = before - len(value)
    if removed:
        _shrunk(ctx, key, value, "lrem")
    return removed


def _remove(value: deque[bytes], element: bytes, count: int) -> None:
    """Remove the first ``count`` occurrences, the last ones when it is negative, all when it is 0."""
    left = abs(count) or len(value)
    kept: list[bytes] = []
    for other in reversed(value) if count < 0 else value:
        if left and other == element:
            left -= 1
        else:
            kept.append(other)
    if len(kept) != len(value):
        value.clear()
        value.extend(reversed(kept) if count < 0 else kept)


@command("LTRIM", arity=4, flags=WRITE, keys=FIRST, access="RW delete")
def ltrim(ctx: Context, key: bytes, start: bytes, stop: bytes) -> Reply:
    """Removes elements from both ends of a list. Deletes the list if all elements were trimmed."""
    first, last = args.integer(start), args.integer(stop)
    value = ctx.lookup(key, deque)
    if value is None:
        return OK
    begin, end = clip(first, last, len(value))
    if begin == end:
        value.clear()
    for _ in range(len(value) - end):
        value.pop()
    for _ in range(min(begin, len(value))):
        value.popleft()
    _shrunk(ctx, key, value, "ltrim")
    return OK


@command("LPOS", arity=-3, flags=READONLY, keys=FIRST, since="6.0.6")
def lpos(ctx: Context, key: bytes, element: bytes, *options: bytes) -> Reply:
    """Returns the index of matching elements in a list."""
    given = args.options(options, values={b"RANK": _rank, b"COUNT": _lpos_count, b"MAXLEN": _lpos_maxlen})
    value = ctx.lookup(key, deque) or ()
    rank = given.get(b"RANK", 1)
    wanted = given.get(b"COUNT", 1) or len(value)
    compared = given.get(b"MAXLEN", 0) or len(value)
    positions = _positions(value, element, compared, backwards=rank < 0)
    found = list(islice(positions, abs(rank) - 1, min(abs(rank) - 1 + wanted, args.MAX_INT)))
    if b"COUNT" in given:
        return found
    return found[0] if found else None


def _positions(value: Sequence[bytes], element: bytes, compared: int, *, backwards: bool) -> Iterable[int]:
    last = len(value) - 1
    order = reversed(value) if backwards else iter(value)
    found = (index for index, other in enumerate(islice(order, compared)) if other == element)
    return (last - index for index in found) if backwards else found


def _rank(text: bytes) -> int:
    rank = args.integer(text)
    if rank == args.MIN_INT:
        raise errors.out_of_symmetric_range()
    if rank == 0:
        raise errors.rank_is_zero()
    return rank


def _lpos_count(text: bytes) -> int:
    return args.integer(text, 0, error=lambda: errors.negative_option("COUNT"))


def _lpos_maxlen(text: bytes) -> int:
    return args.integer(text, 0, error=lambda: errors.negative_option("MAXLEN"))


@command("LMOVE", arity=5, flags=WRITE | DENYOOM, keys=(FIRST, SECOND), access=MOVE_ACCESS, since="6.2.0")
def lmove(ctx: Context, source: bytes, destination: bytes, origin: bytes, target: bytes) -> Reply:
    """Returns an element after popping it from one list and pushing it to another. Deletes the list if the last element was moved."""
    return move(ctx, source, destination, from_left=is_left(origin), to_left=is_left(target))


@command("RPOPLPUSH", arity=3, flags=WRITE | DENYOOM, keys=(FIRST, SECOND), access=MOVE_ACCESS, since="1.2.0")
def rpoplpush(ctx: Context, source: bytes, destination: bytes) -> Reply:
    """Returns the last element of a list after removing and pushing it to another list. Deletes the list if the last element was popped."""
    return move(ctx, source, destination, from_left=False, to_left=True)


def is_left(where: bytes) -> bool:
    """Which end ``LEFT`` or ``RIGHT`` means."""
    side = where.upper()
    if side not in (b"LEFT", b"RIGHT"):
        raise errors.syntax_error()
    return side == b"LEFT"


def move(ctx: Context, source: bytes, destination: bytes, *, from_left: bool, to_left: bool) -> bytes | None:
    """Move one element; None when there is none."""
    value = ctx.lookup(source, deque)
    if value is None:
        return None
    target = ctx.lookup(destination, deque)
    element: bytes = value.popleft() if from_left else value.pop()
    if target is None:
        target = deque()
        ctx.set(destination, target)
    if to_left:
        target.appendleft(element)
    else:
        target.append(element)
    ctx.notify("lpush" if to_left else "rpush", destination)
    _shrunk(ctx, source, value, "lpop" if from_left else "rpop")
    return element


@command("LMPOP", arity=-4, flags=WRITE, keys=numkeys(1), access="RW access delete", since="7.0.0")
def lmpop(ctx: Context, *rest: bytes) -> Reply:
    """Returns multiple elements from a list after removing them. Deletes the list if the last element was popped."""
    keys, left, count = parse_mpop(rest, b"LEFT", b"RIGHT")
    return take_first(ctx, keys, left=left, count=count) or NULL_ARRAY


def take_first(ctx: Context, keys: Iterable[bytes], *, left: bool, count: int) -> list[Reply] | None:
    """Pop from the first list that has anything: its key, and the elements."""
    for key in keys:
        value = ctx.lookup(key, deque)
        if value is not None:
            return [key, take(ctx, key, value, left=left, count=count)]
    return None
