"""Throughput on a cluster of three primaries, beside redis-py's asyncio cluster client and a single server.

    python benchmarks/cluster.py [--dsn redis+cluster://…] [--rounds 5] [--seconds 1.0] [--json FILE]

Each measurement runs ``callers`` tasks that take turns at SET and GET of a 32-byte value for about ``seconds``, each on
a key of its own; the clients alternate within each round. ``one server`` is ``store.execute`` on a single server: what
the way through the slots costs. The servers are started when none is named; they share the machine with the client.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

from throughput import (  # type: ignore[import-not-found]  # beside this file
    loops,
    methods_of,
    operations_per_second,
    with_client,
    with_store,
)

from store_core import DSN, start_store

CALLERS = (1, 64, 512)
STARTED = "redis+cluster://127.0.0.1:0,127.0.0.1:0,127.0.0.1:0"

#: Columns of the table.
NAMES = ("redis-py", "store.client()", "store.execute", "one server")


async def with_redis_py(dsn: str, callers: int, seconds: float) -> float:
    from redis.asyncio.cluster import ClusterNode, RedisCluster

    hosts = DSN.parse(dsn).hosts
    nodes = [ClusterNode(host.name, host.port or 6379) for host in hosts]
    client = RedisCluster(startup_nodes=nodes)  # a pool for each node, as large as it has to be
    try:
        await client.initialize()  # by one caller: many that find it uninitialised break each other's connections
        return float(await operations_per_second(methods_of(client), callers, seconds))
    finally:
        await client.aclose()


def clients(cluster: str, single: str) -> dict[str, Callable[[int, float], Any]]:
    """What is measured, by its column."""
    return {
        "redis-py": lambda callers, seconds: with_redis_py(cluster, callers, seconds),
        "store.client()": lambda callers, seconds: with_client(cluster, callers, seconds),
        "store.execute": lambda callers, seconds: with_store(cluster, callers, seconds),
        "one server": lambda callers, seconds: with_store(single, callers, seconds),
    }


def measure(cluster: str, single: str, rounds: int, seconds: float) -> list[dict[str, Any]]:
    rows = []
    for loop, run in loops().items():
        for callers in CALLERS:
            samples: dict[str, list[float]] = {name: [] for name in NAMES}
            for _ in range(rounds):
                for name, benchmark in clients(cluster, single).items():
                    samples[name].append(run(benchmark(callers, seconds)))
            medians = {name: statistics.median(values) for name, values in samples.items()}
            rows.append({"loop": loop, "callers": callers, "median": medians, "samples": samples})
            print_row(rows[-1])
    return rows


def print_row(row: dict[str, Any]) -> None:
    medians = row["median"]
    ratios = ", ".join(f"{name} {medians[name] / medians['redis-py']:.1f}x" for name in NAMES[1:3])
    numbers = "".join(f" {medians[name]:15,.0f}" for name in NAMES)
    print(f"{row['loop']:8} {row['callers']:7}{numbers}   {ratios}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dsn", help="a cluster that runs already; else one is started")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each measurement")
    parser.add_argument("--json", type=Path, default=Path("cluster.json"))
    options = parser.parse_args()
    with asyncio.Runner() as runner:
        # The servers' stores live on a loop of their own, so that the measured loops are fresh.
        single = runner.run(start_store("redis://127.0.0.1:0"))
        cluster = runner.run(start_store(options.dsn or STARTED))
        print(f"{'loop':8} {'callers':>7}" + "".join(f" {name:>15}" for name in NAMES) + "   ratio to redis-py")
        rows = measure(cluster.dsn, single.dsn, options.rounds, options.seconds)
        runner.run(cluster.close())
        runner.run(single.close())
    about = {"python": platform.python_version(), "machine": platform.machine(), "rounds": options.rounds}
    options.json.write_text(json.dumps({"about": about, "rows": rows}, indent=1) + "\n")
    print(f"wrote {options.json}")


if __name__ == "__main__":
    main()
