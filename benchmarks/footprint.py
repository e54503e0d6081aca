"""Memory of a client, measured from within a fresh process, where nothing that ran before has left room to reuse.

    python benchmarks/footprint.py values|callers redis-py <<< redis://127.0.0.1:6379

is what the other modules start, once a round and client; it prints its figures as JSON. The connection string comes
through standard input: it may carry a password, and everybody reads the process list. Linux only: resident memory
and its peak are read from ``/proc``. glibc gives large blocks back at once (``MALLOC_MMAP_THRESHOLD_``), so that the
peak belongs to the operation that had it.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from time import perf_counter
from typing import Any

from rivals import RIVALS, Rival, Server
from rounds import Bench, Figures, find_loops
from store_core import create_store

MEGABYTE = 1_000_000
SIZES = (1, 10)
CALLERS = 10_000
VALUE = "x" * 32
#: Milliseconds for which the server leaves every write unanswered, unless it is told to go on.
PAUSE = 4000
#: Seconds after which every caller's command has been handed to the client.
SETTLED = 0.5

_SELF = Path("/proc/self")


def can_measure() -> bool:
    """Whether this system tells a process its own memory."""
    return (_SELF / "clear_refs").exists()


def of_values(bench: Bench, kind: type[Rival]) -> Figures:
    """Peak growth while one large value is written or read, as a multiple of it."""
    return _in_fresh_process("values", bench, kind)


def of_callers(bench: Bench, kind: type[Rival]) -> Figures:
    """10,000 callers that wait at once: bytes each, and when the first and the last are served."""
    return _in_fresh_process("callers", bench, kind)


def _in_fresh_process(what: str, bench: Bench, kind: type[Rival]) -> Figures:
    command = [sys.executable, __file__, what, kind.name]
    environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
    done = subprocess.run(
        command, env=environment, input=bench.server.dsn.encode(), stdout=subprocess.PIPE, check=True, timeout=120
    )
    figures: Figures = json.loads(done.stdout)
    return figures


def status(field: str) -> int:
    """Bytes of a field of ``/proc/self/status``: VmRSS is resident now, VmHWM the most that ever was."""
    for line in (_SELF / "status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise ValueError(f"/proc/self/status has no {field}")


async def peak_growth(operation: Callable[..., Awaitable[Any]], *args: Any) -> int:
    """Bytes that resident memory grew by at most while the operation ran."""
    gc.collect()
    (_SELF / "clear_refs").write_text("5")  # the peak starts again from what is resident now
    before = status("VmRSS")
    result = await operation(*args)
    growth = status("VmHWM") - before
    del result
    return growth


async def values(server: Server, kind: type[Rival]) -> Figures:
    """For ``of_values``."""
    figures = {}
    async with kind(server, 1) as rival:
        for size in SIZES:
            value = os.urandom(size * MEGABYTE)
            await rival.set("large", VALUE)
            await rival.get("large")
            for name, growth in (
                ("SET", await peak_growth(rival.set, "large", value)),
                ("GET", await peak_growth(rival.get, "large")),
            ):
                figures[f"{name} of {size} MB"] = growth / (size * MEGABYTE)
    return figures


async def callers(server: Server, kind: type[Rival]) -> Figures:
    """For ``of_callers``: the server is paused, all callers write, and then it goes on."""
    served: list[float] = []
    async with kind(server, CALLERS) as rival, create_store(server.dsn) as store, await store.connect() as control:
        await asyncio.gather(*(rival.get(f"key:{index}") for index in range(64)))  # its connections are open
        await control.execute("CLIENT", "PAUSE", PAUSE, "WRITE")

        async def call(key: str) -> None:
            await rival.set(key, VALUE)
            served.append(perf_counter())

        keys = [f"key:{index}" for index in range(CALLERS)]
        gc.collect()
        before = status("VmRSS")
        tasks = [asyncio.create_task(call(key)) for key in keys]
        await asyncio.sleep(SETTLED)
        if served:
            raise AssertionError(f"{kind.name}: {len(served)} callers were served while the server was paused")
        growth, start = status("VmRSS") - before, perf_counter()
        await control.execute("CLIENT", "UNPAUSE")
        await asyncio.gather(*tasks)
    return {"memory": growth / CALLERS, "first": (served[0] - start) * 1000, "last": (served[-1] - start) * 1000}


def main() -> None:
    """Measure one client in this process; JSON on standard output."""
    what, name = sys.argv[1:]
    dsn = sys.stdin.read().strip()
    kind = next(rival for rival in RIVALS if rival.name == name)
    measure = {"values": values, "callers": callers}[what]
    loop = list(find_loops().values())[-1]
    with asyncio.Runner(loop_factory=loop) as runner:
        print(json.dumps(runner.run(measure(Server.at(dsn), kind))))


if __name__ == "__main__":
    main()
