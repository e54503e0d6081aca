"""Takes out of a command what would make its outcome depend on the clock, on chance or on the size of the machine.

Each rule looks at one word, in its place, and gives what to put there instead. Some rules keep to what Valkey does in a
way that nobody can want; ``docs/pulsards-limits.md`` has them among the differences.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tests.differential import words

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
LONG_AGO = 10**13  # what is less, is over, in seconds or in milliseconds
CONDITIONS = {*words.OPTIONS, b"FNX", b"FXX"}

Rule = Callable[[bytes, int, bytes, bytes], bytes | None]  # name, index, word before, word


def _near_time(name: bytes, index: int, before: bytes, word: bytes) -> bytes | None:
    near = before in TIMES_FROM_NOW or (index == 2 and name in TIME_SECOND)
    return words.FAR[0] if near and number(word) in NEAR else None


def _over_but_there(name: bytes, index: int, before: bytes, word: bytes) -> bytes | None:
    """MSETEX stores what is over; it stays until somebody looks, or a sweep comes by."""
    over = name == b"MSETEX" and before in (b"EXAT", b"PXAT") and number(word) < LONG_AGO
    return b"99999999999999" if over else None


def _idle(name: bytes, index: int, before: bytes, word: bytes) -> bytes | None:
    here = (index == 4 and name in (b"XCLAIM", b"XAUTOCLAIM")) or (name[:1] == b"X" and before == b"IDLE")
    return b"0" if here and number(word) in NEAR else None


def _id_by_the_clock(name: bytes, index: int, before: bytes, word: bytes) -> bytes | None:
    return b"5-*" if name == b"XADD" and word == b"*" else None


def _some_members(name: bytes, index: int, before: bytes, word: bytes) -> bytes | None:
    """SPOP of a few leaves others in each server."""
    return b"100000" if name == b"SPOP" and index == 2 and number(word) in range(1, 1000) else None


def _large_string(name: bytes, index: int, before: bytes, word: bytes) -> bytes | None:
    return b"4999" if name in LARGE and number(word.lstrip(b"#")) in TOO_LARGE else None


def _large_reply(name: bytes, index: int, before: bytes, word: bytes) -> bytes | None:
    here = name.endswith((b"RANDMEMBER", b"RANDFIELD")) and index == 2 and number(word) < -1000
    return b"-100" if here else None


def _reserved(name: bytes, index: int, before: bytes, word: bytes) -> bytes | None:
    """Valkey reserves memory for COUNT entries."""
    return word[:4] if name == b"XAUTOCLAIM" and before == b"COUNT" and word.isdigit() else None


def _negative_offset(name: bytes, index: int, before: bytes, word: bytes) -> bytes | None:
    """In a large sorted set, Valkey counts from the other end."""
    return b"0" if name[:1] == b"Z" and before == b"LIMIT" and word[:1] == b"-" else None


def _index_of_33_bits(name: bytes, index: int, before: bytes, word: bytes) -> bytes | None:
    """LSET takes an index modulo 2 ** 32."""
    return b"100" if name == b"LSET" and index == 2 and abs(number(word)) >= 2**31 else None


def _key_like_an_option(name: bytes, index: int, before: bytes, word: bytes) -> bytes | None:
    """HSETEX loses such a key when it writes the command anew for replicas."""
    return b"h1" if name == b"HSETEX" and index == 1 and word.upper() in CONDITIONS else None


RULES: Sequence[Rule] = (
    _near_time, _over_but_there, _idle, _id_by_the_clock, _some_members, _large_string, _large_reply, _reserved,
    _negative_offset, _index_of_33_bits, _key_like_an_option,
)  # fmt: skip


def defuse(command: list[bytes]) -> None:
    """Change the command where a rule says so."""
    name = command[0].upper()
    if name in SUBCOMMANDS and (len(command) < 2 or command[1].upper() not in SUBCOMMANDS[name]):
        command[:] = [b"PING"]
    if name == b"COMMAND" and not set(words.NO_INTEGERS).isdisjoint(command):
        command[:] = [b"PING"]  # Valkey reads a number of keys with atoi
    if name == b"SPOP" and len(command) == 2:
        command.append(b"100000")
    for index, word in enumerate(command[1:], 1):
        for rule in RULES:
            found = rule(name, index, command[index - 1].upper(), word)
            if found is not None:
                command[index] = found


def number(word: bytes) -> int:
    """The number that a word is; -1 for any other, as ``None in range(…)`` would look at all of the range."""
    try:
        return int(word)
    except ValueError:
        return -1
