"""WAIT and WAITAOF: how many replicas, and whose files, have what was written.

There are no replicas and, here, no file: what is asked for never comes about, and a client that asks for more than
nothing waits until its time is over, as on a Valkey without replicas.
"""
# ruff: noqa: E501  (the first line of a handler's docstring is its summary in COMMAND DOCS, as long as Valkey's)

from __future__ import annotations

from typing import Final

from store_pulsards.engine import args, errors, replies
from store_pulsards.engine.context import Context
from store_pulsards.engine.replies import Reply
from store_pulsards.engine.table import BLOCKING, family

command = family("generic")

ACL: Final = ("connection",)
TIPS: Final = ("request_policy:all_shards", "response_policy:agg_min")


@command("WAIT", arity=3, flags=BLOCKING, since="3.0.0", acl=ACL, tips=TIPS)
def wait(ctx: Context, replicas: bytes, timeout: bytes) -> Reply:
    """Blocks until the asynchronous replication of all preceding write commands sent by the connection is completed."""
    wanted = args.integer(replicas)
    seconds = _seconds(ctx, timeout)
    return ctx.block((), seconds, _nothing, 0) if wanted > 0 else 0


@command("WAITAOF", arity=4, flags=BLOCKING, since="7.2.0", acl=ACL, tips=TIPS)
def waitaof(ctx: Context, local: bytes, replicas: bytes, timeout: bytes) -> Reply:
    """Blocks until all of the preceding write commands sent by the connection are written to the append-only file of the primary and/or replicas."""
    own = _zero_or_one(local)
    wanted = args.integer(replicas, 0, error=errors.must_be_positive)
    seconds = _seconds(ctx, timeout)
    if own:
        raise errors.no_append_only_file()
    return ctx.block((), seconds, _nothing, [0, 0]) if wanted else [0, 0]


def _zero_or_one(text: bytes) -> int:
    number = args.integer(text)
    if number not in (0, 1):
        raise errors.not_zero_or_one()
    return number


def _seconds(ctx: Context, milliseconds: bytes) -> float:
    time = args.integer(milliseconds, error=_bad_timeout)
    if time < 0:
        raise errors.timeout_negative()
    if time > args.MAX_INT - ctx.now:
        raise errors.timeout_out_of_range()
    return time / 1000


def _bad_timeout() -> replies.ErrorReply:
    return errors.not_an_integer_here("timeout")


def _nothing() -> None:
    return None
