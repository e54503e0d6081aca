from __future__ import annotations

from typing import Any

import redis

from store_pulsards.engine.engine import Engine


def plain(value: Any) -> Any:
    """Text instead of bytes, and one order for what has none."""
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, dict):
        return {plain(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, set, tuple)):
        return [plain(item) for item in value]
    return value


def comparable(entry: list[Any]) -> list[Any]:
    """An entry of COMMAND with its sets in one order, and with the subcommands by name."""
    name, arity, flags, first, last, step, acl, tips, keys, subcommands = entry
    specs = sorted(
        (repr(sorted((part, sorted(found) if part == "flags" else found) for part, found in spec.items())))
        for spec in keys
    )
    return [
        name,
        arity,
        sorted(flags),
        first,
        last,
        step,
        sorted(acl),
        sorted(tips),
        specs,
        {each[0]: comparable(each) for each in subcommands},
    ]


def assert_same(ours: list[Any], theirs: list[Any]) -> None:
    assert ours[:9] == theirs[:9]
    for name, subcommand in ours[9].items():
        assert_same(subcommand, theirs[9][name])


def test_command_tells_of_each_command_what_valkey_tells(engine: Engine, valkey: tuple[str, int]) -> None:
    session = engine.session()
    client: Any = redis.Redis(*valkey, protocol=3)
    client.set_response_callback("COMMAND", lambda reply, **_: reply)
    theirs = {entry[0]: entry for entry in map(comparable, plain(client.execute_command("COMMAND")))}
    ours = {entry[0]: entry for entry in map(comparable, plain(engine.execute(session, [b"COMMAND"])))}
    for name, entry in ours.items():
        assert_same(entry, theirs[name])
