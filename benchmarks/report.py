"""A run in words: lines as they come, tables in Markdown, and the targets beside the figures.

Every figure is a median, with the lowest and the highest round behind it. A ratio is the median of the ratios within
the rounds, so it is not exactly the quotient of the medians.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from rounds import Row
from targets import Outcome

REACHED = {True: "yes", False: "no", None: "stated"}


def number(value: float) -> str:
    """Three digits, or all that are before the point."""
    for least, digits in ((100, 0), (10, 1), (1, 2)):
        if abs(value) >= least:
            return f"{value:,.{digits}f}"
    return f"{value:.3f}" if value else "0"


def scatter(samples: Sequence[float]) -> str:
    """Median, lowest and highest."""
    return f"{number(median(samples))} ({number(min(samples))}–{number(max(samples))})"


def lines(row: Row) -> Iterable[str]:
    """One line for each client."""
    for client, samples in row.samples.items():
        ratio = f"{number(row.ratio(client, row.baseline))} × {row.baseline}" if _compared(row, client) else ""
        yield f"  {row.case:26} {client:16} {scatter(samples):>24} {row.unit:22} {ratio}".rstrip()


def target_lines(found: Iterable[Outcome]) -> Iterable[str]:
    """The targets of a run, for a terminal."""
    for outcome in found:
        what, figure, target, reached = _target_cells(outcome)
        yield f"  {what:92} {figure:>26}   {target:12} {reached}"


def markdown(rows: Sequence[Row], found: Sequence[Outcome], about: dict[str, Any]) -> str:
    """The whole run: what it ran on, the targets, and a table for each panel."""
    panels = dict.fromkeys(row.panel for row in rows)
    cells = [_target_cells(outcome) for outcome in found]
    targets = "### Targets\n\n" + _table(["Figure", "Median (lowest–highest)", "Target", "Reached"], cells)
    tables = [f"### {panel}\n\n" + _panel([row for row in rows if row.panel == panel]) for panel in panels]
    return "\n\n".join([describe(about), *([targets] if found else []), *tables]) + "\n"


def describe(about: dict[str, Any]) -> str:
    """What a run ran on."""
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    return (
        f"{about['cpus']} CPUs ({about['machine']}), shared by client and server; {versions}. Medians of"
        f" {about['rounds']} alternating rounds of {about['seconds']:g} s, lowest and highest in parentheses."
        f" Load average before the run: {about['load']:.2f}."
        + "".join(f" Not installed, so left out: {name}." for name in about["missing"])
        + "".join(f" Failed: {name}." for name in about["failed"])
    )


def write_markdown(path: Path, text: str, name: str) -> None:
    """Write the tables: between the two marks of this name in a page that has them, else as the whole file."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    page = path.read_text() if path.exists() else ""
    if begin in page and end in page:
        before, _, rest = page.partition(begin)
        text = f"{before}{begin}\n\n{text}\n{end}{rest.partition(end)[2]}"
    path.write_text(text)


def _compared(row: Row, client: str) -> bool:
    return row.baseline in row.samples and client != row.baseline


def _panel(rows: Sequence[Row]) -> str:
    clients = list(dict.fromkeys(client for row in rows for client in row.samples))
    body = [[row.case, *(_cell(row, client) for client in clients)] for row in rows]
    return f"In {rows[0].unit}.\n\n" + _table(["", *clients], body)


def _cell(row: Row, client: str) -> str:
    if client not in row.samples:
        return ""
    ratio = f", **{number(row.ratio(client, row.baseline))} ×**" if _compared(row, client) else ""
    return scatter(row.samples[client]) + ratio


def _target_cells(outcome: Outcome) -> list[str]:
    target, row = outcome.target, outcome.row
    over = f" over {target.over}" if target.over else ""
    unit = " ×" if target.over else f" {row.unit}"
    sign = "≤" if target.at_most else "≥"
    wanted = "stated" if target.bound is None else f"{sign} {target.bound:g}{unit}"
    figure = scatter(outcome.samples) + unit
    return [f"{row.panel}, {row.case}: {target.client}{over}", figure, wanted, REACHED[outcome.reached]]


def _table(head: Sequence[str], body: Iterable[Sequence[str]]) -> str:
    rule = "|" + "---|" * len(head)
    return "\n".join(["| " + " | ".join(head) + " |", rule, *("| " + " | ".join(cells) + " |" for cells in body)])
