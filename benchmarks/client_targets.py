"""What store-redis sets itself, and whether a run reaches it.

A target is a bound on one client's figure: as a multiple of another client's, or as it is. It is reached when the
median is within the bound; a figure without a bound is one that has to be stated.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import extension_cost
import large_values
import latency
import many_callers
import pipelines
import subscribers
import throughput
from footprint import SIZES
from rivals import Glide, RedisPy, StoreClient, StoreExecute
from rounds import Row


@dataclass(frozen=True)
class Target:
    """A bound.

    Attributes:
        panel: The beginning of the panel's title; the loop may follow.
        case: The line.
        client: Whose figure.
        over: The client that it is a multiple of; empty for the figure as it is.
        bound: None: to be stated.
        at_most: Whether less is better.
    """

    panel: str
    case: str
    client: str
    over: str = RedisPy.name
    bound: float | None = None
    at_most: bool = False


@dataclass(frozen=True)
class Outcome:
    """A target and what a run says to it; all text but the samples."""

    target: Target
    row: Row

    @property
    def samples(self) -> list[float]:
        """Figure of each round, as the target means it."""
        target = self.target
        return self.row.ratios(target.client, target.over) if target.over else self.row.samples[target.client]

    @property
    def reached(self) -> bool | None:
        """None: there was nothing to reach."""
        bound, figure = self.target.bound, median(self.samples)
        if bound is None:
            return None
        return figure <= bound if self.target.at_most else figure >= bound

    def as_json(self) -> dict[str, Any]:
        """For a file."""
        target, row = self.target, self.row
        about = {"panel": row.panel, "case": row.case, "client": target.client, "over": target.over}
        return about | {"bound": target.bound, "figure": median(self.samples), "reached": self.reached}


def _throughput() -> Iterator[Target]:
    bounds = {"uvloop": (3, 20, 25), "asyncio": (2, 15, 20)}
    for loop, factors in bounds.items():
        panel = throughput.panel(loop)
        for callers, factor in zip(throughput.CALLERS, factors, strict=True):
            yield Target(panel, throughput.case(callers), StoreExecute.name, bound=factor)
        yield Target(panel, throughput.case(64), StoreClient.name, bound=10)
    yield Target(throughput.panel("uvloop"), throughput.case(64), StoreExecute.name, Glide.name, 5)


def _large_values() -> Iterator[Target]:
    for size in SIZES:
        for name in ("SET", "GET"):
            for callers in large_values.CALLERS:
                case = f"{name}, {throughput.case(callers)}"
                yield Target(f"{large_values.panel(size)},", case, StoreExecute.name, bound=1)


def _extensions() -> Iterator[Target]:
    panel, none, counting = extension_cost.PANEL, extension_cost.NONE, extension_cost.COUNTING
    for case in (extension_cost.NOTHING, extension_cost.NETWORK):
        yield Target(panel, case, none, extension_cost.BARE, 1.02, at_most=True)
    yield Target(panel, extension_cost.NETWORK, counting, none, 1.1, at_most=True)


TARGETS: Sequence[Target] = (
    *_throughput(),
    *(Target(latency.panel(loop), "p99", StoreExecute.name, bound=0.1, at_most=True) for loop in ("asyncio", "uvloop")),
    Target(pipelines.PANEL, pipelines.CASE, StoreExecute.name, bound=3),
    Target(pipelines.PANEL, pipelines.CASE, StoreClient.name, bound=3),
    *_large_values(),
    Target(many_callers.MEMORY, "each", StoreExecute.name, ""),
    Target(many_callers.FAIRNESS, "the fewest", StoreExecute.name, "", 1),
    *_extensions(),
    *(
        Target(subscribers.panel(loop), subscribers.case(1), subscribers.OURS, bound=8)
        for loop in ("asyncio", "uvloop")
    ),
)


def outcomes(rows: Sequence[Row]) -> list[Outcome]:
    """The targets for which this run has figures."""
    return [
        Outcome(target, row)
        for target in TARGETS
        for row in rows
        if row.panel.startswith(target.panel) and row.case == target.case
        if {target.client, target.over or target.client} <= row.samples.keys()
    ]
