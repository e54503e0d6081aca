"""Streams of many entries give the same replies here and from a real Valkey, whatever is done to them.

Where a block ends, what approximate trimming leaves, how many nodes the radix tree has and how far a group is depend
on everything that came before: commands are drawn at random, on few keys, with IDs that are given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import hiredis
import pytest

ROUNDS = 6  # each with a seed of its own
COMMANDS = 250
SHAPES = [  # fields and the longest value of an entry, which decide where a block ends
    ((b"f",), 3),
    ((b"temperature", b"17"), 40),
    ((b"a", b"-70000", b"b" * 70), 900),
]


class Script:
    """Commands, drawn one after another; it knows which IDs have been."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.fields, self.longest = self.random.choice(SHAPES)
        self.step = self.random.choice([1, 3, 1000])
        self.last: dict[bytes, int] = {}

    def __iter__(self) -> Iterator[list[bytes]]:
        for _ in range(COMMANDS):
            draw = self.random.choices(
                [self.add, self.delete, self.trim, self.read, self.group, self.claim, self.rest],
                weights=[60, 6, 6, 10, 4, 6, 4],
            )[0]
            for command in draw(self.random.choice([b"s", b"s", b"s", b"t"])):
                yield [str(word).encode() if isinstance(word, int) else word for word in command]
                yield [b"XINFO", b"STREAM", command[1] if command[0] != b"XGROUP" else command[2]]

    def number(self, key: bytes) -> bytes:
        """An ID that may have been used."""
        last = self.last.get(key, 0)
        ms = self.random.randint(max(0, last - 150 * self.step), last + 1)
        return b"%d-%d" % (ms, self.random.choice([0, 0, 0, 1, 5]))

    def value(self) -> bytes:
        length = self.random.randint(0, self.longest)
        return self.random.choice([b"%d" % self.random.randint(-(10**length), 10**length), b"v" * length])

    def add(self, key: bytes) -> Iterator[list[Any]]:
        for _ in range(self.random.choice([1, 1, 2, 60])):
            self.last[key] = self.last.get(key, 0) + self.random.choice([0, 0, self.step])
            fields = self.fields if self.random.random() < 0.9 else self.fields[:1] * self.random.randint(1, 3)
            pairs = [word for field in fields for word in (field, self.value())]
            options = self.trimming(key) if self.random.random() < 0.05 else []
            yield [b"XADD", key, *options, b"%d-*" % self.last[key], *pairs]

    def trimming(self, key: bytes) -> list[Any]:
        mark, limit = self.random.choice([(b"=", []), (b"~", []), (b"~", [b"LIMIT", self.random.randint(0, 150)])])
        if self.random.random() < 0.5:
            return [b"MAXLEN", mark, self.random.randint(0, 250), *limit]
        return [b"MINID", mark, self.number(key), *limit]

    def trim(self, key: bytes) -> Iterator[list[Any]]:
        yield [b"XTRIM", key, *self.trimming(key)]

    def delete(self, key: bytes) -> Iterator[list[Any]]:
        yield [b"XDEL", key, *(self.number(key) for _ in range(self.random.choice([1, 2, 40])))]

    def read(self, key: bytes) -> Iterator[list[Any]]:
        group, consumer = self.random.choice([b"g", b"h"]), self.random.choice([b"c", b"d"])
        noack = self.random.choice([[], [], [b"NOACK"]])
        after = self.random.choice([b">", b">", b">", self.number(key)])
        yield [b"XREADGROUP", b"GROUP", group, consumer, b"COUNT", self.random.choice([0, 1, 7, 120]), *noack,
               b"STREAMS", key, after]  # fmt: skip
        yield [b"XRANGE", key, self.number(key), self.number(key), b"COUNT", self.random.randint(0, 20)]
        yield [b"XREVRANGE", key, b"(" + self.number(key), self.number(key), b"COUNT", self.random.randint(0, 20)]
        yield [b"XREAD", b"COUNT", 2, b"STREAMS", key, b"s", self.number(key), b"+"]

    def group(self, key: bytes) -> Iterator[list[Any]]:
        name, start = self.random.choice([b"g", b"h"]), self.random.choice([b"0", b"$", self.number(key)])
        read = self.random.choice([[], [], [b"ENTRIESREAD", self.random.randint(-1, 20)]])
        yield self.random.choice([
            [b"XGROUP", b"CREATE", key, name, start, b"MKSTREAM", *read],
            [b"XGROUP", b"CREATE", key, name, start, *read],
            [b"XGROUP", b"SETID", key, name, start, *read],
            [b"XGROUP", b"DELCONSUMER", key, name, b"d"],
            [b"XGROUP", b"DESTROY", key, name],
        ])  # fmt: skip
        yield [b"XINFO", b"GROUPS", key]

    def claim(self, key: bytes) -> Iterator[list[Any]]:
        name, consumer = self.random.choice([b"g", b"h"]), self.random.choice([b"c", b"d"])
        numbers = [self.number(key) for _ in range(self.random.choice([1, 30]))]
        force = self.random.choice([[], [b"FORCE"]])
        just_ids = self.random.choice([[], [b"JUSTID"]])
        yield [b"XCLAIM", key, name, consumer, 0, *numbers, *force, *just_ids]
        yield [b"XACK", key, name, *numbers[::2]]
        yield [b"XAUTOCLAIM", key, name, consumer, 0, self.number(key), b"COUNT", self.random.randint(1, 9), *just_ids]
        yield [b"XPENDING", key, name]
        yield [b"XINFO", b"GROUPS", key]

    def rest(self, key: bytes) -> Iterator[list[Any]]:
        yield [b"XSETID", key, b"%d-9" % self.last.get(key, 0)]
        yield [b"XLEN", key]
        yield self.random.choice([[b"COPY", key, b"t"], [b"COPY", b"t", b"s", b"REPLACE"], [b"XINFO", b"GROUPS", key]])


def ask(wire: Any, command: list[bytes]) -> bytes:
    """The bytes of a reply."""
    wire.send(hiredis.pack_command(tuple(command)))
    reader, reply = hiredis.Reader(), b""
    while reader.gets() is False:
        chunk = wire.socket.recv(65536)
        assert chunk
        reader.feed(chunk)
        reply += chunk
    return reply


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_replies_are_those_of_valkey_whatever_came_before(
    seed: int, start_server: Callable[..., Any], valkey: tuple[str, int], connect: Callable[..., Any]
) -> None:
    ours, theirs = start_server().connect(), connect(valkey)
    try:
        ask(theirs, [b"FLUSHALL"])
        for command in Script(seed):
            assert (command, ask(ours, command)) == (command, ask(theirs, command))
    finally:
        theirs.close()
