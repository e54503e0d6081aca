"""10,000 callers at once: their memory, when the first and the last are served, and whether one of them starves.

- *Waiting*: the server is told to answer no write (``CLIENT PAUSE``), all callers write, their memory is read, and the
  server goes on (``footprint.py``, in a fresh process).
- *Twenty operations each*: when the first caller has done its 20, and when the last one has. Ours alone:
  the others would need ten seconds a round and more.
- *A fixed time*: the fewest and the most operations of a caller.

redis-py's callers share a blocking pool of 64: a pool as large as they are many is more than a server accepts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from time import perf_counter

import footprint
from footprint import CALLERS, VALUE
from rivals import OfStore, Rival, StoreClient
from rounds import Bench, Figures, Row

OPERATIONS = 20

MEMORY = f"Memory of {CALLERS:,} callers that wait"
SERVED = f"{CALLERS:,} callers that waited are served"
TWENTY = f"{CALLERS:,} callers, {OPERATIONS} operations each"
FAIRNESS = f"{CALLERS:,} callers, operations of one caller"


def measure(bench: Bench) -> Iterator[Row]:
    """Rows of waiting, of twenty operations each, and of a fixed time."""
    if footprint.can_measure():
        waiting = bench.alternate(lambda kind: footprint.of_callers(bench, kind))
        yield Row("callers", MEMORY, "each", "bytes", waiting["memory"])
        yield Row("callers", SERVED, "the first", "ms", waiting["first"])
        yield Row("callers", SERVED, "the last", "ms", waiting["last"])
    ours = bench._replace(rivals=[kind for kind in bench.rivals if issubclass(kind, OfStore)])
    for name, samples in ours.alternate(lambda kind: bench.run(twenty(bench, kind))).items():
        yield Row("callers", f"{TWENTY}, {bench.fastest_loop}", name, "ms", samples, StoreClient.name)
    for name, samples in bench.alternate(lambda kind: bench.run(fairness(bench, kind))).items():
        yield Row("callers", f"{FAIRNESS}, {bench.fastest_loop}", name, "operations", samples, "")


def keys() -> list[str]:
    """One for each caller."""
    return [f"key:{index}" for index in range(CALLERS)]


async def warm(rival: Rival) -> None:
    """Every caller once."""
    await asyncio.gather(*(rival.set(key, VALUE) for key in keys()))


async def twenty(bench: Bench, kind: type[Rival]) -> Figures:
    """Milliseconds until the first and the last caller are done."""
    ends: list[float] = []
    async with kind(bench.server, CALLERS) as rival:
        await warm(rival)

        async def call(key: str) -> None:
            for _ in range(OPERATIONS // 2):
                await rival.set(key, VALUE)
                await rival.get(key)
            ends.append(perf_counter())

        start = perf_counter()
        await asyncio.gather(*(call(key) for key in keys()))
    return {"the first is done": (ends[0] - start) * 1000, "the last is done": (ends[-1] - start) * 1000}


async def fairness(bench: Bench, kind: type[Rival]) -> Figures:
    """Operations that the unluckiest and the luckiest caller got done in the time: a second, or ``--seconds``."""
    done = [0] * CALLERS
    async with kind(bench.server, CALLERS) as rival:
        await warm(rival)
        stop_at = perf_counter() + max(bench.seconds, 1.0)

        async def call(index: int, key: str) -> None:
            while perf_counter() < stop_at:
                await rival.get(key)
                if perf_counter() < stop_at:
                    done[index] += 1

        await asyncio.gather(*(call(index, key) for index, key in enumerate(keys())))
    return {"the fewest": min(done), "the most": max(done)}
