"""What the benchmark commands have in common: their options, running sections, telling, and the files.

A section is a function that yields rows. One that fails is told, costs the others nothing, and makes the exit status
1: what was measured before is worth minutes, and what comes after does not depend on it.
"""

from __future__ import annotations

import argparse
import json
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, NamedTuple, NoReturn, TypeVar

from plots import plot
from report import describe, lines, markdown, target_lines, write_markdown
from rounds import Row
from targets import Outcome, Target, outcomes

B = TypeVar("B")
Facts = dict[str, Any]


class Command(NamedTuple, Generic[B]):
    """One benchmark command.

    Attributes:
        description: For ``--help``.
        title: Of the picture.
        marks: The name of the marks between which a page has the figures.
        sections: What ``--only`` chooses of.
        targets: What the figures are held against.
    """

    description: str
    title: str
    marks: str
    sections: Mapping[str, Callable[[B], Iterable[Row]]]
    targets: Sequence[Target]

    def parser(self) -> argparse.ArgumentParser:
        """The options that every command has."""
        parser = argparse.ArgumentParser(description=self.description)
        names = ", ".join(self.sections)
        parser.add_argument("--rounds", type=at_least_one, default=5)
        parser.add_argument("--seconds", type=duration, default=0.6, help="of each measurement")
        parser.add_argument("--only", type=self._sections, default=list(self.sections), metavar="NAME,…", help=names)
        parser.add_argument("--from", type=Path, dest="saved", metavar="FILE", help="a run that --json saved")
        for name in ("json", "png", "markdown"):
            parser.add_argument(f"--{name}", type=Path, metavar="FILE", help="write the run there")
        return parser

    def measure(self, only: Sequence[str], bench: B, facts: Facts) -> list[Row]:
        """Run the chosen sections; prints each row as it comes."""
        rows: list[Row] = []
        print(describe(facts), flush=True)
        for name in only:
            try:
                for row in self.sections[name](bench):
                    tell(row, rows[-1] if rows else None)
                    rows.append(row)
            except Exception as error:  # noqa: BLE001 - whatever a client raises
                traceback.print_exc()
                facts["failed"][name] = f"{type(error).__name__}: {error}"
        return rows

    def finish(self, options: argparse.Namespace, facts: Facts, rows: list[Row]) -> NoReturn:
        """Tell the targets, write the files that were asked for, and exit."""
        found = outcomes(self.targets, rows)
        print("\nTargets")
        print("\n".join(target_lines(found)))
        if rows:
            self._write(options, facts, rows, found)
        for name, why in facts["failed"].items():
            print(f"the section {name} failed: {why}", file=sys.stderr)
        sys.exit(1 if facts["failed"] else 0)

    def _write(self, options: argparse.Namespace, facts: Facts, rows: list[Row], found: list[Outcome]) -> None:
        if options.json is not None:
            targets = [outcome.as_json() for outcome in found]
            document = {"about": facts, "targets": targets, "rows": [row.as_json() for row in rows]}
            options.json.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
        if options.markdown is not None:
            write_markdown(options.markdown, markdown(rows, found, facts), self.marks)
        if options.png is not None:
            plot(rows, options.png, f"{self.title}. {describe(facts)}")
        for path in filter(None, (options.json, options.markdown, options.png)):
            print(f"wrote {path}")

    def _sections(self, text: str) -> list[str]:
        names = [name.strip() for name in text.split(",") if name.strip()]
        unknown = [name for name in names if name not in self.sections]
        if unknown or not names:
            known = ", ".join(self.sections)
            raise argparse.ArgumentTypeError(f"no section {', '.join(unknown) or 'named'}; there are {known}")
        return names


def tell(row: Row, before: Row | None) -> None:
    """Print a row, under its panel's title where that is another one than before."""
    if before is None or before.panel != row.panel:
        print(f"\n{row.panel}")
    print("\n".join(lines(row)), flush=True)


def saved(path: Path, only: Sequence[str]) -> tuple[Facts, list[Row]]:
    """The chosen sections of a run that ``--json`` saved; prints them."""
    document = json.loads(path.read_text())
    facts, fields = document["about"], Row.__dataclass_fields__
    facts["failed"] = {name: why for name, why in facts["failed"].items() if name in only}
    all_rows = [Row(**{name: row[name] for name in fields}) for row in document["rows"]]
    rows = [row for row in all_rows if row.section in only]
    print(describe(facts))
    for before, row in zip([None, *rows], rows, strict=False):
        tell(row, before)
    return facts, rows


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
