"""A line of a family is the syntax of a command, and expands to one command at random.

    SET <s> <value> [NX|XX|IFEQ <value>] [GET] [EX <far>|PXAT <when>|KEEPTTL]

- A word stands for itself; ``<slot>`` is drawn by a function of that name (``words.py``), and may be several words.
- ``[a|b]`` is there or not, one of its alternatives; ``(a|b)`` is one of them for sure.
- ``+`` right behind a slot or a bracket is once to four times, ``*`` up to four times.
- Runs of ``[…]`` come in any order.

All decisions come from a ``Random``: hypothesis has one that it shrinks, and a seeded one repeats itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from random import Random

Slot = Callable[[Random], list[bytes]]

TOKEN = re.compile(r"<\w+>[+*]?|[\[(|]|[\])][+*]?|[^\s\[\]()|<]+")
MOST_REPEATS = 4


@dataclass(frozen=True)
class Word:
    text: bytes


@dataclass(frozen=True)
class Drawn:
    slot: str


@dataclass(frozen=True)
class Choice:
    alternatives: tuple[tuple[Node, ...], ...]
    optional: bool


@dataclass(frozen=True)
class Repeated:
    node: Node
    least: int


Node = Word | Drawn | Choice | Repeated


@cache
def parse(line: str) -> tuple[Node, ...]:
    """The nodes of a line."""
    tokens = TOKEN.findall(line)
    nodes = _sequence(tokens)
    assert not tokens, f"unbalanced: {line}"
    return nodes


def _sequence(tokens: list[str]) -> tuple[Node, ...]:
    nodes: list[Node] = []
    while tokens and tokens[0][0] not in "])|":
        token = tokens.pop(0)
        if token in "[(":
            node: Node
            node, mark = _choice(tokens, optional=token == "[")
        elif token.startswith("<"):
            name, _, mark = token[1:].partition(">")
            node = Drawn(name)
        else:
            node, mark = Word(token.encode()), ""
        nodes.append(Repeated(node, least=1 if mark == "+" else 0) if mark else node)
    return tuple(nodes)


def _choice(tokens: list[str], optional: bool) -> tuple[Choice, str]:
    """A choice whose bracket was read, and the mark behind it."""
    alternatives = [_sequence(tokens)]
    while (token := tokens.pop(0)) == "|":
        alternatives.append(_sequence(tokens))
    return Choice(tuple(alternatives), optional), token[1:]


def expand(line: str, chance: Random, slots: dict[str, Slot]) -> list[bytes]:
    """One command."""
    return _expand(parse(line), chance, slots)


def _expand(nodes: tuple[Node, ...], chance: Random, slots: dict[str, Slot]) -> list[bytes]:
    words: list[bytes] = []
    for node in _shuffled(nodes, chance):
        if isinstance(node, Word):
            words.append(node.text if chance.random() < 0.95 else node.text.lower())
        elif isinstance(node, Drawn):
            words += slots[node.slot](chance)
        elif isinstance(node, Repeated):
            for _ in range(chance.randint(node.least, MOST_REPEATS)):
                words += _expand((node.node,), chance, slots)
        elif not node.optional or chance.random() < 0.4:
            words += _expand(chance.choice(node.alternatives), chance, slots)
    return words


def _shuffled(nodes: tuple[Node, ...], chance: Random) -> list[Node]:
    """Runs of options in any order."""
    found: list[Node] = []
    run: list[Node] = []
    for node in nodes:
        if isinstance(node, Choice) and node.optional:
            run.append(node)
            continue
        chance.shuffle(run)
        found += run
        run = []
        found.append(node)
    chance.shuffle(run)
    return found + run
