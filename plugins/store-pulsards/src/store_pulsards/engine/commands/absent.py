"""What Redis 7 and Valkey 9 have and this engine does not: known, refused, and not listed by COMMAND.

Each line has the arity and the flags that Valkey gives the command, so that a transaction, a pause and a wrong number
of arguments are answered as there. Where Valkey itself refuses the command on a server by itself (cluster, modules,
a script whose engine is missing), its words are used.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from store_pulsards.engine import args, errors, refusals

# The containers have to be there first.
from store_pulsards.engine.commands import acl, modules, scripting, standalone  # noqa: F401
from store_pulsards.engine.context import Context
from store_pulsards.engine.rdb import payload
from store_pulsards.engine.rdb.errors import PayloadError
from store_pulsards.engine.replies import OK, ErrorReply, Reply
from store_pulsards.engine.table import NO_FLAGS, Flag, Handler, Keys, family, numkeys

_SCRIPT_KEYS: Final = numkeys(2)
_SHEBANG: Final = b"#!"
_LUA: Final = b"lua"
_DIGEST: Final = 40  # characters of a script's SHA1


def _refuse(error: Callable[[], ErrorReply]) -> Handler:
    def refuse(ctx: Context, *_: bytes) -> Reply:
        raise error()

    return refuse


def _disallow(name: str, reason: str) -> Handler:
    return _refuse(lambda: errors.not_allowed(name.replace("|", " "), reason))


def _check_numkeys(words: tuple[bytes, ...]) -> None:
    """``numkeys`` and what follows it."""
    count = args.integer(words[0])
    if count > len(words) - 1:
        raise errors.too_many_keys()
    if count < 0:
        raise refusals.numkeys_negative()


def _eval(ctx: Context, script: bytes, *words: bytes) -> Reply:
    _check_numkeys(words)
    raise refusals.no_scripting_engine(_engine_of(script))


def _engine_of(script: bytes) -> bytes:
    """The engine that a script asks for in its first line."""
    if not script.startswith(_SHEBANG):
        return _LUA
    line, end, _ = script.partition(b"\n")
    if not end:
        raise refusals.invalid_shebang()
    return line.split()[0][len(_SHEBANG) :]


def _evalsha(ctx: Context, digest: bytes, *words: bytes) -> Reply:
    if len(digest) == _DIGEST:
        _check_numkeys(words)
    raise refusals.no_script()


def _script_load(ctx: Context, script: bytes) -> Reply:
    raise refusals.no_scripting_engine(_engine_of(script))


def _script_debug(ctx: Context, mode: bytes, *engine: bytes) -> Reply:
    if len(engine) > 1 or mode.upper() not in (b"YES", b"SYNC", b"NO"):
        raise refusals.script_debug_mode()
    raise refusals.no_engine_to_debug(engine[0] if engine else _LUA)


def _function_load(ctx: Context, *words: bytes) -> Reply:
    *options, code = words
    for option in options:
        if option.upper() != b"REPLACE":
            raise refusals.unknown_function_option(option)
    if not code.startswith(_SHEBANG):
        raise refusals.no_library_metadata()
    line, end, _ = code.partition(b"\n")
    if not end:
        raise refusals.invalid_library_metadata()
    engine, *metadata = line[len(_SHEBANG) :].split()
    if not any(each.startswith(b"name=") for each in metadata):
        raise refusals.library_without_name()
    raise refusals.no_function_engine(engine)


def _function_restore(ctx: Context, serialized: bytes, *policy: bytes) -> Reply:
    if len(policy) > 1:
        raise errors.WrongSubcommand("FUNCTION")
    if policy and policy[0].upper() not in (b"FLUSH", b"APPEND", b"REPLACE"):
        raise refusals.function_restore_policy()
    try:
        libraries = payload.unseal(serialized)
    except PayloadError:
        raise errors.bad_payload() from None
    if libraries:
        raise refusals.no_function_engine(b"LUA")
    return OK


_OWN_WAY: Final[dict[str, Handler]] = {
    "EVAL": _eval,
    "EVALSHA": _evalsha,
    "EVALSHA_RO": _evalsha,
    "EVAL_RO": _eval,
    "FCALL": _refuse(refusals.function_not_found),
    "FCALL_RO": _refuse(refusals.function_not_found),
    "FUNCTION|LOAD": _function_load,
    "FUNCTION|RESTORE": _function_restore,
    "SCRIPT|DEBUG": _script_debug,
    "SCRIPT|LOAD": _script_load,
}

CLUSTER: Final = "cluster"
MODULES: Final = "modules"
SCRIPTING: Final = "scripting and functions"
REPLICATION: Final = "replication"
PERSISTENCE: Final = "persistence"
RULES: Final = "ACL rules"

# What: its handler, and the group of its commands; then name, arity and flags of each, and since when it is there.
_REFUSED: Final[dict[str, tuple[Callable[[str], Handler], str, str]]] = {
    CLUSTER: (
        lambda name: _refuse(errors.no_cluster),
        "cluster",
        """\
