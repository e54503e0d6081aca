"""The benchmark command runs, every client has a figure in every table, and targets are judged by what was measured."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

COMMAND = Path(__file__).parents[2] / "benchmarks" / "client.py"
ABOUT = {
    "machine": "a machine",
    "cpus": 2,
    "load": 0.0,
    "versions": {"Python": "3.11"},
    "missing": {},
    "failed": {},
    "rounds": 3,
    "seconds": 1.0,
}


def run(*arguments: Any, fails: bool = False) -> str:
    command = [sys.executable, str(COMMAND), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert (done.returncode != 0) == fails, done.stderr
    return done.stderr if fails else done.stdout


def saved_run(path: Path, **samples: list[float]) -> Path:
    row = {
        "section": "throughput",
        "panel": "GET and SET of 32 bytes, uvloop",
        "case": "64 callers",
        "unit": "thousand operations/s",
        "samples": {"redis-py": samples["theirs"], "store.execute": samples["ours"]},
        "baseline": "redis-py",
    }
    path.write_text(json.dumps({"about": ABOUT, "rows": [row]}))
    return path


def test_every_client_has_a_figure_of_every_round(tmp_path: Path) -> None:
    document = tmp_path / "run.json"
    run("--only", "latency,pipeline", "--rounds", 2, "--seconds", 0.02, "--json", document)
    rows = json.loads(document.read_text())["rows"]
    assert {row["section"] for row in rows} == {"latency", "pipeline"}
    for row in rows:
        assert {"redis-py", "store.client()", "store.execute"} <= row["samples"].keys()
        assert all(len(figures) == 2 and min(figures) > 0 for figures in row["samples"].values())


def test_a_target_is_judged_by_the_median_of_the_ratios_within_the_rounds(tmp_path: Path) -> None:
    # Ratios 21, 19, 25: their median reaches 20; the quotient of the medians, 19, would not.
    reached = saved_run(tmp_path / "reached.json", theirs=[10, 20, 30], ours=[210, 380, 750])
    missed = saved_run(tmp_path / "missed.json", theirs=[10, 20, 30], ours=[190, 380, 750])
    told = [run("--from", path).splitlines()[-1] for path in (reached, missed)]
    assert [line.split()[-1] for line in told] == ["yes", "no"]
    assert ["≥ 20 " in line for line in told] == [True, True]


def test_a_page_keeps_what_stands_around_its_figures(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Before\n\n<!-- figures: begin -->\nold\n<!-- figures: end -->\n\nafter\n")
    saved = saved_run(tmp_path / "run.json", theirs=[10.0], ours=[200.0])
    run("--from", saved, "--markdown", page)
    first = page.read_text()
    run("--from", saved, "--markdown", page)
    assert page.read_text() == first
    assert first.startswith("# Before\n\n<!-- figures: begin -->\n")
    assert first.endswith("\n<!-- figures: end -->\n\nafter\n")
    assert "old" not in first
    assert "| 64 callers | 10.0 (10.0–10.0) | 200 (200–200), **20.0 ×** |" in first  # noqa: RUF001


def test_a_section_that_fails_is_told_and_leaves_the_others_their_figures(tmp_path: Path) -> None:
    document = tmp_path / "run.json"
    arguments = ["--only", "latency,pipeline", "--rounds", "1", "--seconds", "0.02", "--json", str(document)]
    program = f"""
import runpy, sys
sys.path.insert(0, {str(COMMAND.parent)!r})
import latency
latency.percentiles = None
sys.argv = {["client.py", *arguments]!r}
runpy.run_path({str(COMMAND)!r}, run_name="__main__")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 1
    assert "the section latency failed: TypeError" in done.stderr
    assert {row["section"] for row in json.loads(document.read_text())["rows"]} == {"pipeline"}


def test_an_unknown_section_is_refused_with_the_known_ones() -> None:
    message = run("--only", "througput", fails=True)
    assert "througput" in message
    assert "throughput" in message
