"""Commands at random: a line of a family, expanded, sometimes damaged, and never one whose reply is left to chance.

What is left out, and why:

- a time that is near: whether it is over would depend on how busy the machine is (``@expire`` waits for one);
- ``SPOP`` of some members, and stream IDs by the clock: both servers would go different ways;
- strings, and replies, of hundreds of megabytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from tests.differential import words
from tests.differential.families import FAMILIES
from tests.differential.grammar import expand

DAMAGED = 0.12  # of all commands
WEIGHTS = {"keys": 14, "conversations": 12, "strings": 9, "bits": 7, "lists": 12, "hashes": 12, "sets": 9,
           "sorted sets": 14, "places": 5, "streams": 13}  # fmt: skip

SPARE_WORDS = [*words.TEXTS, *words.SMALL, *words.NO_INTEGERS, *words.OPTIONS, *words.ANY_KEY, *words.ODD_FLOATS]
UNDAMAGED = {b"WAIT", b"HELLO", b"SELECT", b"RESET"}
SUBCOMMANDS = {
    b"CLIENT": {b"SETNAME", b"GETNAME", b"SETINFO", b"NO-EVICT", b"NO-TOUCH"},
    b"COMMAND": {b"GETKEYS", b"GETKEYSANDFLAGS"},
    b"OBJECT": {b"ENCODING", b"HELP"},
}
TIMES_FROM_NOW = {b"EX", b"PX"}
TIME_SECOND = {b"EXPIRE", b"PEXPIRE", b"SETEX", b"PSETEX", b"HEXPIRE", b"HPEXPIRE", b"RESTORE"}
LARGE = {b"SETBIT", b"SETRANGE", b"BITFIELD"}
NEAR = range(1, 10_000_000)  # seconds or milliseconds
TOO_LARGE = range(5000, 2**32)


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
    _defuse(command)
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


def _defuse(command: list[bytes]) -> None:
    """Take out what would make a reply depend on the clock, on chance or on the size of the machine."""
    name = command[0].upper()
    if name in SUBCOMMANDS and (len(command) < 2 or command[1].upper() not in SUBCOMMANDS[name]):
        command[:] = [b"PING"]
    for index, word in enumerate(command[1:], 1):
        near = command[index - 1].upper() in TIMES_FROM_NOW or (index == 2 and name in TIME_SECOND)
        if near and _number(word) in NEAR:
            command[index] = words.FAR[0]
        if name == b"MSETEX" and command[index - 1].upper() in (b"EXAT", b"PXAT") and _number(word) < 10**13:
            command[index] = b"99999999999999"  # what is over stays until somebody looks
        if name.startswith(b"Z") and command[index - 1].upper() == b"LIMIT" and word.startswith(b"-"):
            command[index] = b"0"  # in a large sorted set, Valkey goes to the left then
        if name in LARGE and _number(word.lstrip(b"#")) in TOO_LARGE:
            command[index] = b"4999"
        if name == b"XADD" and word == b"*":
            command[index] = b"5-*"
        idle = (index == 4 and name in (b"XCLAIM", b"XAUTOCLAIM")) or command[index - 1].upper() == b"IDLE"
        if idle and name.startswith(b"X") and _number(word) in NEAR:
            command[index] = b"0"
    if name == b"HSETEX" and len(command) > 1 and command[1].upper() in words.OPTIONS:
        command[1] = b"h1"  # Valkey takes a key of that name for the option, once in a while
    if name == b"COMMAND" and not set(words.NO_INTEGERS).isdisjoint(command):
        command[:] = [b"PING"]  # Valkey reads a number of keys with atoi
    if name == b"XAUTOCLAIM" and command[-1].isdigit() and len(command) > 6:
        command[-1] = command[-1][:4]  # Valkey reserves memory for COUNT entries
    if name in (b"SRANDMEMBER", b"HRANDFIELD", b"ZRANDMEMBER") and len(command) > 2 and _number(command[2]) < -1000:
        command[2] = b"-100"  # as many members as that, in both servers
    if name == b"LSET" and len(command) > 2 and abs(_number(command[2])) >= 2**31:
        command[2] = b"100"  # Valkey takes it modulo 2 ** 32
    if name == b"SPOP" and (len(command) == 2 or (len(command) == 3 and _number(command[2]) in range(1, 1000))):
        command[2:] = [b"100000"]


def _number(word: bytes) -> int:
    """The number that a word is; -1 for any other, as ``None in range(…)`` would look at all of the range."""
    try:
        return int(word)
    except ValueError:
        return -1
