from __future__ import annotations

import pytest
import redis

from store_pulsards.engine.config import Config
from store_pulsards.engine.engine import Engine
from store_pulsards.engine.replies import ErrorReply


@pytest.fixture
def config() -> Config:
    return Config(databases=16, password="")


def test_either_all_parameters_are_set_or_none(config: Config) -> None:
    with pytest.raises(ErrorReply, match="Invalid event class"):
        config.set([(b"requirepass", b"x"), (b"notify-keyspace-events", b"q")])
    assert config.password == b""


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
