"""What needs other servers: one engine stands alone, and says so in Valkey's words. And the end: SHUTDOWN."""

from __future__ import annotations

from store_pulsards.engine import args, replies
from store_pulsards.engine.blocking import Blocked, wait
from store_pulsards.engine.context import Context
from store_pulsards.engine.replies import BLOCKED, NO_REPLY, OK, Reply
from store_pulsards.engine.table import (
    ADMIN,
    ALLOW_BUSY,
    BLOCKING,
    FAST,
    LOADING,
    NO_ASYNC_LOADING,
    NO_MULTI,
    NOSCRIPT,
    STALE,
    WRITE,
    family,
)

command = family("server")
generic = family("generic")
cluster = family("cluster")

TO_ALL_SHARDS = ("request_policy:all_shards", "response_policy:agg_min")
scripting = family("scripting")

SHUTDOWN_OPTIONS = frozenset({b"NOSAVE", b"SAVE", b"NOW", b"FORCE", b"ABORT", b"SAFE", b"FAILOVER"})


@generic("WAIT", arity=3, flags=BLOCKING, since="3.0.0", tips=TO_ALL_SHARDS, acl=("connection",))
def wait_(ctx: Context, replicas: bytes, timeout: bytes) -> Reply:
    """Blocks until the asynchronous replication of all preceding write commands sent by the connection is completed."""
    wanted = args.integer(replicas)
    seconds = args.timeout_milliseconds(timeout, ctx.now)
    return _wait_in_vain(ctx, seconds, 0) if wanted > 0 else 0


@generic("WAITAOF", arity=4, flags=BLOCKING, since="7.2.0", tips=TO_ALL_SHARDS, acl=("connection",))
def waitaof(ctx: Context, local: bytes, replicas: bytes, timeout: bytes) -> Reply:
    """Blocks until all of the preceding write commands sent by the connection are written to the append-only file of the primary and/or replicas."""  # noqa: E501
    here = args.integer(local)
    if not 0 <= here <= 1:
        raise replies.waitaof_local()
    there = args.integer(replicas)
    if there < 0:
        raise replies.must_be_positive()
    seconds = args.timeout_milliseconds(timeout, ctx.now)
    if here:
        raise replies.waitaof_without_aof()
    return _wait_in_vain(ctx, seconds, [0, 0]) if there else [0, 0]


def _wait_in_vain(ctx: Context, seconds: float, reply: Reply) -> Reply:
    """No replica will ever acknowledge anything: wait for the end of the time."""
    if not ctx.may_block:
        return reply
    deadline = ctx.now / 1000 + seconds if seconds else None
    wait(Blocked(ctx.session, ctx.db, (), deadline, lambda: None, lambda: reply))
    return BLOCKED


def _replicaof(ctx: Context, host: bytes, port: bytes) -> Reply:
    """NO ONE is what this server is anyway."""
    if host.upper() == b"NO" and port.upper() == b"ONE":
        return OK
    args.integer(port, 0, 65535, error=replies.invalid_primary_port)
    raise replies.no_replication()


@command("REPLICAOF", arity=3, flags=ADMIN | NOSCRIPT | STALE | NO_ASYNC_LOADING, since="5.0.0")
def replicaof(ctx: Context, host: bytes, port: bytes) -> Reply:
    """Configures a server as replica of another, or promotes it to a primary."""
    return _replicaof(ctx, host, port)


@command("SLAVEOF", arity=3, flags=ADMIN | NOSCRIPT | STALE | NO_ASYNC_LOADING)
def slaveof(ctx: Context, host: bytes, port: bytes) -> Reply:
    """Sets a server as a replica of another, or promotes it to being a primary."""
    return _replicaof(ctx, host, port)


@cluster("READONLY", arity=1, flags=FAST | LOADING | STALE, since="3.0.0", acl=("connection",))
def readonly(ctx: Context) -> Reply:
    """Enables read-only queries for a connection to a Valkey replica node."""
    return OK


@cluster("READWRITE", arity=1, flags=FAST | LOADING | STALE, since="3.0.0", acl=("connection",))
def readwrite(ctx: Context) -> Reply:
    """Enables read-write queries for a connection to a Valkey replica node."""
    return OK


@cluster("CLUSTER", arity=-2, since="3.0.0")
def cluster_(ctx: Context, *_: bytes) -> Reply:
    """A container for Cluster commands."""
    raise replies.no_cluster()


scripting.container("FUNCTION", "A container for function commands.", since="7.0.0")


@scripting(
    "FUNCTION|FLUSH",
    arity=-2,
    flags=WRITE | NOSCRIPT,
    since="7.0.0",
    tips=("request_policy:all_shards", "response_policy:all_succeeded"),
)
def function_flush(ctx: Context, *mode: bytes) -> Reply:
    """Deletes all libraries and functions."""
    if len(mode) > 1:
        raise replies.WrongSubcommand("FUNCTION")
    if mode and mode[0].upper() not in (b"SYNC", b"ASYNC"):
        raise replies.function_flush_mode()
    return OK


@command("SHUTDOWN", arity=-1, flags=ADMIN | NOSCRIPT | LOADING | STALE | NO_MULTI | ALLOW_BUSY)
def shutdown(ctx: Context, *options: bytes) -> Reply:
    """Synchronously saves the database(s) to disk and shuts down the server."""
    given = {option.upper() for option in options}
    contradicts = given >= {b"SAVE", b"NOSAVE"} or (b"ABORT" in given and len(options) > 1)
    if given - SHUTDOWN_OPTIONS or contradicts:
        raise replies.syntax_error()
    if b"ABORT" in given:
        raise replies.no_shutdown()
    if ctx.engine.shut_down is None or b"SAVE" in given:
        raise replies.cannot_shut_down()
    ctx.session.closing = True
    ctx.engine.shut_down()
    return NO_REPLY