ASKING 1 fast 3.0.0
CLUSTERSCAN -2 readonly 9.1.0
CLUSTER|ADDSLOTS -3 admin|stale|no_async_loading 3.0.0
CLUSTER|ADDSLOTSRANGE -4 admin|stale|no_async_loading 7.0.0
CLUSTER|BUMPEPOCH 2 admin|stale|no_async_loading 3.0.0
CLUSTER|CANCELSLOTMIGRATIONS 2 admin|stale|no_async_loading 9.0.0
CLUSTER|COUNT-FAILURE-REPORTS 3 admin|stale 3.0.0
CLUSTER|COUNTKEYSINSLOT 3 stale 3.0.0
CLUSTER|DELSLOTS -3 admin|stale|no_async_loading 3.0.0
CLUSTER|DELSLOTSRANGE -4 admin|stale|no_async_loading 7.0.0
CLUSTER|FAILOVER -2 admin|stale|no_async_loading 3.0.0
CLUSTER|FLUSHSLOT -3 write|admin|no_async_loading 9.0.0
CLUSTER|FLUSHSLOTS 2 admin|stale|no_async_loading 3.0.0
CLUSTER|FORGET 3 admin|stale|no_async_loading 3.0.0
CLUSTER|GETKEYSINSLOT 4 stale 3.0.0
CLUSTER|GETSLOTMIGRATIONS 2 admin|stale|no_async_loading 9.0.0
CLUSTER|HELP 2 loading|stale 5.0.0
CLUSTER|INFO 2 loading|stale 3.0.0
CLUSTER|LINKS 2 stale 7.0.0
CLUSTER|MEET -4 admin|stale|no_async_loading 3.0.0
CLUSTER|MIGRATESLOTS -4 admin|stale|no_async_loading 9.0.0
CLUSTER|MYID 2 loading|stale 3.0.0
CLUSTER|MYSHARDID 2 loading|stale 7.2.0
CLUSTER|NODES 2 loading|stale 3.0.0
CLUSTER|REPLICAS 3 admin|stale 5.0.0
CLUSTER|REPLICATE -3 admin|stale|no_async_loading 3.0.0
CLUSTER|RESET -2 admin|noscript|stale 3.0.0
CLUSTER|SAVECONFIG 2 admin|stale|no_async_loading 3.0.0
CLUSTER|SET-CONFIG-EPOCH 3 admin|stale|no_async_loading 3.0.0
CLUSTER|SETSLOT -4 admin|stale|no_async_loading 3.0.0
CLUSTER|SHARDS 2 loading|stale 7.0.0
CLUSTER|SLAVES 3 admin|stale 3.0.0
CLUSTER|SLOT-STATS -4 loading|stale 8.0.0
CLUSTER|SLOTS 2 loading|stale 3.0.0
CLUSTER|SYNCSLOTS -3 admin|stale|no_async_loading 9.0.0
""",
    ),
    MODULES: (
        lambda name: _refuse(errors.module_not_allowed),
        "server",
        """\
MODULE|LOAD -3 admin|noscript|no_async_loading 4.0.0
MODULE|LOADEX -3 admin|noscript|no_async_loading 7.0.0
MODULE|UNLOAD 3 admin|noscript|no_async_loading 4.0.0
""",
    ),
    SCRIPTING: (
        _OWN_WAY.__getitem__,
        "scripting",
        """\
EVAL -3 noscript|stale 2.6.0
EVALSHA -3 noscript|stale 2.6.0
EVALSHA_RO -3 readonly|noscript|stale 7.0.0
EVAL_RO -3 readonly|noscript|stale 7.0.0
FCALL -3 noscript|stale 7.0.0
FCALL_RO -3 readonly|noscript|stale 7.0.0
FUNCTION|LOAD -3 write|denyoom|noscript 7.0.0
FUNCTION|RESTORE -3 write|denyoom|noscript 7.0.0
SCRIPT|DEBUG -3 noscript 3.2.0
SCRIPT|LOAD 3 noscript|stale 2.6.0
""",
    ),
    REPLICATION: (
        lambda name: _disallow(name, "pulsards has no replication"),
        "server",
        """\
PSYNC -3 admin|noscript|no_async_loading|no_multi 2.8.0
REPLCONF -1 admin|noscript|loading|stale|allow_busy 3.0.0
SYNC 1 admin|noscript|no_async_loading|no_multi 1.0.0
""",
    ),
    PERSISTENCE: (
        lambda name: _disallow(name, "pulsards keeps its data in memory and writes no file"),
        "server",
        """\
BGREWRITEAOF 1 admin|noscript|no_async_loading 1.0.0
BGSAVE -1 admin|noscript|no_async_loading 1.0.0
SAVE 1 admin|noscript|no_async_loading|no_multi 1.0.0
""",
    ),
    RULES: (
        lambda name: _disallow(name, "pulsards has one user, default, whose password is requirepass"),
        "server",
        """\
ACL|SETUSER -3 admin|noscript|loading|stale 6.0.0
""",
    ),
}


def _flags(names: str) -> Flag:
    flags = NO_FLAGS
    for name in names.split("|"):
        flags |= Flag[name.upper()]
    return flags


def _register() -> None:
    for reason, (handler, group, lines) in _REFUSED.items():
        for line in lines.splitlines():
            name, arity, flags, since = line.split()
            keys: tuple[Keys, ...] = (_SCRIPT_KEYS,) if name.startswith(("EVAL", "FCALL")) else ()
            register = family(group)(name, arity=int(arity), flags=_flags(flags), keys=keys, since=since, absent=reason)
            register(handler(name))


_register()
