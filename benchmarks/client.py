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
import json
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import extension_cost
import large_values
import latency
import many_callers
import pipelines
import subscribers
import throughput
from about import about
from plots import plot
from report import describe, lines, markdown, target_lines, write_markdown
from rivals import Server, installed
from rounds import Bench, Row, find_loops
from store_core import start_store
from targets import outcomes

SECTIONS: dict[str, Callable[[Bench], Iterable[Row]]] = {
    "throughput": throughput.measure,
    "latency": latency.measure,
    "pipeline": pipelines.measure,
    "values": large_values.measure,
    "callers": many_callers.measure,
    "extensions": extension_cost.measure,
    "pubsub": subscribers.measure,
}


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


def measured(options: argparse.Namespace) -> tuple[dict[str, Any], list[Row]]:
    """Run the chosen sections; prints each row as it comes."""
    rivals, missing = installed()
    rows: list[Row] = []
    with running_server(options.dsn) as dsn:
        bench = Bench(Server.at(dsn), rivals, find_loops(), options.rounds, options.seconds)
        facts = about(bench, missing)
        print(describe(facts), flush=True)
        for name in options.only:
            try:
                for row in SECTIONS[name](bench):
                    tell(row, rows[-1] if rows else None)
                    rows.append(row)
            except Exception as error:  # noqa: BLE001 - whatever a client raises
                # What was measured before is worth minutes, and what comes after does not depend on it.
                traceback.print_exc()
                facts["failed"][name] = f"{type(error).__name__}: {error}"
    return facts, rows


def tell(row: Row, before: Row | None) -> None:
    """Print a row, under its panel's title where that is another one than before."""
    if before is None or before.panel != row.panel:
        print(f"\n{row.panel}")
    print("\n".join(lines(row)), flush=True)


def saved(options: argparse.Namespace) -> tuple[dict[str, Any], list[Row]]:
    """The chosen sections of a run that ``--json`` saved; prints them."""
    document = json.loads(options.saved.read_text())
    facts, fields = document["about"], Row.__dataclass_fields__
    facts["failed"] = {name: why for name, why in facts["failed"].items() if name in options.only}
    all_rows = [Row(**{name: row[name] for name in fields}) for row in document["rows"]]
    rows = [row for row in all_rows if row.section in options.only]
    print(describe(facts))
    for before, row in zip([None, *rows], rows, strict=False):
        tell(row, before)
    return facts, rows


def write(options: argparse.Namespace, facts: dict[str, Any], rows: list[Row]) -> None:
    """The files that were asked for."""
    if options.json is not None:
        found = [outcome.as_json() for outcome in outcomes(rows)]
        document = {"about": facts, "targets": found, "rows": [row.as_json() for row in rows]}
        options.json.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    if options.markdown is not None:
        write_markdown(options.markdown, markdown(rows, facts))
    if options.png is not None:
        plot(rows, options.png, f"store-redis beside other clients. {describe(facts)}")
    for path in filter(None, (options.json, options.markdown, options.png)):
        print(f"wrote {path}")


def sections(text: str) -> list[str]:
    """The names of ``--only``."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in SECTIONS]
    if unknown or not names:
        raise argparse.ArgumentTypeError(f"no section {', '.join(unknown) or 'named'}; there are {', '.join(SECTIONS)}")
    return names


def at_least_one(text: str) -> int:
    """A number of rounds."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} rounds measure nothing")
    return number


def duration(text: str) -> float:
    """Seconds of a measurement."""
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} seconds measure nothing")
    return number


def parse(arguments: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=at_least_one, default=5)
    parser.add_argument("--seconds", type=duration, default=0.6, help="of each measurement")
    parser.add_argument("--only", type=sections, default=list(SECTIONS), metavar="NAME,…", help=", ".join(SECTIONS))
    parser.add_argument("--dsn", help="a server that runs already; else one is started")
    parser.add_argument("--from", type=Path, dest="saved", metavar="FILE", help="a run that --json saved")
    for name in ("json", "png", "markdown"):
        parser.add_argument(f"--{name}", type=Path, metavar="FILE", help="write the run there")
    return parser.parse_args(arguments)


def main() -> None:
    """Measure or read, print, write."""
    options = parse(sys.argv[1:])
    facts, rows = saved(options) if options.saved else measured(options)
    print("\nTargets")
    print("\n".join(target_lines(rows)))
    if rows:
        write(options, facts, rows)
    for name, why in facts["failed"].items():
        print(f"the section {name} failed: {why}", file=sys.stderr)
    sys.exit(1 if facts["failed"] else 0)


if __name__ == "__main__":
    main()
