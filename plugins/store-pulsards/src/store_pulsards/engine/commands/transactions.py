"""Transactions: MULTI collects commands, EXEC runs them with nothing in between, WATCH makes that depend on keys.

The engine queues commands while a transaction is being collected; here are the commands that begin and end one.
"""

from __future__ import annotations

from store_pulsards.engine import errors
from store_pulsards.engine.context import Context
from store_pulsards.engine.replies import NULL_ARRAY, OK, ErrorReply, Reply
from store_pulsards.engine.table import (
    ALL,
    ALLOW_BUSY,
    FAST,
    LOADING,
    NO_MULTI,
    NOSCRIPT,
    SKIP_COMMANDLOG,
    STALE,
    family,
)
from store_pulsards.session import Queued

command = family("transactions")

ANYTIME = NOSCRIPT | LOADING | STALE | FAST | ALLOW_BUSY


@command("MULTI", arity=1, flags=ANYTIME | NO_MULTI, since="1.2.0")
def multi(ctx: Context) -> Reply:
    """Starts a transaction."""
    ctx.session.queued = Queued()
    ctx.session.regate()
    return OK


@command("EXEC", arity=1, flags=NOSCRIPT | LOADING | STALE | SKIP_COMMANDLOG, since="1.2.0")
def exec_(ctx: Context) -> Reply:
    """Executes all commands in a transaction."""
    session = ctx.session
    queued = session.queued
    if queued is None:
        raise errors.exec_without_multi()
    spoiled = session.spoiled or any(
        not was_over and db.is_over(key) for (db, key), was_over in session.watched.items()
    )
    ctx.discard()
    if queued.failed:
        raise errors.exec_aborted()
    if spoiled:
        return NULL_ARRAY
    found: list[Reply] = []
    command_ = session.command
    ctx.in_exec = True
    try:
        for spec, args in queued.commands:
            try:
                found.append(ctx.engine.run(session, spec, args))
            except ErrorReply as error:
                found.append(error.answer(args))
    finally:
        ctx.in_exec = False
        session.command = command_  # what CLIENT LIST shows is EXEC, and not what ran in it
    return found


@command("DISCARD", arity=1, flags=ANYTIME, since="2.0.0")
def discard(ctx: Context) -> Reply:
    """Discards a transaction."""
    if ctx.session.queued is None:
        raise errors.discard_without_multi()
    ctx.discard()
    return OK


@command("WATCH", arity=-2, flags=ANYTIME | NO_MULTI, keys=ALL, access="RO", since="2.2.0")
def watch(ctx: Context, *keys: bytes) -> Reply:
    """Monitors changes to keys to determine the execution of a transaction."""
    if not ctx.session.spoiled:  # it is lost anyway
        for key in keys:
            ctx.watch(key)
    return OK


@command("UNWATCH", arity=1, flags=ANYTIME, since="2.2.0")
def unwatch(ctx: Context) -> Reply:
    """Forgets about watched keys of a transaction."""
    ctx.unwatch()
    return OK
