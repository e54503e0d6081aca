"""Commands at random: a line of a family, expanded, sometimes damaged, and never one whose outcome is left to chance
(``defusing.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from tests.differential import words
from tests.differential.defusing import defuse
from tests.differential.families import FAMILIES
from tests.differential.grammar import expand

DAMAGED = 0.12  # of all commands
WEIGHTS = {"keys": 14, "conversations": 12, "strings": 9, "bits": 7, "lists": 12, "hashes": 12, "sets": 9,
           "sorted sets": 14, "places": 5, "streams": 13}  # fmt: skip

SPARE_WORDS = [*words.TEXTS, *words.SMALL, *words.NO_INTEGERS, *words.OPTIONS, *words.ANY_KEY, *words.ODD_FLOATS]
UNDAMAGED = {b"WAIT", b"HELLO", b"SELECT", b"RESET"}


@dataclass(frozen=True)
class Step:
    """What one of two clients sends. A word that begins with ``@`` is filled in for each server when it is run."""

    client: int
    command: tuple[bytes, ...]

    def __str__(self) -> str:
        return f"{'ab'[self.client]}: " + " ".join(map(show, self.command))


def show(word: bytes) -> str:
    """A word as the scripts of the differential tests have it."""
    text = "".join(chr(byte) if 32 <= byte < 127 and byte not in b"\\'\"" else f"\\x{byte:02x}" for byte in word)
    return text if text and not set(text) & set(" #\\~?<!") else f"'{text}'"


def draw(chance: Random, family: str | None = None) -> Step:
    """A step of any family, or of that one."""
    chosen = family or chance.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
    command = expand(chance.choice(FAMILIES[chosen]), chance, words.SLOTS)
    if command[-1] == b"@command":
        command[-1:] = expand(chance.choice(FAMILIES[chance.choice(list(FAMILIES))]), chance, words.SLOTS)
    if chance.random() < DAMAGED and command[0] not in UNDAMAGED and not command[0].startswith(b"@"):
        _damage(command, chance)
    defuse(command)
    return Step(chance.choice([0, 0, 1]), tuple(command))


def _damage(command: list[bytes], chance: Random) -> None:
    """Leave a word out, put one in, repeat one, exchange two; the name stays."""
    at = chance.randrange(1, len(command)) if len(command) > 1 else 1
    way = chance.choice(["leave out", "put in", "replace", "replace", "repeat", "exchange", "cut"])
    if way == "put in" or at == len(command):
        command.insert(at, chance.choice(SPARE_WORDS))
    elif way == "leave out":
        del command[at]
    elif way == "replace":
        command[at] = chance.choice(SPARE_WORDS)
    elif way == "repeat":
        command.insert(at, command[at])
    elif way == "exchange":
        other = chance.randrange(1, len(command))
        command[at], command[other] = command[other], command[at]
    else:
        del command[at:]
