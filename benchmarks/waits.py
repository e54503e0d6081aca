"""How long a client waits for PING while others keep the server busy: one that asks nearly all the time.

    python benchmarks/waits.py HOST PORT

is the process that asks; what its own process does in between would be part of the figure. It says that it has begun,
and when its standard input is closed, tells every wait that was long. All processes of a machine share one clock.
"""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import threading
from math import inf
from time import perf_counter, sleep
from types import TracebackType
from typing import Final, Self

from engine_servers import Server
from wire import Wire

PAUSE: Final = 0.0005  # seconds from a reply to the next question: with none, it would take a whole CPU
LONG: Final = 0.0005  # seconds of a wait that is told


class Watch:
    """``with Watch(server) as watch: …`` and afterwards ``watch.longest(begin, end)``."""

    def __init__(self, server: Server) -> None:
        self._command = [sys.executable, __file__, server.host, str(server.port)]
        self._waits: list[tuple[float, float]] = []

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        if self._process.stdout.readline() != b"asking\n":
            raise RuntimeError("the process that asks did not begin")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        told, _ = self._process.communicate()
        if kind is None:
            self._waits = json.loads(told)

    def longest(self, begin: float = 0.0, end: float = inf) -> float:
        """Milliseconds of the longest wait that was over between these times (of ``perf_counter``)."""
        found = [wait for when, wait in self._waits if begin <= when <= end]
        return max(found, default=LONG) * 1000


def ask(host: str, port: int) -> list[tuple[float, float]]:
    """Ask until standard input is closed; when each long wait was over, and how long it was."""
    over = threading.Event()

    def await_the_end() -> None:
        sys.stdin.read()
        over.set()

    found = []
    with Wire(host, port) as wire:
        wire.ask("PING")
        print("asking", flush=True)
        threading.Thread(target=await_the_end, daemon=True).start()
        gc.disable()
        while not over.is_set():
            start = perf_counter()
            wire.ask("PING")
            end = perf_counter()
            if end - start >= LONG:
                found.append((end, end - start))
            sleep(PAUSE)
    return found


if __name__ == "__main__":
    print(json.dumps(ask(sys.argv[1], int(sys.argv[2]))))
