"""Commands for keys of any type."""

from __future__ import annotations

from typing import Final

from store_pulsards.engine import args, errors, scan
from store_pulsards.engine.context import Context
from store_pulsards.engine.glob import compile_filter, plain_text
from store_pulsards.engine.keyspace import TYPES, Database, Value
from store_pulsards.engine.replies import OK, Reply, Status
from store_pulsards.engine.shards import random_key
from store_pulsards.engine.table import ALL, DENYOOM, FAST, FIRST, READONLY, SECOND, WRITE, family

command = family("generic")

COUNTED_OVER_SHARDS: Final = ("request_policy:multi_shard", "response_policy:agg_sum")
UNPREDICTABLE: Final = ("nondeterministic_output",)

DELETING = "RM delete"
MOVING = ("RW access delete", "OW update")


@command("DEL", arity=-2, flags=WRITE, keys=ALL, access=DELETING, tips=COUNTED_OVER_SHARDS)
def del_(ctx: Context, *keys: bytes) -> Reply:
    """Deletes one or more keys."""
    deleted = 0
    for key in keys:
        if ctx.unlink(key):
            ctx.notify("del", key)
            deleted += 1
    return deleted


@command("UNLINK", arity=-2, flags=WRITE | FAST, keys=ALL, access=DELETING, since="4.0.0", tips=COUNTED_OVER_SHARDS)
def unlink(ctx: Context, *keys: bytes) -> Reply:
    """Asynchronously deletes one or more keys."""
    return del_(ctx, *keys)


@command("EXISTS", arity=-2, flags=READONLY | FAST, keys=ALL, access="RO", tips=COUNTED_OVER_SHARDS)
def exists(ctx: Context, *keys: bytes) -> Reply:
    """Determines whether one or more keys exist."""
    return sum(ctx.lookup_any(key) is not None for key in keys)


@command("TOUCH", arity=-2, flags=READONLY | FAST, keys=ALL, access="RO", since="3.2.1", tips=COUNTED_OVER_SHARDS)
def touch(ctx: Context, *keys: bytes) -> Reply:
    """Returns the number of existing keys out of those specified after updating the time they were last accessed."""
    return exists(ctx, *keys)


@command("TYPE", arity=2, flags=READONLY | FAST, keys=FIRST, access="RO")
def type_(ctx: Context, key: bytes) -> Reply:
    """Determines the type of value stored at a key."""
    value = ctx.lookup_any(key)
    return Status(b"none" if value is None else TYPES[type(value)].name)


@command(
    "RANDOMKEY",
    arity=1,
    flags=READONLY,
    tips=("request_policy:all_shards", "response_policy:special", "nondeterministic_output"),
)
def randomkey(ctx: Context) -> Reply:
    """Returns a random key name from the database."""
    db = ctx.db
    while db.data:
        key = random_key(db.data)
        if db.get(key) is not None:
            return key
    return None


@command(
    "KEYS",
    arity=2,
    flags=READONLY,
    acl=("keyspace", "dangerous"),
    tips=("request_policy:all_shards", "nondeterministic_output_order"),
)
def keys_(ctx: Context, pattern: bytes) -> Reply:
    """Returns all key names that match a pattern."""
    db = ctx.db
    if plain_text(pattern):
        return [pattern] if db.get(pattern) is not None else []
    matches = compile_filter(pattern)
    if not db.expires:
        return list(filter(matches, db.data))
    return [key for key in db.data if matches(key) and not db.is_over(key)]


@command(
    "SCAN",
    arity=-2,
    flags=READONLY,
    since="2.8.0",
    tips=("nondeterministic_output", "request_policy:special", "response_policy:special"),
)
def scan_(ctx: Context, cursor: bytes, *options: bytes) -> Reply:
    """Iterates over the key names in the database."""
    begin = scan.cursor(cursor)
    given = args.options(options, values={b"MATCH": args.text, b"COUNT": scan.count, b"TYPE": _type_name})
    db = ctx.db
    following, page = ctx.engine.scans.page(db.data, begin, given.get(b"COUNT", 10))
    matches = compile_filter(given.get(b"MATCH", b"*"))
    wanted = given.get(b"TYPE")
    found = [key for key in page if matches(key) and _is_of_type(db.get(key), wanted)]
    return [b"%d" % following, found]


def _type_name(name: bytes) -> bytes:
    wanted = name.lower()
    if wanted not in {kind.name for kind in TYPES.values()}:
        raise errors.unknown_type(name)
    return wanted


def _is_of_type(value: Value | None, wanted: bytes | None) -> bool:
    return value is not None and (wanted is None or TYPES[type(value)].name == wanted)


@command("RENAME", arity=3, flags=WRITE, keys=(FIRST, SECOND), access=MOVING)
def rename(ctx: Context, key: bytes, target: bytes) -> Reply:
    """Renames a key and overwrites the destination."""
    value = ctx.lookup_any(key)
    if value is None:
        raise errors.no_such_key()
    if key != target:
        _move(ctx, key, value, target)
    return OK


@command("RENAMENX", arity=3, flags=WRITE | FAST, keys=(FIRST, SECOND), access=("RW access delete", "OW insert"))
def renamenx(ctx: Context, key: bytes, target: bytes) -> Reply:
    """Renames a key only when the target key name doesn't exist."""
    value = ctx.lookup_any(key)
    if value is None:
        raise errors.no_such_key()
    if key == target or ctx.lookup_any(target) is not None:
        return 0
    _move(ctx, key, value, target)
    return 1


def _move(ctx: Context, key: bytes, value: Value, target: bytes) -> None:
    """Give a value another name; its time to live goes along."""
    expiry = ctx.db.expires.get(key)
    ctx.db.remove(key)
    _place(ctx.db, target, value, expiry)
    ctx.notify("rename_from", key)
    ctx.notify("rename_to", target)


def _place(db: Database, key: bytes, value: Value, expiry: int | None) -> None:
    db.put(key, value)
    if expiry is not None:
        db.expire_at(key, expiry)


@command(
    "COPY", arity=-3, flags=WRITE | DENYOOM, keys=(FIRST, SECOND), access=("RO access", "OW update"), since="6.2.0"
)
def copy(ctx: Context, key: bytes, target: bytes, *options: bytes) -> Reply:
    """Copies the value of a key to a new key."""
    given = args.options(options, frozenset({b"REPLACE"}), {b"DB": ctx.database})
    db: Database = given.get(b"DB", ctx.db)
    if db is ctx.db and key == target:
        raise errors.same_object()
    value = ctx.lookup_any(key)
    if value is None or (db.get(target) is not None and b"REPLACE" not in given):
        return 0
    _place(db, target, TYPES[type(value)].copy(value), ctx.db.expires.get(key))
    db.touched("copy_to", target)
    return 1


@command("MOVE", arity=3, flags=WRITE | FAST, keys=FIRST, access="RW access update")
def move(ctx: Context, key: bytes, index: bytes) -> Reply:
    """Moves a key to another database."""
    db = ctx.database(index)
    if db is ctx.db:
        raise errors.same_object()
    value = ctx.lookup_any(key)
    if value is None or db.get(key) is not None:
        return 0
    expiry = ctx.db.expires.get(key)
    ctx.db.remove(key)
    _place(db, key, value, expiry)
    ctx.notify("move_from", key)
    db.touched("move_to", key)
    return 1
