"""Runs of the kit in processes of their own, and their results as data."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent

#: ``run(program, *options)`` gives (the result as data, what pytest printed, its exit status).
Kit = Callable[..., tuple[dict[str, Any], str, int]]


@pytest.fixture(scope="session")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Kit:
    """Run a test file that uses the kit, as an author's own."""

    def run(program: str, *options: str, mode: str = "strict") -> tuple[dict[str, Any], str, int]:
        folder = tmp_path_factory.mktemp("kit")
        (folder / "pytest.ini").write_text(
            f"[pytest]\nasyncio_mode = {mode}\nasyncio_default_fixture_loop_scope = function\nfilterwarnings = error\n"
        )
        (folder / "conftest.py").write_text('pytest_plugins = ["store_core.testing.plugin"]\n')
        (folder / "test_kit.py").write_text(program)
        path = os.pathsep.join(filter(None, (str(HERE), os.environ.get("PYTHONPATH"))))
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--tb=native"]
        done = subprocess.run(
            [*command, "--conformance-json", "result.json", *options],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        file = folder / "result.json"
        return json.loads(file.read_text()) if file.exists() else {}, done.stdout + done.stderr, done.returncode

    return run
