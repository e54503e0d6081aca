"""Sizes: the estimate beside what Python's allocator says it gave."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable, Iterator

import pytest

from store_pulsards.engine import sizes
from store_pulsards.engine.engine import Engine

TOLERANCE = 0.25  # what the documentation promises

Command = list[bytes]


def text(number: int, size: int) -> bytes:
    return (b"%d" % number).rjust(size, b"v")


def members(count: int, size: int = 20) -> Iterator[bytes]:
    return (text(number, size) for number in range(count))


def allocated(size: int) -> int:
    """What Python's allocator, and above 512 bytes that of the C library, give for so many bytes."""
    return -(-size // 16) * 16 if size <= 512 else -(-(size + 8) // 16) * 16


def pairs(count: int) -> list[bytes]:
    return [word for number in range(count) for word in (b"field:%d" % number, text(number, 20))]


KINDS: dict[str, tuple[int, Callable[[bytes, int], list[Command]]]] = {
    "short strings": (2_000, lambda key, n: [[b"SET", key, text(n, 10)]]),
    "strings": (2_000, lambda key, n: [[b"SET", key, text(n, 300)]]),
    "long strings": (100, lambda key, n: [[b"SET", key, text(n, 20_000)]]),
    "strings that expire": (2_000, lambda key, n: [[b"SET", key, text(n, 30), b"EX", b"%d" % (1000 + n)]]),
    "small lists": (300, lambda key, n: [[b"RPUSH", key, *members(5)]]),
    "large lists": (5, lambda key, n: [[b"RPUSH", key, *members(1_500)]]),
    "small hashes": (300, lambda key, n: [[b"HSET", key, *pairs(5)]]),
    "large hashes": (5, lambda key, n: [[b"HSET", key, *pairs(1_500)]]),
    "hashes that grew": (20, lambda key, n: [[b"HSET", key, *pairs(i)] for i in range(1, 50)]),
    "fields that expire": (
        200,
        lambda key, n: [[b"HSETEX", key, b"EX", b"%d" % (n + 1000), b"FIELDS", b"10", *pairs(10)]],
    ),
    "small sets": (300, lambda key, n: [[b"SADD", key, *members(5)]]),
    "large sets": (5, lambda key, n: [[b"SADD", key, *members(1_500)]]),
    "small sorted sets": (
        300,
        lambda key, n: [[b"ZADD", key, *(word for i in range(5) for word in (b"%d.5" % (i + n), text(i, 20)))]],
    ),
    "large sorted sets": (
        5,
        lambda key, n: [[b"ZADD", key, *(word for i in range(1_500) for word in (b"%d.5" % (i + n), text(i, 20)))]],
    ),
    "small streams": (200, lambda key, n: [[b"XADD", key, b"*", b"a", text(i, 20)] for i in range(5)]),
    "large streams": (2, lambda key, n: [[b"XADD", key, b"*", b"a", text(i, 20)] for i in range(1_500)]),
    "consumer groups": (
        10,
        lambda key, n: [
            *([b"XADD", key, b"*", b"a", text(i, 20)] for i in range(200)),
            [b"XGROUP", b"CREATE", key, b"group", b"0"],
            [b"XREADGROUP", b"GROUP", b"group", b"c", b"STREAMS", key, b">"],
        ],
    ),
}


@pytest.mark.parametrize("limited", [True, False], ids=["with a limit", "without"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_estimate_is_near_the_truth(kind: str, limited: bool) -> None:
    count, commands = KINDS[kind]
    engine = Engine()
    session = engine.session()
    if limited:
        engine.execute(session, b"CONFIG SET maxmemory 100gb".split())
    for command in commands(b"warm", 0):
        engine.execute(session, [*command])
    empty = engine.memory.used()
    gc.collect()
    tracemalloc.start(1)
    try:
        for number in range(count):
            for command in commands(b"key:%08d" % number, number):
                engine.execute(session, command)
        told = engine.memory.used() - empty
        gc.collect()
        truth = sum(allocated(trace.size) for trace in tracemalloc.take_snapshot().traces)
    finally:
        tracemalloc.stop()
    assert told == pytest.approx(truth, rel=TOLERANCE)


def test_a_string_is_as_large_as_python_says_in_whole_blocks() -> None:
    assert [sizes.of_text(b"x" * size) for size in (0, 1, 2, 15, 16, 479)] == [0, 0, 48, 48, 64, 512]
    assert sizes.of_text(b"x" * 1_000_000) == 1_000_048


def test_elements_of_different_sizes_are_sampled_evenly() -> None:
    engine = Engine()
    session = engine.session()
    elements = [b"x" * (10 if number < 100 else 400) for number in range(200)]
    engine.execute(session, [b"RPUSH", b"list", *elements])
    value = engine.keyspace.databases[0].data[b"list"]
    assert sizes.of_value(value) == pytest.approx(sizes.of_value(value, 0), rel=0.1)


def test_what_an_element_of_a_large_collection_takes_is_told_anew_when_much_of_it_has_changed() -> None:
    engine = Engine()
    session = engine.session()
    engine.execute(session, b"CONFIG SET maxmemory 100gb".split())
    engine.execute(session, [b"HSET", b"hash", *pairs(1_000)])
    for number in range(1_000):
        engine.execute(session, [b"HSET", b"hash", b"field:%d" % number, b"x" * 1_000])
    value = engine.keyspace.databases[0].data[b"hash"]
    told = engine.memory.used()
    assert told == pytest.approx(sizes.of_value(value, 0), rel=0.1)


@pytest.mark.parametrize("command", [b"SREM", b"HDEL"])
def test_what_is_left_of_a_large_collection_is_not_searched_for_at_each_change(
    command: bytes,
) -> None:
    engine = Engine()
    session = engine.session()
    engine.execute(session, b"CONFIG SET maxmemory 100gb".split())
    if command == b"SREM":
        engine.execute(session, [b"SADD", b"key", *members(20_000)])
    else:
        engine.execute(session, [b"HSET", b"key", *(word for name in members(20_000) for word in (name, b"value"))])
    engine.execute(session, [command, b"key", *members(19_900)])
    engine.memory.used()
    ledger = engine.keyspace.databases[0].ledger
    assert ledger is not None
    told = ledger.means[b"key"]
    for number in range(19_900, 19_990):
        engine.execute(session, [command, b"key", text(number, 20)])
        engine.memory.used()
    assert ledger.means[b"key"] is told
