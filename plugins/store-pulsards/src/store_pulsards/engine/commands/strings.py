"""String commands.

A string is ``bytes``, whatever is in it; a counter is its decimal text, as in Redis. Commands that change a string
in place (INCR, APPEND, SETRANGE) keep the time to live; commands that store a new one (SET, GETSET, MSET) end it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from store_pulsards.engine import args, errors, long_double, replies
from store_pulsards.engine.context import Context
from store_pulsards.engine.expiry import EXPIRY_OPTIONS, UNITS, deadline
from store_pulsards.engine.keyspace import ValueType, register_type
from store_pulsards.engine.replies import OK, Reply
from store_pulsards.engine.table import ALL, DENYOOM, FAST, FIRST, PAIRS, READONLY, WRITE, Keys, family, numkeys

command = family("string")

EMBEDDED: Final = 112  # the longest string that Valkey keeps beside its header

SET_KEY: Final = Keys(note="RW and ACCESS due to the optional `GET` argument")
GETEX_KEY: Final = Keys(note="RW and UPDATE because it changes the TTL")

MULTI_SHARD = "request_policy:multi_shard"


def encoding(value: bytes) -> bytes:
    """How Valkey would keep the string."""
    if len(value) <= 20 and _is_integer(value):
        return b"int"
    return b"embstr" if len(value) <= EMBEDDED else b"raw"


def _is_integer(value: bytes) -> bool:
    try:
        args.integer(value)
    except replies.ErrorReply:
        return False
    return True


register_type(
    bytes, ValueType(b"string", copy=bytes, encoding=lambda value, _: encoding(value), elements=lambda value: (value,))
)


@command("GET", arity=2, flags=READONLY | FAST, keys=FIRST)
def get(ctx: Context, key: bytes) -> Reply:
    """Returns the string value of a key."""
    db = ctx.db
    value = db.data.get(key)
    return value if value is None or (type(value) is bytes and key not in db.expires) else ctx.lookup(key, bytes)


@command("SET", arity=-3, flags=WRITE | DENYOOM, keys=SET_KEY, access="RW access update variable_flags")
def set_(ctx: Context, key: bytes, value: bytes, *options: bytes) -> Reply:
    """Sets the string value of a key, ignoring its type. The key is created if it doesn't exist."""
    if options:
        if len(options) == 2 and options[0].upper() in UNITS:  # by far the usual ones
            return _set_until(ctx, key, deadline(ctx, options[0].upper(), options[1], "set", positive=True), value)
        return _set_with_options(ctx, key, value, options)
    db, keyspace = ctx.db, ctx.keyspace  # ctx.set and ctx.notify, written out where it counts
    if key in db.expires and not db.outlived(key):
        del db.expires[key]
    db.data[key] = value
    if keyspace.observers:
        db.touched("set", key)
    else:
        keyspace.dirty += 1
    return OK


def _set_with_options(ctx: Context, key: bytes, value: bytes, options: Sequence[bytes]) -> Reply:
    given = _parse_set(options)
    expiry = _expiry(ctx, given, "set")
    want_old = b"GET" in given
    old = ctx.lookup(key, bytes) if want_old or b"IFEQ" in given else ctx.lookup_any(key)
    if (
        (b"NX" in given and old is not None)
        or (b"XX" in given and old is None)
        or (b"IFEQ" in given and old != given[b"IFEQ"])
    ):
        return old if want_old else None
    if b"KEEPTTL" in given:
        ctx.update(key, value)
        ctx.notify("set", key)
    elif expiry is None:
        ctx.set(key, value)
        ctx.notify("set", key)
    else:
        _set_until(ctx, key, expiry, value)
    return old if want_old else OK


_SET_FLAGS: Final = frozenset({b"NX", b"XX", b"GET", b"KEEPTTL"})
_SET_VALUES: Final = {**EXPIRY_OPTIONS, b"IFEQ": args.text}
_CONDITIONS: Final = frozenset({b"NX", b"XX", b"IFEQ"})
_LIFETIMES: Final = frozenset({*EXPIRY_OPTIONS, b"KEEPTTL", b"PERSIST"})


def _parse_set(options: Sequence[bytes]) -> dict[bytes, bytes]:
    given = args.options(options, _SET_FLAGS, _SET_VALUES)
    _at_most_one_lifetime(given)
    if len(given.keys() & _CONDITIONS) > 1:
        raise errors.syntax_error()
    return given


