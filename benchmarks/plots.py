"""A run in pictures: a plot for each panel, bars of the medians with whiskers from the lowest round to the highest.

The number over a bar is its ratio to the baseline, or its figure. A panel of times that span more than 30 times is
logarithmic. One of many cases takes a whole line, and shows the ratios to the baseline in the place of the figures.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
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
    "Valkey": "#9aa0a6",
    "pulsards": "#7baaf7",
    "pulsards, compiled": "#1a56c4",
    "burner-redis": "#f29900",
    "fakeredis": "#c58af9",
    "store.execute, compiled": "#0b2e6b",
    "engine alone": "#81c995",
    "engine alone, compiled": "#188038",
}
OTHERS = ("#9aa0a6", "#7baaf7", "#1a56c4", "#f29900", "#c58af9", "#5bb974")
TIMES = ("ms", "ns")
SPAN_OF_LINEAR = 30
COLUMNS = 2
#: Cases of a panel above which it takes a line of its own.
MANY = 8
#: Of the title, over one column, and inches that it takes.
LETTERS = 105
HEAD = 0.7


def plot(rows: Sequence[Row], path: Path, title: str) -> None:
    """Write every panel of a run into one picture."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    panels = [[row for row in rows if row.panel == name] for name in dict.fromkeys(row.panel for row in rows)]
    columns = COLUMNS if any(map(_is_wide, panels)) else min(COLUMNS, len(panels))
    places = list(_places(panels, columns))
    lines = places[-1][0] + 1
    height = 4.2 * lines + HEAD
    figure = pyplot.figure(figsize=(8 * columns, height))
    grid = figure.add_gridspec(lines, columns)
    for panel, (line, across) in zip(panels, places, strict=True):
        axis = figure.add_subplot(grid[line, across])
        (_draw_ratios if _is_wide(panel) else _draw)(axis, panel)
    figure.suptitle(textwrap.fill(title, LETTERS * columns), fontsize=9, y=1 - 0.1 / height, va="top")
    figure.tight_layout(rect=(0, 0, 1, 1 - HEAD / height))
    figure.savefig(path, dpi=100)
    pyplot.close(figure)


def _is_wide(panel: Sequence[Row]) -> bool:
    return len(panel) > MANY and all(row.baseline in row.samples for row in panel)


def _places(panels: Sequence[Sequence[Row]], columns: int) -> Iterator[tuple[int, slice]]:
    """Line and columns of each panel."""
    line = column = 0
    for panel in panels:
        width = columns if _is_wide(panel) else 1
        if column + width > columns:
            line, column = line + 1, 0
        yield line, slice(column, column + width)
        column += width


def _draw_ratios(axis: Any, rows: Sequence[Row]) -> None:
    baseline = rows[0].baseline
    clients = [client for client in rows[0].samples if client != baseline]
    width = 0.82 / len(clients)
    for place, client in enumerate(clients):
        middles = [row.ratio(client, baseline) for row in rows]
        found = [row.ratios(client, baseline) for row in rows]
        low = [middle - min(ratios) for middle, ratios in zip(middles, found, strict=True)]
        high = [max(ratios) - middle for middle, ratios in zip(middles, found, strict=True)]
        bars = axis.bar(
            [at + (place - (len(clients) - 1) / 2) * width for at in range(len(rows))],
            middles,
            width=width * 0.94,
            label=client,
            color=COLOURS.get(client, OTHERS[(place + 1) % len(OTHERS)]),
            yerr=[low, high],
            error_kw={"elinewidth": 0.8, "capsize": 2, "ecolor": "#333333"},
        )
        axis.bar_label(bars, [f"{middle:.2f}" for middle in middles], fontsize=7, padding=2)
    axis.axhline(1, color=OTHERS[0], linewidth=1)
    axis.set_xticks(range(len(rows)), [row.case for row in rows], fontsize=8, rotation=20, ha="right")
    axis.set_title(rows[0].panel, fontsize=10)
    axis.set_ylabel(f"× {baseline}, of {rows[0].unit}")
    axis.legend(fontsize=7, ncols=len(clients), loc="upper center", bbox_to_anchor=(0.5, -0.16), frameon=False)


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
