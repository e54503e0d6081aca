"""Every figure of pulsards, served and embedded, beside a real Valkey and other embedded stores, from one command.

    python benchmarks/engine.py [--compiled PYTHON] [--rounds 5] [--seconds 0.5] [--only server,embedded,…]
                                [--json FILE] [--png FILE] [--markdown FILE]
    python benchmarks/engine.py --from FILE [--only …] [--png FILE] [--markdown FILE]

measures the pulsards of this interpreter, which is pure Python, that of ``--compiled`` (an interpreter into which a
compiled wheel was installed; ``tox -e compiled`` leaves one in ``.tox/compiled/bin/python``), and a Valkey, each in a
process of its own, taking turns in each round. The sections, which ``--only`` chooses:

- ``server``: redis-benchmark's default tests, 50 clients, without pipelining and with 16 requests in a pipeline
- ``embedded``: SET and GET of one caller in its own process, beside burner-redis and fakeredis
- ``memory``: bytes of a key among a million; growing to ten million: time of an operation, longest wait
- ``expiring``: 100,000 keys that expire at once: longest wait of a client
- ``idle``: processor time of ten seconds in which nothing happens
- ``connected``: 10,000 clients: how fast they come, their memory, and the throughput of 50 others
- ``fanout``: 1,000 subscribers of one channel: messages a second, and when the last of them has one

``--from`` tells a run again that ``--json`` saved, ``--markdown`` replaces the figures of a page that has marks for
them (docs/benchmarks.md), ``--png`` needs matplotlib. The whole run takes about thirteen minutes, on Linux. Leave the
machine alone meanwhile: clients and servers share its CPUs. What is not installed is left out, and said so; a section
that fails is told, costs the others nothing, and makes the exit status 1.
"""

from __future__ import annotations

import argparse
import sys

import connected
import embedded
import expiring
import fanout
import idle
import memory
import redis_benchmark
from about import distributions, machine
from command import Command, Facts, saved
from engine_servers import EngineBench, find
from engine_targets import TARGETS
from rounds import Row

DISTRIBUTIONS = ("store-pulsards", "hiredis", "uvloop", *embedded.RIVALS)

COMMAND: Command[EngineBench] = Command(
    description=__doc__.splitlines()[0],
    title="pulsards beside Valkey and other embedded stores",
    marks="engine figures",
    sections={
        "server": redis_benchmark.measure,
        "embedded": embedded.measure,
        "memory": memory.measure,
        "expiring": expiring.measure,
        "idle": idle.measure,
        "connected": connected.measure,
        "fanout": fanout.measure,
    },
    targets=TARGETS,
)


def measured(options: argparse.Namespace) -> tuple[Facts, list[Row]]:
    """Run the chosen sections."""
    kinds, versions, missing = find(options.compiled)
    pythons = {kind.name: kind.python for kind in kinds if kind.python}
    bench = EngineBench(kinds, pythons, options.rounds, options.seconds)
    facts = machine(
        versions | distributions(DISTRIBUTIONS), missing | embedded.missing(), options.rounds, options.seconds
    )
    return facts, COMMAND.measure(options.only, bench, facts)


def main() -> None:
    """Measure or read, print, write."""
    parser = COMMAND.parser()
    parser.add_argument("--compiled", metavar="PYTHON", help="an interpreter that has the compiled pulsards")
    parser.set_defaults(seconds=0.5)
    options = parser.parse_args(sys.argv[1:])
    facts, rows = saved(options.saved, options.only) if options.saved else measured(options)
    COMMAND.finish(options, facts, rows)


if __name__ == "__main__":
    main()
