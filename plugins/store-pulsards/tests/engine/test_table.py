from __future__ import annotations

import inspect

import pytest

from store_pulsards.engine import table
from store_pulsards.engine.engine import Engine
from store_pulsards.engine.table import Keys, numkeys


@pytest.mark.parametrize(
    ("line", "keys"),
    [
        ("GET a", "a"),
        ("get a", "a"),
        ("MSET a 1 b 2", "a b"),
        ("DEL a b c", "a b c"),
        ("BLPOP a b 0", "a b"),
        ("COPY a b REPLACE", "a b"),
        ("LCS a b LEN", "a b"),
        ("MSETEX 2 a 1 b 2 NX", "a b"),
        ("MSETEX 9 a 1 b 2 NX", ""),
        ("OBJECT ENCODING a", "a"),
        ("MEMORY USAGE a SAMPLES 0", "a"),
        ("SORT a BY w_* GET STORE STORE b", "a b"),
        ("SORT a STORE b STORE c", "a c"),
        ("SORT_RO a BY w_*", "a"),
        ("SPUBLISH channel message", ""),
        ("PING", ""),
        ("WATCH a b", "a b"),
    ],
)
def test_the_keys_of_a_command_are_found(line: str, keys: str) -> None:
    words = line.encode().split()
    spec = table.resolve(words)
    assert spec is not None
    assert [words[index] for index in table.find_keys(spec, words)] == keys.encode().split()


def test_a_keyword_begins_the_search_where_it_stands() -> None:
    streams = Keys(1, keyword=b"STREAMS", last=-1, limit=2)
    assert list(streams.positions(b"XREAD COUNT 1 streams a b 0 0".split())) == [4, 5]
    assert list(streams.positions(b"XREAD COUNT 1".split())) == []


def test_counted_keys_are_not_more_than_there_are_arguments() -> None:
    assert list(numkeys(1).positions(b"ZINTER 2 a b WITHSCORES".split())) == [2, 3]
    assert list(numkeys(1).positions(b"ZINTER 3 a b".split())) == []
    assert list(numkeys(1).positions(b"ZINTER x a b".split())) == []


def test_every_command_tells_what_it_does(engine: Engine) -> None:
    for spec in table.every():
        for each in (spec, *spec.parts):
            assert each.summary, each.name
            assert len(each.keys) == len(each.access), each.name


def test_every_handler_takes_what_its_arity_lets_through() -> None:
    for spec in table.every():
        for each in (spec, *spec.parts):
            if each.handler is not None and not each.subcommands:
                signature = inspect.signature(each.handler)
                least = abs(each.arity) - each.words
                for count in {least, least + (5 if each.arity < 0 else 0)}:
                    signature.bind("ctx", *[b"x"] * count)
