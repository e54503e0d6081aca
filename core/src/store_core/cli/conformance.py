"""What ``store conformance`` does: run the kit in a process of its own, and say what came of it."""

from __future__ import annotations

import asyncio
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from store_core import StoreError, create_store
from store_core.cli.stores import ping
from store_core.cli.tables import print_table

_EXTRA = ("pytest", "pytest_asyncio")


def conformance(dsn: str, file: str, may_flush: bool) -> int:
    """Run the kit on a connection string; returns the exit status: 1 where a test failed.

    Raises:
        StoreError: The extra is missing, the connection string is wrong, or the kit could not run.
    """
    missing = [name for name in _EXTRA if find_spec(name) is None]
    if missing:
        names = " and ".join(name.replace("_", "-") for name in missing)
        raise StoreError(f"{names} not installed, and this command needs it: pip install 'store-core[testing]'")
    from store_core.testing.run import run  # needs the extra

    asyncio.run(ping(dsn))  # a hundred failures say less than one line
    data = run(create_store(dsn), may_flush=may_flush)
    if file:
        _write(Path(file), data)
    (result,) = data["stores"]
    source = " ".join(filter(None, (result["distribution"], result["version"]))) or "no distribution"
    sys.stdout.write(f"{result['form']}, {source}; kit {data['kit']}, hook spec {data['spec']}\n\n")
    print_table(("SECTION", "RESULT", "PASSED", "REASON"), _rows(result["sections"]))
    failures = [
        f"{section}: {test}: {reason}\n"
        for section, outcomes in result["sections"].items()
        for test, reason in outcomes["failed"].items()
    ]
    if failures:
        sys.stdout.write(f"\n{len(failures)} failed\n" + "".join(failures))
    return 1 if failures else 0


def _rows(sections: dict[str, Any]) -> list[tuple[str, ...]]:
    return [_row(section, outcomes) for section, outcomes in sections.items()]


def _row(section: str, outcomes: dict[str, Any]) -> tuple[str, ...]:
    failed, passed = len(outcomes["failed"]), outcomes["passed"]
    result = "FAILED" if failed else "passed" if passed else "skipped"
    reasons = dict.fromkeys(
        reason for name in ("skipped", "expected_failures", "warnings") for reason in outcomes[name].values()
    )
    notes = [f"{failed} failed"] if failed else []
    return (section, result, str(passed), "; ".join([*notes, *reasons]))


def _write(path: Path, data: dict[str, Any]) -> None:
    from store_core.testing.result import write

    try:
        write(path, data)
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror}") from error
