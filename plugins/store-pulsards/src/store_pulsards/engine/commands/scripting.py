"""Scripts and functions, as a server has them that has no scripting engine: there are none.

What asks after them is answered so, and what removes them has nothing to do. What would run or load one is refused
(``absent.py``).
"""

from __future__ import annotations

from store_pulsards.engine import errors, refusals
from store_pulsards.engine.context import Context
from store_pulsards.engine.rdb import payload
from store_pulsards.engine.replies import OK, Reply
from store_pulsards.engine.table import ALLOW_BUSY, NOSCRIPT, STALE, WRITE, family

command = family("scripting")
command.container("FUNCTION", "A container for function commands.", since="7.0.0")
command.container("SCRIPT", "A container for Lua scripts management commands.", since="2.6.0")

EVERY_SHARD = ("request_policy:all_shards", "response_policy:all_succeeded")
EVERY_NODE = ("request_policy:all_nodes", "response_policy:all_succeeded")
WHERE_IT_RUNS = ("request_policy:all_shards", "response_policy:one_succeeded")


def _mode(container: str, mode: tuple[bytes, ...]) -> None:
    """Check SYNC or ASYNC."""
    if len(mode) > 1 and container == "FUNCTION":
        raise errors.WrongSubcommand(container)
    if len(mode) > 1 or (mode and mode[0].upper() not in (b"SYNC", b"ASYNC")):
        raise errors.function_flush_mode() if container == "FUNCTION" else refusals.script_flush_mode()


@command("FUNCTION|FLUSH", arity=-2, flags=WRITE | NOSCRIPT, since="7.0.0", tips=EVERY_SHARD)
def function_flush(ctx: Context, *mode: bytes) -> Reply:
    """Deletes all libraries and functions."""
    _mode("FUNCTION", mode)
    return OK


@command("FUNCTION|DELETE", arity=3, flags=WRITE | NOSCRIPT, since="7.0.0", tips=EVERY_SHARD)
def function_delete(ctx: Context, library: bytes) -> Reply:
    """Deletes a library and its functions."""
    raise refusals.library_not_found()


@command("FUNCTION|DUMP", arity=2, flags=NOSCRIPT, since="7.0.0")
def function_dump(ctx: Context) -> Reply:
    """Dumps all libraries into a serialized binary payload."""
    return payload.seal(b"")


@command("FUNCTION|KILL", arity=2, flags=NOSCRIPT | ALLOW_BUSY, since="7.0.0", tips=WHERE_IT_RUNS)
def function_kill(ctx: Context) -> Reply:
    """Terminates a function during execution."""
    raise refusals.no_script_runs()


@command("FUNCTION|LIST", arity=-2, flags=NOSCRIPT, since="7.0.0", tips=("nondeterministic_output_order",))
def function_list(ctx: Context, *options: bytes) -> Reply:
    """Returns information about all libraries."""
    left = list(options)
    given: set[bytes] = set()
    while left:
        option = left.pop(0)
        name = option.upper()
        if name in given or name not in (b"WITHCODE", b"LIBRARYNAME"):
            raise refusals.unknown_argument(option)
        given.add(name)
        if name == b"LIBRARYNAME":
            if not left:
                raise refusals.no_library_name()
            left.pop(0)
    return []


@command(
    "FUNCTION|STATS",
    arity=2,
    flags=NOSCRIPT | ALLOW_BUSY,
    since="7.0.0",
    tips=("nondeterministic_output", "request_policy:all_shards", "response_policy:special"),
)
def function_stats(ctx: Context) -> Reply:
    """Returns information about a function during execution."""
    return {b"running_script": None, b"engines": {}}


@command(
    "SCRIPT|EXISTS",
    arity=-3,
    flags=NOSCRIPT | STALE,
    since="2.6.0",
    tips=("request_policy:all_shards", "response_policy:agg_logical_and"),
)
def script_exists(ctx: Context, *digests: bytes) -> Reply:
    """Determines whether server-side Lua scripts exist in the script cache."""
    return [0] * len(digests)


@command("SCRIPT|FLUSH", arity=-2, flags=NOSCRIPT | STALE, since="2.6.0", tips=EVERY_NODE)
def script_flush(ctx: Context, *mode: bytes) -> Reply:
    """Removes all server-side Lua scripts from the script cache."""
    _mode("SCRIPT", mode)
    return OK


@command("SCRIPT|KILL", arity=2, flags=NOSCRIPT | ALLOW_BUSY, since="2.6.0", tips=WHERE_IT_RUNS)
def script_kill(ctx: Context) -> Reply:
    """Terminates a server-side Lua script during execution."""
    raise refusals.no_script_runs()


@command("SCRIPT|SHOW", arity=3, flags=NOSCRIPT | STALE, since="8.0.0")
def script_show(ctx: Context, digest: bytes) -> Reply:
    """Show server-side Lua script in the script cache."""
    raise refusals.no_script()
