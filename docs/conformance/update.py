"""Writes the results that the conformance table is made of: ``NAME.json`` beside this file, one for each backend.

    python docs/conformance/update.py                      # every one below whose backend is installed
    python docs/conformance/update.py NAME=DSN …           # these; a DSN of one's own for any NAME

A server is started where the connection string has port 0. Its whole database is at the kit's disposal.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from store_core import DSN, create_store, data_stores, start_store
from store_core.testing.result import write
from store_core.testing.run import run

HERE = Path(__file__).parent

#: Column of the table to the connection string of its backend.
KNOWN = {
    "pulsards-embedded": "pulsards://",
    "pulsards-server": "pulsards://127.0.0.1:0",
    "redis": "redis://127.0.0.1:0",
    "redis-cluster": "redis+cluster://127.0.0.1:0,127.0.0.1:0,127.0.0.1:0",
    "postgres": "postgres://127.0.0.1:0",
    "sqlite": "sqlite://",  # the template: store new-backend sqlite
}


def update(name: str, url: str) -> None:
    """Run the kit and write its result."""
    with asyncio.Runner() as runner:
        dsn = DSN.parse(url)
        started = runner.run(start_store(url)) if any(host.port == 0 for host in dsn.hosts) else None
        try:
            data = run(create_store(started.dsn if started else url), may_flush=True)
        finally:
            if started is not None:
                runner.run(started.close())
    write(HERE / f"{name}.json", data)
    sections = data["stores"][0]["sections"].values()
    passed, failed = (sum(each["passed"] for each in sections), sum(len(each["failed"]) for each in sections))
    sys.stdout.write(f"{name}: {passed} passed, {failed} failed\n")


def main(arguments: list[str]) -> None:
    """What the module's docstring says."""
    wanted = dict(argument.partition("=")[::2] for argument in arguments) or KNOWN
    for name, url in wanted.items():
        if arguments or DSN.parse(url).scheme in data_stores:
            update(name, url)


if __name__ == "__main__":
    main(sys.argv[1:])
