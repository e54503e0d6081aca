"""Latency at 64 callers: the 50th, 99th and 99.9th percentile of every call's time, on each event loop.

The clock is read before and after each call, by the same loop for every client. In a closed loop the latency is what
the throughput leaves: 64 callers of a client that does 20,000 a second wait 3 ms each.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from time import perf_counter

from rivals import Rival
from rounds import Bench, Figures, Row, connected

CALLERS = 64
VALUE = "x" * 32
PERCENTILES = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}


def panel(loop: str) -> str:
    """The title of a loop's table."""
    return f"Latency of {CALLERS} callers, {loop}"


def measure(bench: Bench) -> Iterator[Row]:
    """A row for each loop and percentile."""
    for loop in bench.loops:

        def figures(kind: type[Rival], loop: str = loop) -> Figures:
            return bench.run(percentiles(bench, kind), loop)

        for name, samples in bench.alternate(figures).items():
            yield Row("latency", panel(loop), name, "ms", samples)


async def percentiles(bench: Bench, kind: type[Rival]) -> Figures:
    """Milliseconds of one client's calls."""
    keys = [f"key:{index}" for index in range(CALLERS)]
    async with kind(bench.server, CALLERS) as rival:
        await connected(rival, keys, VALUE)
        await sampled(rival, keys, bench.seconds / 5)
        times = sorted(await sampled(rival, keys, bench.seconds))
    return {name: times[int(part * (len(times) - 1))] * 1000 for name, part in PERCENTILES.items()}


async def sampled(rival: Rival, keys: list[str], seconds: float) -> list[float]:
    """The time of every call, in seconds."""
    times: list[float] = []
    stop_at = perf_counter() + seconds

    async def call(key: str) -> None:
        set_, get, record = rival.set, rival.get, times.append
        start = perf_counter()
        while True:
            await set_(key, VALUE)
            middle = perf_counter()
            await get(key)
            end = perf_counter()
            record(middle - start)
            record(end - middle)
            start = end
            if start >= stop_at:
                return

    await asyncio.gather(*(call(key) for key in keys))
    return times
