"""Values of 1 MB and 10 MB: megabytes a second of SET and GET with 1 and 8 callers, and the memory of one operation.

The memory is the peak growth of a fresh process (``footprint.py``) as a multiple of the value: a GET cannot do with
less than 1, the value itself; whatever is above it is a copy, or room that a buffer has in reserve.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from time import perf_counter
from typing import Any

import footprint
from footprint import MEGABYTE, SIZES
from rivals import Rival, Run
from rounds import Bench, Figures, Row, connected, per_second
from throughput import case

CALLERS = (1, 8)
#: Memory is steady from round to round, and each needs a fresh process.
MEMORY_ROUNDS = 3


def panel(size: int) -> str:
    """The title of a size's table, without its loop."""
    return f"Values of {size} MB"


def measure(bench: Bench) -> Iterator[Row]:
    """Rows for each size, command and number of callers; and for the memory of each size and command."""
    for size in SIZES:
        for callers in CALLERS:

            def figures(kind: type[Rival], size: int = size, callers: int = callers) -> Figures:
                return bench.run(megabytes(bench, kind, size, callers))

            for name, samples in bench.alternate(figures).items():
                yield Row("values", f"{panel(size)}, {bench.fastest_loop}", name, "MB/s", samples)
    if footprint.can_measure():
        short = bench._replace(rounds=min(bench.rounds, MEMORY_ROUNDS))
        for name, samples in short.alternate(lambda kind: footprint.of_values(bench, kind)).items():
            yield Row("values", "Peak memory of one operation", name, "× the value", samples, "")


Caller = Callable[[str, Run], Coroutine[Any, Any, None]]


def all_callers(call: Caller, keys: list[str], run: Run) -> list[Coroutine[Any, Any, None]]:
    """One caller for each key."""
    return [call(key, run) for key in keys]


async def megabytes(bench: Bench, kind: type[Rival], size: int, callers: int) -> Figures:
    """Megabytes a second of one client, for SET and for GET."""
    value = os.urandom(size * MEGABYTE)
    keys = [f"large:{index}" for index in range(callers)]
    figures = {}
    async with kind(bench.server, callers) as rival:
        await connected(rival, keys, value)

        async def writing(key: str, run: Run) -> None:
            while True:
                await rival.set(key, value)
                run.done += size
                if perf_counter() >= run.stop_at:
                    return

        async def reading(key: str, run: Run) -> None:
            while True:
                await rival.get(key)
                run.done += size
                if perf_counter() >= run.stop_at:
                    return

        for name, call in (("SET", writing), ("GET", reading)):
            tasks = partial(all_callers, call, keys)
            figures[f"{name}, {case(callers)}"] = await per_second(tasks, bench.seconds / 2)
    return figures
