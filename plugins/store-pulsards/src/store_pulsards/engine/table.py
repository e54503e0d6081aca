"""The command table: every command as data.

A handler is registered with ``@command``. What it declares (arity, flags, where its keys stand) drives the checks
before it runs, MULTI, COMMAND's replies, and whoever needs the keys of a command. The one-line summary of COMMAND
DOCS is the first line of the handler's docstring.

Each family opens with ``command = family("string")``; a container (``CLIENT``) is declared before its subcommands
(``CLIENT|SETNAME``).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntFlag, auto
from functools import cache
from pkgutil import get_data
from sys import maxsize
from typing import Any, Final, TypeAlias

from store_pulsards.engine.replies import Reply

Handler: TypeAlias = Callable[..., Reply]


class Flag(IntFlag):
    """What may be done with a command, and where; the names are those of COMMAND's reply."""

    WRITE = auto()
    READONLY = auto()
    DENYOOM = auto()
    ADMIN = auto()
    PUBSUB = auto()
    NOSCRIPT = auto()
    BLOCKING = auto()
    LOADING = auto()
    STALE = auto()
    SKIP_COMMANDLOG = auto()
    FAST = auto()
    NO_AUTH = auto()
    NO_MULTI = auto()
    ALLOW_BUSY = auto()
    NO_ASYNC_LOADING = auto()
    ASKING = auto()


NO_FLAGS: Final = Flag(0)
WRITE: Final = Flag.WRITE
READONLY: Final = Flag.READONLY
DENYOOM: Final = Flag.DENYOOM
ADMIN: Final = Flag.ADMIN
PUBSUB: Final = Flag.PUBSUB
NOSCRIPT: Final = Flag.NOSCRIPT
BLOCKING: Final = Flag.BLOCKING
LOADING: Final = Flag.LOADING
STALE: Final = Flag.STALE
SKIP_COMMANDLOG: Final = Flag.SKIP_COMMANDLOG
FAST: Final = Flag.FAST
NO_AUTH: Final = Flag.NO_AUTH
NO_MULTI: Final = Flag.NO_MULTI
ALLOW_BUSY: Final = Flag.ALLOW_BUSY
NO_ASYNC_LOADING: Final = Flag.NO_ASYNC_LOADING
ASKING: Final = Flag.ASKING


LONGEST_COUNT: Final = 10  # digits of a number of keys
USUAL: Final = 8  # arguments, the name included, below which hot paths look commands up by their number as well


@dataclass(frozen=True, slots=True)
class Keys:
    """Where some keys of a command stand: one key specification, in the terms of COMMAND's reply.

    The search begins at argument ``first`` (or after ``keyword``, looked for from ``first`` on; backwards from the end
    where it is negative). A ``range`` ends at
    ``last`` (relative to the beginning; negative: from the end of the command); a ``numkeys`` specification has the
    count at the beginning, and the keys ``skip`` arguments later. An ``unknown`` one cannot be told from the arguments.
    """

    first: int = 1
    last: int = 0
    step: int = 1
    numkeys: bool = False
    skip: int = 1
    limit: int = 0
    keyword: bytes = b""
    unknown: bool = False
    not_key: bool = False  # a channel: sharded like a key, and yet none
    note: str = ""

    def positions(self, args: Sequence[bytes]) -> Sequence[int]:
        """Indexes into ``args`` (the command's name is 0); nothing where the arguments make no sense."""
        start = self._start(args)
        if start is None or start >= len(args):
            return ()
        if self.numkeys:
            if not args[start].isdigit() or len(args[start]) > LONGEST_COUNT:
                return ()
            begin = start + self.skip
            end = begin + int(args[start]) * self.step
            return range(begin, end, self.step) if end - self.step < len(args) else ()
        end = start + self.last if self.last >= 0 else len(args) + self.last
        if self.limit > 1 and self.last < 0:
            end = start + (len(args) - start) // self.limit - 1
        return range(start, min(end, len(args) - 1) + 1, self.step)

    def makes_sense(self, args: Sequence[bytes]) -> bool:
        """Whether there is a key where one has to be; a keyword may be left out."""
        return self.not_key or bool(self.positions(args)) or (bool(self.keyword) and self._start(args) is None)

    def _start(self, args: Sequence[bytes]) -> int | None:
        if self.unknown:
            return None
        if not self.keyword:
            return self.first
        places = range(self.first, len(args)) if self.first > 0 else range(len(args) + self.first, 0, -1)
        for index in places:
            if args[index].upper() == self.keyword:
                return index + 1
        return None


FIRST: Final = Keys()
SECOND: Final = Keys(2)
ALL: Final = Keys(last=-1)
PAIRS: Final = Keys(last=-1, step=2)  # MSET key value key value …
ALL_BUT_LAST: Final = Keys(last=-2)  # BLPOP key … timeout
FIRST_TWO: Final = Keys(last=1)
REST: Final = Keys(2, last=-1)  # those after the first: SDIFFSTORE's sources


