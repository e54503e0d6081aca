"""DEBUG: what test suites of clients need. Whatever would crash the server, or looks into Valkey's own structures, is
refused as unknown.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from typing import Final

from store_pulsards.engine import args, digest, errors
from store_pulsards.engine.context import Context
from store_pulsards.engine.keyspace import TYPES
from store_pulsards.engine.replies import (
    OK,
    Attributed,
    BigNumber,
    ErrorReply,
    Many,
    Push,
    Reply,
    SetReply,
    Status,
    Verbatim,
)
from store_pulsards.engine.table import ADMIN, LOADING, NOSCRIPT, STALE, family

log: Final = logging.getLogger("store_pulsards")
command = family("server")

_LEADING_NUMBER: Final = re.compile(rb"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_MEMORY: Final = re.compile(rb"(\d+)(|b|k|kb|m|mb|g|gb)", re.IGNORECASE)
_UNITS: Final = {b"": 1, b"b": 1, b"k": 10**3, b"kb": 2**10, b"m": 10**6, b"mb": 2**20, b"g": 10**9, b"gb": 2**30}


@command("DEBUG", arity=-2, flags=ADMIN | NOSCRIPT | LOADING | STALE)
def debug(ctx: Context, subcommand: bytes, *rest: bytes) -> Reply:
    """A container for debugging commands."""
    if not ctx.session.trusted and ctx.engine.config.fact(b"enable-debug-command") == "no":
        raise errors.debug_not_allowed()
    least, most, handler = _SUBCOMMANDS.get(subcommand.upper(), (1, 0, _help))
    if not least <= len(rest) <= most:
        raise errors.WrongSubcommand("DEBUG")
    return handler(ctx, *rest)


def _sleep(ctx: Context, seconds: bytes) -> Reply:
    """Stop the whole engine; like strtod, what is no number is 0."""
    number = _LEADING_NUMBER.match(seconds)
    time.sleep(max(0.0, float(number[0])) if number else 0)
    return OK


def _object(ctx: Context, key: bytes, *_: bytes) -> Reply:
    value = ctx.db.data.get(key)
    if value is None:
        raise errors.no_such_key()
    encoding = TYPES[type(value)].encoding(value, ctx.engine.config.encodings)
    return Status(
        b"Value at:0x%x refcount:1 encoding:%b serializedlength:%d lru:0 lru_seconds_idle:%d"
        % (id(value), encoding, sum(map(_length, _elements(value))), ctx.engine.memory.idle_seconds(ctx.db, key))
    )


def _elements(value: object) -> list[object]:
    return [value] if type(value) is bytes else list(TYPES[type(value)].elements(value))


def _length(element: object) -> int:
    return len(element) if isinstance(element, (bytes, bytearray)) else 8


def _digest(ctx: Context) -> Reply:
    return Status(digest.shown(digest.of_everything(ctx.keyspace.databases)))


def _digest_value(ctx: Context, *keys: bytes) -> Reply:
    values = [(key, ctx.db.data.get(key)) for key in keys]
    return [Status(digest.shown(0 if value is None else digest.of_value(ctx.db, key, value))) for key, value in values]


def _error(ctx: Context, message: bytes) -> Reply:
    raise ErrorReply(errors.show(message))


def _log(ctx: Context, message: bytes) -> Reply:
    log.warning("DEBUG LOG: %s", errors.show(message))
    return OK


def _set_active_expire(ctx: Context, switch: bytes) -> Reply:
    number = _LEADING_NUMBER.match(switch)
    ctx.engine.active_expiry = bool(number and int(float(number[0])))
    return OK


def _packed_threshold(ctx: Context, size: bytes) -> Reply:
    """Checked as in Valkey; there are no packed nodes here whose size it could bound."""
    parsed = _MEMORY.fullmatch(size)
    if parsed is None or int(parsed[1]) * _UNITS[parsed[2].lower()] > 2**32 - 1:
        raise errors.packed_threshold()
    return OK


def _change_repl_id(ctx: Context) -> Reply:
    ctx.engine.change_replication_id()
    return OK


def _populate(ctx: Context, count: bytes, prefix: bytes = b"key", size: bytes = b"0") -> Reply:
    number, length = _positive(count), _positive(size)
    for index in range(number):
        key, value = b"%b:%d" % (prefix, index), b"value:%d" % index
        if ctx.lookup_any(key) is None:
            ctx.set(key, value[:length].ljust(length, b"\0") if length else value)
            ctx.notify("set", key)
    return OK


def _positive(text: bytes) -> int:
    return args.integer(text, 0, error=errors.must_be_positive)


def _protocol(ctx: Context, kind: bytes) -> Reply:
    wanted = kind.lower()
    if wanted == b"push":
        if ctx.session.resp < 3:
            raise errors.not_in_resp2()
        return Many([Push([b"server-cpu-usage", 42]), b"Some real reply following the push reply"])
    if wanted not in _SAMPLES:
        raise errors.debug_protocol()
    return _SAMPLES[wanted]


def _help(ctx: Context) -> Reply:
    return [Status(line.encode()) for line in HELP.splitlines()]


_SAMPLES: Final[dict[bytes, Reply]] = {
    b"string": b"Hello World",
    b"integer": 12345,
    b"double": 3.141,
    b"bignum": BigNumber(b"1234567999999999999999999999999999999"),
    b"null": None,
    b"array": [0, 1, 2],
    b"set": SetReply([0, 1, 2]),
    b"map": {0: False, 1: True, 2: False},
    b"attrib": Attributed({b"key-popularity": [b"key:123", 90]}, b"Some real reply following the attribute"),
    b"verbatim": Verbatim(b"This is a verbatim\nstring"),
    b"true": True,
    b"false": False,
}

ANY: Final = 2**31

# How many arguments at least and at most, and who answers.
_SUBCOMMANDS: Final[dict[bytes, tuple[int, int, Callable[..., Reply]]]] = {
    b"CHANGE-REPL-ID": (0, 0, _change_repl_id),
    b"DIGEST": (0, 0, _digest),
    b"DIGEST-VALUE": (0, ANY, _digest_value),
    b"ERROR": (1, 1, _error),
    b"HELP": (0, 0, _help),
    b"LOG": (1, 1, _log),
    b"OBJECT": (1, 2, _object),
    b"POPULATE": (1, 3, _populate),
    b"PROTOCOL": (1, 1, _protocol),
    b"QUICKLIST-PACKED-THRESHOLD": (1, 1, _packed_threshold),
    b"SET-ACTIVE-EXPIRE": (1, 1, _set_active_expire),
    b"SLEEP": (1, 1, _sleep),
}

HELP: Final = """\
DEBUG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:
CHANGE-REPL-ID
    Change the replication IDs of the instance.
    Dangerous: should be used only for testing the replication subsystem.
DIGEST
    Output a hex signature representing the current DB content.
DIGEST-VALUE <key> [<key> ...]
    Output a hex signature of the values of all the specified keys.
ERROR <string>
    Return a RESP protocol error with <string> as message. Useful for clients
    unit tests to simulate error replies.
LOG <message>
    Write <message> to the server log.
OBJECT <key> [fast]
    Show low level info about `key` and associated value.
POPULATE <count> [<prefix>] [<size>]
    Create <count> string keys named key:<num>. If <prefix> is specified then
    it is used instead of the 'key' prefix.
PROTOCOL <type>
    Reply with a test value of the specified type. <type> can be: string,
    integer, double, bignum, null, array, set, map, attrib, push, verbatim,
    true, false.
QUICKLIST-PACKED-THRESHOLD <size>
    Checked, and without effect.
SET-ACTIVE-EXPIRE <0|1>
    Setting it to 0 disables expiring keys in background when they are not
    accessed (otherwise the behavior). Setting it to 1 reenables back the
    default.
SLEEP <seconds>
    Stop the server for <seconds>. Decimals allowed.
HELP
    Print this help.
"""
