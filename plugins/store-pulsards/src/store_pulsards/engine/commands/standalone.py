"""What needs other servers: one engine stands alone, and says so in Valkey's words. And the end: SHUTDOWN."""

from __future__ import annotations

from binascii import crc_hqx
from typing import Final

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
    family,
)

command = family("server")
generic = family("generic")
cluster = family("cluster")

SLOTS: Final = 16384
SHUTDOWN_OPTIONS = frozenset({b"NOSAVE", b"SAVE", b"NOW", b"FORCE", b"ABORT", b"SAFE", b"FAILOVER"})


def _replicaof(ctx: Context, host: bytes, port: bytes) -> Reply:
    """NO ONE is what this server is anyway."""
    if host.upper() == b"NO" and port.upper() == b"ONE":
        return OK
    args.integer(port, 0, 65535, error=errors.invalid_primary_port)
    raise errors.not_allowed("REPLICAOF", "pulsards has no replication")


@command("REPLICAOF", arity=3, flags=ADMIN | NOSCRIPT | STALE | NO_ASYNC_LOADING, since="5.0.0")
def replicaof(ctx: Context, host: bytes, port: bytes) -> Reply:
    """Configures a server as replica of another, or promotes it to a primary."""
    return _replicaof(ctx, host, port)


@command("SLAVEOF", arity=3, flags=ADMIN | NOSCRIPT | STALE | NO_ASYNC_LOADING)
def slaveof(ctx: Context, host: bytes, port: bytes) -> Reply:
    """Sets a server as a replica of another, or promotes it to being a primary."""
    return _replicaof(ctx, host, port)


@command("FAILOVER", arity=-1, flags=ADMIN | NOSCRIPT | STALE, since="6.2.0")
def failover(ctx: Context, *options: bytes) -> Reply:
    """Starts a coordinated failover from a server to one of its replicas."""
    left = list(options)
    given: set[bytes] = set()
    while left:
        option = left.pop(0).upper()
        alone = option == b"ABORT" and len(options) == 1
        if option in given or not (alone or option in (b"TO", b"TIMEOUT", b"FORCE")):
            raise errors.syntax_error()
        given.add(option)
        if option == b"TIMEOUT":
            _failover_timeout(left)
        elif option == b"TO":
            _failover_target(left)
    if b"ABORT" in given:
        raise errors.no_failover_in_progress()
    raise errors.no_replicas()


def _failover_timeout(left: list[bytes]) -> None:
    if not left:
        raise errors.syntax_error()
    if args.integer(left.pop(0)) <= 0:
        raise errors.failover_timeout()


def _failover_target(left: list[bytes]) -> None:
    if len(left) < 2:
        raise errors.syntax_error()
    left.pop(0)
    args.integer(left.pop(0))


@cluster("READONLY", arity=1, flags=FAST | LOADING | STALE, since="3.0.0", acl=("connection",))
def readonly(ctx: Context) -> Reply:
    """Enables read-only queries for a connection to a Valkey replica node."""
    ctx.session.readonly = True
    return OK


@cluster("READWRITE", arity=1, flags=FAST | LOADING | STALE, since="3.0.0", acl=("connection",))
def readwrite(ctx: Context) -> Reply:
    """Enables read-write queries for a connection to a Valkey replica node."""
    ctx.session.readonly = False
    return OK


cluster.container("CLUSTER", "A container for Cluster commands.", since="3.0.0")


@cluster("CLUSTER|KEYSLOT", arity=3, flags=STALE, since="3.0.0")
def keyslot(ctx: Context, key: bytes) -> Reply:
    """Returns the hash slot for a key."""
    return hash_slot(key)


def hash_slot(key: bytes) -> int:
    """The slot of a cluster in which a key would be: that of its tag, if it has one (``{tag}``)."""
    begin = key.find(b"{") + 1
    end = key.find(b"}", begin)
    return crc_hqx(key[begin:end] if begin and end > begin else key, 0) % SLOTS


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
