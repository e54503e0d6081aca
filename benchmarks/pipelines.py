"""An explicit pipeline of 1,000 commands: 500 SET and 500 GET of 32 bytes collected, sent, and their replies read.

One caller, one pipeline after another; building it is part of the time.
"""

from __future__ import annotations

from collections.abc import Iterator
from time import perf_counter

from rivals import Rival, Run
from rounds import Bench, Figures, Row, per_second

COMMANDS = 1000
PAIRS = [(f"key:{index}", "x" * 32) for index in range(COMMANDS // 2)]
PANEL = f"A pipeline of {COMMANDS:,} commands"
CASE = "1 caller"


def measure(bench: Bench) -> Iterator[Row]:
    """One row."""
    samples = bench.alternate(lambda kind: bench.run(commands(bench, kind)))
    yield Row("pipeline", f"{PANEL}, {bench.fastest_loop}", CASE, "thousand commands/s", samples[CASE])


async def commands(bench: Bench, kind: type[Rival]) -> Figures:
    """Thousand commands a second of one client."""
    async with kind(bench.server, 1) as rival:
        replies = await rival.pipeline(PAIRS)
        if len(replies) != COMMANDS or any(reply != PAIRS[0][1].encode() for reply in replies[1::2]):
            raise AssertionError(f"{kind.name}: a pipeline of {COMMANDS} commands answered {replies[:2]!r}, …")

        async def call(run: Run) -> None:
            while True:
                await rival.pipeline(PAIRS)
                run.done += COMMANDS
                if perf_counter() >= run.stop_at:
                    return

        return {CASE: await per_second(lambda run: [call(run)], bench.seconds) / 1000}
