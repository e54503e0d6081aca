"""OBJECT and MEMORY: what can be told of a value, short of the value itself.

The engine keeps no time of last access and no counter of accesses, as both would cost every command: IDLETIME is 0,
and FREQ is refused as it is by a Valkey without an LFU policy.
"""

from __future__ import annotations

import gc
from itertools import islice
from sys import getsizeof

from store_pulsards.engine import args, replies
from store_pulsards.engine.context import Context
from store_pulsards.engine.keyspace import TYPES
from store_pulsards.engine.replies import OK, Reply
from store_pulsards.engine.table import LOADING, READONLY, SECOND, family

command = family("generic")
command.container("OBJECT", "A container for object introspection commands.", since="2.2.3")

UNPREDICTABLE = ("nondeterministic_output",)


@command("OBJECT|ENCODING", arity=3, flags=READONLY, keys=SECOND, access="RO", since="2.2.3", tips=UNPREDICTABLE)
def encoding(ctx: Context, key: bytes) -> Reply:
    """Returns the internal encoding of an object."""
    value = ctx.lookup_any(key)
    return None if value is None else TYPES[type(value)].encoding(value)


@command("OBJECT|REFCOUNT", arity=3, flags=READONLY, keys=SECOND, access="RO", since="2.2.3", tips=UNPREDICTABLE)
def refcount(ctx: Context, key: bytes) -> Reply:
    """Returns the reference count of a value of a key."""
    return None if ctx.lookup_any(key) is None else 1


@command("OBJECT|IDLETIME", arity=3, flags=READONLY, keys=SECOND, access="RO", since="2.2.3", tips=UNPREDICTABLE)
def idletime(ctx: Context, key: bytes) -> Reply:
    """Returns the time since the last access to an object."""
    return None if ctx.lookup_any(key) is None else 0


@command("OBJECT|FREQ", arity=3, flags=READONLY, keys=SECOND, access="RO", since="4.0.0", tips=UNPREDICTABLE)
def freq(ctx: Context, key: bytes) -> Reply:
    """Returns the logarithmic access frequency counter of an object."""
    if ctx.lookup_any(key) is None:
        return None
    raise replies.no_frequency()


memory = family("server")
memory.container("MEMORY", "A container for memory diagnostics commands.", since="4.0.0")


@memory("MEMORY|USAGE", arity=-3, flags=READONLY, keys=SECOND, access="RO", since="4.0.0")
def usage(ctx: Context, key: bytes, *options: bytes) -> Reply:
    """Estimates the memory usage of a key."""
    samples = args.options(options, values={b"SAMPLES": args.integer}).get(b"SAMPLES", 5)
    if samples < 0:
        raise replies.syntax_error()
    value = ctx.lookup_any(key)
    if value is None:
        return None
    size = getsizeof(key) + getsizeof(value)
    return size if type(value) is bytes else size + _size_of_elements(value, samples)


def _size_of_elements(value: object, samples: int) -> int:
    """What the elements take, told from the first few; 0 looks at all of them."""
    elements = TYPES[type(value)].elements
    count = sum(1 for _ in elements(value))
    sizes = [getsizeof(element) for element in islice(elements(value), samples or count)]
    return sum(sizes) * count // max(1, len(sizes))


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
