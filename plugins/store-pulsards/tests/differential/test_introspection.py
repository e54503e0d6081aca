"""COMMAND on raw replies, of every command that there is: its entry, its documentation, its keys.

Only the order of what has none is made one: sets, subcommands, and commands among each other.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

import pytest

from store_pulsards.engine import table


class Client:
    """A raw connection that speaks RESP3; a reply is (kind, value), with nothing made of it but an order."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._socket = socket.create_connection(address)
        self._file: BinaryIO = self._socket.makefile("rb")
        self.ask("HELLO", "3")

    def ask(self, *words: str) -> Any:
        parts = [f"*{len(words)}\r\n", *(f"${len(word)}\r\n{word}\r\n" for word in words)]
        self._socket.sendall("".join(parts).encode())
        return self._read()

    def _read(self) -> Any:
        line = self._file.readline()
        kind, rest = line[:1].decode(), line[1:-2]
        if kind in "$=" and int(rest) >= 0:
            return kind, self._file.read(int(rest) + 2)[:-2].decode()
        if kind == "%":
            return kind, [(self._read(), self._read()) for _ in range(int(rest))]
        if kind in "*~>":
            items = [self._read() for _ in range(int(rest))]
            return kind, sorted(items, key=repr) if kind == "~" else items
        return kind, rest.decode()

    def close(self) -> None:
        self._file.close()
        self._socket.close()


@pytest.fixture
def clients(start_server: Callable[..., Any], valkey: tuple[str, int]) -> Iterator[tuple[Client, Client]]:
    ours, theirs = Client(start_server().address), Client(valkey)
    yield ours, theirs
    ours.close()
    theirs.close()


SPECS = [each for spec in table.every() for each in (spec, *spec.parts)]
NAMES = [spec.name for spec in SPECS]
WITH_KEYS = [spec.name for spec in SPECS if spec.keys]


def known(reply: Any) -> Any:
    """An entry of COMMAND or COMMAND DOCS without the subcommands that are not here, in one order."""
    kind, value = reply
    if kind == "%":
        pairs = [(key, known(item)) for key, item in value if "|" not in key[1] or key[1] in NAMES]
        return kind, sorted(pairs, key=repr) if any("|" in key[1] for key, _ in pairs) else pairs
    if kind != "*":
        return reply
    items = [known(item) for item in value if not is_subcommand(item) or item[1][0][1] in NAMES]
    return kind, sorted(items, key=repr) if any(map(is_subcommand, items)) else items


def is_subcommand(item: Any) -> bool:
    return bool(item[0] == "*" and item[1] and "|" in str(item[1][0][1]))


@pytest.mark.parametrize("name", NAMES)
def test_command_tells_of_each_command_what_valkey_tells(clients: tuple[Client, Client], name: str) -> None:
    ours, theirs = clients
    for about in ("INFO", "DOCS"):
        assert known(ours.ask("COMMAND", about, name)) == known(theirs.ask("COMMAND", about, name))


def words_of(arguments: list[dict[str, Any]], *, full: bool, times: int) -> Iterator[str]:
    """Arguments that fit the tree of a command's documentation: the least, or all; what may be repeated, repeated."""
    for argument in arguments:
        flags = argument.get("flags", ())
        if "optional" in flags and not full:
            continue
        again = times if "multiple" in flags else 1
        for number in range(again):
            if "token" in argument and (number == 0 or "multiple_token" in flags):
                yield argument["token"]
            yield from one_of(argument, full=full, times=times)


def one_of(argument: dict[str, Any], *, full: bool, times: int) -> Iterator[str]:
    kind = argument["type"]
    if kind == "block":
        yield from words_of(argument["arguments"], full=full, times=times)
    elif kind == "oneof":
        yield from words_of(argument["arguments"][-1:], full=full, times=times)
    elif kind != "pure-token":
        counts = {"integer": str(times), "double": "1.5", "unix-time": "99999999999"}
        yield counts.get(kind, f"{argument['name']}{times}")


def calls(name: str, entry: Any) -> Iterator[list[str]]:
    """Calls of a command, made from its documentation, and some that make no sense."""
    tree = plain(entry).get("arguments", [])
    words = name.split("|")
    for full in (False, True):
        for times in (1, 2, 3):
            yield [*words, *words_of(tree, full=full, times=times)]
    yield words
    yield [*words, "a"]
    yield [*words, "0", "a", "b", "STORE", "c"]
    yield [*words, "a", "x", "b", "c", "d", "e", "f", "g"]


def plain(reply: Any) -> Any:
    kind, value = reply
    if kind == "%":
        return {key[1]: plain(item) for key, item in value}
    return [plain(item) for item in value] if kind in "*~" else value


@pytest.mark.parametrize("name", WITH_KEYS)
def test_the_keys_of_any_call_are_those_that_valkey_finds(clients: tuple[Client, Client], name: str) -> None:
    ours, theirs = clients
    ((_, entry),) = theirs.ask("COMMAND", "DOCS", name)[1]
    for words in calls(name, entry):
        for about in ("GETKEYS", "GETKEYSANDFLAGS"):
            assert ours.ask("COMMAND", about, *words) == theirs.ask("COMMAND", about, *words), words


LISTS = [
    ["COUNT", "x"],
    ["LIST", "FILTERBY", "PATTERN", "x*"],
    ["LIST", "FILTERBY", "PATTERN", "CONFIG|*"],
    ["LIST", "FILTERBY", "ACLCAT", "hyperloglog"],
    ["LIST", "FILTERBY", "ACLCAT", "GEO"],
    ["LIST", "FILTERBY", "ACLCAT", "nosuch"],
    ["LIST", "FILTERBY", "MODULE", "nosuch"],
    ["LIST", "FILTERBY", "NOSUCH", "x"],
    ["LIST", "FILTERBY", "PATTERN"],
    ["LIST", "x"],
    ["INFO", "nosuch", "get", "GET", "config|nosuch", "config|GET", "get|x"],
    ["DOCS", "nosuch", "get|x"],
    ["GETKEYS", "nosuch", "x"],
    ["GETKEYS", "PING", "x"],
    ["GETKEYS", "config|get", "x"],
    ["NOSUCH"],
]


@pytest.mark.parametrize("words", LISTS, ids=" ".join)
def test_lists_are_those_of_valkey(clients: tuple[Client, Client], words: list[str]) -> None:
    ours, theirs = (client.ask("COMMAND", *words) for client in clients)
    if words[0] == "LIST" and ours[0] == "*":
        assert sorted(ours[1]) == sorted(item for item in theirs[1] if item[1] in NAMES)
    else:
        assert ours == theirs


CONTAINERS = [
    spec.name for spec in table.every() if b"HELP" in spec.subcommands and not spec.subcommands[b"HELP"].absent
]


@pytest.mark.parametrize("name", CONTAINERS)
def test_help_is_that_of_valkey(clients: tuple[Client, Client], name: str) -> None:
    ours, theirs = (client.ask(name, "HELP") for client in clients)
    assert ours == theirs
