"""What a benchmark's subject sets itself, and whether a run reaches it.

A target is a bound on one client's figure: as a multiple of another client's, or as it is. It is reached when the
median is within the bound; a figure without a bound is one that has to be stated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from rivals import RedisPy
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


def outcomes(targets: Sequence[Target], rows: Sequence[Row]) -> list[Outcome]:
    """The targets for which this run has figures."""
    return [
        Outcome(target, row)
        for target in targets
        for row in rows
        if row.panel.startswith(target.panel) and row.case == target.case
        if {target.client, target.over or target.client} <= row.samples.keys()
    ]