def numkeys(at: int, *, skip: int = 1, step: int = 1) -> Keys:
    """Keys that are counted by argument ``at``: ``ZINTER 2 a b``."""
    return Keys(at, numkeys=True, skip=skip, step=step)


class CommandSpec:
    """One command, or subcommand, as data."""

    __slots__ = (
        "absent",
        "access",
        "acl",
        "arity",
        "flags",
        "group",
        "handler",
        "keys",
        "least",
        "most",
        "name",
        "since",
        "subcommands",
        "summary",
        "tips",
        "words",
    )

    def __init__(
        self,
        name: str,
        arity: int,
        flags: Flag,
        keys: tuple[Keys, ...],
        handler: Handler | None,
        *,
        group: str,
        since: str,
        summary: str,
        access: tuple[str, ...],
        tips: tuple[str, ...],
        acl: tuple[str, ...],
        absent: str = "",
    ) -> None:
        self.name = name
        self.absent = absent
        self.arity = arity
        self.flags = flags
        self.keys = keys
        self.handler: Any = handler
        self.group = group
        self.since = since
        self.summary = summary
        self.access = access
        self.tips = tips
        self.acl = acl
        self.words = name.count("|") + 1  # arguments that name it
        self.subcommands: dict[bytes, CommandSpec] = {}
        # The number of arguments, name included, with which the engine may call the handler at once.
        self.least = abs(arity)
        self.most = arity if arity > 0 else maxsize

    def accepts(self, count: int) -> bool:
        """Whether the arity allows so many arguments, the name included."""
        return count == self.arity if self.arity > 0 else count >= -self.arity

    def nest(self, subcommand: CommandSpec) -> None:
        """Add a subcommand; from now on no number of arguments goes the fast way, as the second has to be looked at."""
        self.subcommands[subcommand.name.partition("|")[2].encode().upper()] = subcommand
        self.least, self.most = maxsize, 0

    @property
    def parts(self) -> list[CommandSpec]:
        """The subcommands that do something."""
        return [each for each in self.subcommands.values() if not each.absent]

    @property
    def movable(self) -> bool:
        """Whether first/last/step cannot tell every key (flag ``movablekeys``)."""
        return any(spec.numkeys or spec.keyword or spec.unknown for spec in self.keys)


# Both cases are there, so that the usual spellings cost one look-up.
COMMANDS: Final[dict[bytes, CommandSpec]] = {}

_ACL_OF_GROUP: Final = {
    "bitmap": ("bitmap",),
    "connection": ("connection",),
    "generic": ("keyspace",),
    "geo": ("geo",),
    "hash": ("hash",),
    "hyperloglog": ("hyperloglog",),
    "list": ("list",),
    "scripting": ("scripting",),
    "set": ("set",),
    "sorted-set": ("sortedset",),
    "stream": ("stream",),
    "string": ("string",),
    "transactions": ("transaction",),
}


class Family:
    """Registers the commands of one group."""

    __slots__ = ("group",)

    def __init__(self, group: str) -> None:
        self.group = group

    def __call__(
        self,
        name: str,
        *,
        arity: int,
        flags: Flag = NO_FLAGS,
        keys: Keys | tuple[Keys, ...] = (),
        access: str | tuple[str, ...] = (),
        since: str = "1.0.0",
        tips: tuple[str, ...] = (),
        acl: tuple[str, ...] | None = None,
        absent: str = "",
    ) -> Callable[[Handler], Handler]:
        """Register a handler.

        Args:
            name: In capitals; ``CONTAINER|SUBCOMMAND`` for a subcommand.
            arity: As in Redis: the exact number of arguments, name included; negative, the least number.
            flags: Of the command.
            keys: Where the keys are; several specifications where they differ in kind.
            access: What is done with them, one text for each specification (``"RW access delete"``).
            since: First version of Redis or Valkey that had it.
            tips: Of COMMAND's reply.
            acl: ACL categories beyond those that flags tell; by default, those of the group.
            absent: What of Redis the command belongs to that this engine does not have: the handler only refuses, in
                Redis's own words where it has some, and COMMAND does not list it.
        """

        def register(handler: Handler) -> Handler:
            summary = "" if absent else (handler.__doc__ or _compiled_summary(handler)).partition("\n")[0]
            self._add(name, arity, flags, keys, handler, access, since, summary, tips, acl, absent)
            return handler

        return register

    def container(
        self,
        name: str,
        summary: str,
        *,
        flags: Flag = NO_FLAGS,
        since: str = "1.0.0",
    ) -> None:
        """Declare a command that only has subcommands."""
        self._add(name, -2, flags, (), None, (), since, summary, (), ())

    def _add(
        self,
        name: str,
        arity: int,
        flags: Flag,
        keys: Keys | tuple[Keys, ...],
        handler: Handler | None,
        access: str | tuple[str, ...],
        since: str,
        summary: str,
        tips: tuple[str, ...],
        acl: tuple[str, ...] | None,
        absent: str = "",
    ) -> None:
        specs = (keys,) if isinstance(keys, Keys) else keys
        usual = "RO access" if READONLY in flags else "RW update"
        uses = (access,) if isinstance(access, str) else access or (usual,) * len(specs)
        assert len(uses) == len(specs), name
        spec = CommandSpec(
            name.lower(),
            arity,
            flags,
            specs,
            handler,
            group=self.group,
            since=since,
            summary=summary,
            access=uses,
            tips=tips,
            acl=_acl(flags, _ACL_OF_GROUP.get(self.group, ()) if acl is None else acl),
            absent=absent,
        )
        container, _, subcommand = name.partition("|")
        if subcommand:
            COMMANDS[container.encode()].nest(spec)
        else:
            COMMANDS[name.encode()] = COMMANDS[name.lower().encode()] = spec
        if not subcommand and handler is None:
            spec.least, spec.most = maxsize, 0


