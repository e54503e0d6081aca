"""COMMAND: the command table, as clients see it.

A client takes from here which arguments of a command are keys. Every reply is made from the same data that the
engine runs on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from store_pulsards.engine import errors, table
from store_pulsards.engine.command_docs import described
from store_pulsards.engine.context import Context
from store_pulsards.engine.glob import compile_glob
from store_pulsards.engine.replies import Reply, SetReply, Status
from store_pulsards.engine.table import LOADING, STALE, CommandSpec, Flag, Keys, family

command = family("server")

AVAILABLE = LOADING | STALE
UNORDERED = ("nondeterministic_output_order",)
ACL = ("connection",)


@command("COMMAND", arity=-1, flags=AVAILABLE, since="2.8.13", tips=UNORDERED, acl=ACL)
def command_(ctx: Context) -> Reply:
    """Returns detailed information about all commands."""
    return [_entry(spec) for spec in table.every()]


@command("COMMAND|COUNT", arity=2, flags=AVAILABLE, since="2.8.13", acl=ACL)
def count(ctx: Context) -> Reply:
    """Returns a count of commands."""
    return len(table.every())


@command("COMMAND|INFO", arity=-2, flags=AVAILABLE, since="2.8.13", tips=UNORDERED, acl=ACL)
def info(ctx: Context, *names: bytes) -> Reply:
    """Returns information about one, multiple or all commands."""
    if not names:
        return command_(ctx)
    specs = [_named(name) for name in names]
    return [None if spec is None else _entry(spec) for spec in specs]


@command("COMMAND|DOCS", arity=-2, flags=AVAILABLE, since="7.0.0", tips=UNORDERED, acl=ACL)
def docs(ctx: Context, *names: bytes) -> Reply:
    """Returns documentary information about one, multiple or all commands."""
    specs = [_named(name) for name in names] if names else table.every()
    return {spec.name.encode(): _docs(spec) for spec in specs if spec is not None}


@command("COMMAND|LIST", arity=-2, flags=AVAILABLE, since="7.0.0", tips=UNORDERED, acl=ACL)
def list_(ctx: Context, *options: bytes) -> Reply:
    """Returns a list of command names."""
    wanted = _filter(options) if options else _always
    return [spec.name.encode() for spec in _with_subcommands(table.every()) if wanted(spec)]


@command("COMMAND|GETKEYS", arity=-3, flags=AVAILABLE, since="2.8.13", acl=ACL)
def getkeys(ctx: Context, *words: bytes) -> Reply:
    """Extracts the key names from an arbitrary command."""
    _, positions = _key_positions(words)
    return [words[position] for position in positions]


@command("COMMAND|GETKEYSANDFLAGS", arity=-3, flags=AVAILABLE, since="7.0.0", acl=ACL)
def getkeysandflags(ctx: Context, *words: bytes) -> Reply:
    """Extracts the key names and access flags for an arbitrary command."""
    spec, positions = _key_positions(words)
    return [[words[position], _statuses(_access(spec, words, position).split())] for position in positions]


def _always(_: CommandSpec) -> bool:
    return True


def _named(name: bytes) -> CommandSpec | None:
    """A command, or a subcommand as ``container|subcommand``."""
    container, _, subcommand = name.partition(b"|")
    spec = table.find(container)
    if spec is not None and subcommand:
        spec = spec.subcommands.get(subcommand.upper())
    return None if spec is None or spec.absent else spec


def _with_subcommands(specs: Sequence[CommandSpec]) -> list[CommandSpec]:
    return [each for spec in specs for each in (spec, *spec.parts)]


def _filter(options: Sequence[bytes]) -> Callable[[CommandSpec], bool]:
    if len(options) != 3 or options[0].upper() != b"FILTERBY":
        raise errors.syntax_error()
    kind, value = options[1].upper(), options[2]
    if kind == b"PATTERN":
        matches = compile_glob(value.lower())
        return lambda spec: matches(spec.name.encode())
    if kind == b"ACLCAT":
        category = value.decode("utf-8", "replace").lower()
        return lambda spec: category in spec.acl
    if kind == b"MODULE":
        return lambda spec: False
    raise errors.syntax_error()


def _key_positions(words: Sequence[bytes]) -> tuple[CommandSpec, list[int]]:
    spec = table.resolve(words)
    if spec is None:
        raise errors.invalid_command()
    if all(keys.not_key for keys in spec.keys):
        raise errors.no_key_arguments()
    if not spec.accepts(len(words)):
        raise errors.invalid_argument_count()
    positions = table.find_keys(spec, words)
    if not positions or not table.finds_all(spec, words) or any(position >= len(words) for position in positions):
        raise errors.invalid_arguments()
    return spec, positions


def _access(spec: CommandSpec, words: Sequence[bytes], position: int) -> str:
    """What the command does with the key at that position."""
    if spec.name in _BY_ARGUMENTS:
        return _BY_ARGUMENTS[spec.name](words, position)
    for keys, access in zip(spec.keys, spec.access, strict=True):
        if position in keys.positions(words):
            return access
    return spec.access[-1]


def _access_of_set(words: Sequence[bytes], position: int) -> str:
    return "RW access update" if any(word.upper() == b"GET" for word in words[3:]) else "OW update"


def _access_of_bitfield(words: Sequence[bytes], position: int) -> str:
    """Reading, as long as nothing but GET is there."""
    index = 2
    while index < len(words):
        more = {b"GET": 2, b"OVERFLOW": 1}.get(words[index].upper())
        if more is None or index + more >= len(words):
            return "RW access update"
        index += more + 1
    return "RO access"


def _access_of_migrate(words: Sequence[bytes], position: int) -> str:
    return "RW access delete"


def _access_of_georadius(words: Sequence[bytes], position: int) -> str:
    return "RO access" if position == 1 else "OW update"


# Commands whose options decide what is done with a key.
_BY_ARGUMENTS: Final[dict[str, Callable[[Sequence[bytes], int], str]]] = {
    "bitfield": _access_of_bitfield,
    "georadius": _access_of_georadius,
    "georadiusbymember": _access_of_georadius,
    "migrate": _access_of_migrate,
    "set": _access_of_set,
}


def _statuses(words: Sequence[str]) -> SetReply:
    return SetReply(Status(word.encode()) for word in words)


def _entry(spec: CommandSpec) -> list[Any]:
    """The ten elements of a command in COMMAND's reply."""
    first, last, step = _range(spec.keys)
    return [
        spec.name.encode(),
        spec.arity,
        _statuses(_flag_names(spec)),
        first,
        last,
        step,
        _statuses([f"@{category}" for category in spec.acl]),
        SetReply(tip.encode() for tip in spec.tips),
        SetReply(_key_spec(keys, access) for keys, access in zip(spec.keys, spec.access, strict=True)),
        [_entry(subcommand) for subcommand in spec.parts],
    ]


