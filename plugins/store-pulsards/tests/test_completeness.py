"""What Redis 7.0.15 has is here, but for what the project has decided against; that is refused, and not listed.

``python test_completeness.py`` prints what is missing. ``redis-7.0.15-commands.txt`` is what ``COMMAND LIST`` answers
on a Redis 7.0.15 without modules.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import redis

import store_pulsards.engine.commands  # noqa: F401 - fills the table
from store_pulsards.engine import table
from store_pulsards.engine.commands import absent
from store_pulsards.engine.engine import Engine
from store_pulsards.engine.replies import ErrorReply
from store_pulsards.engine.table import CommandSpec

REDIS_7 = Path(__file__).parent / "redis-7.0.15-commands.txt"


def of_redis() -> set[str]:
    """Commands and subcommands (``config|get``) of Redis 7.0.15."""
    return set(REDIS_7.read_text().split())


def here() -> set[str]:
    """Those that do something here."""
    return {each.name for spec in table.every() for each in (spec, *spec.parts)}


def missing() -> dict[str, str]:
    """Those of Redis 7.0.15 that are not here, with the reason."""
    reasons = {spec.name: spec.absent for spec in table.refused()}
    return {name: reasons.get(name, "unknown") for name in sorted(of_redis() - here())}


def listing() -> str:
    """What is missing, for people."""
    known, own = of_redis(), here()
    lines = [
        f"COMMAND COUNT: {len(table.every())} here, {sum('|' not in name for name in known)} in Redis 7.0.15",
        f"with subcommands: {len(own)} here, {len(known)} there, of which {len(known & own)} are here",
        *(f"{name.replace('|', ' ').upper():32} {reason}" for name, reason in missing().items()),
    ]
    return "\n".join(lines) + "\n"


ALLOWED = {
    absent.CLUSTER,
    absent.MODULES,
    absent.PERSISTENCE,
    absent.REPLICATION,
    absent.RULES,
    absent.SCRIPTING,
}


def test_nothing_of_redis_7_is_missing_without_a_reason() -> None:
    assert set(missing().values()) <= ALLOWED


def test_the_list_of_redis_7_is_whole() -> None:
    names = of_redis()
    assert len(names) == 366
    assert sum("|" not in name for name in names) == 240


def test_command_lists_what_does_something_and_nothing_else(engine: Engine) -> None:
    session = engine.session()
    assert engine.execute(session, [b"COMMAND", b"COUNT"]) == len(table.every())
    assert {name.decode() for name in engine.execute(session, [b"COMMAND", b"LIST"])} == here()
    assert engine.execute(session, [b"COMMAND", b"INFO", b"EVAL", b"ACL|SETUSER", b"GET"])[:2] == [None, None]


@pytest.mark.parametrize("spec", table.refused(), ids=lambda spec: spec.name)
def test_what_is_absent_is_refused(engine: Engine, spec: CommandSpec) -> None:
    words = spec.name.upper().encode().split(b"|")
    arguments = [b"0"] * (abs(spec.arity) - len(words))
    reply = engine.execute(engine.session(), [*words, *arguments])
    assert isinstance(reply, ErrorReply)
    assert not reply.message.startswith(("ERR unknown", "ERR wrong number")), reply.message


@pytest.mark.parametrize("command", ["SAVE", "BGSAVE", "BGREWRITEAOF", "SYNC", "ACL SETUSER joe on", "REPLCONF a b"])
def test_a_refusal_says_why(engine: Engine, command: str) -> None:
    reply = engine.execute(engine.session(), command.encode().split())
    name = "ACL SETUSER" if command.startswith("ACL") else command.partition(" ")[0]
    assert isinstance(reply, ErrorReply)
    assert reply.message.startswith(f"ERR {name} not allowed: pulsards ")


def test_a_script_is_refused_as_where_its_engine_is_missing(engine: Engine) -> None:
    session = engine.session()
    for command in ([b"EVAL", b"return 1", b"0"], [b"SCRIPT", b"LOAD", b"return 1"]):
        reply = engine.execute(session, command)
        assert reply.message == "ERR Could not find scripting engine 'lua'"


def test_who_gave_a_wrong_password_is_in_the_log(engine: Engine) -> None:
    session = engine.session(address="10.0.0.1:5")
    for _ in range(2):
        engine.execute(session, [b"AUTH", b"joe", b"secret"])
    engine.execute(session, [b"HELLO", b"3", b"AUTH", b"jim", b"secret"])
    newest, older = engine.execute(session, [b"ACL", b"LOG"])
    assert (newest[b"username"], newest[b"object"], newest[b"count"]) == (b"jim", b"HELLO", 1)
    assert (older[b"username"], older[b"object"], older[b"count"]) == (b"joe", b"AUTH", 2)
    assert b"addr=10.0.0.1:5" in older[b"client-info"]
    assert b"secret" not in older[b"client-info"]


def test_the_log_of_a_server_names_the_command_that_was_denied(server: Any) -> None:
    with redis.Redis(*server.address) as client:
        client.set("a", 1)
        for command in (["AUTH", "joe", "x"], ["HELLO", 3, "AUTH", "joe", "x"]):
            client.get("a")
            with pytest.raises(redis.AuthenticationError):
                client.execute_command(*command)
        newest, older = client.acl_log()
    assert (newest["object"], newest["client-info"]["cmd"]) == ("HELLO", "hello")
    assert (older["object"], older["client-info"]["cmd"]) == ("AUTH", "auth")


def test_the_log_of_denials_keeps_as_many_as_it_is_told_to(engine: Engine) -> None:
    session = engine.session()
    engine.config.set([(b"acllog-max-len", b"2")])
    for user in (b"a", b"b", b"c"):
        engine.execute(session, [b"AUTH", user, b"x"])
    assert [entry[b"username"] for entry in engine.execute(session, [b"ACL", b"LOG"])] == [b"c", b"b"]


def test_the_digest_of_the_password_is_shown_and_not_the_password(engine: Engine) -> None:
    session = engine.session()
    engine.config.set([(b"requirepass", b"abc")])
    digest = b"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert engine.execute(session, [b"ACL", b"LIST"]) == [b"user default on #%b ~* &* +@all" % digest]
    shown = engine.execute(session, [b"ACL", b"GETUSER", b"default"])
    assert (shown[b"flags"], shown[b"passwords"]) == ([b"on"], [digest])


if __name__ == "__main__":
    sys.stdout.write(listing())
