"""``store conformance``: a table, an exit status, and one line where it cannot run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

BROKEN = """
from store_core import Capability, ReplyError, Store

class BrokenStore(Store):
    capabilities = frozenset({Capability.EXECUTE})

    async def execute(self, *args, **options):
        self.bind_loop()
        raise ReplyError("ERR nothing works")

    async def ping(self):
        self.bind_loop()
        return True
"""


def test_a_backend_that_passes_is_a_table_and_status_0(run, tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    done = run("conformance", "pulsards://", "--json", str(file))
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.split() for line in done.stdout.splitlines()]
    assert lines[0][:2] == ["pulsards://", "EmbeddedStore,"]
    assert ["start", "skipped", "0", "pulsards", "does", "not", "declare", "start"] in lines
    assert "it empties the database, and may_flush is false" in done.stdout
    (result,) = json.loads(file.read_text())["stores"]
    assert result["sections"]["execute"]["passed"] > 10


def test_a_backend_that_fails_is_status_1_and_every_failure_a_line(run, distribution: Callable[..., str]) -> None:
    folder = distribution("store-broken", "broken = store_broken:BrokenStore", BROKEN)
    done = run("conformance", "broken://", PYTHONPATH=folder)
    assert (done.returncode, done.stderr) == (1, "")
    assert "execute: test_a_value_that_was_written_is_read: " in done.stdout
    assert "ERR nothing works" in done.stdout
    assert "broken does not declare transactions, watch" in done.stdout


def test_where_nobody_answers_it_is_one_line(run) -> None:
    done = run("conformance", "redis://:hunter2@127.0.0.1:1")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("store: cannot connect to 127.0.0.1:1")
    assert done.stderr.count("\n") == 1


def test_without_the_extra_it_is_one_line_that_says_what_to_install(run, tmp_path: Path) -> None:
    # A finder that knows no pytest_asyncio: what a machine without the extra has.
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util, sys\n"
        "real = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *rest: None if name == 'pytest_asyncio' else real(name, *rest)\n"
    )
    done = run("conformance", "pulsards://", PYTHONPATH=str(tmp_path))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "store: pytest-asyncio not installed, and this command needs it: pip install 'store-core[testing]'\n"
    )
