"""HyperLogLog commands: counting different elements, approximately, in 12 kilobytes at most.

A HyperLogLog is a string in Redis's own form (``engine/hyperloglog.py``): GET and SET carry it elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from random import Random
from typing import Final

from store_pulsards.engine import errors, hyperloglog
from store_pulsards.engine.context import Context
from store_pulsards.engine.hyperloglog import HEADER, REGISTERS, CorruptedError
from store_pulsards.engine.replies import OK, Reply, Status
from store_pulsards.engine.table import ADMIN, DENYOOM, FAST, FIRST, READONLY, REST, SECOND, WRITE, Keys, family

command = family("hyperloglog")

COUNTED: Final = Keys(
    last=-1, note="RW because it may change the internal representation of the key, and propagate to replicas"
)


@contextmanager
def _whole() -> Iterator[None]:
    """Corrupted bytes are the client's error."""
    try:
        yield
    except CorruptedError:
        raise errors.corrupted_hyperloglog() from None


def _lookup(ctx: Context, key: bytes) -> bytes | None:
    value = ctx.lookup(key, bytes)
    if value is not None and not hyperloglog.is_valid(value):
        raise errors.not_a_hyperloglog()
    return value


@command("PFADD", arity=-2, flags=WRITE | DENYOOM | FAST, keys=FIRST, access="RW insert", since="2.8.9")
def pfadd(ctx: Context, key: bytes, *elements: bytes) -> Reply:
    """Adds elements to a HyperLogLog key. Creates the key if it doesn't exist."""
    before = _lookup(ctx, key)
    value = hyperloglog.new() if before is None else bytearray(before)
    limit = ctx.engine.config.hll_sparse_max_bytes
    with _whole():
        added = [hyperloglog.add(value, element, limit) for element in elements]
    if before is not None and not any(added):
        return 0
    hyperloglog.invalidate(value)
    ctx.update(key, bytes(value))
    ctx.notify("pfadd", key)
    return 1


@command("PFCOUNT", arity=-2, flags=READONLY, keys=COUNTED, access="RW access", since="2.8.9")
def pfcount(ctx: Context, *keys: bytes) -> Reply:
    """Returns the approximated cardinality of the set(s) observed by the HyperLogLog key(s)."""
    if len(keys) > 1:
        return hyperloglog.estimate(_union(ctx, keys)[0])
    value = _lookup(ctx, keys[0])
    if value is None:
        return 0
    count = hyperloglog.cached(value)
    if count is None:
        with _whole():
            count = hyperloglog.estimate(hyperloglog.registers(value))
        ctx.update(keys[0], hyperloglog.cache(value, count))
        ctx.touch(keys[0])
    return count


def _union(ctx: Context, keys: Sequence[bytes]) -> tuple[bytearray, bool]:
    """The registers of several keys together, and whether one of them is dense."""
    registers = bytearray(REGISTERS)
    dense = False
    for key in keys:
        value = _lookup(ctx, key)
        if value is not None:
            dense = dense or hyperloglog.is_dense(value)
            with _whole():
                registers = hyperloglog.union(registers, hyperloglog.registers(value))
    return registers, dense


@command(
    "PFMERGE",
    arity=-2,
    flags=WRITE | DENYOOM,
    keys=(FIRST, REST),
    access=("RW access insert", "RO access"),
    since="2.8.9",
)
def pfmerge(ctx: Context, destination: bytes, *sources: bytes) -> Reply:
    """Merges one or more HyperLogLog values into a single key."""
    registers, dense = _union(ctx, (destination, *sources))
    value = bytearray(_lookup(ctx, destination) or hyperloglog.new())
    if dense:
        hyperloglog.to_dense(value)
        value[HEADER:] = hyperloglog.pack(registers)
    else:
        limit = ctx.engine.config.hll_sparse_max_bytes
        for index, register in enumerate(bytes(registers)):
            if register:
                hyperloglog.raise_register(value, index, register, limit)
    hyperloglog.invalidate(value)
    ctx.update(destination, bytes(value))
    ctx.notify("pfadd", destination)
    return OK


@command("PFDEBUG", arity=3, flags=WRITE | DENYOOM | ADMIN, keys=SECOND, access="RW access", since="2.8.9")
def pfdebug(ctx: Context, subcommand: bytes, key: bytes) -> Reply:
    """Internal commands for debugging HyperLogLog values."""
    if subcommand.upper() == b"SIMD":
        if key.upper() not in (b"ON", b"OFF"):
            raise errors.on_or_off()
        return Status(b"disabled")  # there is no vector code to be switched
    value = _lookup(ctx, key)
    if value is None:
        raise errors.key_does_not_exist()
    handler = _DEBUG.get(subcommand.upper())
    if handler is None:
        raise errors.unknown_pfdebug(subcommand)
    return handler(ctx, key, value)


def _getreg(ctx: Context, key: bytes, value: bytes) -> Reply:
    _todense(ctx, key, value)
    return list(hyperloglog.registers(value))


def _decode(ctx: Context, key: bytes, value: bytes) -> Reply:
    if hyperloglog.is_dense(value):
        raise errors.hyperloglog_not_sparse()
    shown = [
        b"v:%d,%d" % (register, length) if register else b"%c:%d" % (b"zZ"[size - 1], length)
        for size, register, length in hyperloglog.opcodes(value)
    ]
    return b" ".join(shown)


def _encoding(ctx: Context, key: bytes, value: bytes) -> Reply:
    return Status(b"dense" if hyperloglog.is_dense(value) else b"sparse")


def _todense(ctx: Context, key: bytes, value: bytes) -> Reply:
    changed = bytearray(value)
    with _whole():
        converted = hyperloglog.to_dense(changed)
    if converted:
        ctx.update(key, bytes(changed))
        ctx.keyspace.dirty += 1
    return int(converted)


_DEBUG: Final[dict[bytes, Callable[[Context, bytes, bytes], Reply]]] = {
    b"GETREG": _getreg,
    b"DECODE": _decode,
    b"ENCODING": _encoding,
    b"TODENSE": _todense,
}


@command("PFSELFTEST", arity=1, flags=ADMIN, since="2.8.9")
def pfselftest(ctx: Context) -> Reply:
    """An internal command for testing HyperLogLog values."""
    chance = Random(ctx.now)
    for _ in range(10):
        registers = bytearray(chance.choices(range(64), k=REGISTERS))
        packed = bytes(hyperloglog.DENSE_HEAD + hyperloglog.pack(registers))
        if hyperloglog.registers(packed) != registers:
            raise errors.selftest_failed("registers are not those that were set")
    _test_estimates(chance.getrandbits(64), ctx.engine.config.hll_sparse_max_bytes)
    return OK


def _test_estimates(seed: int, limit: int) -> None:
    """Up to 10,000 elements: both forms agree, and are not far from the truth."""
    sparse = hyperloglog.new()
    dense = hyperloglog.new()
    hyperloglog.to_dense(dense)
    for count in range(1, 10_001):
        element = (count ^ seed).to_bytes(8, "little")
        hyperloglog.add(sparse, element, limit)
        hyperloglog.add(dense, element, limit)
        if count in (1, 10, 100, 1000, 10_000):
            found = hyperloglog.estimate(hyperloglog.registers(sparse))
            if found != hyperloglog.estimate(hyperloglog.registers(dense)):
                raise errors.selftest_failed("dense/sparse disagree")
            if abs(found - count) > 1 + 0.05 * count:
                raise errors.selftest_failed(f"Too big error. card:{count} abserr:{abs(found - count)}")
