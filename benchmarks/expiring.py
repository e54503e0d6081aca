"""100,000 keys that expire in the same millisecond: the longest wait of a client, and when the last of them is freed.

The client asks for PING nearly all the time (``waits.py``), from before the keys are over until they are freed.
"""

from __future__ import annotations

from collections.abc import Iterator
from time import perf_counter, sleep, time

from engine_servers import VALKEY, EngineBench, Kind, Server
from memory import PIPELINE
from rounds import Figures, Row
from waits import Watch
from wire import Wire

KEYS = 100_000
#: Seconds from the first key that is written until all are over; a busy machine takes its time.
AHEAD = (3.0, 9.0, 27.0)
#: Seconds between two looks at how many keys are there.
LOOK = 0.05
#: Seconds after which all must be freed.
MOST = 60.0

PANEL = f"{KEYS:,} keys that expire at once"
WAIT, FREED = "longest wait of a client", "all are freed after"


def measure(bench: EngineBench) -> Iterator[Row]:
    """A row for the waits, one for the time that it takes."""
    for name, samples in bench.alternate(expire).items():
        yield Row("expiring", PANEL, name, "ms", samples, VALKEY)


def expire(kind: Kind) -> Figures:
    """Milliseconds of one server."""
    with kind.running() as server, server.connect() as wire:
        over = filled(server, wire)
        with Watch(server) as watch:
            sleep(max(0.0, over - time()))
            start = perf_counter()
            while int(server.info("stats")["expired_keys"]) < KEYS:
                if perf_counter() > start + MOST:
                    raise AssertionError(f"{server.name} had not freed {KEYS:,} keys after {MOST:g} s")
                sleep(LOOK)
            freed = perf_counter()
        return {WAIT: watch.longest(start, freed), FREED: (freed - start) * 1000}


def filled(server: Server, wire: Wire) -> float:
    """Write the keys; when (seconds since the epoch) all of them are over, a second from now at least."""
    for ahead in AHEAD:
        wire.ask("FLUSHALL")
        wire.ask("CONFIG", "RESETSTAT")
        over = time() + ahead
        when = b"%d" % (over * 1000)
        for first in range(0, KEYS, PIPELINE):
            keys = [b"key:%012d" % number for number in range(first, first + PIPELINE)]
            wire.pipeline((b"SET", key, b"v" * 32, b"PXAT", when) for key in keys)
        if time() < over - 1:
            return over
    raise AssertionError(f"{server.name} took more than {AHEAD[-1] - 1:g} s for {KEYS:,} keys")
