"""MONITOR, SLOWLOG, COMMANDLOG: what commands ran, and which of them were slow or large."""

from __future__ import annotations

from store_pulsards.engine import args, errors
from store_pulsards.engine.commandlog import CommandLog
from store_pulsards.engine.context import Context
from store_pulsards.engine.replies import NO_REPLY, OK, Reply
from store_pulsards.engine.table import ADMIN, LOADING, NOSCRIPT, STALE, family

command = family("server")

ADMINISTRATION = ADMIN | LOADING | STALE
READ = ("request_policy:all_nodes", "nondeterministic_output")
COUNT = ("request_policy:all_nodes", "response_policy:agg_sum", "nondeterministic_output")
CHANGE = ("request_policy:all_nodes", "response_policy:all_succeeded")
USUAL_COUNT = 10


@command("MONITOR", arity=1, flags=ADMINISTRATION | NOSCRIPT)
def monitor(ctx: Context) -> Reply:
    """Listens for all requests received by the server in real-time."""
    if ctx.in_exec:
        raise errors.monitor_in_transaction()
    if ctx.session.monitoring:
        return NO_REPLY
    ctx.session.monitoring = True
    ctx.engine.observation.monitors[ctx.session] = None
    ctx.engine.observe()
    return OK


command.container("SLOWLOG", "A container for slow log commands.", since="2.2.12")


@command("SLOWLOG|GET", arity=-2, flags=ADMINISTRATION, since="2.2.12", tips=READ)
def slowlog_get(ctx: Context, *count: bytes) -> Reply:
    """Returns the slow log's entries."""
    if len(count) > 1:
        raise errors.WrongSubcommand("SLOWLOG")
    return ctx.engine.observation.slow.latest(_count(count[0]) if count else USUAL_COUNT)


@command("SLOWLOG|LEN", arity=2, flags=ADMINISTRATION, since="2.2.12", tips=COUNT)
def slowlog_len(ctx: Context) -> Reply:
    """Returns the number of entries in the slow log."""
    return len(ctx.engine.observation.slow.entries)


@command("SLOWLOG|RESET", arity=2, flags=ADMINISTRATION, since="2.2.12", tips=CHANGE)
def slowlog_reset(ctx: Context) -> Reply:
    """Clears all entries from the slow log."""
    ctx.engine.observation.slow.entries.clear()
    return OK


command.container("COMMANDLOG", "A container for command log commands.", since="8.1.0")


@command("COMMANDLOG|GET", arity=4, flags=ADMINISTRATION, since="8.1.0", tips=READ)
def commandlog_get(ctx: Context, count: bytes, kind: bytes) -> Reply:
    """Returns the specified command log's entries."""
    number = _count(count)
    return _log(ctx, kind).latest(number)


@command("COMMANDLOG|LEN", arity=3, flags=ADMINISTRATION, since="8.1.0", tips=COUNT)
def commandlog_len(ctx: Context, kind: bytes) -> Reply:
    """Returns the number of entries in the specified type of command log."""
    return len(_log(ctx, kind).entries)


@command("COMMANDLOG|RESET", arity=3, flags=ADMINISTRATION, since="8.1.0", tips=CHANGE)
def commandlog_reset(ctx: Context, kind: bytes) -> Reply:
    """Clears all entries from the specified type of command log."""
    _log(ctx, kind).entries.clear()
    return OK


def _count(value: bytes) -> int:
    return args.integer(value, -1, error=errors.log_count)


def _log(ctx: Context, kind: bytes) -> CommandLog:
    observation = ctx.engine.observation
    logs = {
        b"slow": observation.slow,
        b"large-request": observation.large_requests,
        b"large-reply": observation.large_replies,
    }
    log = logs.get(kind.lower())
    if log is None:
        raise errors.log_type()
    return log
