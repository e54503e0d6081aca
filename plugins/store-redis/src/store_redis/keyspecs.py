"""Where the keys of a command are, as the server's own COMMAND table says.

Redis 7 and Valkey describe keys by *key specifications* (https://valkey.io/topics/key-specs): where to begin, at an
index or after a keyword, and what to find there, a range or a count followed by keys. Older servers give only first
key, last key and step. A command whose keys can be known from neither has ``find`` None.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from store_redis.commands import upper

#: Positions of the keys in the arguments, the command's name being position 0.
Find = Callable[[tuple[Any, ...]], Iterable[int]]


class CommandKeys:
    """One command of the server's table.

    Attributes:
        find: Positions of the keys; None when they cannot be known.
        subcommands: By upper-case name; empty for most.
        flags: What the server says of it: ``readonly``, ``write``, …
        only_first: Whether its first argument is its only key, whatever else it is given.
        first: Position of the first key, or of the channel that stands for one, where it is always the same; else 0.
        tips: What the server advises clients (``request_policy:all_shards``).
    """

    __slots__ = ("find", "first", "flags", "only_first", "subcommands", "tips")

    def __init__(
        self,
        find: Find | None,
        subcommands: dict[str, CommandKeys],
        flags: frozenset[str] = frozenset(),
        only_first: bool = False,
        first: int = 0,
        tips: frozenset[str] = frozenset(),
    ) -> None:
        self.find = find
        self.subcommands = subcommands
        self.flags = flags
        self.only_first = only_first
        self.first = first
        self.tips = tips


def read_table(reply: Iterable[Any]) -> dict[str, CommandKeys]:
    """The COMMAND reply, in RESP2's or RESP3's shape, by upper-case name."""
    return {_text(entry[0]).upper().rpartition("|")[2]: _command(entry) for entry in reply if entry}


def _command(entry: list[Any]) -> CommandKeys:
    specs = [_mapping(spec) for spec in entry[8]] if len(entry) > 8 else []
    subcommands = read_table(entry[9]) if len(entry) > 9 else {}
    flags = frozenset(_text(flag) for flag in entry[2])
    tips = frozenset(map(_text, entry[7])) if len(entry) > 7 else frozenset()
    if specs:
        find = (
            None if _only_the_module_knows(flags, specs) else _all_of([_spec(spec) for spec in specs if _is_key(spec)])
        )
    elif "movablekeys" in flags:
        find = None
    else:
        find = _first_last_step(entry[3], entry[4], entry[5])
    only_first = find is not None and list(entry[3:5]) == [1, 1] and "movablekeys" not in flags
    return CommandKeys(find, subcommands, flags, only_first, max(entry[3], 0), tips)


def _only_the_module_knows(flags: frozenset[str], specs: list[Mapping[str, Any]]) -> bool:
    # A module that finds keys by a function of its own describes at most the first ones.
    fixed = all(_text(_mapping(spec["find_keys"])["type"]) == "range" for spec in specs)
    return "module" in flags and "movablekeys" in flags and fixed


def _is_key(spec: Mapping[str, Any]) -> bool:
    return "not_key" not in map(_text, spec.get("flags", ()))


def only_reads(args: tuple[Any, ...], table: Mapping[str, CommandKeys]) -> bool:
    """Whether the server's table says that the command only reads; False for one that it does not list."""
    command = table.get(upper(args[0])) if args else None
    if command is not None and command.subcommands and len(args) > 1:
        command = command.subcommands.get(upper(args[1]))
    return command is not None and "readonly" in command.flags


def _all_of(finds: list[Find | None]) -> Find | None:
    known = [find for find in finds if find is not None]
    if len(known) < len(finds):
        return None
    if len(known) == 1:
        return known[0]
    return lambda args: [position for find in known for position in find(args)]


def _first_last_step(first: int, last: int, step: int) -> Find:
    if first <= 0:
        return lambda args: ()
    return lambda args: range(first, (last if last >= 0 else len(args) + last) + 1, max(step, 1))


def _spec(spec: Mapping[str, Any]) -> Find | None:
    if "incomplete" in map(_text, spec.get("flags", ())):
        return None
    begin = _begin(_mapping(spec["begin_search"]))
    within = _within(_mapping(spec["find_keys"]))
    if begin is None or within is None:
        return None

    def find(args: tuple[Any, ...]) -> Iterable[int]:
        start = begin(args)
        return () if start is None or start >= len(args) else within(args, start)

    return find


def _begin(begin: Mapping[str, Any]) -> Callable[[tuple[Any, ...]], int | None] | None:
    kind, spec = _text(begin["type"]), _mapping(begin["spec"])
    if kind == "index":
        index = spec["index"]
        return lambda args: index
    if kind == "keyword":
        keyword, start = _text(spec["keyword"]).upper(), spec["startfrom"]
        return lambda args: _after_keyword(args, keyword, start)
    return None


def _after_keyword(args: tuple[Any, ...], keyword: str, start: int) -> int | None:
    # A negative start searches from the end towards the beginning.
    places = range(start, len(args)) if start >= 0 else range(len(args) + start, 0, -1)
    return next((place + 1 for place in places if 0 < place < len(args) and upper(args[place]) == keyword), None)


def _within(find: Mapping[str, Any]) -> Callable[[tuple[Any, ...], int], Iterable[int]] | None:
    kind, spec = _text(find["type"]), _mapping(find["spec"])
    if kind == "range":
        last, step, limit = spec["lastkey"], max(spec["keystep"], 1), spec["limit"]
        return lambda args, start: _range(len(args), start, last, step, limit)
    if kind == "keynum":
        count_at, first, step = spec["keynumidx"], spec["firstkey"], max(spec["keystep"], 1)
        return lambda args, start: _counted(args, start + count_at, start + first, step)
    return None


def _range(length: int, start: int, last: int, step: int, limit: int) -> range:
    if last >= 0:
        end = start + last
    elif last == -1 and limit > 1:
        # XREAD STREAMS: the first half of what remains is keys, the second half identifiers.
        end = start + (length - start) // limit - 1
    else:
        end = length + last
    return range(start, min(end, length - 1) + 1, step)


def _counted(args: tuple[Any, ...], count_at: int, first: int, step: int) -> Iterable[int]:
    try:
        count = int(args[count_at])
    except (ValueError, IndexError, TypeError):
        return ()  # the server refuses the command, in its own words
    return range(first, min(first + count * step, len(args)), step)


def _mapping(value: Any) -> Mapping[str, Any]:
    pairs = value.items() if isinstance(value, dict) else zip(value[::2], value[1::2], strict=False)
    return {_text(name): content for name, content in pairs}


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
