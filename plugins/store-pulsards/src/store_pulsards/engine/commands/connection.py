"""Connection commands: who the client is, which protocol it speaks, which database it uses.

There is one user, ``default``. It has a password when ``requirepass`` is set.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence

from store_pulsards.engine import args, errors
from store_pulsards.engine.client_line import describe
from store_pulsards.engine.context import Context
from store_pulsards.engine.replies import OK, PONG, Reply, Status
from store_pulsards.engine.table import ALLOW_BUSY, COMMANDS, FAST, LOADING, NO_AUTH, NOSCRIPT, STALE, family
from store_pulsards.session import SUBSCRIBER

command = family("connection")

VERSION = b"9.1.2"  # of Valkey, whose behaviour this is
COMPATIBLE = b"7.2.4"  # of Redis, as Valkey says of itself

UNTRUSTED = NOSCRIPT | LOADING | STALE | FAST | NO_AUTH | ALLOW_BUSY


@command("PING", arity=-1, flags=FAST, tips=("request_policy:all_shards", "response_policy:all_succeeded"))
def ping(ctx: Context, *message: bytes) -> Reply:
    """Returns the server's liveliness response."""
    if len(message) > 1:
        raise errors.wrong_arity("ping")
    if ctx.session.gate & SUBSCRIBER:
        return [b"pong", message[0] if message else b""]
    return message[0] if message else PONG


@command("ECHO", arity=2, flags=FAST | LOADING | STALE)
def echo(ctx: Context, message: bytes) -> Reply:
    """Returns the given string."""
    return message


@command("SELECT", arity=2, flags=LOADING | STALE | FAST | ALLOW_BUSY)
def select(ctx: Context, index: bytes) -> Reply:
    """Changes the selected database."""
    ctx.db = ctx.database(index)
    return OK


@command("AUTH", arity=-2, flags=UNTRUSTED)
def auth(ctx: Context, *credentials: bytes) -> Reply:
    """Authenticates the connection."""
    if len(credentials) > 2:
        raise errors.syntax_error()
    if len(credentials) == 1 and not ctx.engine.config.password:
        raise errors.no_password_set()
    user = credentials[0] if len(credentials) == 2 else b"default"
    _authenticate(ctx, user, credentials[-1], b"AUTH")
    return OK


def _authenticate(ctx: Context, user: bytes, password: bytes, command_: bytes) -> None:
    """Let the client in; where no password is set, any will do. It is asked for by AUTH, or by HELLO."""
    expected = ctx.engine.config.password
    if user != b"default" or (expected and not hmac.compare_digest(expected, password)):
        _log_denial(ctx, user, command_)
        raise errors.wrong_password()
    ctx.session.authenticated = True
    ctx.session.regate()


def _log_denial(ctx: Context, user: bytes, name: bytes) -> None:
    session = ctx.session
    session.command = COMMANDS[name]  # which a server notes only when it has run
    context = b"multi" if ctx.in_exec else b"toplevel"
    client = describe(session, ctx.keyspace.clock()).encode()
    limit = ctx.engine.config.number(b"acllog-max-len")
    ctx.engine.acl_log.add(context, name, user, client, ctx.now, limit)


@command("HELLO", arity=-1, flags=UNTRUSTED, since="6.0.0")
def hello(ctx: Context, *request: bytes) -> Reply:
    """Handshakes with the server."""
    session = ctx.session
    resp = session.resp
    if request:
        resp = args.integer(request[0], error=lambda: errors.not_an_integer_here("Protocol version"))
        if resp not in (2, 3):
            raise errors.unsupported_protocol()
    credentials, name = _hello_options(request[1:])
    if credentials is not None:
        _authenticate(ctx, *credentials, b"HELLO")
    if not session.authenticated:
        raise errors.hello_needs_auth()
    if name is not None:
        session.name = printable(name, "Client names")
    session.resp = resp
    session.regate()
    return {
        b"server": b"valkey",
        b"version": VERSION,
        b"proto": resp,
        b"id": session.id,
        b"mode": b"standalone",
        b"role": b"master",
        b"modules": [],
    }


def _hello_options(request: Sequence[bytes]) -> tuple[tuple[bytes, bytes] | None, bytes | None]:
    """User and password, and the client's name, as far as they are given."""
    credentials: tuple[bytes, bytes] | None = None
    name: bytes | None = None
    left = list(request)
    while left:
        option = left.pop(0)
        if option.upper() == b"AUTH" and len(left) >= 2:
            credentials = (left.pop(0), left.pop(0))
        elif option.upper() == b"SETNAME" and left:
            name = left.pop(0)
        else:
            raise errors.hello_option(option)
    return credentials, name


def printable(text: bytes, what: str) -> bytes:
    """The text, when it may stand in a line of CLIENT LIST."""
    if any(not ord("!") <= char <= ord("~") for char in text):
        raise errors.special_characters(what)
    return text


@command("QUIT", arity=-1, flags=UNTRUSTED)
def quit_(ctx: Context, *_: bytes) -> Reply:
    """Closes the connection."""
    ctx.session.closing = True
    return OK


@command("RESET", arity=1, flags=UNTRUSTED, since="6.2.0")
def reset(ctx: Context) -> Reply:
    """Resets the connection."""
    session = ctx.session
    ctx.discard()
    ctx.engine.pubsub.leave(session)
    ctx.engine.end_monitor(session)
    ctx.engine.end_tracking(session)
    ctx.db = ctx.keyspace.databases[0]
    session.resp = 2
    session.name = b""
    session.mute = b"ON"
    session.no_evict = session.no_touch = session.readonly = False
    session.authenticated = session.trusted or not ctx.engine.config.password
    session.regate()
    return Status(b"RESET")
