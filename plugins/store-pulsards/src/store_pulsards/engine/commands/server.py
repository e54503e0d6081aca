"""Server commands: the databases as wholes, configuration, time."""

from __future__ import annotations

from store_pulsards.engine import args, errors
from store_pulsards.engine.commands.connection import VERSION
from store_pulsards.engine.context import Context
from store_pulsards.engine.keyspace import Database
from store_pulsards.engine.replies import OK, Reply, Verbatim
from store_pulsards.engine.table import ADMIN, FAST, LOADING, NOSCRIPT, READONLY, STALE, WRITE, family

command = family("server")

EVERY_SHARD = ("request_policy:all_shards", "response_policy:all_succeeded")
EVERY_NODE = ("request_policy:all_nodes", "response_policy:all_succeeded")
ADMINISTRATION = ADMIN | NOSCRIPT | LOADING | STALE


@command(
    "DBSIZE",
    arity=1,
    flags=READONLY | FAST,
    acl=("keyspace",),
    tips=("request_policy:all_shards", "response_policy:agg_sum"),
)
def dbsize(ctx: Context) -> Reply:
    """Returns the number of keys in the database."""
    return len(ctx.db.data)


@command("FLUSHDB", arity=-1, flags=WRITE, acl=("keyspace", "dangerous"), tips=EVERY_SHARD)
def flushdb(ctx: Context, *mode: bytes) -> Reply:
    """Removes all keys from the current database."""
    _check_mode(mode)
    ctx.keyspace.dirty += ctx.db.clear()
    ctx.engine.scans.forget()
    ctx.engine.tracking.flushed()
    return OK


@command("FLUSHALL", arity=-1, flags=WRITE, acl=("keyspace", "dangerous"), tips=EVERY_SHARD)
def flushall(ctx: Context, *mode: bytes) -> Reply:
    """Removes all keys from all databases."""
    _check_mode(mode)
    ctx.keyspace.dirty += sum(db.clear() for db in ctx.keyspace.databases) + 1
    ctx.engine.scans.forget()
    ctx.engine.tracking.flushed()
    return OK


def _check_mode(mode: tuple[bytes, ...]) -> None:
    if len(mode) > 1 or (mode and mode[0].upper() not in (b"SYNC", b"ASYNC")):
        raise errors.syntax_error()


@command("SWAPDB", arity=3, flags=WRITE | FAST, acl=("keyspace", "dangerous"), since="4.0.0")
def swapdb(ctx: Context, one: bytes, other: bytes) -> Reply:
    """Swaps two databases."""
    first, second = _database(ctx, one, "first"), _database(ctx, other, "second")
    if first is not second:
        ctx.keyspace.swap(first, second)
        ctx.engine.tracking.flushed()
    return OK


def _database(ctx: Context, index: bytes, which: str) -> Database:
    number = args.integer(index, error=lambda: errors.invalid_database(which))
    if not 0 <= number < len(ctx.keyspace.databases):
        raise errors.database_out_of_range()
    return ctx.keyspace.databases[number]


@command("TIME", arity=1, flags=FAST | LOADING | STALE, since="2.6.0", tips=("nondeterministic_output",))
def time(ctx: Context) -> Reply:
    """Returns the server time."""
    seconds, microseconds = divmod(int(ctx.keyspace.clock() * 1_000_000), 1_000_000)
    return [b"%d" % seconds, b"%d" % microseconds]


@command(
    "LASTSAVE",
    arity=1,
    flags=LOADING | STALE | FAST,
    acl=("admin", "dangerous"),
    tips=("nondeterministic_output",),
)
def lastsave(ctx: Context) -> Reply:
    """Returns the Unix timestamp of the last successful save to disk."""
    return int(ctx.engine.started)


@command("ROLE", arity=1, flags=NOSCRIPT | LOADING | STALE | FAST, acl=("admin", "dangerous"), since="2.8.12")
def role(ctx: Context) -> Reply:
    """Returns the replication role."""
    return [b"master", 0, []]


@command("LOLWUT", arity=-1, flags=READONLY | FAST, since="5.0.0")
def lolwut(ctx: Context, *options: bytes) -> Reply:
    """Displays computer art and the server version."""
    if options and options[0].upper() == b"VERSION" and len(options) > 1:
        args.integer(options[1])
    wave = b"".join(b" " * (abs(12 - row) ** 2 // 6) + b"~" * (24 - 2 * abs(12 - row)) + b"\n" for row in range(25))
    return Verbatim(wave + b"\nA wave goes by. pulsards, after Valkey ver. " + VERSION + b"\n")


command.container("CONFIG", "A container for server configuration commands.", since="2.0.0")


@command("CONFIG|GET", arity=-3, flags=ADMINISTRATION, since="2.0.0")
def config_get(ctx: Context, *patterns: bytes) -> Reply:
    """Returns the effective values of configuration parameters."""
    return ctx.engine.config.get(patterns)


@command("CONFIG|SET", arity=-4, flags=ADMINISTRATION, since="2.0.0", tips=EVERY_NODE)
def config_set(ctx: Context, *pairs: bytes) -> Reply:
    """Sets configuration parameters in-flight."""
    if len(pairs) % 2:
        raise errors.syntax_error()
    ctx.engine.config.set(list(zip(pairs[::2], pairs[1::2], strict=True)))
    return OK


@command("CONFIG|REWRITE", arity=2, flags=ADMINISTRATION, since="2.8.0", tips=EVERY_NODE)
def config_rewrite(ctx: Context) -> Reply:
    """Persists the effective configuration to file."""
    raise errors.no_config_file()


@command("CONFIG|RESETSTAT", arity=2, flags=ADMINISTRATION, since="2.0.0", tips=EVERY_NODE)
def config_resetstat(ctx: Context) -> Reply:
    """Resets the server's statistics."""
    ctx.engine.executed = ctx.engine.failed = ctx.keyspace.expired = ctx.keyspace.expired_fields = 0
    ctx.engine.acl_log.denied = 0
    ctx.engine.traffic.reset(ctx.engine.sessions_made)
    ctx.engine.observation.reset_statistics()
    ctx.engine.memory.reset_statistics()
    ctx.engine.errors.clear()
    return OK
