"""OBJECT and MEMORY: what can be told of a value, short of the value itself.

When a key was last used is recorded only while there is a limit of memory, or an LRU policy: otherwise it would
cost every command something, and IDLETIME is 0.
"""

from __future__ import annotations

import gc
import os
from pathlib import Path

from store_pulsards.engine import args, errors, sizes
from store_pulsards.engine.context import Context
from store_pulsards.engine.keyspace import TYPES, Database
from store_pulsards.engine.ledger import OWN
from store_pulsards.engine.memory import tables
from store_pulsards.engine.replies import OK, Reply, Verbatim
from store_pulsards.engine.table import LOADING, READONLY, SECOND, family

command = family("generic")
command.container("OBJECT", "A container for object introspection commands.", since="2.2.3")

UNPREDICTABLE = ("nondeterministic_output",)


@command("OBJECT|ENCODING", arity=3, flags=READONLY, keys=SECOND, access="RO", since="2.2.3", tips=UNPREDICTABLE)
def encoding(ctx: Context, key: bytes) -> Reply:
    """Returns the internal encoding of an object."""
    value = ctx.lookup_any(key)
    return None if value is None else TYPES[type(value)].encoding(value, ctx.engine.config.encodings)


@command("OBJECT|REFCOUNT", arity=3, flags=READONLY, keys=SECOND, access="RO", since="2.2.3", tips=UNPREDICTABLE)
def refcount(ctx: Context, key: bytes) -> Reply:
    """Returns the reference count of a value of a key."""
    return None if ctx.lookup_any(key) is None else 1


@command("OBJECT|IDLETIME", arity=3, flags=READONLY, keys=SECOND, access="RO", since="2.2.3", tips=UNPREDICTABLE)
def idletime(ctx: Context, key: bytes) -> Reply:
    """Returns the time since the last access to an object."""
    if ctx.lookup_any(key) is None:
        return None
    if ctx.engine.memory.access.lfu:
        raise errors.no_idle_time()
    return ctx.engine.memory.idle_seconds(ctx.db, key)


@command("OBJECT|FREQ", arity=3, flags=READONLY, keys=SECOND, access="RO", since="4.0.0", tips=UNPREDICTABLE)
def freq(ctx: Context, key: bytes) -> Reply:
    """Returns the logarithmic access frequency counter of an object."""
    if ctx.lookup_any(key) is None:
        return None
    if not ctx.engine.memory.access.lfu:
        raise errors.no_frequency()
    return ctx.engine.memory.frequency(ctx.db, key)


memory = family("server")
memory.container("MEMORY", "A container for memory diagnostics commands.", since="4.0.0")


@memory("MEMORY|USAGE", arity=-3, flags=READONLY, keys=SECOND, access="RO", since="4.0.0")
def usage(ctx: Context, key: bytes, *options: bytes) -> Reply:
    """Estimates the memory usage of a key."""
    samples = args.options(options, values={b"SAMPLES": args.integer}).get(b"SAMPLES", 5)
    if samples < 0:
        raise errors.syntax_error()
    value = ctx.lookup_any(key)
    if value is None:
        return None
    own = OWN if ctx.engine.memory.on else 0
    return own + sizes.of_key(key, volatile=key in ctx.db.expires) + sizes.of_value(value, samples)


REPORT = ("nondeterministic_output", "request_policy:all_shards", "response_policy:special")
SMALL = (
    b"Hi Sam, this instance is empty or is using very little memory, my issues detector can't be used in these "
    b"conditions. Please, leave for your mission on Earth and fill it with some data. The new Sam and I will be back "
    b"to our programming as soon as I finished rebooting.\n"
)
HEALTHY = b"Hi Sam, I can't find any memory issue in your instance. I can only account for what occurs on this base.\n"
SMALL_KEYS = 10_000


@memory("MEMORY|DOCTOR", arity=2, since="4.0.0", tips=REPORT)
def doctor(ctx: Context) -> Reply:
    """Outputs a memory problems report."""
    few = sum(len(db.data) for db in ctx.keyspace.databases) < SMALL_KEYS
    return Verbatim(SMALL if few else HEALTHY)


@memory("MEMORY|MALLOC-STATS", arity=2, flags=LOADING, since="4.0.0", tips=REPORT)
def malloc_stats(ctx: Context) -> Reply:
    """Returns the allocator statistics."""
    return b"Stats not supported for the current allocator"


@memory("MEMORY|STATS", arity=2, since="4.0.0", tips=REPORT)
def stats(ctx: Context) -> Reply:
    """Returns details about memory usage."""
    memory, resident = ctx.engine.memory, resident_bytes()
    used, overhead = memory.used(), memory.overhead()
    keys = sum(len(db.data) for db in ctx.keyspace.databases)
    return {
        b"peak.allocated": memory.peak,
        b"total.allocated": used,
        b"startup.allocated": 0,
        b"replication.backlog": 0,
        b"clients.slaves": 0,
        b"clients.normal": 0,
        b"cluster.links": 0,
        b"aof.buffer": 0,
        b"lua.caches": 0,
        b"functions.caches": 0,
        **{b"db.%d" % db.index: _tables(db) for db in ctx.keyspace.databases if db.data},
        b"overhead.total": overhead,
        b"keys.count": keys,
        b"keys.bytes-per-key": used // keys if keys else 0,
        b"dataset.bytes": used - overhead,
        b"dataset.percentage": 100 * (used - overhead) / used,
        b"peak.percentage": 100 * used / memory.peak,
        b"fragmentation": resident / used,
        b"fragmentation.bytes": max(0, resident - used),
    }


def _tables(db: Database) -> dict[bytes, int]:
    main, expires = tables(db)
    return {b"overhead.hashtable.main": main, b"overhead.hashtable.expires": expires}


def resident_bytes() -> int:
    """Bytes of memory that this process holds; 0 where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    except (OSError, AttributeError):
        return 0


@memory(
    "MEMORY|PURGE",
    arity=2,
    flags=LOADING,
    since="4.0.0",
    tips=("request_policy:all_shards", "response_policy:all_succeeded"),
)
def purge(ctx: Context) -> Reply:
    """Asks the allocator to release memory."""
    gc.collect()
    return OK
