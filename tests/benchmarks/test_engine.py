"""The engine's benchmark command runs, and its figures go where they belong; no figure is a test."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

COMMAND = Path(__file__).parents[2] / "benchmarks" / "engine.py"


def run(*arguments: Any, fails: bool = False) -> str:
    command = [sys.executable, str(COMMAND), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert (done.returncode != 0) == fails, done.stderr
    return done.stderr if fails else done.stdout


def test_served_and_embedded_have_a_figure_of_every_round(tmp_path: Path) -> None:
    document = tmp_path / "run.json"
    run("--only", "embedded,fanout", "--rounds", 2, "--seconds", 0.02, "--json", document)
    told = json.loads(document.read_text())
    clients = {row["panel"]: set(row["samples"]) for row in told["rows"]}
    assert {"store.execute", "engine alone"} <= clients.pop("Embedded, one caller, 32 bytes")
    assert list(clients.values()) == [{"Valkey", "pulsards"}] * 2
    for row in told["rows"]:
        assert all(len(figures) == 2 and min(figures) > 0 for figures in row["samples"].values())
    assert told["about"]["missing"]["pulsards, compiled"]
    assert told["about"]["versions"].keys() >= {"Valkey", "pulsards on Python"}


def test_its_figures_stand_between_marks_of_their_own(tmp_path: Path) -> None:
    page, document = tmp_path / "page.md", tmp_path / "run.json"
    page.write_text(
        "<!-- figures: begin -->\nthe client's\n<!-- figures: end -->\n"
        "<!-- engine figures: begin -->\nold\n<!-- engine figures: end -->\nafter\n"
    )
    run("--only", "embedded", "--rounds", 1, "--seconds", 0.01, "--json", document)
    run("--from", document, "--markdown", page)
    text = page.read_text()
    assert "the client's\n<!-- figures: end -->\n<!-- engine figures: begin -->" in text
    assert text.endswith("\n<!-- engine figures: end -->\nafter\n")
    assert "old" not in text
    assert "| GET | " in text


def test_pure_python_is_not_taken_for_the_compiled_form() -> None:
    message = run("--only", "idle", "--compiled", sys.executable, fails=True)
    assert "for 'pulsards, compiled' the other form is needed" in message
