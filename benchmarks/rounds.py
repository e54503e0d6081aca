"""Alternating rounds: how every figure here is made.

In each round every client is measured once, on a fresh event loop and after a garbage collection. Each round starts
with another one, and every second round goes backwards, so that nobody always follows the same neighbour; whatever
else the machine does hits all of them alike. A ``Row`` keeps each round's
figure: what is reported is their median, their lowest and highest, and the median of the ratios *within* the rounds.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from time import perf_counter
from typing import Any, NamedTuple, TypeVar

from rivals import BASELINE, Rival, Run, Server

T = TypeVar("T")
LoopFactory = Callable[[], asyncio.AbstractEventLoop]

#: What is measured by name: one figure of a round for each.
Figures = dict[str, float]


@dataclass(frozen=True)
class Row:
    """One case of one panel: what each client did in each round.

    Attributes:
        section: The part of the benchmark, as ``--only`` names it.
        panel: What is measured: the title of a table and of a plot.
        case: The line of the table.
        unit: Of every sample.
        samples: Client to figures, one a round.
        baseline: The client that the ratios are to.
    """

    section: str
    panel: str
    case: str
    unit: str
    samples: dict[str, list[float]]
    baseline: str = BASELINE

    def median(self, client: str) -> float:
        """The median over the rounds."""
        return median(self.samples[client])

    def ratios(self, client: str, other: str) -> list[float]:
        """How many times the other's figure, in each round."""
        pairs = zip(self.samples[client], self.samples[other], strict=True)
        return [one / base if base else float("inf") for one, base in pairs]

    def ratio(self, client: str, other: str) -> float:
        """The median of the ratios within the rounds."""
        return median(self.ratios(client, other))

    def as_json(self) -> dict[str, Any]:
        """For a file; ``Row(**…)`` reads it, without the medians."""
        return asdict(self) | {"median": {client: self.median(client) for client in self.samples}}


class Bench(NamedTuple):
    """What the sections need: a server, clients, loops, and how long to measure."""

    server: Server
    rivals: list[type[Rival]]
    loops: dict[str, LoopFactory]
    rounds: int
    seconds: float

    @property
    def fastest_loop(self) -> str:
        """uvloop where it is installed: for what is measured on one loop only."""
        return list(self.loops)[-1]

    def run(self, main: Coroutine[Any, Any, T], loop: str | None = None) -> T:
        """Run on a fresh event loop, with nothing left for the garbage collector from the one before."""
        gc.collect()
        with asyncio.Runner(loop_factory=self.loops[loop or self.fastest_loop]) as runner:
            return runner.run(main)

    def alternate(self, measure: Callable[[type[Rival]], Figures]) -> dict[str, dict[str, list[float]]]:
        """Every client in every round; case to client to figures."""
        by_name = {rival.name: rival for rival in self.rivals}
        return alternate(list(by_name), self.rounds, lambda name: measure(by_name[name]))


def alternate(
    names: Sequence[str], rounds: int, measure: Callable[[str], Figures]
) -> dict[str, dict[str, list[float]]]:
    """Measure each name once a round, each round in another order; case to name to figures."""
    samples: dict[str, dict[str, list[float]]] = {}
    for turn in range(rounds):
        start = turn % len(names)
        order = [*names[start:], *names[:start]]
        for name in reversed(order) if turn % 2 else order:
            for case, figure in measure(name).items():
                samples.setdefault(case, {each: [] for each in names})[name].append(figure)
    return samples


def find_loops() -> dict[str, LoopFactory]:
    """The event loops of this environment, the fastest last."""
    loops: dict[str, LoopFactory] = {"asyncio": asyncio.new_event_loop}
    try:
        import uvloop
    except ImportError:
        return loops
    return loops | {"uvloop": uvloop.new_event_loop}


async def connected(rival: Rival, keys: Iterable[str], value: Any) -> None:
    """All callers at once, so that every connection is open before anything is timed; and the replies are right."""
    keys = list(keys)
    await asyncio.gather(*(rival.set(key, value) for key in keys))
    expected = value.encode() if isinstance(value, str) else value
    for got in await asyncio.gather(*(rival.get(key) for key in keys)):
        if got != expected:
            raise AssertionError(f"{rival.name} answered {got!r:.80} where the value is {expected!r:.80}")


async def per_second(tasks: Callable[[Run], Iterable[Coroutine[Any, Any, None]]], seconds: float) -> float:
    """Operations a second of callers that go on until the run is over; a fifth of the time is spent warming up."""

    async def run(duration: float) -> float:
        this, start = Run(), perf_counter()
        this.stop_at = start + duration
        await asyncio.gather(*tasks(this))
        return this.done / (perf_counter() - start)

    await run(seconds / 5)
    return await run(seconds)
