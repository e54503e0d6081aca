"""Which connection a command belongs on."""

from __future__ import annotations

from typing import Any

import pytest

from store_redis import commands
from store_redis.commands import BLOCKING, REFUSED, SHARED, instead, route, waiting_time


@pytest.mark.parametrize("name", ["GET", "get", "gEt", b"GET", b"get", bytearray(b"get"), "NOSUCH", "XRANGE", "EXISTS"])
def test_an_ordinary_command_is_shared_however_it_is_written(name: Any) -> None:
    assert route((name, "key")) == SHARED


@pytest.mark.parametrize("name", [*sorted(commands.WAITS.keys() - {"XREAD", "XREADGROUP"}), "bLpOp", b"blpop", b"Wait"])
def test_a_command_that_waits_is_blocking_however_it_is_written(name: Any) -> None:
    assert route((name, "key", 0)) == BLOCKING


@pytest.mark.parametrize("name", [*commands.INSTEAD, "select", b"Multi", bytearray(b"subscribe")])
def test_a_command_that_changes_its_connection_is_refused_and_says_what_to_call(name: Any) -> None:
    assert route((name,)) == REFUSED
    assert "store." in instead((name,))


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (("XREAD", "COUNT", 2, "STREAMS", "s", "0"), SHARED),
        (("XREAD", "BLOCK", 0, "STREAMS", "s", "$"), BLOCKING),
        ((b"xread", b"block", b"0", b"streams", b"s", b"$"), BLOCKING),
        (("XREADGROUP", "GROUP", "g", "c", "BLOCK", 5, "STREAMS", "s", ">"), BLOCKING),
        (("XREADGROUP", "GROUP", "g", "c", "STREAMS", "s", ">"), SHARED),
        (("CLIENT", "LIST"), SHARED),
        (("CLIENT", "SETNAME", "x"), SHARED),
        (("CLIENT", "reply", "OFF"), REFUSED),
        (("client", b"TRACKING", "ON"), REFUSED),
        (("CLIENT",), SHARED),
        ((b"Client", bytearray(b"caching"), "YES"), REFUSED),
        ((bytearray(b"xread"), memoryview(b"Block"), 0, "STREAMS", "s", "$"), BLOCKING),
        ((memoryview(b"GET"), "key"), SHARED),
    ],
)
def test_arguments_decide_where_the_name_does_not(args: tuple[Any, ...], expected: int) -> None:
    assert route(args) == expected
    assert route(args) == expected, "the answer must not come from the memory of the name alone"


@pytest.mark.parametrize(
    ("args", "seconds"),
    [
        (("BLPOP", "a", "b", 2.5), 2.5),
        (("brpop", "a", b"3"), 3.0),
        (("BLMOVE", "a", "b", "LEFT", "RIGHT", "0"), 0.0),
        (("BLMPOP", "1.5", 1, "a", "LEFT"), 1.5),
        (("BZMPOP", 4, 1, "a", "MIN"), 4.0),
        (("WAIT", 1, 500), 0.5),
        (("XREAD", "BLOCK", 1500, "STREAMS", "s", "$"), 1.5),
        (("XREAD", "STREAMS", "s", "$"), 0.0),
        (("BLPOP", "a", "soon"), 0.0),
        (("BLPOP", "a", -1), 0.0),
        (("BLMPOP",), 0.0),
        (("XREAD", "BLOCK"), 0.0),
        (("BLPOP", "a", None), 0.0),
        (("XREADGROUP", "GROUP", "g", "c", b"block", b"250", "STREAMS", "s", ">"), 0.25),
    ],
)
def test_a_blocking_command_says_how_long_it_may_wait(args: tuple[Any, ...], seconds: float) -> None:
    assert waiting_time(args) == seconds


def test_made_up_names_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "_routes", {})
    for number in range(commands._ROUTES_KEPT * 2):
        assert route((f"NAME{number}",)) == SHARED
    assert len(commands._routes) == commands._ROUTES_KEPT
    assert route(("BLPOP", "key", 0)) == BLOCKING, "a name that no longer fits is classified all the same"
