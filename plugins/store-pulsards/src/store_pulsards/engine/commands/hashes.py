"""Hash commands. A hash is a ``dict``, which keeps the order in which fields came.

Where a field has a time to live, it is a ``VolatileHash``, a ``dict`` that knows when its fields are over; the commands
for that are in ``hash_expiry``.
"""
# ruff: noqa: E501  (the first line of a handler's docstring is its summary in COMMAND DOCS, as long as Valkey's)

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, islice
from random import choices, randrange, sample

from store_pulsards.engine import args, counts, encodings, errors, long_double, scan
from store_pulsards.engine.commands.element_scan import scan_page
from store_pulsards.engine.context import Context
from store_pulsards.engine.keyspace import ValueType, register_type
from store_pulsards.engine.replies import OK, Bulks, Pairs, Reply
from store_pulsards.engine.table import DENYOOM, FAST, FIRST, READONLY, WRITE, family
from store_pulsards.engine.volatile_hash import VolatileHash

command = family("hash")

register_type(
    dict,
    ValueType(b"hash", dict.copy, encodings.of_hash, lambda value: chain(value, value.values())),
)
register_type(
    VolatileHash,
    ValueType(b"hash", VolatileHash.copy, encodings.of_hash, lambda value: chain(value, value.values())),
)


@command("HSET", arity=-4, flags=WRITE | DENYOOM | FAST, keys=FIRST, since="2.0.0")
def hset(ctx: Context, key: bytes, field: bytes, value: bytes, *more: bytes) -> Reply:
    """Creates or modifies the value of a field in a hash."""
    db, keyspace = ctx.db, ctx.keyspace
    fields = db.data.get(key)
    if more or type(fields) is not dict or key in db.expires or keyspace.observers:
        return _assign(ctx, "hset", key, field, value, more)
    before = len(fields)
    fields[field] = value
    keyspace.dirty += 1
    return len(fields) - before


@command("HMSET", arity=-4, flags=WRITE | DENYOOM | FAST, keys=FIRST, since="2.0.0")
def hmset(ctx: Context, key: bytes, field: bytes, value: bytes, *more: bytes) -> Reply:
    """Sets the values of multiple fields."""
    _assign(ctx, "hmset", key, field, value, more)
    return OK


def _assign(ctx: Context, name: str, key: bytes, field: bytes, value: bytes, more: Sequence[bytes]) -> int:
    if len(more) & 1:
        raise errors.wrong_arity(name)
    fields = ctx.lookup(key, dict)
    if fields is None:
        fields = {}
        ctx.set(key, fields)
    before = len(fields)
    fields[field] = value
    if more:
        fields.update(zip(more[::2], more[1::2], strict=True))
    ctx.notify("hset", key)
    return len(fields) - before


@command("HSETNX", arity=4, flags=WRITE | DENYOOM | FAST, keys=FIRST, access="RW insert", since="2.0.0")
def hsetnx(ctx: Context, key: bytes, field: bytes, value: bytes) -> Reply:
    """Sets the value of a field in a hash only when the field doesn't exist."""
    fields = ctx.lookup(key, dict)
    if fields is not None and field in fields:
        return 0
    return _assign(ctx, "hsetnx", key, field, value, ())


@command("HGET", arity=3, flags=READONLY | FAST, keys=FIRST, since="2.0.0")
def hget(ctx: Context, key: bytes, field: bytes) -> Reply:
    """Returns the value of a field in a hash."""
    fields = ctx.lookup(key, dict)
    return None if fields is None else fields.get(field)


@command("HMGET", arity=-3, flags=READONLY | FAST, keys=FIRST, since="2.0.0")
def hmget(ctx: Context, key: bytes, *fields: bytes) -> Reply:
    """Returns the values of all fields in a hash."""
    return list(map((ctx.lookup(key, dict) or {}).get, fields))


@command("HGETALL", arity=2, flags=READONLY, keys=FIRST, since="2.0.0", tips=("nondeterministic_output_order",))
def hgetall(ctx: Context, key: bytes) -> Reply:
    """Returns all fields and values in a hash."""
    return dict(ctx.lookup(key, dict) or {})


@command("HKEYS", arity=2, flags=READONLY, keys=FIRST, since="2.0.0", tips=("nondeterministic_output_order",))
def hkeys(ctx: Context, key: bytes) -> Reply:
    """Returns all fields in a hash."""
    return Bulks(ctx.lookup(key, dict) or ())


@command("HVALS", arity=2, flags=READONLY, keys=FIRST, since="2.0.0", tips=("nondeterministic_output_order",))
def hvals(ctx: Context, key: bytes) -> Reply:
    """Returns all values in a hash."""
    return Bulks((ctx.lookup(key, dict) or {}).values())