def _flag_names(spec: CommandSpec) -> list[str]:
    names = [flag.name.lower() for flag in Flag if flag in spec.flags and flag.name]
    return [*names, "movablekeys"] if spec.movable else names


def _range(specs: Sequence[Keys]) -> tuple[int, int, int]:
    """First key, last key, step: what the specifications with fixed positions have in common."""
    fixed = [keys for keys in specs if not (keys.numkeys or keys.keyword or keys.unknown)]
    if not fixed:
        return 0, 0, 0
    ends = [keys.last if keys.last < 0 else keys.first + keys.last for keys in fixed]
    last = min(ends) if min(ends) < 0 else max(ends)
    return fixed[0].first, last, fixed[0].step


def _key_spec(keys: Keys, access: str) -> dict[bytes, Any]:
    shown: dict[bytes, Any] = {b"notes": keys.note.encode()} if keys.note else {}
    shown[b"flags"] = _statuses(access.split())
    for part, (kind, values) in ((b"begin_search", _begin_search(keys)), (b"find_keys", _find_keys(keys))):
        shown[part] = {b"type": kind, b"spec": values}
    return shown


_Search = tuple[bytes, dict[bytes, Any]]


def _begin_search(keys: Keys) -> _Search:
    if keys.unknown:
        return b"unknown", {}
    if keys.keyword:
        return b"keyword", {b"keyword": keys.keyword, b"startfrom": keys.first}
    return b"index", {b"index": keys.first}


def _find_keys(keys: Keys) -> _Search:
    if keys.unknown:
        return b"unknown", {}
    if keys.numkeys:
        return b"keynum", {b"keynumidx": 0, b"firstkey": keys.skip, b"keystep": keys.step}
    return b"range", {b"lastkey": keys.last, b"keystep": keys.step, b"limit": keys.limit}


def _docs(spec: CommandSpec) -> dict[bytes, Any]:
    shown: dict[bytes, Any] = {
        b"summary": spec.summary.encode(),
        b"since": spec.since.encode(),
        b"group": spec.group.encode(),
        **described(spec.name),
    }
    if spec.subcommands:
        shown[b"subcommands"] = {each.name.encode(): _docs(each) for each in spec.parts}
    return shown
