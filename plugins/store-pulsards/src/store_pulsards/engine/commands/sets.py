"""Set commands. A set is ``Members``."""
# ruff: noqa: E501  (the first line of a handler's docstring is its summary in COMMAND DOCS, as long as Valkey's)

from __future__ import annotations

from collections.abc import Callable, Sequence

from store_pulsards.engine import args, counts, encodings, errors, scan
from store_pulsards.engine.commands.element_scan import scan_page
from store_pulsards.engine.context import Context
from store_pulsards.engine.keyspace import ValueType, register_type
from store_pulsards.engine.members import Members
from store_pulsards.engine.replies import Reply, SetReply
from store_pulsards.engine.table import (
    ALL,
    DENYOOM,
    FAST,
    FIRST,
    READONLY,
    REST,
    SECOND,
    WRITE,
    family,
    numkeys,
)

command = family("set")

register_type(Members, ValueType(b"set", Members.copy, encodings.of_set, iter))

UNORDERED = ("nondeterministic_output_order",)
RANDOM = ("nondeterministic_output",)
STORE_ACCESS = ("OW update", "RO access")


@command("SADD", arity=-3, flags=WRITE | DENYOOM | FAST, keys=FIRST, access="RW insert")
def sadd(ctx: Context, key: bytes, *members: bytes) -> Reply:
    """Adds one or more members to a set. Creates the key if it doesn't exist."""
    db = ctx.db
    value = db.data.get(key)
    if type(value) is not Members or key in db.expires:  # ctx.lookup, written out where it counts
        value = ctx.lookup(key, Members)
    if value is None:
        value = Members()
        ctx.set(key, value)
    added = value.insert(members)
    if added:
        ctx.notify("sadd", key)
    return added


@command("SREM", arity=-3, flags=WRITE | FAST, keys=FIRST, access="RW delete")
def srem(ctx: Context, key: bytes, *members: bytes) -> Reply:
    """Removes one or more members from a set. Deletes the set if the last member was removed."""
    value = ctx.lookup(key, Members)
    if value is None:
        return 0
    removed = value.withdraw(members)
    if removed:
        _shrunk(ctx, key, value, "srem")
    return removed


def _shrunk(ctx: Context, key: bytes, value: Members, event: str) -> None:
    ctx.notify(event, key)
    if not value:
        ctx.delete(key)
        ctx.notify("del", key)


@command("SMEMBERS", arity=2, flags=READONLY, keys=FIRST, tips=UNORDERED)
def smembers(ctx: Context, key: bytes) -> Reply:
    """Returns all members of a set."""
    return SetReply(ctx.lookup(key, Members) or ())


@command("SISMEMBER", arity=3, flags=READONLY | FAST, keys=FIRST, access="RO")
def sismember(ctx: Context, key: bytes, member: bytes) -> Reply:
    """Determines whether a member belongs to a set."""
    return int(member in (ctx.lookup(key, Members) or ()))


@command("SMISMEMBER", arity=-3, flags=READONLY | FAST, keys=FIRST, since="6.2.0")
def smismember(ctx: Context, key: bytes, *members: bytes) -> Reply:
    """Determines whether multiple members belong to a set."""
    value = ctx.lookup(key, Members) or ()
    return [int(member in value) for member in members]


@command("SCARD", arity=2, flags=READONLY | FAST, keys=FIRST, access="RO")
def scard(ctx: Context, key: bytes) -> Reply:
    """Returns the number of members in a set."""
    return len(ctx.lookup(key, Members) or ())


@command("SPOP", arity=-2, flags=WRITE | FAST, keys=FIRST, access="RW access delete", tips=RANDOM)
def spop(ctx: Context, key: bytes, *options: bytes) -> Reply:
    """Returns one or more random members from a set after removing them. Deletes the set if the last member was popped."""
    count = counts.to_pop(options) if options else None
    value = ctx.lookup(key, Members)
    if value is None:
        return None if count is None else SetReply()
    if count == 0:
        return SetReply()
    wanted = 1 if count is None else min(count, len(value))
    popped = SetReply(value.pop_random() for _ in range(wanted))
    _shrunk(ctx, key, value, "spop")
    return popped[0] if count is None else popped


@command("SRANDMEMBER", arity=-2, flags=READONLY, keys=FIRST, tips=RANDOM)
def srandmember(ctx: Context, key: bytes, *options: bytes) -> Reply:
    """Gets one or multiple random members from a set."""
    count, _ = counts.at_random(options)
    value = ctx.lookup(key, Members)
    if count is None:
        return None if value is None else value.choose()
    if value is None:
        return []
    return value.choose_any(-count) if count < 0 else value.choose_distinct(count)


