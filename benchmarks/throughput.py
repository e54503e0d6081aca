"""GET and SET of 32 bytes: operations a second of 1, 64 and 512 callers, on each event loop.

Each caller has a key of its own and takes turns at SET and GET, each awaited before the next.
"""

from __future__ import annotations

from collections.abc import Iterator

from rivals import Rival
from rounds import Bench, Figures, Row, connected, per_second

CALLERS = (1, 64, 512)
VALUE = "x" * 32
UNIT = "thousand operations/s"


def panel(loop: str) -> str:
    """The title of a loop's table."""
    return f"GET and SET of 32 bytes, {loop}"


def case(callers: int) -> str:
    """The name of a line."""
    return f"{callers:,} caller{'s' if callers > 1 else ''}"


def measure(bench: Bench) -> Iterator[Row]:
    """A row for each loop and number of callers."""
    for loop in bench.loops:
        for callers in CALLERS:

            def figures(kind: type[Rival], callers: int = callers, loop: str = loop) -> Figures:
                return bench.run(operations(bench, kind, callers), loop)

            for name, samples in bench.alternate(figures).items():
                yield Row("throughput", panel(loop), name, UNIT, samples)


async def operations(bench: Bench, kind: type[Rival], callers: int) -> Figures:
    """Thousand operations a second of one client."""
    keys = [f"key:{index}" for index in range(callers)]
    async with kind(bench.server, callers) as rival:
        await connected(rival, keys, VALUE)
        done = await per_second(lambda run: (rival.take_turns(key, VALUE, run) for key in keys), bench.seconds)
    return {case(callers): done / 1000}
