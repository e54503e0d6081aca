"""Every figure of store-redis as a client, beside the others, from one command.

    python benchmarks/client.py [--rounds 5] [--seconds 0.6] [--only throughput,latency,…] [--dsn redis://…]
                                [--json FILE] [--png FILE] [--markdown FILE]
    python benchmarks/client.py --from FILE [--only …] [--png FILE] [--markdown FILE]

measures redis-py, coredis and valkey-glide (where they are installed), ``store.client()`` and ``store.execute`` on one
server in one process, taking turns in each round, and prints medians, ratios, and the targets beside them. A server
is started when none is named. The sections, which ``--only`` chooses:

- ``throughput``: GET and SET of 32 bytes; 1, 64 and 512 callers; asyncio and uvloop
- ``latency``: p50, p99 and p99.9 at 64 callers; asyncio and uvloop
- ``pipeline``: an explicit pipeline of 1,000 commands
- ``values``: SET and GET of 1 MB and 10 MB; 1 and 8 callers; the memory of one operation
- ``callers``: 10,000 at once; memory, the first and the last served, fairness
- ``extensions``: none, and one that counts
- ``pubsub``: messages a second to one subscriber, and to 1 to 1,000 in one process

What says nothing of a loop runs on uvloop where it is installed. ``--from`` tells a run again that ``--json`` saved,
``--markdown`` replaces the figures of a page that has marks for them (docs/benchmarks.md), ``--png`` needs matplotlib.
The whole run takes about eight minutes. Leave the machine alone meanwhile: client and server share its CPUs.
A section that fails is told, costs the others nothing, and makes the exit status 1.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import extension_cost
import large_values
import latency
import many_callers
import pipelines
import subscribers
import throughput
from about import about
from client_targets import TARGETS
from command import Command, Facts, saved
from rivals import Server, installed
from rounds import Bench, Row, find_loops
from store_core import start_store

COMMAND: Command[Bench] = Command(
    description=__doc__.splitlines()[0],
    title="store-redis beside other clients",
    marks="figures",
    sections={
        "throughput": throughput.measure,
        "latency": latency.measure,
        "pipeline": pipelines.measure,
        "values": large_values.measure,
        "callers": many_callers.measure,
        "extensions": extension_cost.measure,
        "pubsub": subscribers.measure,
    },
    targets=TARGETS,
)


@contextmanager
def running_server(dsn: str | None) -> Iterator[str]:
    """The connection string of the server that was named, or of one that is started."""
    if dsn is not None:
        yield dsn
        return
    with asyncio.Runner() as runner:
        # The server's store lives on a loop of its own, so that the measured loops are fresh.
        server = runner.run(start_store("redis://127.0.0.1:0"))
        try:
            yield server.dsn
        finally:
            runner.run(server.close())


def measured(options: argparse.Namespace) -> tuple[Facts, list[Row]]:
    """Run the chosen sections on a server."""
    rivals, missing = installed()
    with running_server(options.dsn) as dsn:
        bench = Bench(Server.at(dsn), rivals, find_loops(), options.rounds, options.seconds)
        facts = about(bench, missing)
        return facts, COMMAND.measure(options.only, bench, facts)


def main() -> None:
    """Measure or read, print, write."""
    parser = COMMAND.parser()
    parser.add_argument("--dsn", help="a server that runs already; else one is started")
    options = parser.parse_args(sys.argv[1:])
    facts, rows = saved(options.saved, options.only) if options.saved else measured(options)
    COMMAND.finish(options, facts, rows)


if __name__ == "__main__":
    main()
