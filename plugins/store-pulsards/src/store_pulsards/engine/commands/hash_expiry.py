"""Times to live of hash fields, and the commands that read or write fields along with them.

A time that is over already takes the field away at once. What happens to several fields is told in one event; a hash
with no field left is gone.
"""
# ruff: noqa: E501  (the first line of a handler's docstring is its summary in COMMAND DOCS, as long as Valkey's)

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any, Final, NamedTuple

from store_pulsards.engine import args, errors, replies
from store_pulsards.engine.commands.expire import allowed, conditions
from store_pulsards.engine.context import Context
from store_pulsards.engine.expiry import EXPIRY_OPTIONS, deadline
from store_pulsards.engine.replies import Reply
from store_pulsards.engine.table import DENYOOM, FAST, FIRST, READONLY, WRITE, family
from store_pulsards.engine.volatile_hash import VolatileHash

command = family("hash")

NO_FIELD: Final = -2
NO_EXPIRY: Final = -1
REFUSED: Final = 0
DONE: Final = 1
GONE: Final = 2  # the time is over: the field was taken away

LIFETIMES: Final = frozenset((*EXPIRY_OPTIONS, b"KEEPTTL", b"PERSIST"))
HSETEX_FLAGS: Final = frozenset((b"NX", b"XX", b"FNX", b"FXX", b"KEEPTTL"))
HGETEX_FLAGS: Final = frozenset((b"PERSIST",))


def _fields(words: Sequence[bytes], error: Callable[[], replies.ErrorReply], each: int = 1) -> Sequence[bytes]:
    """What is behind ``FIELDS count``: so many fields, of ``each`` words."""
    count = args.integer(words[0])
    if count < 1 or count * each != len(words) - 1:
        raise error()
    return words[1:]


def _only_fields(words: Sequence[bytes], error: Callable[[], replies.ErrorReply]) -> Sequence[bytes]:
    """``FIELDS count field …``, with nothing before."""
    if words[0].upper() != b"FIELDS":
        raise errors.syntax_error()
    return _fields(words[1:], error)


def _split(key: bytes, words: Sequence[bytes]) -> tuple[Sequence[bytes], Sequence[bytes]]:
    """The options, and what stands behind FIELDS; Valkey takes a key of that name for the word."""
    if key.upper() == b"FIELDS":
        return (), words
    for index, word in enumerate(words[:-1]):
        if word.upper() == b"FIELDS":
            return words[:index], words[index + 1 :]
    raise errors.numfields_mismatch()


def _volatile(ctx: Context, key: bytes, fields: dict[bytes, bytes]) -> VolatileHash:
    """A hash as one whose fields may expire."""
    if type(fields) is VolatileHash:
        return fields
    value = VolatileHash(fields)
    ctx.update(key, value)
    return value


def _expiry_of(fields: dict[bytes, bytes], field: bytes) -> int | None:
    return fields.expires.get(field) if type(fields) is VolatileHash else None


def _drop_if_empty(ctx: Context, key: bytes, fields: dict[bytes, bytes]) -> None:
    if not fields:
        ctx.delete(key)
        ctx.notify("del", key)


def _when(ctx: Context, unit: bytes, text: bytes, name: str) -> int:
    """A time (ms) as a client gives it; one that is over is a time, too, but no negative one."""
    if args.integer(text) < 0:
        raise errors.invalid_expire(name)
    return deadline(ctx, unit, text, name)


def _set_expiry(ctx: Context, key: bytes, names: Sequence[bytes], when: int, only: Set[bytes]) -> list[int]:
    """Give fields a time to live, and tell it; what became of each."""
    fields = ctx.lookup(key, dict)
    if fields is None:
        return [NO_FIELD] * len(names)
    over = when <= ctx.now
    found: list[int] = []
    for name in names:
        if name not in fields:
            found.append(NO_FIELD)
        elif not allowed(_expiry_of(fields, name), when, only):
            found.append(REFUSED)
        elif over:
            del_field(fields, name)
            found.append(GONE)
        else:
            fields = _volatile(ctx, key, fields)
            fields.expire_at(name, when)
            found.append(DONE)
    _tell(ctx, key, fields, "hexpire" if DONE in found else "hexpired" if GONE in found else "", found.count(GONE))
    return found


def del_field(fields: dict[bytes, bytes], name: bytes) -> bool:
    """Take a field away; whether it was there."""
    return fields.pop(name, None) is not None


def _tell(ctx: Context, key: bytes, fields: dict[bytes, bytes], event: str, gone: int = 0) -> None:
    """Tell of a change, if there is an event, and see to what follows from it."""
    if not event:
        return
    ctx.keyspace.expired_fields += gone
    if type(fields) is VolatileHash:
        ctx.db.fields.add(key, fields, ctx.db.data)
    ctx.notify(event, key)
    _drop_if_empty(ctx, key, fields)


