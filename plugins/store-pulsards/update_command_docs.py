"""Write what COMMAND DOCS tells of each command, beyond the command table, as data: ``python update_command_docs.py``.

The descriptions are Valkey's (https://github.com/valkey-io/valkey, ``src/commands/*.json``, BSD-3-Clause), as a real
server tells them: complexity, history, what replaces a command, and the tree of its arguments, from which ``redis-cli``
makes its hints. Summary, version and group are in the command table itself. It takes the extra ``[server]``.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from store_core import start_store

DATA = Path(__file__).parent / "src/store_pulsards/engine/commands/docs.json"
IN_THE_TABLE = {"summary", "since", "group", "subcommands"}


async def described() -> tuple[str, dict[str, Any]]:
    """The server's version, and what it tells of each command and subcommand."""
    async with await start_store("redis://127.0.0.1:0?decode_responses=yes&protocol=3") as store:
        info = await store.execute("INFO", "server")
        docs = await store.execute("COMMAND", "DOCS")
    version = next(line.partition(":")[2] for line in info.splitlines() if line.startswith("valkey_version:"))
    return version, dict(sorted(_flat(docs).items()))


def _flat(docs: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, entry in docs.items():
        found[name] = {part: _plain(value) for part, value in entry.items() if part not in IN_THE_TABLE}
        found |= _flat(entry.get("subcommands", {}))
    return found


def _plain(value: Any) -> Any:
    """Lists for sets, in an order that does not change from run to run."""
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, (set, frozenset)):
        return sorted(_plain(item) for item in value)
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def main() -> None:
    version, commands = asyncio.run(described())
    source = f"COMMAND DOCS of Valkey {version}; BSD-3-Clause, Copyright (c) 2024-present, Valkey contributors"
    lines = [f"{json.dumps(name)}:{json.dumps(entry, separators=(',', ':'))}" for name, entry in commands.items()]
    DATA.write_text(f'{{"source":{json.dumps(source)},"commands":{{\n' + ",\n".join(lines) + "\n}}\n")


if __name__ == "__main__":
    main()
