"""Every script gives the same replies here and from a real Valkey.

Each line is a command.

In a script, ``#`` begins a comment line. A line may begin with the name of a connection and a colon
(``b: PING``; without, it is ``a``). The words are quoted as in a shell, with ``\\x00`` escapes. Marks before the
command:

    ~       the reply is an array whose order means nothing
    ?       only the kind of the reply is compared
    <       no command: one message is read
    !       the command is sent, nothing is read (it blocks, or the reply comes out of turn)
"""

from __future__ import annotations

import shlex
import socket
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, BinaryIO

import pytest

from store_pulsards.engine.geohash import is_place
from store_pulsards.engine.geoshapes import Polygon

SCRIPTS = sorted((Path(__file__).parent / "scripts").glob("*.txt"))
PATIENCE = 5.0


class Client:
    """A raw connection that reads replies as (kind, value), with nothing made of them."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._socket = socket.create_connection(address)
        self._socket.settimeout(PATIENCE)
        self._file: BinaryIO = self._socket.makefile("rb")

    def send(self, words: list[bytes]) -> None:
        parts = [b"*%d\r\n" % len(words), *(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)]
        self._socket.sendall(b"".join(parts))

    def read(self) -> Any:
        line = self._file.readline()
        kind, rest = line[:1].decode(), line[1:-2]
        if kind in "+-:,#_(":
            return kind, rest.decode("utf-8", "replace")
        size = int(rest)
        if size < 0:
            return kind, None
        if kind in "$=":
            return kind, self._file.read(size + 2)[:-2]
        return kind, [self.read() for _ in range(size * (2 if kind == "%" else 1))]

    def close(self) -> None:
        self._file.close()
        self._socket.close()


def parse(line: str) -> tuple[str, str, list[bytes]]:
    """Connection, marks and words of a line."""
    name = "a"
    if line[1:2] == ":":
        name, line = line[0], line[2:].lstrip()
    command = line.lstrip("~?<!")
    marks = line[: len(line) - len(command)]
    words = [word.encode().decode("unicode_escape").encode("latin-1") for word in shlex.split(command)]
    return name, marks, words


def run(address: tuple[str, int], script: str) -> list[tuple[str, Any]]:
    """Every line of the script with its reply."""
    clients: dict[str, Client] = {}
    found: list[tuple[str, Any]] = []
    try:
        for line in script.splitlines():
            if line.strip() and not line.startswith("#"):
                name, marks, words = parse(line)
                if name not in clients:
                    clients[name] = Client(address)
                found.append((line, _step(clients[name], marks, words)))
    finally:
        for client in clients.values():
            client.close()
    return found


def _step(client: Client, marks: str, words: list[bytes]) -> Any:
    if words:
        client.send(words)
    if "!" in marks:
        return None
    if words and words[0].upper().endswith(b"SUBSCRIBE"):
        return [client.read() for _ in range(max(1, len(words) - 1))]
    kind, value = client.read()
    if "?" in marks:
        return kind
    if "~" in marks and isinstance(value, list):
        return kind, sorted(value, key=repr)
    return kind, value


@pytest.mark.parametrize("resp", ["2", "3"])
@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_replies_are_those_of_valkey(
    path: Path, resp: str, start_server: Callable[..., Any], valkey: tuple[str, int]
) -> None:
    script = f"?HELLO {resp}\nFLUSHALL\n" + path.read_text()
    ours = run(start_server().address, script)
    theirs = run(valkey, script + "\nz:FLUSHALL\n")[:-1]
    assert ours == theirs


def _random_searches(chance: Random) -> str:
    """Places around the world, crowded at its edges, and searches of any shape."""

    def place() -> str:
        longitude = chance.choice([chance.uniform(-180, 180), chance.uniform(179, 180), chance.uniform(9, 11)])
        latitude = chance.choice([chance.uniform(-85, 85), chance.uniform(80, 85.05), chance.uniform(-1, 1)])
        return f"{longitude} {latitude}"

    def polygon() -> str:
        corners = [place() for _ in range(chance.randrange(3, 8))]
        middle = Polygon([(float(x), float(y)) for x, y in map(str.split, corners)]).centre
        if not is_place(*middle):  # around a pole, Valkey searches where its stack happens to say
            return polygon()
        return f"BYPOLYGON {len(corners)} " + " ".join(corners)

    def shape() -> str:
        unit, size = chance.choice(["m", "km", "mi", "ft"]), 10 ** chance.uniform(0, 7)
        if chance.random() < 0.3:
            return polygon()
        radius, width, height = f"BYRADIUS {size} {unit}", size, size * chance.random()
        middle = f"FROMLONLAT {place()}" if chance.random() < 0.7 else f"FROMMEMBER {chance.randrange(400)}"
        return f"{middle} " + (radius if chance.random() < 0.5 else f"BYBOX {width} {height} {unit}")

    lines = [f"GEOADD g {place()} {member}" for member in range(400)]
    for _ in range(150):
        found = shape()
        order = chance.choice(["", "ASC", "DESC", "ASC COUNT 7", "COUNT 5 ANY"])
        lines += [f"GEOSEARCH g {found} {order} WITHCOORD WITHDIST WITHHASH", f"GEOSEARCHSTORE d g {found} STOREDIST"]
        lines += ["ZRANGE d 0 -1 WITHSCORES", f"GEODIST g {chance.randrange(400)} {chance.randrange(400)}"]
    return "\n".join(lines)


def _numbers(line: str, reply: Any) -> Any:
    """Scores as numbers: Valkey does not always print the shortest digits of a double."""
    if not line.startswith("ZRANGE"):
        return reply
    return [text for _, text in reply[1][::2]], [float(text) for _, text in reply[1][1::2]]


def test_random_geo_searches_find_what_valkey_finds(start_server: Callable[..., Any], valkey: tuple[str, int]) -> None:
    script = "FLUSHALL\n" + _random_searches(Random(1))
    ours = run(start_server().address, script)
    theirs = run(valkey, script + "\nz:FLUSHALL\n")[:-1]
    assert [_numbers(*step) for step in ours] == [_numbers(*step) for step in theirs]
