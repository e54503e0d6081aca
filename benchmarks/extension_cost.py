"""What extensions cost: nothing with none, and one that counts commands is stated as a ratio.

Four stores take turns in one process, round after round, so that whatever else the machine does meets them alike:

- ``none``: a store as ``create_store`` makes it; a backend that does nothing, so that the core's share is all there is.
- ``class``: the backend's class called by hand, past ``create_store`` and every extension: the floor.
- ``counting``: one extension that counts each command.
- ``embedded`` and ``embedded, counting``: the same over a real engine, ``pulsards://``.

The figure of a round is nanoseconds a command; what is printed is the median over rounds, and ratios within rounds.

    python benchmarks/extension_cost.py [rounds]
"""

from __future__ import annotations

import asyncio
import sys
from statistics import median
from time import perf_counter_ns

from store_core import DSN, Capability, Store, create_store, hookimpl, register_store
from store_core.parameters import Params

COMMANDS = 20_000


class NothingStore(Store):
    """Answers at once: what is measured is the way there."""

    capabilities = frozenset({Capability.EXECUTE})

    async def execute(self, *args, **options):
        return None


class Counter:
    """The smallest extension of use."""

    def __init__(self) -> None:
        self.count = 0

    @hookimpl
    def store_execute(self, operation):
        async def execute(*args, **options):
            self.count += 1
            return await operation(*args, **options)

        return execute


async def measured(store: Store) -> float:
    """Nanoseconds a command, one task."""
    execute = store.execute
    start = perf_counter_ns()
    for _ in range(COMMANDS):
        await execute("GET", "key")
    return (perf_counter_ns() - start) / COMMANDS


async def main(rounds: int) -> None:
    """Measure, and print the table."""
    register_store("nothing", NothingStore)
    counter = Counter()
    stores: dict[str, Store] = {
        "class": NothingStore(DSN("nothing"), Params({})),
        "none": create_store("nothing://"),
        "counting": create_store("nothing://", extensions=[counter]),
        "embedded": create_store("pulsards://"),
        "embedded, counting": create_store("pulsards://", extensions=[Counter()]),
    }
    assert stores["none"].execute.__func__ is NothingStore.execute, "with no extension something stands in the way"
    figures: dict[str, list[float]] = {name: [] for name in stores}
    for store in stores.values():
        await measured(store)  # warm
    for turn in range(rounds):
        for name in list(stores)[:: 1 if turn % 2 else -1]:
            figures[name].append(await measured(stores[name]))
    assert counter.count == COMMANDS * (rounds + 1)
    for store in stores.values():
        await store.close()
    print(f"{rounds} rounds of {COMMANDS} commands each, one task; medians\n")
    for name, values in figures.items():
        print(f"{name:<20} {median(values):8.0f} ns a command")

    def ratio(one: str, other: str) -> float:
        return median(a / b for a, b in zip(figures[one], figures[other], strict=True))

    print(f"\nno extension      {ratio('none', 'class'):.2f} times the backend's own method")
    print(f"one that counts   {ratio('counting', 'none'):.2f} times, over a backend that does nothing")
    print(f"                  {ratio('embedded, counting', 'embedded'):.2f} times, over the embedded engine")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 21))
