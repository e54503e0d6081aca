"""Times to live: EXPIRE and its kin set them, TTL and its kin tell them."""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import Final

from store_pulsards.engine import errors
from store_pulsards.engine.context import Context
from store_pulsards.engine.expiry import deadline
from store_pulsards.engine.replies import Reply
from store_pulsards.engine.table import FAST, FIRST, READONLY, WRITE, family

command = family("generic")

CONDITIONS: Final = frozenset({b"NX", b"XX", b"GT", b"LT"})
UNPREDICTABLE: Final = ("nondeterministic_output",)


@command("EXPIRE", arity=-3, flags=WRITE | FAST, keys=FIRST)
def expire(ctx: Context, key: bytes, seconds: bytes, *options: bytes) -> Reply:
    """Sets the expiration time of a key in seconds."""
    return _expire(ctx, "expire", b"EX", key, seconds, options)


@command("PEXPIRE", arity=-3, flags=WRITE | FAST, keys=FIRST, since="2.6.0")
def pexpire(ctx: Context, key: bytes, milliseconds: bytes, *options: bytes) -> Reply:
    """Sets the expiration time of a key in milliseconds."""
    return _expire(ctx, "pexpire", b"PX", key, milliseconds, options)


@command("EXPIREAT", arity=-3, flags=WRITE | FAST, keys=FIRST, since="1.2.0")
def expireat(ctx: Context, key: bytes, timestamp: bytes, *options: bytes) -> Reply:
    """Sets the expiration time of a key to a Unix timestamp."""
    return _expire(ctx, "expireat", b"EXAT", key, timestamp, options)


@command("PEXPIREAT", arity=-3, flags=WRITE | FAST, keys=FIRST, since="2.6.0")
def pexpireat(ctx: Context, key: bytes, timestamp: bytes, *options: bytes) -> Reply:
    """Sets the expiration time of a key to a Unix milliseconds timestamp."""
    return _expire(ctx, "pexpireat", b"PXAT", key, timestamp, options)


def _expire(ctx: Context, name: str, unit: bytes, key: bytes, value: bytes, options: Sequence[bytes]) -> Reply:
    only = conditions(options)
    when = deadline(ctx, unit, value, name)
    if ctx.lookup_any(key) is None or not allowed(ctx.db.expires.get(key), when, only):
        return 0
    ctx.expire_at(key, when)
    return 1


def conditions(options: Sequence[bytes]) -> frozenset[bytes]:
    """NX, XX, GT and LT as a client gives them."""
    for option in options:
        if option.upper() not in CONDITIONS:
            raise errors.unsupported_option(option)
    given = frozenset(option.upper() for option in options)
    if b"NX" in given and len(given) > 1:
        raise errors.expire_nx_with_others()
    if {b"GT", b"LT"} <= given:
        raise errors.expire_gt_with_lt()
    return given


def allowed(current: int | None, when: int, conditions: Set[bytes]) -> bool:
    """Whether every condition holds; a key that does not expire has the longest life of all."""
    return not (
        (b"NX" in conditions and current is not None)
        or (b"XX" in conditions and current is None)
        or (b"GT" in conditions and (current is None or when <= current))
        or (b"LT" in conditions and current is not None and when >= current)
    )


@command("PERSIST", arity=2, flags=WRITE | FAST, keys=FIRST, since="2.2.0")
def persist(ctx: Context, key: bytes) -> Reply:
    """Removes the expiration time of a key."""
    if ctx.lookup_any(key) is None or not ctx.persist(key):
        return 0
    ctx.notify("persist", key)
    return 1


def _expiry(ctx: Context, key: bytes) -> int:
    """When (ms) the key is over; -1 for never, -2 when there is none."""
    return -2 if ctx.lookup_any(key) is None else ctx.db.expires.get(key, -1)


def _in_seconds(milliseconds: int) -> int:
    return (milliseconds + 500) // 1000


@command("TTL", arity=2, flags=READONLY | FAST, keys=FIRST, tips=UNPREDICTABLE)
def ttl(ctx: Context, key: bytes) -> Reply:
    """Returns the expiration time in seconds of a key."""
    when = _expiry(ctx, key)
    return when if when < 0 else _in_seconds(when - ctx.now)


@command("PTTL", arity=2, flags=READONLY | FAST, keys=FIRST, since="2.6.0", tips=UNPREDICTABLE)
def pttl(ctx: Context, key: bytes) -> Reply:
    """Returns the expiration time in milliseconds of a key."""
    when = _expiry(ctx, key)
    return when if when < 0 else when - ctx.now


@command("EXPIRETIME", arity=2, flags=READONLY | FAST, keys=FIRST, since="7.0.0")
def expiretime(ctx: Context, key: bytes) -> Reply:
    """Returns the expiration time of a key as a Unix timestamp."""
    when = _expiry(ctx, key)
    return when if when < 0 else _in_seconds(when)


@command("PEXPIRETIME", arity=2, flags=READONLY | FAST, keys=FIRST, since="7.0.0")
def pexpiretime(ctx: Context, key: bytes) -> Reply:
    """Returns the expiration time of a key as a Unix milliseconds timestamp."""
    return _expiry(ctx, key)