def family(group: str) -> Family:
    """The registrar of one group of commands."""
    return Family(group)


def _compiled_summary(handler: Handler) -> str:
    """The first line of the docstring that a compiled handler no longer has; the build wrote it down."""
    return _compiled_summaries().get(f"{handler.__module__}.{handler.__name__}", "")


@cache
def _compiled_summaries() -> dict[str, str]:
    data = get_data("store_pulsards.engine.commands", "summaries.json")
    summaries: dict[str, str] = json.loads(data or b"{}")
    return summaries


def _acl(flags: Flag, of_group: tuple[str, ...]) -> tuple[str, ...]:
    told = {
        "write": WRITE in flags,
        "read": READONLY in flags,
        "admin": ADMIN in flags,
        "dangerous": ADMIN in flags,
        "pubsub": PUBSUB in flags,
        "fast": FAST in flags,
        "slow": FAST not in flags,
        "blocking": BLOCKING in flags,
    }
    return (*of_group, *(category for category, applies in told.items() if applies))


def by_count(commands: Mapping[Any, CommandSpec]) -> list[dict[Any, CommandSpec]]:
    """Number of arguments (the name included, below ``USUAL``) -> name -> command, of those that may run at once."""
    return [
        {name: spec for name, spec in commands.items() if spec.least <= count <= spec.most} for count in range(USUAL)
    ]


def find(name: bytes) -> CommandSpec | None:
    """The command of that name, in any case."""
    return COMMANDS.get(name) or COMMANDS.get(name.upper())


def resolve(args: Sequence[bytes]) -> CommandSpec | None:
    """The command or subcommand that the arguments name."""
    spec = find(args[0])
    if spec is not None and spec.subcommands and len(args) > 1:
        return spec.subcommands.get(args[1].upper())
    return spec


def every() -> list[CommandSpec]:
    """Each command that does something once, in the order of registration."""
    return [spec for name, spec in COMMANDS.items() if name.isupper() and not spec.absent]


def refused() -> list[CommandSpec]:
    """The commands and subcommands that are known, and only refused."""
    specs = [spec for name, spec in COMMANDS.items() if name.isupper()]
    return [each for spec in specs for each in (spec, *spec.subcommands.values()) if each.absent]


def find_keys(spec: CommandSpec, args: Sequence[bytes]) -> list[int]:
    """Indexes of the keys among the arguments (the command's name is 0), in order."""
    if spec.name in _OWN_WAY:
        return _OWN_WAY[spec.name](args)
    return [index for keys in spec.keys if not keys.not_key for index in keys.positions(args)]


def finds_all(spec: CommandSpec, args: Sequence[bytes]) -> bool:
    """Whether every specification of keys fits these arguments."""
    return spec.name in _OWN_WAY or all(keys.makes_sense(args) for keys in spec.keys)


def _sort_keys(args: Sequence[bytes]) -> list[int]:
    """The sorted key, and the destination: the last STORE counts. BY and GET are patterns, not keys."""
    found = [1]
    index = 2
    while index < len(args):
        option = args[index].upper()
        if option == b"STORE" and index + 1 < len(args):
            found[1:] = [index + 1]
        index += {b"LIMIT": 3, b"STORE": 2, b"GET": 2, b"BY": 2}.get(option, 1)
    return found


def _migrate_keys(args: Sequence[bytes]) -> list[int]:
    """The key, or those behind KEYS, which is no password; both at once make no sense."""
    index = 6
    while index < len(args):
        option = args[index].upper()
        if option == b"KEYS":
            return [] if args[3] else list(range(index + 1, len(args)))
        index += {b"AUTH": 2, b"AUTH2": 3}.get(option, 1)
    return [3]


def _georadius_keys(args: Sequence[bytes]) -> list[int]:
    """The searched key, and the destination: the last STORE or STOREDIST counts."""
    found = [1]
    index = 5
    while index + 1 < len(args):
        if args[index].upper() in (b"STORE", b"STOREDIST"):
            index += 1
            found[1:] = [index]
        index += 1
    return found


_OWN_WAY: Final[dict[str, Callable[[Sequence[bytes]], list[int]]]] = {
    "georadius": _georadius_keys,
    "georadiusbymember": _georadius_keys,
    "migrate": _migrate_keys,
    "sort": _sort_keys,
    "sort_ro": lambda args: _sort_keys(args)[:1],
}
