"""What extensions cost: nothing with none, and one that counts commands is stated as a ratio.

Stores take turns in one process, four times in each round:

- ``bare class``: the backend's class called by hand, past ``create_store`` and every extension: the floor.
- ``no extension``: a store as ``create_store`` makes it.
- ``one that counts``: one extension that counts each command.

Once over a backend that does nothing, so that the core's share is all there is; once over the embedded engine; and
once over a real server with 64 callers, where a command has its usual price.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from time import perf_counter_ns
from typing import Any

from rounds import Bench, Figures, Row, alternate
from store_core import DSN, Capability, Store, create_store, data_stores, hookimpl, register_store

PANEL = "A command through extensions"
BARE, NONE, COUNTING = "bare class", "no extension", "one that counts"
NOTHING, EMBEDDED, NETWORK = "a backend that does nothing", "the embedded engine", "a server, 64 callers"
CALLERS = 64
#: A difference of a hundredth shows in many short rounds sooner than in a few long ones.
TURNS = 4
COMMANDS = {NOTHING: 30_000, EMBEDDED: 10_000, NETWORK: 25_600}


class NothingStore(Store):
    """Answers at once: what is measured is the way there."""

    capabilities = frozenset({Capability.EXECUTE})

    async def execute(self, *args: Any, **options: Any) -> Any:
        return None


class Counter:
    """The smallest extension of use."""

    def __init__(self) -> None:
        self.count = 0

    @hookimpl
    def store_execute(self, operation: Any) -> Any:
        def execute(*args: Any, **options: Any) -> Any:
            self.count += 1
            return operation(*args, **options)

        return execute


def measure(bench: Bench) -> Iterator[Row]:
    """A row for each backend; nanoseconds a command."""
    if "nothing" not in data_stores:
        register_store("nothing", NothingStore)
    for case, dsn, callers in (
        (NOTHING, "nothing://", 1),
        (EMBEDDED, "pulsards://", 1),
        (NETWORK, bench.server.dsn, CALLERS),
    ):

        def figures(kind: str, case: str = case, dsn: str = dsn, callers: int = callers) -> Figures:
            return {case: bench.run(nanoseconds(kind, dsn, callers, COMMANDS[case]))}

        samples = alternate((BARE, NONE, COUNTING), TURNS * bench.rounds, figures)
        yield Row("extensions", f"{PANEL}, {bench.fastest_loop}", case, "ns", samples[case], BARE)


def make_store(kind: str, dsn: str, counter: Counter) -> Store:
    """The store of one of the three kinds."""
    if kind == BARE:
        plain = create_store(dsn)
        return type(plain)(DSN.parse(plain.dsn), plain.params)
    store = create_store(dsn, extensions=[counter] if kind == COUNTING else [])
    assert kind == COUNTING or "execute" not in vars(store), "with no extension something stands in the way"
    return store


async def nanoseconds(kind: str, dsn: str, callers: int, commands: int) -> float:
    """Nanoseconds a command, from the first caller's start to the last one's end."""
    counter = Counter()
    async with make_store(kind, dsn, counter) as store:
        execute = store.execute

        async def call(count: int) -> None:
            for _ in range(count):
                await execute("GET", "key")

        async def all_callers(count: int) -> float:
            start = perf_counter_ns()
            await asyncio.gather(*(call(count // callers) for _ in range(callers)))
            return (perf_counter_ns() - start) / (count // callers * callers)

        await all_callers(max(commands // 10, callers))
        figure = await all_callers(commands)
    assert counter.count == 0 or kind == COUNTING
    return figure
