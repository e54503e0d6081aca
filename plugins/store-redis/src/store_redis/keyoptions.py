"""Where the keys are of commands that the server's COMMAND table does not describe, or not fully.

``SORT … BY … GET``, ``MIGRATE … KEYS``, ``DEBUG OBJECT`` and ``CLUSTER KEYSLOT`` are missing there, or marked as
incomplete. ``GEORADIUS … STORE`` and ``XREAD … STREAMS`` are described by a keyword, which finds the first one: but the
server takes the last ``STORE``, and a consumer group may be called ``streams``. So options are read as the server
reads them, each with as many values as it has. What makes no sense is left for the server to refuse.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from store_redis.commands import upper
from store_redis.keyspecs import Find

_SORT = {"BY": 1, "GET": 1, "LIMIT": 2, "STORE": 1}
_MIGRATE = {"AUTH": 1, "AUTH2": 2}
_GEORADIUS = {"COUNT": 1, "STORE": 1, "STOREDIST": 1}
_XREAD = {"BLOCK": 1, "CLAIM": 1, "COUNT": 1, "GROUP": 2}

#: Subcommands of DEBUG that look at one key; every other one reaches beyond.
_DEBUG_KEY = frozenset({"HTSTATS-KEY", "LISTPACK", "OBJECT", "QUICKLIST", "SDSLEN"})


def options(args: tuple[Any, ...], start: int, values: Mapping[str, int]) -> Iterator[tuple[str, int]]:
    """Each option from ``start`` on, in upper case, and its place; ``values`` says how many values follow which."""
    place = start
    while place < len(args):
        name = upper(args[place])
        yield name, place
        place += 1 + values.get(name, 0)


def sort_patterns(args: tuple[Any, ...]) -> list[int]:
    """Places of the patterns of SORT that make keys: 'BY nosort' has no '*', and 'GET #' is the element itself."""
    return [
        place + 1
        for name, place in options(args, 2, _SORT)
        if name in ("BY", "GET") and place + 1 < len(args) and "*" in upper(args[place + 1])
    ]


def _sort(args: tuple[Any, ...]) -> Iterable[int]:
    return [1, *(place + 1 for name, place in options(args, 2, _SORT) if name == "STORE"), *sort_patterns(args)]


def _migrate(args: tuple[Any, ...]) -> Iterable[int]:
    # MIGRATE host port key database timeout, then the options; the key is empty where KEYS are named.
    first = next((place + 1 for name, place in options(args, 6, _MIGRATE) if name == "KEYS"), len(args))
    named = [3] if len(args) > 3 and args[3] not in ("", b"") else []
    return [*named, *range(first, len(args))]


def _georadius(start: int) -> Find:
    def find(args: tuple[Any, ...]) -> Iterable[int]:
        stores = (place + 1 for name, place in options(args, start, _GEORADIUS) if name.startswith("STORE"))
        return [1, *stores]

    return find


def _streams(args: tuple[Any, ...]) -> Iterable[int]:
    first = next((place + 1 for name, place in options(args, 1, _XREAD) if name == "STREAMS"), len(args))
    # As many keys as identifiers; an odd number is refused by the server, after every key has the prefix.
    return range(first, first + (len(args) - first + 1) // 2)


def _debug(args: tuple[Any, ...]) -> Iterable[int] | None:
    subcommand = upper(args[1]) if len(args) > 1 else ""
    if subcommand == "DIGEST-VALUE":
        return range(2, len(args))
    return (2,) if subcommand in _DEBUG_KEY else None


def _keyslot(args: tuple[Any, ...]) -> Iterable[int]:
    return (2,)


#: By name, or by name and subcommand. A place may lie beyond the arguments; None: it reaches beyond the namespace.
KEY_OPTIONS = {
    "CLUSTER KEYSLOT": _keyslot,
    "DEBUG": _debug,
    "GEORADIUS": _georadius(6),
    "GEORADIUSBYMEMBER": _georadius(5),
    "MIGRATE": _migrate,
    "SORT": _sort,
    "SORT_RO": _sort,
    "XREAD": _streams,
    "XREADGROUP": _streams,
}
