"""How far the memory that pulsards counts is from the memory that its process takes, for each type of value.

    python benchmarks/memory_estimate.py [--only strings lists] [--json estimate.json]

Each kind of value is measured in two processes of its own, one whose engine has a limit (and thereby a ledger, which
counts itself) and one whose has none (and tells from a sample). What ``INFO`` calls ``used_memory`` stands beside the
growth of the resident memory. Linux only: resident memory is read from ``/proc``.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from store_pulsards.engine.engine import Engine
from store_pulsards.session import Session

Command = list[bytes]
WARM_UP = 20  # one in so many keys is written before anything is measured


def _text(number: int, size: int) -> bytes:
    return (b"%d" % number).rjust(size, b"v")


def _members(count: int) -> list[bytes]:
    return [_text(number, 20) for number in range(count)]


def _pairs(count: int) -> list[bytes]:
    return [word for number in range(count) for word in (b"field:%07d" % number, _text(number, 20))]


def _scores(count: int) -> list[bytes]:
    return [word for number in range(count) for word in (b"%d.5" % (1000 + 7 * number), _text(number, 20))]


def _entries(key: bytes, count: int) -> list[Command]:
    return [[b"XADD", key, b"*", b"field", _text(number, 20)] for number in range(count)]


def _group(key: bytes) -> list[Command]:
    read = [b"XREADGROUP", b"GROUP", b"g", b"c", b"STREAMS", key, b">"]
    return [*_entries(key, 100), [b"XGROUP", b"CREATE", key, b"g", b"0"], read]


def _volatile_hash(key: bytes, number: int, count: int) -> list[Command]:
    seconds = b"%d" % (1000 + number)
    return [[b"HSETEX", key, b"EX", seconds, b"FIELDS", b"%d" % count, *_pairs(count)]]


# How many keys; the commands that write one.
KINDS: dict[str, tuple[int, Callable[[bytes, int], list[Command]]]] = {
    "strings of 8 bytes": (200_000, lambda key, n: [[b"SET", key, _text(n, 8)]]),
    "strings of 32 bytes": (200_000, lambda key, n: [[b"SET", key, _text(n, 32)]]),
    "strings of 300 bytes": (100_000, lambda key, n: [[b"SET", key, _text(n, 300)]]),
    "strings of 5,000 bytes": (20_000, lambda key, n: [[b"SET", key, _text(n, 5000)]]),
    "strings, SET EX": (100_000, lambda key, n: [[b"SET", key, _text(n, 32), b"EX", b"%d" % (1000 + n)]]),
    "strings, EXPIRE": (
        100_000,
        lambda key, n: [[b"SET", key, _text(n, 32)], [b"EXPIRE", bytes(bytearray(key)), b"%d" % (1000 + n)]],
    ),
    "lists of 5": (30_000, lambda key, n: [[b"RPUSH", key, *_members(5)]]),
    "lists of 10,000": (30, lambda key, n: [[b"RPUSH", key, *_members(10_000)]]),
    "hashes of 5": (30_000, lambda key, n: [[b"HSET", key, *_pairs(5)]]),
    "hashes of 10,000": (30, lambda key, n: [[b"HSET", key, *_pairs(10_000)]]),
    "hashes of 5, fields expire": (20_000, lambda key, n: _volatile_hash(key, n, 5)),
    "hashes of 10,000, fields expire": (30, lambda key, n: _volatile_hash(key, n, 10_000)),
    "sets of 5": (30_000, lambda key, n: [[b"SADD", key, *_members(5)]]),
    "sets of 10,000": (30, lambda key, n: [[b"SADD", key, *_members(10_000)]]),
    "sorted sets of 5": (30_000, lambda key, n: [[b"ZADD", key, *_scores(5)]]),
    "sorted sets of 10,000": (30, lambda key, n: [[b"ZADD", key, *_scores(10_000)]]),
    "streams of 5": (20_000, lambda key, n: _entries(key, 5)),
    "streams of 10,000": (30, lambda key, n: _entries(key, 10_000)),
    "streams of 100, all pending": (300, lambda key, n: _group(key)),
}


def measure(kind: str, limited: bool) -> tuple[float, float]:
    """Bytes a key that are counted, and that the process has grown by."""
    count, commands = KINDS[kind]
    engine = Engine()
    session = engine.session()
    if limited:
        engine.execute(session, b"CONFIG SET maxmemory 100gb".split())
    for number in range(count // WARM_UP):
        _write(engine, session, commands(b"warm:%011d" % number, number))
    engine.execute(session, [b"FLUSHALL"])
    _tend(engine)
    counted, resident = engine.memory.used(), _resident()
    for number in range(count):
        _write(engine, session, commands(b"key:%012d" % number, number))
        if number % 1000 == 0:
            engine.tend()
    _tend(engine)
    return (engine.memory.used() - counted) / count, (_resident() - resident) / count


def _write(engine: Engine, session: Session, commands: list[Command]) -> None:
    for command in commands:
        engine.execute(session, command)


def _tend(engine: Engine) -> None:
    while engine.tend(0.01):
        pass
    gc.collect()


def _resident() -> int:
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def main() -> int:
    """Measure each kind, and print what was found."""
    parser = argparse.ArgumentParser(description="The memory that pulsards counts, beside the process's.")
    parser.add_argument("--only", nargs="+", default=[""], help="kinds whose names have one of these words")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--kind", choices=KINDS, help=argparse.SUPPRESS)
    parser.add_argument("--limited", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.kind:
        print(json.dumps(measure(options.kind, options.limited)))
        return 0
    found: dict[str, dict[str, tuple[float, float]]] = {}
    print(f"{'bytes a key':32}  limit: counted  process  off    no limit: counted  process  off")
    for kind in KINDS:
        if any(word in kind for word in options.only):
            found[kind] = {name: _in_a_process(kind, name == "limit") for name in ("limit", "no limit")}
            figures = [f"{told:15,.0f} {true:8,.0f} {told / true - 1:+5.0%}" for told, true in found[kind].values()]
            print(f"{kind:32}  " + "    ".join(figures))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    return 0


def _in_a_process(kind: str, limited: bool) -> tuple[float, float]:
    command = [sys.executable, __file__, "--kind", kind, *(["--limited"] if limited else [])]
    told, true = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return told, true


if __name__ == "__main__":
    sys.exit(main())
