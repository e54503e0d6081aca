"""Publish and receive: messages a second that 1 to 1,000 subscribers of one process get, by ``pubsub.py``."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import redirect_stdout

import pubsub
from rounds import Bench, Row

OURS = "store.pubsub()"


def panel(loop: str) -> str:
    """The title of a loop's table."""
    return f"Messages received, {loop}"


def case(subscribers: int) -> str:
    """The name of a line."""
    return f"{subscribers:,} subscriber{'s' if subscribers > 1 else ''}"


def measure(bench: Bench) -> Iterator[Row]:
    """A row for each loop and number of subscribers."""
    with redirect_stdout(io.StringIO()):  # it has a table of its own
        found = pubsub.measure(bench.server.dsn, bench.rounds, bench.seconds)
    for row in found:
        samples = {client: [value / 1000 for value in values] for client, values in row["samples"].items()}
        yield Row("pubsub", panel(row["loop"]), case(row["subscribers"]), "thousand messages/s", samples)
