"""Tables: drawn by rich on a terminal, aligned plain text everywhere else."""

from __future__ import annotations

import sys
from collections.abc import Sequence

Row = Sequence[str]


def print_table(header: Row, rows: Sequence[Row]) -> None:
    """Print a table on standard output."""
    if sys.stdout.isatty():
        _print_rich(header, rows)
    else:
        sys.stdout.write(plain(header, rows))


def plain(header: Row, rows: Sequence[Row]) -> str:
    """The table as text: columns two spaces apart, nothing cut, nothing wrapped; an empty cell is ``-``."""
    cells = [[_one_line(cell) or "-" for cell in row] for row in (header, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() + "\n" for row in cells
    )


def _print_rich(header: Row, rows: Sequence[Row]) -> None:
    from rich.console import Console  # a pipe need not wait for it
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in header:
        table.add_column(title, overflow="fold")
    for row in rows:
        # Text, so that a '[' in a cell is not taken for markup.
        table.add_row(*(Text(_one_line(cell)) for cell in row))
    Console().print(table)


def _one_line(cell: str) -> str:
    return " ".join(cell.split())