def _at_most_one_lifetime(given: dict[bytes, bytes]) -> None:
    if len(given.keys() & _LIFETIMES) > 1:
        raise errors.syntax_error()


def _expiry(ctx: Context, given: dict[bytes, bytes], name: str) -> int | None:
    """When (ms) the key is over, if one of the options says so."""
    for unit in EXPIRY_OPTIONS:
        if unit in given:
            return deadline(ctx, unit, given[unit], name, positive=True)
    return None


@command("SETEX", arity=4, flags=WRITE | DENYOOM, keys=FIRST, access="OW update", since="2.0.0")
def setex(ctx: Context, key: bytes, seconds: bytes, value: bytes) -> Reply:
    """Sets the string value and expiration time of a key. Creates the key if it doesn't exist."""
    return _set_until(ctx, key, deadline(ctx, b"EX", seconds, "setex", positive=True), value)


@command("PSETEX", arity=4, flags=WRITE | DENYOOM, keys=FIRST, access="OW update", since="2.6.0")
def psetex(ctx: Context, key: bytes, milliseconds: bytes, value: bytes) -> Reply:
    """Sets both string value and expiration time in milliseconds of a key. The key is created if it doesn't exist."""
    return _set_until(ctx, key, deadline(ctx, b"PX", milliseconds, "psetex", positive=True), value)


def _set_until(ctx: Context, key: bytes, expiry: int, value: bytes) -> Reply:
    """Store a value that lives until ``expiry``; one that is over by then is not stored, and the old one is gone."""
    if expiry > ctx.now:
        ctx.set(key, value)
        ctx.notify("set", key)
        ctx.expire_at(key, expiry)
    elif ctx.lookup_any(key) is not None:
        ctx.db.expire(key)
    return OK


@command("SETNX", arity=3, flags=WRITE | DENYOOM | FAST, keys=FIRST, access="OW insert")
def setnx(ctx: Context, key: bytes, value: bytes) -> Reply:
    """Sets the string value of a key only when the key doesn't exist."""
    if ctx.lookup_any(key) is not None:
        return 0
    ctx.set(key, value)
    ctx.notify("set", key)
    return 1


@command("GETEX", arity=-2, flags=WRITE | FAST, keys=GETEX_KEY, access="RW access update", since="6.2.0")
def getex(ctx: Context, key: bytes, *options: bytes) -> Reply:
    """Returns the string value of a key after setting its expiration time."""
    given = args.options(options, frozenset({b"PERSIST"}), EXPIRY_OPTIONS)
    _at_most_one_lifetime(given)
    expiry = _expiry(ctx, given, "getex")
    value = ctx.lookup(key, bytes)
    if value is None:
        return None
    if expiry is not None:
        ctx.expire_at(key, expiry)
    elif b"PERSIST" in given and ctx.persist(key):
        ctx.notify("persist", key)
    return value


@command("GETDEL", arity=2, flags=WRITE | FAST, keys=FIRST, access="RW access delete", since="6.2.0")
def getdel(ctx: Context, key: bytes) -> Reply:
    """Returns the string value of a key after deleting the key."""
    value = ctx.lookup(key, bytes)
    if value is not None:
        ctx.delete(key)
        ctx.notify("del", key)
    return value


@command("GETSET", arity=3, flags=WRITE | DENYOOM | FAST, keys=FIRST, access="RW access update")
def getset(ctx: Context, key: bytes, value: bytes) -> Reply:
    """Returns the previous string value of a key after setting it to a new value."""
    old = ctx.lookup(key, bytes)
    ctx.set(key, value)
    ctx.notify("set", key)
    return old


@command("DELIFEQ", arity=3, flags=WRITE | FAST, keys=FIRST, access="RM delete", since="9.0.0")
def delifeq(ctx: Context, key: bytes, expected: bytes) -> Reply:
    """Delete key if value matches string."""
    if ctx.lookup(key, bytes) != expected:
        return 0
    ctx.delete(key)
    ctx.notify("del", key)
    return 1


@command("MGET", arity=-2, flags=READONLY | FAST, keys=ALL, tips=(MULTI_SHARD,))
def mget(ctx: Context, *keys: bytes) -> Reply:
    """Atomically returns the string values of one or more keys."""
    values = map(ctx.lookup_any, keys)
    return [value if type(value) is bytes else None for value in values]


