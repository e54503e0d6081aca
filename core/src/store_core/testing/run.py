"""The kit from a program: pytest in a process of its own, so that a backend which hangs takes nobody along."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from store_core.errors import StoreError
from store_core.store import Store
from store_core.testing import installed
from store_core.testing.dialect import dialect_of
from store_core.testing.result import one_line, secrets_of

#: Seconds for the whole run: a backend that blocks the event loop is beyond the patience of a single test.
LIMIT = 900.0


def run(store: Store, *, may_flush: bool = False, limit: float = LIMIT) -> dict[str, Any]:
    """Run the whole kit on the store that a connection string names; returns the result as data.

    Args:
        store: Names the backend and the place; it is not used itself.
        may_flush: Whether the kit may empty the database, and create and delete others.
        limit: Seconds after which the run is given up.

    Raises:
        StoreError: The kit could not run to its end.
    """
    dialect_of(type(store))  # an error of it is the backend's, and is better said here
    with tempfile.TemporaryDirectory(prefix="store-conformance-") as folder:
        file, settings = Path(folder, "result.json"), Path(folder, "pytest.ini")
        settings.write_text("[pytest]\nasyncio_mode = strict\nasyncio_default_fixture_loop_scope = function\n")
        command = [sys.executable, "-m", "pytest", "-q", "--tb=native", "-c", str(settings), "--rootdir", folder]
        command += ["-p", "no:cacheprovider", "-p", "store_core.testing.plugin", "--conformance-json", str(file)]
        command += ["--import-mode=importlib", str(installed.__file__)]
        try:
            done = subprocess.run(  # noqa: S603 - our own command; the connection string is not in it
                command,
                env=_environment(store.dsn, may_flush),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=limit,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise StoreError(f"the conformance kit was not done after {limit:g} s, and was given up") from None
        if done.returncode in (0, 1) and file.exists():
            data: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
            if len(data["stores"]) == 1:
                return data
        raise _failed(done, store)


def _environment(dsn: str, may_flush: bool) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return {**inherited, installed.VARIABLE: json.dumps([dsn, may_flush])}


def _failed(done: subprocess.CompletedProcess[str], store: Store) -> StoreError:
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith(("E ", "ERROR", "Fatal"))]
    last = one_line(lines[0] if lines else done.stderr, secrets_of(store))
    return StoreError(f"the conformance kit stopped with status {done.returncode}: {last or 'it said nothing'}")
