"""DUMP and RESTORE: a value by itself, in the bytes that real servers read and write."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from store_pulsards.engine import args, errors
from store_pulsards.engine.context import Context
from store_pulsards.engine.rdb import payload
from store_pulsards.engine.rdb.errors import PayloadError, RdbError
from store_pulsards.engine.replies import OK, Reply
from store_pulsards.engine.table import ASKING, DENYOOM, FIRST, READONLY, WRITE, family

command = family("generic")
server = family("server")

RESTORE_FLAGS: Final = frozenset((b"REPLACE", b"ABSTTL"))


@command("DUMP", arity=2, flags=READONLY, keys=FIRST, since="2.6.0", tips=("nondeterministic_output",))
def dump(ctx: Context, key: bytes) -> Reply:
    """Returns a serialized representation of the value stored at a key."""
    value = ctx.lookup_any(key)
    return None if value is None else payload.dump(value)


@command(
    "RESTORE",
    arity=-4,
    flags=WRITE | DENYOOM,
    keys=FIRST,
    access="OW update",
    since="2.6.0",
    acl=("keyspace", "dangerous"),
)
def restore(ctx: Context, key: bytes, ttl: bytes, serialized: bytes, *options: bytes) -> Reply:
    """Creates a key from the serialized representation of a value."""
    given = _options(options)
    if b"REPLACE" not in given and ctx.lookup_any(key) is not None:
        raise errors.busy_key()
    time = args.integer(ttl)
    if time < 0:
        raise errors.negative_ttl()
    value = _load(serialized)
    deleted = b"REPLACE" in given and ctx.delete(key)
    when = time if b"ABSTTL" in given or not time else time + ctx.now
    if when and when <= ctx.now:
        if deleted:
            ctx.notify("del", key)
        return OK
    ctx.db.put(key, value)
    if when:
        ctx.db.expire_at(key, when)
    _set_use(ctx, key, given)
    ctx.notify("restore", key)
    return OK


@server(
    "RESTORE-ASKING",
    arity=-4,
    flags=WRITE | DENYOOM | ASKING,
    keys=FIRST,
    access="OW update",
    since="3.0.0",
    acl=("keyspace", "dangerous"),
)
def restore_asking(ctx: Context, key: bytes, ttl: bytes, serialized: bytes, *options: bytes) -> Reply:
    """An internal command for migrating keys in a cluster."""
    return restore(ctx, key, ttl, serialized, *options)


def _load(serialized: bytes) -> Any:
    try:
        return payload.load(serialized)
    except PayloadError:
        raise errors.bad_payload() from None
    except RdbError:
        raise errors.bad_data_format() from None


def _options(options: Sequence[bytes]) -> dict[bytes, Any]:
    given = args.options(options, RESTORE_FLAGS, {b"IDLETIME": _idle_time, b"FREQ": _frequency})
    if given.keys() >= {b"IDLETIME", b"FREQ"}:
        raise errors.syntax_error()
    return given


def _set_use(ctx: Context, key: bytes, given: dict[bytes, Any]) -> None:
    """Take over when or how often the key was used, if the policy wants to know that."""
    memory = ctx.engine.memory
    if memory.access.lfu and b"FREQ" in given:
        memory.set_frequency(ctx.db, key, given[b"FREQ"])
    elif not memory.access.lfu and b"IDLETIME" in given:
        memory.set_idle_seconds(ctx.db, key, given[b"IDLETIME"])


def _idle_time(text: bytes) -> int:
    seconds = args.integer(text)
    if seconds < 0:
        raise errors.invalid_idle_time()
    return seconds


def _frequency(text: bytes) -> int:
    frequency = args.integer(text)
    if not 0 <= frequency <= 255:
        raise errors.invalid_frequency()
    return frequency
