"""What needs other servers: one engine stands alone, and says so in Valkey's words. And the end: SHUTDOWN."""

from __future__ import annotations

from store_pulsards.engine import args, errors
from store_pulsards.engine.context import Context
from store_pulsards.engine.replies import NO_REPLY, OK, Reply
from store_pulsards.engine.table import (
    ADMIN,
    ALLOW_BUSY,
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

scripting = family("scripting")

SHUTDOWN_OPTIONS = frozenset({b"NOSAVE", b"SAVE", b"NOW", b"FORCE", b"ABORT", b"SAFE", b"FAILOVER"})


def _replicaof(ctx: Context, host: bytes, port: bytes) -> Reply:
    """NO ONE is what this server is anyway."""
    if host.upper() == b"NO" and port.upper() == b"ONE":
        return OK
    args.integer(port, 0, 65535, error=errors.invalid_primary_port)
    raise errors.no_replication()


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
    raise errors.no_cluster()


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
        raise errors.WrongSubcommand("FUNCTION")
    if mode and mode[0].upper() not in (b"SYNC", b"ASYNC"):
        raise errors.function_flush_mode()
    return OK


@command("SHUTDOWN", arity=-1, flags=ADMIN | NOSCRIPT | LOADING | STALE | NO_MULTI | ALLOW_BUSY)
def shutdown(ctx: Context, *options: bytes) -> Reply:
    """Synchronously saves the database(s) to disk and shuts down the server."""
    given = {option.upper() for option in options}
    contradicts = given >= {b"SAVE", b"NOSAVE"} or (b"ABORT" in given and len(options) > 1)
    if given - SHUTDOWN_OPTIONS or contradicts:
        raise errors.syntax_error()
    if b"ABORT" in given:
        raise errors.no_shutdown()
    if ctx.engine.shut_down is None or b"SAVE" in given:
        raise errors.cannot_shut_down()
    ctx.session.closing = True
    ctx.engine.shut_down()
    return NO_REPLY
