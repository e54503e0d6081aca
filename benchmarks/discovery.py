"""What finding a backend costs where much is installed: 300 distributions, of which 100 are backends.

The distributions are what pip leaves of them, dist-info folders (METADATA with a long description, RECORD, WHEEL,
INSTALLER, entry points, some of them of other groups) and package folders, in a temporary directory that is the
interpreter's only site. Each number is the median of fresh interpreters: the first look-up with its scan, after
`import store_core`; then the next look-up of a scheme, the mean of many. The directory's pages are in the system's
cache, as they are on a machine that has started a Python program before. Exits with 1 when a mark is missed.

    python benchmarks/discovery.py [N]
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import store_core

RUNS = 30
DISTRIBUTIONS, BACKENDS = 300, 100

#: Milliseconds for the first look-up; microseconds for the next.
FIRST_MARK, NEXT_MARK = 30.0, 1.0

#: What every kind of look-up costs, once the scan is done, for which `setup` has what it needs.
NEXT = {
    'data_stores["scheme42"]': 'stores["scheme42"]',
    '"scheme42" in data_stores': '"scheme42" in stores',
    '"missing" in data_stores': '"missing" in stores',
}

PROGRAM = """
import json, sys
from time import perf_counter
from timeit import Timer
sys.path[:] = json.loads(sys.argv[1]) + [each for each in sys.path if "-packages" not in each]
from store_core import data_stores as stores
start = perf_counter()
backend = stores["scheme42"]
first = perf_counter() - start
assert backend.distribution == "backend-42", backend
assert len(stores) == {backends}
def once(statement):
    timer = Timer(statement, globals={{"stores": stores}})
    return min(timer.repeat(5, 20_000)) / 20_000
print(json.dumps([first * 1e3, *(once(statement) * 1e6 for statement in {statements!r})]))
"""


def main() -> int:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else RUNS
    with tempfile.TemporaryDirectory() as temporary:
        site = Path(temporary) / "site-packages"
        build(site)
        samples = [measure(site, Path(temporary) / "bytecode") for _ in range(runs + 1)][1:]  # the first one compiles
    columns = list(zip(*samples, strict=True))
    print(f"{f'{runs} fresh interpreters, {DISTRIBUTIONS} distributions, {BACKENDS} backends':56} {'best':>10} median")
    show("first look-up, scan and all", columns[0], "ms")
    for label, column in zip(NEXT, columns[1:], strict=True):
        show(f"next: {label}", column, "µs")
    missed = verdicts([statistics.median(column) for column in columns])
    print("\n".join(missed) or "every mark is met")
    return 1 if missed else 0


def build(site: Path) -> None:
    """Lay out the distributions, as pip does."""
    for number in range(DISTRIBUTIONS):
        is_backend = number < BACKENDS
        name = f"backend-{number}" if is_backend else f"library-{number}"
        module = name.replace("-", "_")
        package, info = site / module, site / f"{module}-1.{number}.dist-info"
        package.mkdir(parents=True)
        (package / "__init__.py").write_text("raise AssertionError('a look-up imports nothing')\n")
        info.mkdir()
        (info / "INSTALLER").write_text("pip\n")
        (info / "WHEEL").write_text("Wheel-Version: 1.0\nGenerator: hatchling\nRoot-Is-Purelib: true\n")
        (info / "RECORD").write_text("".join(f"{module}/part{part}.py,sha256={part:064x},1024\n" for part in range(50)))
        headers = f"Metadata-Version: 2.4\nName: {name}\nVersion: 1.{number}\nRequires-Dist: store-core\n"
        (info / "METADATA").write_text(headers + "\n" + "A line of a long description.\n" * 200)
        points = "" if number % 2 else f"[console_scripts]\n{name} = {module}.cli:main\n\n"
        if is_backend:
            points += f"[store_core.backends]\nscheme{number} = {module}:Store\n"
        if points:
            (info / "entry_points.txt").write_text(points)


def measure(site: Path, bytecode: Path) -> list[float]:
    """One fresh interpreter: milliseconds of the first look-up, then microseconds of each of the next."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "STORE_"))}
    environment["PYTHONPYCACHEPREFIX"] = str(bytecode)
    # The library itself, whichever way it is installed here, comes from a folder without metadata.
    core = site.parent / "core"
    if not core.exists():
        core.mkdir()
        (core / "store_core").symlink_to(Path(store_core.__file__).parent, target_is_directory=True)
    program = PROGRAM.format(backends=BACKENDS, statements=list(NEXT.values()))
    command = [sys.executable, "-c", program, json.dumps([str(core), str(site)])]
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE)
    times: list[float] = json.loads(done.stdout)
    return times


def show(label: str, column: tuple[float, ...], unit: str) -> None:
    print(f"{label:56} {min(column):7.3f} {unit} {statistics.median(column):7.3f} {unit}")


def verdicts(medians: list[float]) -> list[str]:
    first, *following = medians
    missed = [f"MISSED: the first look-up takes {first:.1f} ms, mark {FIRST_MARK:g} ms"] if first > FIRST_MARK else []
    return missed + [
        f"MISSED: {label} takes {cost:.3f} µs, mark {NEXT_MARK:g} µs"
        for label, cost in zip(NEXT, following, strict=True)
        if cost > NEXT_MARK
    ]


if __name__ == "__main__":
    sys.exit(main())
