"""redis-benchmark's default tests with 50 clients, without pipelining and with 16 requests in a pipeline.

The tests run in the groups in which they need each other (what is pushed is popped), each on an emptied server, and
the servers take turns in each group. A group's number of requests is what Valkey answers in ``--seconds``, the same
for all. redis-benchmark is one thread that shares the machine with the server: without pipelining it is what limits
the fastest of them.
"""

from __future__ import annotations

import csv
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from statistics import geometric_mean

from engine_servers import VALKEY, EngineBench, Server
from rounds import Figures, Row, alternate

PROGRAM = "redis-benchmark"
CLIENTS = 50
PIPELINES = (1, 16)
GROUPS = (
    "ping_inline,ping_mbulk",
    "set,get",
    "incr",
    "lpush,rpush,lpop,rpop",
    "sadd,spop",
    "hset",
    "zadd,zpopmin",
    "lrange_100",
    "lrange_300",
    "lrange_500",
    "lrange_600",
    "mset",
)
PREPARATION = "needed to benchmark"  # of a test that is none
MEAN = "geometric mean"
UNIT = "thousand requests/s"
#: Requests of the run that finds out how many a group's runs have, for each one in a pipeline.
TRIAL = 1000


def panel(pipeline: int) -> str:
    """The title of a table."""
    how = "without pipelining" if pipeline == 1 else f"{pipeline} in a pipeline"
    return f"{PROGRAM}, {how}"


def measure(bench: EngineBench) -> Iterator[Row]:
    """A row for each test, and their mean."""
    if shutil.which(PROGRAM) is None:
        raise RuntimeError(f"{PROGRAM} is not on PATH (Debian: apt-get install redis-tools)")
    with ExitStack() as stack:
        servers = {kind.name: stack.enter_context(kind.running()) for kind in bench.kinds}
        for pipeline in PIPELINES:
            rows: list[Row] = []
            for group in GROUPS:
                for row in rows_of(group, pipeline, servers, bench):
                    rows.append(row)
                    yield row
            yield mean(rows)


def rows_of(group: str, pipeline: int, servers: dict[str, Server], bench: EngineBench) -> Iterator[Row]:
    """The rows of one group."""
    trials = [rates(server, group, pipeline, TRIAL * pipeline) for server in servers.values()]  # warms each up, too
    requests = max(TRIAL * pipeline, int(min(trials[0].values()) * 1000 * bench.seconds))
    found = alternate(list(servers), bench.rounds, lambda name: rates(servers[name], group, pipeline, requests))
    for test, samples in found.items():
        yield Row("server", panel(pipeline), test, UNIT, samples, VALKEY)


def mean(rows: Sequence[Row]) -> Row:
    """The geometric mean of each round."""
    samples = {
        name: [geometric_mean(figures) for figures in zip(*(row.samples[name] for row in rows), strict=True)]
        for name in rows[0].samples
    }
    return Row("server", rows[0].panel, MEAN, UNIT, samples, VALKEY)


def rates(server: Server, group: str, pipeline: int, requests: int) -> Figures:
    """Thousand requests a second of each test of a group."""
    server.ask("FLUSHALL")
    command = [PROGRAM, "-h", server.host, "-p", str(server.port), "-c", str(CLIENTS), "-P", str(pipeline)]
    command += ["-n", str(requests), "-t", group, "--csv"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    lines = csv.DictReader(done.stdout.splitlines())
    found = {line["test"].split(" ")[0]: float(line["rps"]) / 1000 for line in lines if PREPARATION not in line["test"]}
    if not found:
        raise RuntimeError(f"{PROGRAM} -t {group} measured nothing on {server.name}: {done.stderr.strip()}")
    return found