@command(
    "MSET",
    arity=-3,
    flags=WRITE | DENYOOM,
    keys=PAIRS,
    access="OW update",
    since="1.0.1",
    tips=(MULTI_SHARD, "response_policy:all_succeeded"),
)
def mset(ctx: Context, *pairs: bytes) -> Reply:
    """Atomically creates or modifies the string values of one or more keys."""
    if len(pairs) % 2:
        raise errors.wrong_arity("mset")
    _set_all(ctx, pairs)
    return OK


@command("MSETNX", arity=-3, flags=WRITE | DENYOOM, keys=PAIRS, access="OW insert", since="1.0.1")
def msetnx(ctx: Context, *pairs: bytes) -> Reply:
    """Atomically modifies the string values of one or more keys only when all keys don't exist."""
    if len(pairs) % 2:
        raise errors.wrong_arity("msetnx")
    if any(ctx.lookup_any(key) is not None for key in pairs[::2]):
        return 0
    _set_all(ctx, pairs)
    return 1


def _set_all(ctx: Context, pairs: Sequence[bytes]) -> None:
    db, keyspace = ctx.db, ctx.keyspace
    if type(db.data) is dict and not db.expires and not keyspace.observers:  # a loop that is left to C
        keyspace.dirty += len(pairs) // 2
        db.data.update(zip(pairs[::2], pairs[1::2], strict=True))
        return
    for key, value in zip(pairs[::2], pairs[1::2], strict=True):
        ctx.set(key, value)
        ctx.notify("set", key)


@command(
    "MSETEX",
    arity=-4,
    flags=WRITE | DENYOOM,
    keys=numkeys(1, step=2),
    access="OW update",
    since="9.1.0",
    tips=(MULTI_SHARD, "response_policy:all_succeeded"),
)
def msetex(ctx: Context, count: bytes, *rest: bytes) -> Reply:
    """Atomically creates or modifies the string values of one or more keys, and optionally set their expiration."""
    number = args.integer(count, low=1, high=2**31 - 1, error=errors.invalid_numkeys)
    if 2 * number > len(rest):
        raise errors.syntax_error()
    pairs = list(zip(rest[: 2 * number : 2], rest[1 : 2 * number : 2], strict=True))
    given = args.options(rest[2 * number :], frozenset({b"NX", b"XX", b"KEEPTTL"}), EXPIRY_OPTIONS)
    _at_most_one_lifetime(given)
    if b"NX" in given and b"XX" in given:
        raise errors.syntax_error()
    expiry = _expiry(ctx, given, "msetex")
    there = [ctx.lookup_any(key) is not None for key, _ in pairs]
    if (b"NX" in given and any(there)) or (b"XX" in given and not all(there)):
        return 0
    for key, value in pairs:
        if b"KEEPTTL" in given:
            ctx.update(key, value)
        else:
            ctx.set(key, value)
        ctx.notify("set", key)
        if expiry is not None:  # also one that is over: the key is there until somebody looks
            ctx.db.expire_at(key, expiry)
            ctx.notify("expire", key)
    return 1


@command("STRLEN", arity=2, flags=READONLY | FAST, keys=FIRST, access="RO", since="2.2.0")
def strlen(ctx: Context, key: bytes) -> Reply:
    """Returns the length of a string value."""
    return len(ctx.lookup(key, bytes) or b"")


@command("APPEND", arity=3, flags=WRITE | DENYOOM | FAST, keys=FIRST, access="RW insert", since="2.0.0")
def append(ctx: Context, key: bytes, suffix: bytes) -> Reply:
    """Appends a string to the value of a key. Creates the key if it doesn't exist."""
    value = ctx.lookup(key, bytes)
    grown = suffix if value is None else value + suffix
    if len(grown) > ctx.engine.config.longest_string:
        raise errors.string_too_long()
    ctx.update(key, grown)
    ctx.notify("append", key)
    return len(grown)


