"""What store-redis sets itself: bounds on the figures of its clients."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import extension_cost
import large_values
import latency
import many_callers
import pipelines
import subscribers
import throughput
from footprint import SIZES
from rivals import Glide, StoreClient, StoreExecute
from targets import Target


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