def _hexpire(ctx: Context, name: str, unit: bytes, key: bytes, time: bytes, words: Sequence[bytes]) -> Reply:
    options, behind = _split(b"", words)
    only = conditions(options)
    names = _fields(behind, errors.numfields_mismatch)
    return _set_expiry(ctx, key, names, _when(ctx, unit, time, name), only)


@command("HEXPIRE", arity=-6, flags=WRITE | FAST, keys=FIRST, since="9.0.0")
def hexpire(ctx: Context, key: bytes, seconds: bytes, *words: bytes) -> Reply:
    """Sets expiry time on hash fields."""
    return _hexpire(ctx, "hexpire", b"EX", key, seconds, words)


@command("HPEXPIRE", arity=-6, flags=WRITE | FAST, keys=FIRST, since="9.0.0")
def hpexpire(ctx: Context, key: bytes, milliseconds: bytes, *words: bytes) -> Reply:
    """Sets expiry time on hash object."""
    return _hexpire(ctx, "hpexpire", b"PX", key, milliseconds, words)


@command("HEXPIREAT", arity=-6, flags=WRITE | FAST, keys=FIRST, since="9.0.0")
def hexpireat(ctx: Context, key: bytes, timestamp: bytes, *words: bytes) -> Reply:
    """Sets expiry time on hash fields."""
    return _hexpire(ctx, "hexpireat", b"EXAT", key, timestamp, words)


@command("HPEXPIREAT", arity=-6, flags=WRITE | FAST, keys=FIRST, since="9.0.0")
def hpexpireat(ctx: Context, key: bytes, timestamp: bytes, *words: bytes) -> Reply:
    """Sets expiration time on hash field."""
    return _hexpire(ctx, "hpexpireat", b"PXAT", key, timestamp, words)


@command("HPERSIST", arity=-5, flags=WRITE | FAST, keys=FIRST, since="9.0.0")
def hpersist(ctx: Context, key: bytes, *words: bytes) -> Reply:
    """Remove the existing expiration on a hash key's field(s)."""
    names = _only_fields(words, errors.numfields_mismatch)
    fields = ctx.lookup(key, dict) or {}
    found: list[int] = []
    for name in names:
        if type(fields) is VolatileHash and fields.persist((name,)):
            found.append(DONE)
        else:
            found.append(NO_EXPIRY if name in fields else NO_FIELD)
    if DONE in found:
        ctx.notify("hpersist", key)
    return found


def _times(ctx: Context, key: bytes, words: Sequence[bytes], since: int) -> list[int]:
    """When (ms after ``since``) fields are over; -1 for never, -2 for those that are not there."""
    names = _only_fields(words, errors.syntax_error)
    fields = ctx.lookup(key, dict) or {}
    found: list[int] = []
    for name in names:
        when = _expiry_of(fields, name)
        if when is None:
            found.append(NO_EXPIRY if name in fields else NO_FIELD)
        else:
            found.append(max(0, when - since))
    return found


