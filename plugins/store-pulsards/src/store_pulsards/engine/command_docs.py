"""What COMMAND DOCS tells of a command beyond the command table: complexity, history, the tree of its arguments.

The descriptions are Valkey's own, as data (``commands/docs.json``, whose first line names the source;
``update_command_docs.py`` writes it). They are read when somebody first asks for them.
"""

from __future__ import annotations

import json
from functools import cache
from pkgutil import get_data
from typing import Any, Final

from store_pulsards.engine.replies import Reply, SetReply, Status

_FLAGS: Final = frozenset({"flags", "doc_flags"})


def described(name: str) -> dict[bytes, Reply]:
    """What is told of a command or subcommand (``config|get``)."""
    entry = _commands().get(name, {})
    return {part.encode(): _reply(part, value) for part, value in entry.items()}


@cache
def _commands() -> dict[str, dict[str, Any]]:
    data = get_data("store_pulsards.engine.commands", "docs.json")
    commands: dict[str, dict[str, Any]] = json.loads(data or b"{}")["commands"]
    return commands


def _reply(part: str, value: Any) -> Reply:
    """A value in the types of COMMAND DOCS: flags and changes are sets, flags simple strings."""
    if part in _FLAGS:
        return SetReply(Status(flag.encode()) for flag in value)
    if part == "history":
        return SetReply([[since.encode(), change.encode()] for since, change in value])
    if part == "arguments":
        return [{name.encode(): _reply(name, item) for name, item in argument.items()} for argument in value]
    return value if isinstance(value, int) else value.encode()
