"""What it costs to start: `import store_core`, and `create_store("pulsards://")` to its first reply.

Each number is the median of fresh interpreters, the variants taking turns so that a busy machine is unfair to all of
them alike; the import itself is timed inside, where the start of a process adds no noise. Bytecode is compiled once,
before the clock starts, into a directory of this run's own. Exits with 1 when a mark is missed or when redis-py was
imported.

    python benchmarks/import_time.py [N]
"""

from __future__ import annotations

import importlib.util
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping

RUNS = 20

#: Milliseconds: `import store_core` after `import asyncio`; a whole interpreter from its start to its end.
IMPORT_MARK, FIRST_REPLY_MARK = 15.0, 150.0

FIRST_REPLY = """
import asyncio, store_core
async def main():
    async with store_core.create_store({url!r}) as store:
        assert await store.execute("SET", "a", 1) in (b"OK", "OK")
asyncio.run(main())
"""
NO_REDIS_PY = "\nimport sys; sys.exit('redis-py was imported' if 'redis' in sys.modules else 0)"

PROGRAMS = {
    "nothing": "",
    "asyncio": "import asyncio",
    "core": "import asyncio, store_core",
    "inside": "import asyncio, time; s = time.perf_counter(); import store_core; print(time.perf_counter() - s)",
    "scan": "import asyncio, store_core; list(store_core.data_stores)",
}
LABELS = {
    "nothing": "the interpreter alone",
    "asyncio": "import asyncio",
    "core": "import asyncio, store_core",
    "inside": "  import store_core, timed inside",
    "scan": "… and list the backends",
    "redis": 'create_store("redis://"), not connected',
    "pulsards": 'create_store("pulsards://") to the first reply',
}


def main() -> int:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else RUNS
    programs = dict(PROGRAMS)
    if importlib.util.find_spec("store_redis"):
        programs["redis"] = "import asyncio, store_core; store_core.create_store('redis://')" + NO_REDIS_PY
    if importlib.util.find_spec("store_pulsards"):
        programs["pulsards"] = FIRST_REPLY.format(url="pulsards://") + NO_REDIS_PY
    times = measure(programs, runs)
    medians = {name: statistics.median(values) for name, values in times.items()}
    print(f"{f'{runs} fresh interpreters':46} {'best':>9} {'median':>9} {'over asyncio':>13}")
    for name, median in medians.items():
        over = "" if name in ("nothing", "inside") else f"{median - medians['asyncio']:10.1f} ms"
        print(f"{LABELS[name]:46} {min(times[name]):6.1f} ms {median:6.1f} ms {over}".rstrip())
    missed = [text for text in (import_verdict(medians), first_reply_verdict(medians)) if text]
    print("\n".join(missed) or "every mark is met")
    return 1 if missed else 0


def measure(programs: Mapping[str, str], runs: int) -> dict[str, list[float]]:
    """Milliseconds of each program, one number a run: its own, where it prints one, else all its life."""
    times: dict[str, list[float]] = {name: [] for name in programs}
    with tempfile.TemporaryDirectory() as bytecode:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "STORE_"))}
        environment["PYTHONPYCACHEPREFIX"] = bytecode
        for turn in range(runs + 1):
            for name, program in programs.items():
                elapsed = once(program, environment)
                if turn:  # the first turn compiles
                    times[name].append(elapsed)
    return times


def once(program: str, environment: Mapping[str, str]) -> float:
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", program], env=environment, check=True, stdout=subprocess.PIPE)
    elapsed = time.perf_counter() - start
    return float(done.stdout or elapsed) * 1000


def import_verdict(medians: Mapping[str, float]) -> str:
    cost = medians["inside"]
    return "" if cost <= IMPORT_MARK else f"MISSED: import store_core costs {cost:.1f} ms, mark {IMPORT_MARK:g} ms"


def first_reply_verdict(medians: Mapping[str, float]) -> str:
    cost = medians.get("pulsards", 0.0)
    return "" if cost <= FIRST_REPLY_MARK else f"MISSED: first reply after {cost:.1f} ms, mark {FIRST_REPLY_MARK:g} ms"


if __name__ == "__main__":
    sys.exit(main())
