from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import redis

from store_pulsards.engine.config import BOUNDS, OF_SERVERS, OUTPUT_LIMIT, PROTECTED_MODE, Config
from store_pulsards.engine.config_kinds import FIXED_KINDS, TUNING_KINDS
from store_pulsards.engine.engine import Engine
from store_pulsards.engine.replies import ErrorReply


@pytest.fixture
def config() -> Config:
    return Config(databases=16, password="")


def test_either_all_parameters_are_set_or_none(config: Config) -> None:
    with pytest.raises(ErrorReply, match="Invalid event class"):
        config.set([(b"requirepass", b"x"), (b"notify-keyspace-events", b"q")])
    assert config.password == b""


@pytest.mark.parametrize(
    ("name", "value"),
    [("appendonly", "yes"), ("save", "60 1"), ("io-threads", "4"), ("tls-port", "1"), ("min-replicas-to-write", "1")],
)
def test_what_would_promise_something_that_is_not_done_is_refused(config: Config, name: str, value: str) -> None:
    with pytest.raises(ErrorReply, match=f"'{name}'.*pulsards has nothing that this could change"):
        config.set([(name.encode(), value.encode())])


def test_what_servers_do_cannot_be_set_where_there_is_none(config: Config) -> None:
    for name in OF_SERVERS:
        values = {OUTPUT_LIMIT: b"pubsub 1mb 1mb 1", PROTECTED_MODE: b"no"}
        with pytest.raises(ErrorReply, match="no server listens"):
            config.set([(name, values.get(name, b"2000000"))])


def test_the_value_that_something_has_may_always_be_set(config: Config) -> None:
    for name, value in (("timeout", "0"), ("proto-max-bulk-len", "512mb"), ("protected-mode", "YES"), ("save", "")):
        config.set([(name.encode(), value.encode())])


def test_normal_clients_are_never_dropped_for_what_they_do_not_read(config: Config) -> None:
    with pytest.raises(ErrorReply, match="nor dropped"):
        config.set([(OUTPUT_LIMIT, b"normal 1mb 1mb 1")])


def test_a_fact_cannot_be_set(config: Config) -> None:
    with pytest.raises(ErrorReply, match="immutable"):
        config.set([(b"cluster-enabled", b"yes")])


@pytest.mark.parametrize(("given", "shown"), [(b"KEA", b"AKE"), (b"Kx$", b"$xK"), (b"", b""), (b"Kg$lshzxetd", b"AK")])
def test_event_classes_are_shown_as_valkey_shows_them(config: Config, given: bytes, shown: bytes) -> None:
    config.set([(b"notify-keyspace-events", given)])
    assert config.get([b"notify-*"]) == {b"notify-keyspace-events": shown}


def test_every_parameter_of_valkey_can_be_asked_for(engine: Engine, valkey: tuple[str, int]) -> None:
    with redis.Redis(*valkey) as client:
        theirs = set(client.config_get("*"))
    assert theirs - {name.decode() for name in engine.config.get([b"*"])} == {
        "hash-seed",
        "ignore-warnings",
        "locale-collate",
    }


# Set in Valkey by other means than a plain value, or with an effect on the test's own server.
NOT_THERE = {"hash-seed", "ignore-warnings", "locale-collate"}
NOT_COMPARED = {"bind", "port", "rdma-bind", "save", "oom-score-adj-values", "requirepass"} | {
    "slot-migration-max-failover-repl-bytes"  # a size, or -1
}


@pytest.mark.parametrize("value", ["x y", "99999999999999999999", "-99999999999999"])
def test_wrong_values_are_refused_in_the_words_of_valkey(
    start_server: Callable[..., Any], valkey: tuple[str, int], value: str
) -> None:
    """Whatever is refused there is refused here: in the same words, but for texts, which are all right."""
    texts = {name.decode() for name, kind in (TUNING_KINDS | FIXED_KINDS).items() if kind == "text"}
    with redis.Redis(*start_server().address) as ours, redis.Redis(*valkey) as theirs:
        for name in sorted(set(theirs.config_get("*")) - NOT_COMPARED - NOT_THERE - texts):
            before = theirs.config_get(name)
            said = answer(theirs, name, value)
            if said != "OK":
                assert answer(ours, name, value) == said
            else:
                theirs.config_set(name, before[name])


def answer(client: redis.Redis, name: str, value: str) -> str:
    try:
        client.config_set(name, value)
    except redis.ResponseError as error:
        return str(error)
    return "OK"


def test_every_parameter_has_a_kind(config: Config) -> None:
    known = {*BOUNDS, *TUNING_KINDS, *FIXED_KINDS, *config.settable}
    assert config.get([b"*"]).keys() - known == {*()}
