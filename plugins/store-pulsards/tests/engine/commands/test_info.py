"""INFO: what tools read of it is there, and is true."""

from __future__ import annotations

import redis

from store_pulsards.engine.engine import Engine
from store_pulsards.session import Session


def fields(engine: Engine, session: Session, *sections: bytes) -> dict[str, str]:
    text = engine.execute(session, [b"INFO", *sections]).decode()
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)


def test_every_section_of_valkey_that_tools_read_is_there(engine: Engine, valkey: tuple[str, int]) -> None:
    session = engine.session()
    engine.execute(session, [b"SET", b"a", b"1"])
    ours = engine.execute(session, [b"INFO", b"everything"]).decode()
    with redis.Redis(*valkey) as client:
        client.ping()
        client.set_response_callback("INFO", lambda reply, **_: reply)
        theirs = client.execute_command("INFO", "everything").decode()
    titles = {line for line in theirs.splitlines() if line.startswith("# ")}
    assert titles - set(ours.splitlines()) == {"# TLS", "# Cluster Info", "# Scripting Engines"}


def test_the_default_has_no_statistics_of_commands(engine: Engine) -> None:
    text = engine.execute(engine.session(), [b"INFO"])
    assert b"# Commandstats" not in text
    assert b"# Errorstats" in text


def test_errors_are_counted_by_their_code_until_the_statistics_are_reset(engine: Engine) -> None:
    session = engine.session()
    engine.execute(session, [b"LPUSH", b"list", b"x"])
    engine.execute(session, [b"GET", b"list"])
    engine.execute(session, [b"NOSUCH"])
    found = fields(engine, session, b"errorstats")
    assert found == {"errorstat_WRONGTYPE": "count=1", "errorstat_ERR": "count=1"}
    engine.execute(session, [b"CONFIG", b"RESETSTAT"])
    assert fields(engine, session, b"errorstats") == {}


def test_commands_are_counted_while_latency_tracking_is_on(engine: Engine) -> None:
    session = engine.session()
    engine.execute(session, [b"PING"])
    engine.execute(session, [b"CONFIG", b"SET", b"latency-tracking", b"yes"])
    for _ in range(3):
        engine.execute(session, [b"PING"])
    engine.execute(session, [b"INCRBY", b"a", b"x"])
    engine.execute(session, [b"GET"])
    found = fields(engine, session, b"commandstats", b"latencystats")
    assert found["cmdstat_ping"].startswith("calls=3,usec=")
    assert found["cmdstat_incrby"].endswith("rejected_calls=0,failed_calls=1")
    assert found["cmdstat_get"].endswith("rejected_calls=1,failed_calls=0")
    assert found["latency_percentiles_usec_ping"].startswith("p50=")