@command("HDEL", arity=-3, flags=WRITE | FAST, keys=FIRST, access="RW delete", since="2.0.0")
def hdel(ctx: Context, key: bytes, *names: bytes) -> Reply:
    """Deletes one or more fields and their values from a hash. Deletes the hash if no fields remain."""
    fields = ctx.lookup(key, dict)
    if fields is None:
        return 0
    before = len(fields)
    for name in names:
        fields.pop(name, None)
    deleted = before - len(fields)
    if deleted:
        ctx.notify("hdel", key)
        if not fields:
            ctx.delete(key)
            ctx.notify("del", key)
    return deleted


@command("HEXISTS", arity=3, flags=READONLY | FAST, keys=FIRST, access="RO", since="2.0.0")
def hexists(ctx: Context, key: bytes, field: bytes) -> Reply:
    """Determines whether a field exists in a hash."""
    return int(field in (ctx.lookup(key, dict) or ()))


@command("HLEN", arity=2, flags=READONLY | FAST, keys=FIRST, access="RO", since="2.0.0")
def hlen(ctx: Context, key: bytes) -> Reply:
    """Returns the number of fields in a hash."""
    return len(ctx.lookup(key, dict) or ())


@command("HSTRLEN", arity=3, flags=READONLY | FAST, keys=FIRST, access="RO", since="3.2.0")
def hstrlen(ctx: Context, key: bytes, field: bytes) -> Reply:
    """Returns the length of the value of a field."""
    return len((ctx.lookup(key, dict) or {}).get(field, b""))


@command("HINCRBY", arity=4, flags=WRITE | DENYOOM | FAST, keys=FIRST, access="RW access update", since="2.0.0")
def hincrby(ctx: Context, key: bytes, field: bytes, increment: bytes) -> Reply:
    """Increments the integer value of a field in a hash by a number. Uses 0 as initial value if the field doesn't exist."""
    by = args.integer(increment)
    old = (ctx.lookup(key, dict) or {}).get(field, b"0")
    number = args.integer(old, error=errors.hash_value_not_an_integer) + by
    if not args.MIN_INT <= number <= args.MAX_INT:
        raise errors.overflow()
    _store(ctx, key, field, b"%d" % number, "hincrby")
    return number


@command("HINCRBYFLOAT", arity=4, flags=WRITE | DENYOOM | FAST, keys=FIRST, access="RW access update", since="2.6.0")
def hincrbyfloat(ctx: Context, key: bytes, field: bytes, increment: bytes) -> Reply:
    """Increments the floating point value of a field by a number. Uses 0 as initial value if the field doesn't exist."""
    by = long_double.parse(increment, errors.not_a_float)
    if isinstance(by, float):
        raise errors.infinite_increment()
    old = (ctx.lookup(key, dict) or {}).get(field, b"0")
    number = long_double.add(long_double.parse(old, errors.hash_value_not_a_float), by)
    if isinstance(number, float):
        raise errors.not_finite()
    text = long_double.show(number)
    _store(ctx, key, field, text, "hincrbyfloat")
    return text


def _store(ctx: Context, key: bytes, field: bytes, value: bytes, event: str) -> None:
    fields = ctx.lookup(key, dict)
    if fields is None:
        ctx.set(key, {field: value})
    elif type(fields) is VolatileHash:
        fields.keep(field, value)
    else:
        fields[field] = value
    ctx.notify(event, key)


@command("HRANDFIELD", arity=-2, flags=READONLY, keys=FIRST, since="6.2.0", tips=("nondeterministic_output",))
def hrandfield(ctx: Context, key: bytes, *options: bytes) -> Reply:
    """Returns one or more random fields from a hash."""
    count, with_values = counts.at_random(options, b"WITHVALUES")
    fields = ctx.lookup(key, dict) or {}
    if count is None:
        return next(islice(fields, randrange(len(fields)), None)) if fields else None
    if not fields:
        return []
    chosen = choices(list(fields), k=-count) if count < 0 else _distinct(list(fields), count)
    return Pairs((field, fields[field]) for field in chosen) if with_values else chosen


def _distinct(elements: list[bytes], count: int) -> list[bytes]:
    return elements if count >= len(elements) else sample(elements, count)


@command("HSCAN", arity=-3, flags=READONLY, keys=FIRST, since="2.8.0", tips=("nondeterministic_output",))
def hscan(ctx: Context, key: bytes, cursor: bytes, *options: bytes) -> Reply:
    """Iterates over fields and values of a hash."""
    begin = scan.cursor(cursor)
    fields = ctx.lookup(key, dict)
    if fields is None:
        return [b"0", []]
    small = encodings.of_hash(fields, ctx.engine.config.encodings) == b"listpack"
    following, found, only_fields = scan_page(ctx, fields, begin, options, at_once=small, flag=b"NOVALUES")
    if only_fields:
        return [following, found]
    return [following, [text for field in found for text in (field, fields[field])]]
