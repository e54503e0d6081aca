"""A run in pictures: a plot for each panel, bars of the medians with whiskers from the lowest round to the highest.

The number over a bar is its ratio to the baseline, or its figure. A panel of times that span more than 30 times is
logarithmic.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from report import number
from rounds import Row

COLOURS = {
    "redis-py": "#9aa0a6",
    "coredis": "#c58af9",
    "valkey-glide": "#f29900",
    "store.client()": "#7baaf7",
    "store.execute": "#1a56c4",
    "store.pubsub()": "#1a56c4",
}
OTHERS = ("#9aa0a6", "#7baaf7", "#1a56c4", "#f29900", "#c58af9", "#5bb974")
TIMES = ("ms", "ns")
SPAN_OF_LINEAR = 30
COLUMNS = 2
#: Of the title, over one column.
LETTERS = 105


def plot(rows: Sequence[Row], path: Path, title: str) -> None:
    """Write every panel of a run into one picture."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    panels = list(dict.fromkeys(row.panel for row in rows))
    columns = min(COLUMNS, len(panels))
    lines = -(-len(panels) // columns)
    figure, axes = pyplot.subplots(lines, columns, figsize=(8 * columns, 4.2 * lines), squeeze=False)
    places = axes.flatten()
    for axis, panel in zip(places, panels, strict=False):
        _draw(axis, [row for row in rows if row.panel == panel])
    for axis in places[len(panels) :]:
        axis.remove()
    figure.suptitle(textwrap.fill(title, LETTERS * columns), fontsize=9)
    figure.tight_layout()
    figure.savefig(path, dpi=100)
    pyplot.close(figure)


def _draw(axis: Any, rows: Sequence[Row]) -> None:
    clients = list(dict.fromkeys(client for row in rows for client in row.samples))
    width = 0.82 / len(clients)
    for place, client in enumerate(clients):
        chosen = [(at, row) for at, row in enumerate(rows) if client in row.samples]
        heights = [row.median(client) for _, row in chosen]
        low = [height - min(row.samples[client]) for height, (_, row) in zip(heights, chosen, strict=True)]
        high = [max(row.samples[client]) - height for height, (_, row) in zip(heights, chosen, strict=True)]
        bars = axis.bar(
            [at + (place - (len(clients) - 1) / 2) * width for at, _ in chosen],
            heights,
            width=width * 0.94,
            label=client,
            color=COLOURS.get(client, OTHERS[place % len(OTHERS)]),
            yerr=[low, high],
            error_kw={"elinewidth": 0.8, "capsize": 2, "ecolor": "#333333"},
        )
        axis.bar_label(bars, [_label(row, client) for _, row in chosen], fontsize=7, padding=2)
    axis.set_xticks(range(len(rows)), [row.case for row in rows], fontsize=8)
    axis.set_title(rows[0].panel, fontsize=10)
    axis.set_ylabel(rows[0].unit)
    _scale(axis, rows)
    axis.legend(fontsize=7, ncols=len(clients), loc="upper center", bbox_to_anchor=(0.5, -0.08), frameon=False)


def _label(row: Row, client: str) -> str:
    if row.baseline not in row.samples or client == row.baseline:
        return number(row.median(client))
    return f"{number(row.ratio(client, row.baseline))} ×"


def _scale(axis: Any, rows: Sequence[Row]) -> None:
    least = min(row.median(client) for row in rows for client in row.samples)
    most = max(max(samples) for row in rows for samples in row.samples.values())
    if rows[0].unit in TIMES and most > SPAN_OF_LINEAR * least > 0:
        axis.set_yscale("log")
        axis.set_ylim(least / 2, most * 2)
    else:
        axis.set_ylim(0, most * 1.15 or 1)
    axis.yaxis.set_major_formatter("{x:,g}")
