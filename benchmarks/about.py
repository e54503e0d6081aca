"""What a run ran on: the machine, the versions of everything, and how busy it was."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rounds import Bench
from store_core import create_store

CLIENTS = ("store-redis", "redis", "hiredis", "valkey-glide", "coredis", "uvloop")


def about(bench: Bench, missing: dict[str, str]) -> dict[str, Any]:
    """For the titles, the tables and the file; ask before the run, for the load's sake."""
    versions = {"Python": platform.python_version(), **_server(bench), **distributions(CLIENTS)}
    return machine(versions, missing, bench.rounds, bench.seconds) | {"loops": list(bench.loops)}


def machine(versions: dict[str, str], missing: dict[str, str], rounds: int, seconds: float) -> dict[str, Any]:
    """What every run has to tell."""
    return {
        "machine": f"{_processor()}, {platform.system()} {platform.machine()}",
        "cpus": os.cpu_count(),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0,
        "versions": versions,
        "missing": missing,
        "failed": {},
        "rounds": rounds,
        "seconds": seconds,
    }


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or "unknown processor"


def distributions(names: Iterable[str]) -> dict[str, str]:
    """The versions of those that are installed."""
    found = {}
    for name in names:
        try:
            found["redis-py" if name == "redis" else name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _server(bench: Bench) -> dict[str, str]:
    async def ask() -> dict[str, str]:
        async with create_store(bench.server.dsn, decode_responses=True) as store:
            info = await store.execute("INFO", "server")
        fields = dict(line.split(":", 1) for line in info.splitlines() if ":" in line)
        for name, field in (("Valkey", "valkey_version"), ("Redis", "redis_version")):
            if field in fields:
                return {name: fields[field]}
        return {}

    return bench.run(ask())