def _in_seconds(times: Sequence[int]) -> list[int]:
    return [time if time < 0 else (time + 500) // 1000 for time in times]


@command("HTTL", arity=-5, flags=READONLY | FAST, keys=FIRST, since="9.0.0")
def httl(ctx: Context, key: bytes, *words: bytes) -> Reply:
    """Returns the remaining time to live (in seconds) of a hash key's field(s) that have an associated expiration."""
    return _in_seconds(_times(ctx, key, words, ctx.now))


@command("HPTTL", arity=-5, flags=READONLY | FAST, keys=FIRST, since="9.0.0")
def hpttl(ctx: Context, key: bytes, *words: bytes) -> Reply:
    """Returns the remaining time to live in milliseconds of a hash key's field(s) that have an associated expiration."""
    return _times(ctx, key, words, ctx.now)


@command("HEXPIRETIME", arity=-5, flags=READONLY | FAST, keys=FIRST, since="9.0.0")
def hexpiretime(ctx: Context, key: bytes, *words: bytes) -> Reply:
    """Returns Unix timestamps in seconds since the epoch at which the given key's field(s) will expire."""
    return _in_seconds(_times(ctx, key, words, 0))


@command("HPEXPIRETIME", arity=-5, flags=READONLY | FAST, keys=FIRST, since="9.0.0")
def hpexpiretime(ctx: Context, key: bytes, *words: bytes) -> Reply:
    """Returns the Unix timestamp in milliseconds since Unix epoch at which the given key's field(s) will expire."""
    return _times(ctx, key, words, 0)


class Lifetime(NamedTuple):
    """What HSETEX and HGETEX are to do with times to live."""

    given: Mapping[bytes, Any]
    unit: bytes  # empty where no time was given

    def when(self, ctx: Context, name: str) -> int | None:
        """When (ms) the fields are to be over; None where no time was given."""
        return _when(ctx, self.unit, self.given[self.unit], name) if self.unit else None


def _lifetime(words: Sequence[bytes], flags: frozenset[bytes]) -> Lifetime:
    given = args.options(words, flags, EXPIRY_OPTIONS)
    if len(given.keys() & LIFETIMES) > 1 or given.keys() >= {b"NX", b"XX"} or given.keys() >= {b"FNX", b"FXX"}:
        raise errors.syntax_error()
    return Lifetime(given, next((unit for unit in EXPIRY_OPTIONS if unit in given), b""))


@command("HGETEX", arity=-5, flags=WRITE | FAST, keys=FIRST, access="RW access update", since="9.0.0")
def hgetex(ctx: Context, key: bytes, *words: bytes) -> Reply:
    """Gets the value of one or more fields of a given hash key, and optionally sets their expiration time or time-to-live (TTL)."""
    options, behind = _split(key, words)
    lifetime = _lifetime(options, HGETEX_FLAGS)
    names = _fields(behind, errors.numfields_mismatch)
    fields = ctx.lookup(key, dict) or {}
    when = lifetime.when(ctx, "hgetex")
    over = when is not None and when <= ctx.now
    found: list[bytes | None] = []
    for name in names:  # one after the other: a field that is given twice may be gone the second time
        found.append(fields.get(name))
        if over:
            del_field(fields, name)
    if over:
        _tell(ctx, key, fields, "hexpired" if any(value is not None for value in found) else "", _count(found))
    elif when is not None:
        _set_expiry(ctx, key, names, when, frozenset())
    elif b"PERSIST" in lifetime.given and type(fields) is VolatileHash and fields.persist(names):
        ctx.notify("hpersist", key)
    return found


def _count(found: Sequence[bytes | None]) -> int:
    return sum(value is not None for value in found)


@command("HGETDEL", arity=-5, flags=WRITE | FAST, keys=FIRST, access="RW access delete", since="9.1.0")
def hgetdel(ctx: Context, key: bytes, *words: bytes) -> Reply:
    """Returns the values of one or more fields and deletes them from a hash."""
    names = _only_fields(words, errors.numfields_mismatch)
    fields = ctx.lookup(key, dict)
    if fields is None:
        return [None] * len(names)
    found = [fields.pop(name, None) for name in names]
    _tell(ctx, key, fields, "hdel" if _count(found) else "")
    return found


@command("HSETEX", arity=-6, flags=WRITE | DENYOOM | FAST, keys=FIRST, access="RW insert", since="9.0.0")
def hsetex(ctx: Context, key: bytes, *words: bytes) -> Reply:
    """Sets the value of one or more fields of a given hash key, and optionally sets their expiration time."""
    options, behind = _split(key, words)
    lifetime = _lifetime(options, HSETEX_FLAGS)
    pairs = _fields(behind, errors.numfields_mismatch, 2)
    fields = ctx.lookup(key, dict)
    if (b"NX" in lifetime.given and fields is not None) or (b"XX" in lifetime.given and fields is None):
        return 0  # before the time is looked at
    when = lifetime.when(ctx, "hsetex")
    if not _may_set(lifetime.given.keys(), fields, pairs[::2]):
        return 0
    if fields is None:
        fields = {}
        ctx.set(key, fields)
    if when is not None and when <= ctx.now:
        _set_and_expire(ctx, key, fields, pairs[::2])
        return 1
    for name, value in zip(pairs[::2], pairs[1::2], strict=True):
        fields = _set_field(ctx, key, fields, name, value, when, keep=b"KEEPTTL" in lifetime.given)
    _tell_set(ctx, key, fields, ("hset",) if when is None else ("hset", "hexpire"))
    return 1


def _set_and_expire(ctx: Context, key: bytes, fields: dict[bytes, bytes], names: Sequence[bytes]) -> None:
    """Set fields to what is over at once; where none of them was there, that spoils no transaction."""
    events = ("hset", "hexpire", "hexpired")
    if any(name in fields for name in names):
        for name in names:
            del_field(fields, name)
        _tell_set(ctx, key, fields, events, len(names))
        return
    ctx.keyspace.expired_fields += len(names)
    for event in events:
        ctx.announce(event, key)
    if not fields:
        ctx.delete(key)
        ctx.announce("del", key)


def _may_set(given: Set[bytes], fields: dict[bytes, bytes] | None, names: Sequence[bytes]) -> bool:
    """Whether every condition of HSETEX on fields holds."""
    there = [fields is not None and name in fields for name in names]
    return not ((b"FNX" in given and any(there)) or (b"FXX" in given and not all(there)))


def _set_field(
    ctx: Context,
    key: bytes,
    fields: dict[bytes, bytes],
    name: bytes,
    value: bytes,
    when: int | None,
    *,
    keep: bool,
) -> dict[bytes, bytes]:
    """Write one field; the hash, which may have become one whose fields expire."""
    if keep and type(fields) is VolatileHash:
        fields.keep(name, value)
        return fields
    fields[name] = value
    if when is None:
        return fields
    volatile = _volatile(ctx, key, fields)
    volatile.expire_at(name, when)
    return volatile


def _tell_set(ctx: Context, key: bytes, fields: dict[bytes, bytes], events: Sequence[str], gone: int = 0) -> None:
    for event in events[:-1]:
        ctx.notify(event, key)
    _tell(ctx, key, fields, events[-1], gone)
