"""Fuzzing led by coverage, with atheris (libFuzzer)::

    python -m tests.fuzz.harness payloads -max_total_time=600

The first argument is a target; the others are libFuzzer's. What crashes is written to the working directory, and runs
again as ``python -m tests.fuzz.harness payloads crash-…``.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["store_pulsards"]):
    from tests.fuzz import seeds
    from tests.fuzz.targets import TARGETS

LIMITS = ["-timeout=10", "-rss_limit_mb=512", "-max_len=4096"]  # a hang, or a large allocation, is a crash


def main() -> None:
    target = sys.argv.pop(1)
    replaying = any(not argument.startswith("-") for argument in sys.argv[1:])
    with tempfile.TemporaryDirectory() as corpus:
        for index, seed in enumerate(seeds.of(target)):
            (Path(corpus) / f"{index:02}").write_bytes(seed)
        arguments = [sys.argv[0], *LIMITS, *sys.argv[1:], *([] if replaying else [corpus])]
        atheris.Setup(arguments, TARGETS[target])
        atheris.Fuzz()


if __name__ == "__main__":
    main()
