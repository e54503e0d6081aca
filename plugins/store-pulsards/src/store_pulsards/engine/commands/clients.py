"""CLIENT: what is known of each client, and what one may do to another."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, TypeAlias

from store_pulsards.engine import args, blocking, errors
from store_pulsards.engine.client_line import describe, flags_of
from store_pulsards.engine.commands.connection import printable
from store_pulsards.engine.context import Context
from store_pulsards.engine.replies import NO_REPLY, OK, ErrorReply, Reply, Verbatim
from store_pulsards.engine.table import ADMIN, ALLOW_BUSY, LOADING, NO_MULTI, NOSCRIPT, STALE, family
from store_pulsards.session import Session

command = family("connection")
command.container("CLIENT", "A container for client connection commands.", since="2.4.0")

ABOUT_ONESELF = NOSCRIPT | LOADING | STALE | ALLOW_BUSY
ABOUT_OTHERS = ADMIN | NOSCRIPT | LOADING | STALE
ON_ALL_NODES = ("request_policy:all_nodes", "response_policy:all_succeeded")
UNPREDICTABLE = ("nondeterministic_output",)

CLIENT_TYPES: Final = {b"NORMAL", b"PUBSUB", b"MASTER", b"PRIMARY", b"SLAVE", b"REPLICA"}
Filter: TypeAlias = Callable[[Session], bool]


@command("CLIENT|ID", arity=2, flags=ABOUT_ONESELF, since="5.0.0")
def id_(ctx: Context) -> Reply:
    """Returns the unique client ID of the connection."""
    return ctx.session.id


@command("CLIENT|GETNAME", arity=2, flags=ABOUT_ONESELF, since="2.6.9")
def getname(ctx: Context) -> Reply:
    """Returns the name of the connection."""
    return ctx.session.name or None


@command("CLIENT|SETNAME", arity=3, flags=ABOUT_ONESELF, since="2.6.9", tips=ON_ALL_NODES)
def setname(ctx: Context, name: bytes) -> Reply:
    """Sets the connection name."""
    ctx.session.name = printable(name, "Client names")
    return OK


@command("CLIENT|SETINFO", arity=4, flags=ABOUT_ONESELF, since="7.2.0", tips=ON_ALL_NODES)
def setinfo(ctx: Context, attribute: bytes, value: bytes) -> Reply:
    """Sets information specific to the client or connection."""
    wanted = attribute.lower()
    if wanted == b"lib-name":
        ctx.session.lib_name = printable(value, wanted.decode())
    elif wanted == b"lib-ver":
        ctx.session.lib_version = printable(value, wanted.decode())
    else:
        raise errors.unrecognized_option(attribute)
    return OK


@command("CLIENT|NO-EVICT", arity=3, flags=ABOUT_OTHERS | ALLOW_BUSY, since="7.0.0")
def no_evict(ctx: Context, switch: bytes) -> Reply:
    """Sets the client eviction mode of the connection."""
    ctx.session.no_evict = _on_or_off(switch)
    return OK


@command("CLIENT|NO-TOUCH", arity=3, flags=ABOUT_ONESELF, since="7.2.0")
def no_touch(ctx: Context, switch: bytes) -> Reply:
    """Controls whether commands sent by the client affect the LRU/LFU of accessed keys."""
    ctx.session.no_touch = _on_or_off(switch)
    return OK


def _on_or_off(switch: bytes) -> bool:
    if switch.upper() not in (b"ON", b"OFF"):
        raise errors.syntax_error()
    return switch.upper() == b"ON"


@command("CLIENT|REPLY", arity=3, flags=ABOUT_ONESELF | NO_MULTI, since="3.2.0")
def reply_(ctx: Context, mode: bytes) -> Reply:
    """Instructs the server whether to reply to commands."""
    wanted = mode.upper()
    session = ctx.session
    if wanted not in (b"ON", b"OFF", b"SKIP"):
        raise errors.syntax_error()
    if wanted == b"SKIP" and session.mute == b"OFF":
        return NO_REPLY
    session.mute = wanted
    session.regate()
    return OK if wanted == b"ON" else NO_REPLY


@command("CLIENT|INFO", arity=2, flags=NOSCRIPT | LOADING | STALE, since="6.2.0", tips=UNPREDICTABLE)
def info(ctx: Context) -> Reply:
    """Returns information about the connection."""
    return Verbatim(describe(ctx.session, ctx.keyspace.clock()).encode() + b"\n")


@command("CLIENT|LIST", arity=-2, flags=ABOUT_OTHERS, since="2.4.0", tips=UNPREDICTABLE)
def list_(ctx: Context, *options: bytes) -> Reply:
    """Lists open connections."""
    chosen, skip_me = _filters(ctx, options, skip_me=False)
    now = ctx.keyspace.clock()
    lines = [describe(session, now) + "\n" for session in _chosen(ctx, chosen, skip_me=skip_me)]
    return Verbatim("".join(lines).encode())


@command("CLIENT|KILL", arity=-3, flags=ABOUT_OTHERS, since="2.4.0")
def kill(ctx: Context, *options: bytes) -> Reply:
    """Terminates open connections."""
    if len(options) == 1:
        address = options[0].decode("utf-8", "replace")
        victims = [session for session in ctx.engine.sessions.values() if session.address == address]
        if not victims:
            raise errors.no_such_client()
        _kill(ctx, victims[:1])
        return OK
    chosen, skip_me = _filters(ctx, options, skip_me=True)
    victims = _chosen(ctx, chosen, skip_me=skip_me)
    _kill(ctx, victims)
    return len(victims)


def _kill(ctx: Context, victims: Iterable[Session]) -> None:
    """Close clients; this one after its reply."""
    for session in victims:
        if session is ctx.session:
            session.closing = True
        else:
            ctx.engine.kill(session)


def _chosen(ctx: Context, filters: list[Filter], *, skip_me: bool) -> list[Session]:
    return [
        session
        for session in ctx.engine.sessions.values()
        if not (skip_me and session is ctx.session) and all(applies(session) for applies in filters)
    ]


def _filters(ctx: Context, options: tuple[bytes, ...], *, skip_me: bool) -> tuple[list[Filter], bool]:
    """Every filter that the options name, and whether this client is left out."""
    filters: list[Filter] = []
    ids: set[int] = set()
    others: set[int] = set()
    left = list(options)
    while left:
        option = left.pop(0).upper()
        if not left:
            raise errors.syntax_error()
        if option in (b"ID", b"NOT-ID"):
            named = ids if option == b"ID" else others
            named.add(_client_id(left.pop(0)))
            while left and left[0].isdigit():
                named.add(_client_id(left.pop(0)))
        elif option == b"SKIPME":
            skip_me = _yes_or_no(left.pop(0))
        elif option in _FILTERS:
            filters.append(_FILTERS[option](ctx, left.pop(0)))
        elif option.removeprefix(b"NOT-") in _NEGATED:
            filters.append(_negated(ctx, option, left.pop(0)))
        else:
            raise errors.syntax_error()
    if ids:
        filters.append(lambda session: session.id in ids)
    if others:
        filters.append(lambda session: session.id not in others)
    return filters, skip_me


def _client_id(value: bytes) -> int:
    number = args.integer(value, error=errors.syntax_error)
    if number < 1:
        raise errors.client_id_too_small()
    return number


def _yes_or_no(value: bytes) -> bool:
    if value.upper() not in (b"YES", b"NO"):
        raise errors.syntax_error()
    return value.upper() == b"YES"


def _seconds(what: str, value: bytes) -> int:
    number = args.integer(value, error=lambda: errors.not_an_integer_here(what))
    if number < 1:
        raise errors.not_positive(what)
    return number


def _by_type(ctx: Context, value: bytes) -> Filter:
    wanted = value.upper()
    if wanted not in CLIENT_TYPES:
        raise errors.unknown_client_type(value)
    return lambda session: wanted == (b"PUBSUB" if session.subscribed else b"NORMAL")


def _by_user(ctx: Context, value: bytes) -> Filter:
    if value != b"default":
        raise errors.no_such_user(value)
    return lambda session: True


def _by_age(ctx: Context, value: bytes) -> Filter:
    oldest = ctx.keyspace.clock() - _seconds("maxage", value)
    return lambda session: session.created <= oldest


def _by_idle(ctx: Context, value: bytes) -> Filter:
    latest = ctx.keyspace.clock() - _seconds("idle", value)
    return lambda session: session.last_active <= latest


def _by_database(ctx: Context, value: bytes) -> Filter:
    count = len(ctx.keyspace.databases)
    number = args.integer(value, error=lambda: errors.not_an_integer_here("DB"))
    if not 0 <= number < count:
        raise errors.client_database(count - 1)
    return lambda session: session.context.db.index == number


def _by_ip(ctx: Context, value: bytes) -> Filter:
    return lambda session: session.address.rpartition(":")[0].encode() == value


def _by_flags(ctx: Context, value: bytes) -> Filter:
    wanted = value.decode("utf-8", "replace")
    if set(wanted) - KNOWN_FLAGS:
        raise errors.unknown_client_flags("flags", value)
    return lambda session: set(wanted) <= set(flags_of(session))


def _by_capability(ctx: Context, value: bytes) -> Filter:
    if set(value) - set(b"r"):
        raise errors.unknown_client_flags("capa", value)
    return lambda session: set(value) <= set(session.capabilities)


def _negated(ctx: Context, option: bytes, value: bytes) -> Filter:
    """``NOT-NAME`` and its kin; their errors name them."""
    try:
        applies = _FILTERS[option.removeprefix(b"NOT-")](ctx, value)
    except ErrorReply as error:
        raise errors.of_negated(error, option) from None
    return lambda session: not applies(session)


KNOWN_FLAGS: Final = frozenset("SMOPxbRtTBducAUeIiEN")

_FILTERS: Final[dict[bytes, Callable[[Context, bytes], Filter]]] = {
    b"ADDR": lambda ctx, value: lambda session: session.address.encode() == value,
    b"LADDR": lambda ctx, value: lambda session: session.local_address.encode() == value,
    b"NAME": lambda ctx, value: lambda session: session.name == value,
    b"LIB-NAME": lambda ctx, value: lambda session: session.lib_name == value,
    b"LIB-VER": lambda ctx, value: lambda session: session.lib_version == value,
    b"TYPE": _by_type,
    b"USER": _by_user,
    b"MAXAGE": _by_age,
    b"IDLE": _by_idle,
    b"DB": _by_database,
    b"IP": _by_ip,
    b"FLAGS": _by_flags,
    b"CAPA": _by_capability,
}
_NEGATED: Final = _FILTERS.keys() - {b"MAXAGE", b"IDLE"}


@command("CLIENT|UNBLOCK", arity=-3, flags=ABOUT_OTHERS, since="5.0.0")
def unblock(ctx: Context, number: bytes, *reason: bytes) -> Reply:
    """Unblocks a client blocked by a blocking command from a different connection."""
    how = reason[0].upper() if len(reason) == 1 else b"TIMEOUT"  # as in Valkey, nobody minds more of them
    if how not in (b"TIMEOUT", b"ERROR"):
        raise errors.unblock_reason()
    session = ctx.engine.sessions.get(args.integer(number))
    if session is None or session.blocked is None or session.blocked.postponed:
        return 0
    blocking.release(session, session.blocked.overdue() if how == b"TIMEOUT" else errors.unblocked())
    return 1


@command("CLIENT|PAUSE", arity=-3, flags=ABOUT_OTHERS, since="3.0.0")
def pause(ctx: Context, milliseconds: bytes, *mode: bytes) -> Reply:
    """Suspends commands processing."""
    what = mode[0].upper() if len(mode) == 1 else b"ALL"
    if what not in (b"WRITE", b"ALL"):
        raise errors.pause_mode()
    duration = args.integer(milliseconds, error=lambda: errors.not_an_integer_here("timeout"))
    if duration < 0:
        raise errors.timeout_negative()
    engine = ctx.engine
    engine.pause.until = max(engine.pause.until, ctx.keyspace.clock() + duration / 1000)
    engine.pause.only_writes = what == b"WRITE"
    for session in engine.sessions.values():
        session.paused = True
        session.regate()
    return OK


@command("CLIENT|UNPAUSE", arity=2, flags=ABOUT_OTHERS, since="6.2.0")
def unpause(ctx: Context) -> Reply:
    """Resumes processing commands from paused clients."""
    ctx.engine.pause.until = 0.0
    for session in tuple(ctx.engine.sessions.values()):
        session.paused = False
        session.regate()
        if session.blocked is not None and session.blocked.postponed:
            ctx.engine.resume(session)
    return OK
