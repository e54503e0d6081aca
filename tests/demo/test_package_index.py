"""The main job: the example gives the same answers on every store."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.conftest import FORMS, Servers

EXAMPLE = Path(__file__).parents[2] / "examples" / "package_index.py"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, EXAMPLE, *arguments], capture_output=True, text=True, timeout=100, check=False
    )


def test_the_answers_are_the_same_on_every_store(servers: Servers) -> None:
    default = run()
    assert default.returncode == 0, default.stderr
    assert "is required by" in default.stdout
    for form in FORMS:
        done = run(servers.url(form))
        assert done.returncode == 0, done.stderr
        assert done.stdout == default.stdout, form


def test_a_second_run_finds_nothing_left_of_the_first(servers: Servers) -> None:
    url = servers.url("valkey-tcp")
    assert run(url).stdout == run(url).stdout


def test_a_server_that_is_not_there_is_one_clear_line() -> None:
    done = run("redis://127.0.0.1:1")
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert "127.0.0.1:1" in done.stderr