@command("SMOVE", arity=4, flags=WRITE | FAST, keys=(FIRST, SECOND), access=("RW access delete", "RW insert"))
def smove(ctx: Context, source: bytes, destination: bytes, member: bytes) -> Reply:
    """Moves a member from one set to another."""
    value = ctx.lookup(source, Members)
    if value is None:
        return 0
    target = ctx.lookup(destination, Members)
    if target is value:
        return int(member in value)
    if not value.withdraw((member,)):
        return 0
    _shrunk(ctx, source, value, "srem")
    if target is None:
        target = Members()
        ctx.set(destination, target)
    if target.insert((member,)):
        ctx.notify("sadd", destination)
    return 1


def _intersection(values: Sequence[set[bytes]]) -> set[bytes]:
    smallest, *others = sorted(values, key=len)
    return smallest.intersection(*others)


def _union(values: Sequence[set[bytes]]) -> set[bytes]:
    return set().union(*values)


def _difference(values: Sequence[set[bytes]]) -> set[bytes]:
    return values[0].difference(*values[1:])


def _sources(ctx: Context, keys: Sequence[bytes]) -> list[set[bytes]]:
    return [ctx.lookup(key, Members) or set() for key in keys]


def _store(
    ctx: Context,
    destination: bytes,
    keys: Sequence[bytes],
    operation: Callable[[Sequence[set[bytes]]], set[bytes]],
    event: str,
) -> int:
    result = operation(_sources(ctx, keys))
    if result:
        ctx.set(destination, Members(result))
        ctx.notify(event, destination)
    elif ctx.delete(destination):
        ctx.notify("del", destination)
    return len(result)


@command("SINTER", arity=-2, flags=READONLY, keys=ALL, tips=UNORDERED)
def sinter(ctx: Context, *keys: bytes) -> Reply:
    """Returns the intersect of multiple sets."""
    return SetReply(_intersection(_sources(ctx, keys)))


@command("SUNION", arity=-2, flags=READONLY, keys=ALL, tips=UNORDERED)
def sunion(ctx: Context, *keys: bytes) -> Reply:
    """Returns the union of multiple sets."""
    return SetReply(_union(_sources(ctx, keys)))


@command("SDIFF", arity=-2, flags=READONLY, keys=ALL, tips=UNORDERED)
def sdiff(ctx: Context, *keys: bytes) -> Reply:
    """Returns the difference of multiple sets."""
    return SetReply(_difference(_sources(ctx, keys)))


@command("SINTERSTORE", arity=-3, flags=WRITE | DENYOOM, keys=(FIRST, REST), access=STORE_ACCESS)
def sinterstore(ctx: Context, destination: bytes, *keys: bytes) -> Reply:
    """Stores the intersect of multiple sets in a key."""
    return _store(ctx, destination, keys, _intersection, "sinterstore")


@command("SUNIONSTORE", arity=-3, flags=WRITE | DENYOOM, keys=(FIRST, REST), access=STORE_ACCESS)
def sunionstore(ctx: Context, destination: bytes, *keys: bytes) -> Reply:
    """Stores the union of multiple sets in a key."""
    return _store(ctx, destination, keys, _union, "sunionstore")


@command("SDIFFSTORE", arity=-3, flags=WRITE | DENYOOM, keys=(FIRST, REST), access=STORE_ACCESS)
def sdiffstore(ctx: Context, destination: bytes, *keys: bytes) -> Reply:
    """Stores the difference of multiple sets in a key."""
    return _store(ctx, destination, keys, _difference, "sdiffstore")


@command("SINTERCARD", arity=-3, flags=READONLY, keys=numkeys(1), since="7.0.0")
def sintercard(ctx: Context, count: bytes, *rest: bytes) -> Reply:
    """Returns the number of members of the intersect of multiple sets."""
    number = args.integer(count, 1, error=errors.numkeys_not_positive)
    if number > len(rest):
        raise errors.too_many_keys()
    limit = args.options(rest[number:], values={b"LIMIT": counts.limit}).get(b"LIMIT", 0)
    size = len(_intersection(_sources(ctx, rest[:number])))
    return min(size, limit) if limit else size


@command("SSCAN", arity=-3, flags=READONLY, keys=FIRST, since="2.8.0", tips=RANDOM)
def sscan(ctx: Context, key: bytes, cursor: bytes, *options: bytes) -> Reply:
    """Iterates over members of a set."""
    begin = scan.cursor(cursor)
    value = ctx.lookup(key, Members)
    if value is None:
        return [b"0", []]
    small = encodings.of_set(value, ctx.engine.config.encodings) != b"hashtable"
    following, found, _ = scan_page(ctx, value, begin, options, at_once=small)
    return [following, found]
