"""Memory, and a keyspace that grows from nothing to ten million keys of 16 bytes with values of 32 bytes.

They are written in pipelines of 100, and then some are read. After each stretch come the resident bytes for a key, the
processor time that an operation took the server, network included, and the longest time that another client waited for
PING meanwhile, the pipelines included. Linux only: the first two are read from ``/proc``. Valkey and the compiled
pulsards have a million keys. Once: neither the memory of a million keys nor the stalls of a growing table are another
in the next round.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from time import perf_counter, sleep

from engine_servers import PURE, VALKEY, EngineBench, Kind, Server, processor_time
from rounds import Figures, Row
from waits import Watch
from wire import Wire

MILLION = 1_000_000
STEPS = (1, 2, 4, 6, 8, 10)  # millions of keys
PIPELINE = 100
READS = 100_000
#: Seconds that a server has for what it does in the background before its memory is read.
SETTLED = 0.5

MEMORY = "Memory of a key of 16 bytes and its value of 32 bytes"
SET = "Growing to ten million keys, processor time of a SET in pipelines of 100"
GET = "Growing to ten million keys, processor time of a GET in pipelines of 100"
WAIT = "Growing to ten million keys, the longest wait of another client"
UNITS = {MEMORY: "bytes", SET: "µs", GET: "µs", WAIT: "ms"}
ALL = "all the way"
FLAT = "Growing to ten million keys, processor time at the end"
OVER = "over that at one million"


def case(millions: int) -> str:
    """The name of a line."""
    return f"{millions * MILLION:,} keys"


def measure(bench: EngineBench) -> Iterator[Row]:
    """Rows of memory, of the time of an operation, and of waits."""
    found = {kind.name: grown(kind, STEPS if kind.name == PURE else STEPS[:1]) for kind in bench.kinds}
    for panel, unit in UNITS.items():
        for step in STEPS:
            samples = {name: [figures[step][panel]] for name, figures in found.items() if step in figures}
            yield Row("memory", panel, case(step), unit, samples, VALKEY)
    longest = max(figures[WAIT] for figures in found[PURE].values())
    yield Row("memory", WAIT, ALL, UNITS[WAIT], {PURE: [longest]}, VALKEY)
    for name, panel in (("SET", SET), ("GET", GET)):
        first, last = (found[PURE][step][panel] for step in (STEPS[0], STEPS[-1]))
        yield Row("memory", FLAT, f"{name}, {OVER}", "×", {PURE: [last / first]}, VALKEY)


def grown(kind: Kind, steps: tuple[int, ...]) -> dict[int, Figures]:
    """The figures of one server after each stretch."""
    found = {}
    with kind.running() as server, server.connect() as wire:
        sleep(SETTLED)
        empty = server.resident()
        for before, step in zip((0, *steps), steps, strict=False):
            found[step] = stretch(server, wire, before * MILLION, step * MILLION)
            sleep(SETTLED)
            found[step][MEMORY] = (server.resident() - empty) / (step * MILLION)
    return found


def stretch(server: Server, wire: Wire, begin: int, end: int) -> Figures:
    """Write the keys from ``begin`` on, and read some of all."""
    with Watch(server) as watch:
        start, before = perf_counter(), processor_time(server.pid)
        for first in range(begin, end, PIPELINE):
            numbers = range(first, first + PIPELINE)
            wire.pipeline((b"SET", b"key:%012d" % number, b"v%031d" % number) for number in numbers)
        written, after = perf_counter(), processor_time(server.pid)
    random = Random(end)
    keys = [b"key:%012d" % random.randrange(end) for _ in range(READS)]
    reading = processor_time(server.pid)
    for first in range(0, READS, PIPELINE):
        if None in wire.pipeline((b"GET", key) for key in keys[first : first + PIPELINE]):
            raise AssertionError(f"{server.name} lost a key")
    return {
        SET: (after - before) / (end - begin) * 1000,
        GET: (processor_time(server.pid) - reading) / READS * 1000,
        WAIT: watch.longest(start, written),
    }
