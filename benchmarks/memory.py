"""Memory and stalls of a growing keyspace: pulsards beside a real Valkey.

    python benchmarks/memory.py [--keys 1000000] [--json memory.json]

Each server runs in a process of its own. Keys of 16 bytes with values of 32 bytes are written in pipelines, a tenth
of them at a time; after each tenth come the resident bytes for a key, and the longest time that a second connection
waited for PING meanwhile, of which the pipelines of the first one are a part. Then everything is flushed, and PING is
measured while it is freed. Linux only: resident memory is read from ``/proc``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Awaitable
from pathlib import Path
from time import perf_counter
from typing import Any

from store_core import start_store

SERVERS = {"pulsards": "pulsards://127.0.0.1:0", "Valkey": "redis://127.0.0.1:0"}
PIPELINE = 100
STEPS = 10
VALUE = "v" * 24
#: Seconds for which PING is measured after FLUSHALL.
FREEING = 5.0


async def measure(dsn: str, keys: int) -> dict[str, Any]:
    """Fill one server and flush it."""
    async with await start_store(dsn) as store, await store.connect() as watcher:
        pid = dict(
            line.split(":", 1) for line in _text(await store.execute("INFO", "server")).splitlines() if ":" in line
        )
        empty = _resident(int(pid["process_id"]))
        steps = []
        for step in range(STEPS):
            begin, end = keys * step // STEPS, keys * (step + 1) // STEPS
            start = perf_counter()
            worst = await _watched(watcher, _fill(store, begin, end))
            seconds = perf_counter() - start
            grown = _resident(int(pid["process_id"])) - empty
            steps.append(
                {
                    "keys": end,
                    "bytes a key": grown / end,
                    "microseconds a SET": seconds / (end - begin) * 1e6,
                    "longest wait (ms)": worst * 1000,
                }
            )
        start = perf_counter()
        await store.execute("FLUSHALL", "ASYNC")
        flush = perf_counter() - start
        freeing = await _watched(watcher, asyncio.sleep(FREEING))
    return {"steps": steps, "FLUSHALL (ms)": flush * 1000, "longest wait while freeing (ms)": freeing * 1000}


async def _fill(store: Any, begin: int, end: int) -> None:
    for first in range(begin, end, PIPELINE):
        async with store.pipeline() as pipeline:
            for number in range(first, min(first + PIPELINE, end)):
                pipeline.execute("SET", f"key:{number:012}", f"{VALUE}{number % 10**8:08}")


async def _watched(watcher: Any, work: Awaitable[None]) -> float:
    """Do it; the longest time (s) that PING took meanwhile."""
    task = asyncio.ensure_future(work)
    worst = 0.0
    while not task.done():
        start = perf_counter()
        await watcher.execute("PING")
        worst = max(worst, perf_counter() - start)
        await asyncio.sleep(0.001)
    await task
    return worst


def _resident(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise ValueError(f"/proc/{pid}/status has no VmRSS")


def _text(reply: str | bytes) -> str:
    return reply if isinstance(reply, str) else reply.decode()


def main() -> int:
    """Measure each server, print what was found, and write it down when asked to."""
    parser = argparse.ArgumentParser(description="Memory and stalls of a growing keyspace.")
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--servers", nargs="+", choices=SERVERS, default=list(SERVERS))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found: dict[str, Any] = {}
    for name in options.servers:
        found[name] = figures = asyncio.run(measure(SERVERS[name], options.keys))
        for step in figures["steps"]:
            print(f"{name:9}", ", ".join(f"{what} {number:,.1f}" for what, number in step.items()))
        print(f"{name:9}", ", ".join(f"{what} {figures[what]:.1f}" for what in figures if what != "steps"))
    if len(found) == len(SERVERS):
        ours, theirs = (found[name]["steps"][-1]["bytes a key"] for name in SERVERS)
        print(f"pulsards takes {ours / theirs:.2f} × the memory of Valkey")
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
