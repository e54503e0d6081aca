"""Throughput of ``store.execute`` beside redis-py's asyncio client: same server, same process, alternating runs.

    python benchmarks/throughput.py [--dsn redis://…] [--rounds 5] [--seconds 1.0] [--json FILE] [--png FILE]

Each measurement runs ``callers`` tasks that take turns at SET and GET of a 32-byte value for about ``seconds``. The
two clients alternate within each round, so that whatever else the machine does hits both; a table shows medians and
their ratios. redis-py gets hiredis and a pool as large as the callers. A server is started when none is named; client
and server then share the machine's cores as they like.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from store_core import Store, create_store, start_store

CALLERS = (1, 64, 512)
VALUE = "x" * 32


class Run:
    """One measurement: until when its callers go on, and how many operations they have done."""

    stop_at = 0.0
    done = 0


#: What one caller does with its key until the run is over.
Caller = Callable[[str, Run], Awaitable[None]]


async def operations_per_second(call: Caller, callers: int, seconds: float) -> float:
    """Operations a second of ``callers`` tasks, each waiting for a reply before its next command."""

    async def run(duration: float) -> float:
        this, start = Run(), time.perf_counter()
        this.stop_at = start + duration
        await asyncio.gather(*(call(f"key:{index}", this) for index in range(callers)))
        return this.done / (time.perf_counter() - start)

    await run(seconds / 5)  # connections open, caches warm
    return await run(seconds)


async def with_store(dsn: str, callers: int, seconds: float) -> float:
    async with create_store(dsn) as store:
        execute = store.execute

        async def call(key: str, run: Run) -> None:
            while time.perf_counter() < run.stop_at:
                await execute("SET", key, VALUE)
                await execute("GET", key)
                run.done += 2

        return await operations_per_second(call, callers, seconds)


def methods_of(client: Any) -> Caller:
    """The same with the methods of a redis-py client."""
    set_, get = client.set, client.get

    async def call(key: str, run: Run) -> None:
        while time.perf_counter() < run.stop_at:
            await set_(key, VALUE)
            await get(key)
            run.done += 2

    return call


async def with_redis_py(dsn: str, callers: int, seconds: float) -> float:
    import redis.asyncio

    client = redis.asyncio.from_url(dsn, max_connections=callers)
    try:
        return await operations_per_second(methods_of(client), callers, seconds)
    finally:
        await client.aclose()


async def with_client(dsn: str, callers: int, seconds: float) -> float:
    async with create_store(dsn) as store:
        return await operations_per_second(methods_of(store.client()), callers, seconds)


CLIENTS = {"redis-py": with_redis_py, "store.client()": with_client, "store.execute": with_store}


def loops() -> dict[str, Callable[..., Any]]:
    found: dict[str, Callable[..., Any]] = {"asyncio": asyncio.run}
    try:
        import uvloop
    except ImportError:
        print("uvloop is not installed: pip install 'store-redis[fast]'", file=sys.stderr)
    else:
        found["uvloop"] = uvloop.run
    return found


def measure(dsn: str, rounds: int, seconds: float) -> list[dict[str, Any]]:
    rows = []
    for loop, run in loops().items():
        for callers in CALLERS:
            samples: dict[str, list[float]] = {name: [] for name in CLIENTS}
            for _ in range(rounds):
                for name, benchmark in CLIENTS.items():
                    samples[name].append(run(benchmark(dsn, callers, seconds)))
            medians = {name: statistics.median(values) for name, values in samples.items()}
            rows.append({"loop": loop, "callers": callers, "median": medians, "samples": samples})
            print_row(rows[-1])
    return rows


def print_header() -> None:
    print(f"{'loop':8} {'callers':>7}" + "".join(f" {name:>15}" for name in CLIENTS) + "   ratio to redis-py")


def print_row(row: dict[str, Any]) -> None:
    medians = row["median"]
    ratios = ", ".join(f"{name} {medians[name] / medians['redis-py']:.1f}x" for name in CLIENTS if name != "redis-py")
    numbers = "".join(f" {medians[name]:15,.0f}" for name in CLIENTS)
    print(f"{row['loop']:8} {row['callers']:7}{numbers}   {ratios}", flush=True)


def plot(rows: list[dict[str, Any]], path: Path, title: str) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len({row["loop"] for row in rows}), figsize=(10, 4.5), sharey=True, squeeze=False)
    for axis, loop in zip(axes[0], dict.fromkeys(row["loop"] for row in rows), strict=True):
        chosen = [row for row in rows if row["loop"] == loop]
        for offset, name in enumerate(CLIENTS):
            places = [index + (offset - 1) * 0.27 for index in range(len(chosen))]
            bars = axis.bar(places, [row["median"][name] / 1000 for row in chosen], width=0.25, label=name)
            labels = [f"{row['median'][name] / row['median']['redis-py']:.1f}x" for row in chosen]
            axis.bar_label(bars, labels, fontsize=8)
        axis.set_xticks(range(len(chosen)), [str(row["callers"]) for row in chosen])
        axis.set_xlabel("concurrent callers")
        axis.set_title(loop)
    axes[0][0].set_ylabel("thousand operations a second")
    axes[0][0].legend(loc="upper left")
    figure.suptitle(title)
    figure.tight_layout()
    figure.savefig(path, dpi=120)


async def _start() -> Store:
    return await start_store("redis://127.0.0.1:0")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dsn", help="a server that runs already; else one is started")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each measurement")
    parser.add_argument("--json", type=Path, default=Path("throughput.json"))
    parser.add_argument("--png", type=Path, default=Path("throughput.png"))
    options = parser.parse_args()
    with asyncio.Runner() as runner:
        # The server's store lives on a loop of its own, so that the measured loops are fresh.
        server = None if options.dsn else runner.run(_start())
        print_header()
        rows = measure(options.dsn if server is None else server.dsn, options.rounds, options.seconds)
        if server is not None:
            runner.run(server.close())
    about = {"python": platform.python_version(), "machine": platform.machine(), "rounds": options.rounds}
    options.json.write_text(json.dumps({"about": about, "rows": rows}, indent=1) + "\n")
    plot(rows, options.png, f"GET and SET of 32 bytes, median of {options.rounds} runs, ratio to redis-py")
    print(f"wrote {options.json} and {options.png}")


if __name__ == "__main__":
    main()
