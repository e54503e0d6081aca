"""The tutorial, typed in as it stands: every command works, and prints what the page shows."""

from __future__ import annotations

import os
import re
import subprocess
from typing import NamedTuple

import pytest
from tests.environments import ROOT

pytestmark = pytest.mark.timeout(600)

PAGE = ROOT / "docs" / "write-a-backend.md"


class Step(NamedTuple):
    """A command of the page and the lines that the page shows below it."""

    command: str
    shown: list[str]


def steps() -> list[Step]:
    found: list[Step] = []
    for block in re.findall(r"^```console\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append(Step(line[2:], []))
            else:
                found[-1].shown.append(line)
    # The environment has the core's own wheel instead of the published one.
    assert found[0].command == "pip install 'store-core[cli,testing]'"
    return found[1:]


def test_every_command_of_the_tutorial_prints_what_the_page_shows(author, tmp_path):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("STORE_", "PYTHON", "COV_"))}
    kept["PATH"] = f"{author.python.parent}{os.pathsep}{kept['PATH']}"
    try:
        for step in steps():
            done = subprocess.run(
                ["/bin/sh", "-c", step.command], cwd=tmp_path, env=kept, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, f"{step.command}\n{done.stdout}{done.stderr}"
            for line in filter(None, step.shown):
                # '…' stands for what is different each time.
                pattern = ".*".join(map(re.escape, re.sub(r" {2,}", " ", line).split("…")))
                printed = re.sub(r" {2,}", " ", done.stdout)
                assert re.search(f"^{pattern}", printed, re.MULTILINE), f"{step.command}\n{line}\n{done.stdout}"
    finally:
        author.pip("uninstall", "--yes", "store-acme")
    assert (tmp_path / "conformance.json").exists()