@command("GETRANGE", arity=4, flags=READONLY, keys=FIRST, since="2.4.0")
def getrange(ctx: Context, key: bytes, first: bytes, last: bytes) -> Reply:
    """Returns a substring of the string stored at a key."""
    start, end = args.integer(first), args.integer(last)
    value = ctx.lookup(key, bytes) or b""
    if start < 0 and end < 0 and start > end:
        return b""
    start = max(0, start + len(value) if start < 0 else start)
    end = max(0, end + len(value) if end < 0 else end)
    return value[start : end + 1]


@command("SUBSTR", arity=4, flags=READONLY, keys=FIRST)
def substr(ctx: Context, key: bytes, first: bytes, last: bytes) -> Reply:
    """Returns a substring from a string value."""
    return getrange(ctx, key, first, last)


@command("SETRANGE", arity=4, flags=WRITE | DENYOOM, keys=FIRST, access="RW update", since="2.2.0")
def setrange(ctx: Context, key: bytes, at: bytes, part: bytes) -> Reply:
    """Overwrites a part of a string value with another by an offset. Creates the key if it doesn't exist."""
    offset = args.integer(at)
    if offset < 0:
        raise errors.offset_out_of_range()
    value = ctx.lookup(key, bytes) or b""
    if not part:
        return len(value)
    if offset + len(part) > ctx.engine.config.longest_string:
        raise errors.string_too_long()
    value = value[:offset].ljust(offset, b"\0") + part + value[offset + len(part) :]
    ctx.update(key, value)
    ctx.notify("setrange", key)
    return len(value)


FAR_ABOVE: Final = 10**18  # numbers nearer to 0 than that are of 64 bits for certain
FAR_BELOW: Final = -FAR_ABOVE
COUNTER = WRITE | DENYOOM | FAST
TO_COUNTER = "RW access update"


@command("INCR", arity=2, flags=COUNTER, keys=FIRST, access=TO_COUNTER)
def incr(ctx: Context, key: bytes) -> Reply:
    """Increments the integer value of a key by one. Uses 0 as initial value if the key doesn't exist."""
    return _add(ctx, key, 1)


@command("DECR", arity=2, flags=COUNTER, keys=FIRST, access=TO_COUNTER)
def decr(ctx: Context, key: bytes) -> Reply:
    """Decrements the integer value of a key by one. Uses 0 as initial value if the key doesn't exist."""
    return _add(ctx, key, -1)


@command("INCRBY", arity=3, flags=COUNTER, keys=FIRST, access=TO_COUNTER)
def incrby(ctx: Context, key: bytes, amount: bytes) -> Reply:
    """Increments the integer value of a key by a number. Uses 0 as initial value if the key doesn't exist."""
    return _add(ctx, key, args.integer(amount))


@command("DECRBY", arity=3, flags=COUNTER, keys=FIRST, access=TO_COUNTER)
def decrby(ctx: Context, key: bytes, amount: bytes) -> Reply:
    """Decrements the integer value of a key by a number. Uses 0 as initial value if the key doesn't exist."""
    number = args.integer(amount)
    if number == args.MIN_INT:
        raise errors.decrement_overflow()
    return _add(ctx, key, -number)


def _add(ctx: Context, key: bytes, amount: int) -> int:
    db, keyspace = ctx.db, ctx.keyspace  # ctx.lookup and ctx.notify, written out where it counts
    data = db.data
    value = data.get(key)
    if type(value) is not bytes or key in db.expires:
        value = ctx.lookup(key, bytes)
    number = amount if value is None else args.integer(value) + amount
    if not FAR_BELOW < number < FAR_ABOVE and not args.MIN_INT <= number <= args.MAX_INT:
        raise errors.overflow()
    data[key] = b"%d" % number
    if keyspace.observers:
        db.touched("incrby", key)
    else:
        keyspace.dirty += 1
    return number


@command("INCRBYFLOAT", arity=3, flags=COUNTER, keys=FIRST, access=TO_COUNTER, since="2.6.0")
def incrbyfloat(ctx: Context, key: bytes, amount: bytes) -> Reply:
    """Increments the floating point value of a key by a number. Uses 0 as initial value if the key doesn't exist."""
    value = ctx.lookup(key, bytes)
    old = long_double.parse(b"0" if value is None else value, errors.not_a_float)
    number = long_double.add(old, long_double.parse(amount, errors.not_a_float))
    if isinstance(number, float):
        raise errors.not_finite()
    shown = long_double.show(number)
    ctx.update(key, shown)
    ctx.notify("incrbyfloat", key)
    return shown
