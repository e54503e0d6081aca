"""Which connection a command belongs on, chosen by its name.

Nearly every command goes on the shared connection. A command that waits (``BLPOP``) would hold up everybody behind
it, so it gets a connection of its own. A command that changes the state of its connection (``SELECT``, ``MULTI``,
``SUBSCRIBE``) would change it for everybody, so it is refused with what to call instead.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

SHARED, BLOCKING, REFUSED, MAY_BLOCK = range(4)

Seconds = Callable[[tuple[Any, ...]], float]


def _last(args: tuple[Any, ...]) -> float:
    return float(args[-1])


def _first(args: tuple[Any, ...]) -> float:
    return float(args[1])


def _last_milliseconds(args: tuple[Any, ...]) -> float:
    return float(args[-1]) / 1000


def _block_option(args: tuple[Any, ...]) -> float:
    for index, argument in enumerate(args[:-1]):
        if upper(argument) == "BLOCK":
            return float(args[index + 1]) / 1000
    return 0.0


#: Blocking commands, and where each says how long it may wait (in seconds; 0 is for ever).
WAITS: dict[str, Seconds] = {
    "BLMOVE": _last,
    "BLMPOP": _first,
    "BLPOP": _last,
    "BRPOP": _last,
    "BRPOPLPUSH": _last,
    "BZMPOP": _first,
    "BZPOPMAX": _last,
    "BZPOPMIN": _last,
    "WAIT": _last_milliseconds,
    "WAITAOF": _last_milliseconds,
    "XREAD": _block_option,
    "XREADGROUP": _block_option,
}

_SUBSCRIBE = "use store.pubsub()"
_TRANSACTION = "use store.transaction()"
_CONNECTION = "it would change the connection that all callers share; use store.connect()"

#: Commands that the shared connection refuses, and what to call instead.
INSTEAD: dict[str, str] = {
    "ASKING": _CONNECTION,
    "AUTH": _CONNECTION,
    "DISCARD": _TRANSACTION,
    "EXEC": _TRANSACTION,
    "HELLO": _CONNECTION,
    "MONITOR": _CONNECTION,
    "MULTI": _TRANSACTION,
    "PSUBSCRIBE": _SUBSCRIBE,
    "PSYNC": _CONNECTION,
    "PUNSUBSCRIBE": _SUBSCRIBE,
    "QUIT": "use store.close()",
    "READONLY": _CONNECTION,
    "READWRITE": _CONNECTION,
    "RESET": _CONNECTION,
    "SELECT": _CONNECTION,
    "SSUBSCRIBE": _SUBSCRIBE,
    "SUBSCRIBE": _SUBSCRIBE,
    "SUNSUBSCRIBE": _SUBSCRIBE,
    "SYNC": _CONNECTION,
    "UNSUBSCRIBE": _SUBSCRIBE,
    "UNWATCH": _TRANSACTION,
    "WATCH": "use store.transaction(watch=…)",
}

#: Subcommands of CLIENT that change the connection.
_CLIENT_STATE = frozenset({"CACHING", "REPLY", "TRACKING"})

# Names seen, as they were written: the hot path asks with one look-up. Bounded, so that a caller who makes up names
# costs time, never memory.
_routes: dict[Any, int] = {}
_ROUTES_KEPT = 4096


def upper(argument: Any) -> str:
    """A command's name or option, as upper-case text."""
    if isinstance(argument, bytes | bytearray | memoryview):
        return bytes(argument).decode("latin-1").upper()
    return str(argument).upper()


def route(args: tuple[Any, ...]) -> int:
    """SHARED, BLOCKING or REFUSED."""
    name = args[0] if isinstance(args[0], str | bytes) else upper(args[0])
    found = _routes.get(name)
    if found is None:
        found = classify(upper(name))
        if len(_routes) < _ROUTES_KEPT:
            _routes[name] = found
    return found if found != MAY_BLOCK else _by_arguments(args)


def plain_names() -> dict[Any, int]:
    """The table of the names seen; a name in it whose value is SHARED (0) needs no further look."""
    return _routes


def waiting_time(args: tuple[Any, ...]) -> float:
    """How long a blocking command may wait, in seconds; 0 for ever, or when the server is left to refuse it."""
    try:
        return max(WAITS[upper(args[0])](args), 0.0)
    except (ValueError, TypeError, IndexError):
        return 0.0


def classify(name: str) -> int:
    if name in ("XREAD", "XREADGROUP", "CLIENT"):
        return MAY_BLOCK
    if name in WAITS:
        return BLOCKING
    return REFUSED if name in INSTEAD else SHARED


def _by_arguments(args: tuple[Any, ...]) -> int:
    if upper(args[0]) == "CLIENT":
        return REFUSED if len(args) > 1 and upper(args[1]) in _CLIENT_STATE else SHARED
    return BLOCKING if any(upper(argument) == "BLOCK" for argument in args[1:]) else SHARED


def instead(args: tuple[Any, ...]) -> str:
    """What to call instead of a refused command."""
    return INSTEAD.get(upper(args[0]), _CONNECTION)
