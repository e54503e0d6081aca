"""Throughput on a cluster of three primaries, beside redis-py's asyncio cluster client and a single server.

    python benchmarks/cluster.py [--dsn redis+cluster://…] [--rounds 5] [--seconds 1.0] [--json FILE]

SET and GET of 32 bytes in turn, each caller on a key of its own and waiting for its reply; the clients alternate as in
``rounds.py``. ``one server`` is ``store.execute`` on a single server: what the way through the slots costs, and what it
costs that three servers share the machine with the client.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import platform
from collections.abc import Awaitable, Callable
from pathlib import Path
from time import perf_counter
from typing import Any

from rivals import Run
from rounds import LoopFactory, Row, alternate, find_loops, per_second
from store_core import DSN, create_store, start_store

CALLERS = (1, 64, 512)
VALUE = "x" * 32
STARTED = "redis+cluster://127.0.0.1:0,127.0.0.1:0,127.0.0.1:0"

Call = Callable[..., Awaitable[Any]]


async def operations(set_: Call, get: Call, callers: int, seconds: float) -> float:
    """Operations a second."""

    async def turns(key: str, run: Run) -> None:
        while True:
            await set_(key, VALUE)
            await get(key)
            run.done += 2
            if perf_counter() >= run.stop_at:
                return

    keys = [f"key:{index}" for index in range(callers)]
    return await per_second(lambda run: (turns(key, run) for key in keys), seconds)


async def with_redis_py(dsn: str, callers: int, seconds: float) -> float:
    from redis.asyncio.cluster import ClusterNode, RedisCluster

    nodes = [ClusterNode(host.name, host.port or 6379) for host in DSN.parse(dsn).hosts]
    client = RedisCluster(startup_nodes=nodes)  # its pools are as large as they have to be
    try:
        await client.initialize()  # by one caller: many that find it uninitialised break each other's connections
        return await operations(client.set, client.get, callers, seconds)
    finally:
        await client.aclose()


async def with_client(dsn: str, callers: int, seconds: float) -> float:
    async with create_store(dsn) as store:
        client = store.client()
        return await operations(client.set, client.get, callers, seconds)


async def with_store(dsn: str, callers: int, seconds: float) -> float:
    async with create_store(dsn) as store:
        execute = store.execute

        async def set_(key: str, value: str) -> Any:
            return await execute("SET", key, value)

        async def get(key: str) -> Any:
            return await execute("GET", key)

        return await operations(set_, get, callers, seconds)


def measure(cluster: str, single: str, loops: dict[str, LoopFactory], options: argparse.Namespace) -> list[Row]:
    """A row for each loop and number of callers."""
    clients = {
        "redis-py": (with_redis_py, cluster),
        "store.client()": (with_client, cluster),
        "store.execute": (with_store, cluster),
        "one server": (with_store, single),
    }
    print(f"{'loop':8} {'callers':>7}" + "".join(f" {name:>15}" for name in clients) + "   ratio to redis-py")
    rows = []
    for loop, factory in loops.items():
        for callers in CALLERS:

            def figures(name: str, callers: int = callers, factory: LoopFactory = factory) -> dict[str, float]:
                benchmark, dsn = clients[name]
                gc.collect()
                with asyncio.Runner(loop_factory=factory) as runner:
                    return {"operations": runner.run(benchmark(dsn, callers, options.seconds))}

            samples = alternate(list(clients), options.rounds, figures)["operations"]
            rows.append(Row("cluster", f"GET and SET of 32 bytes, {loop}", str(callers), "operations/s", samples))
            numbers = "".join(f" {rows[-1].median(name):15,.0f}" for name in clients)
            ratios = ", ".join(f"{rows[-1].ratio(name, 'redis-py'):.1f}" for name in list(clients)[1:3])
            print(f"{loop:8} {callers:7}{numbers}   {ratios}", flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dsn", default=STARTED, help="a cluster that runs already; else one is started")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each measurement")
    parser.add_argument("--json", type=Path, default=Path("cluster.json"))
    options = parser.parse_args()
    with asyncio.Runner() as runner:
        # The servers' stores live on a loop of their own, so that the measured loops are fresh.
        single = runner.run(start_store("redis://127.0.0.1:0"))
        cluster = runner.run(start_store(options.dsn))
        rows = measure(cluster.dsn, single.dsn, find_loops(), options)
        runner.run(cluster.close())
        runner.run(single.close())
    about = {"python": platform.python_version(), "machine": platform.machine(), "rounds": options.rounds}
    options.json.write_text(json.dumps({"about": about, "rows": [row.as_json() for row in rows]}, indent=1) + "\n")
    print(f"wrote {options.json}")


if __name__ == "__main__":
    main()
