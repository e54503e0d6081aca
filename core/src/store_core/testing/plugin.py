"""The pytest plugin behind ``--conformance-json FILE``; load it by name, nothing does so by itself.

::

    # conftest.py
    pytest_plugins = ["store_core.testing.plugin"]
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from store_core.testing.result import STORE, TEST, Results, one_line, write

_ATTRIBUTE = "conformance"


def pytest_addoption(parser: pytest.Parser) -> None:
    """The option."""
    group = parser.getgroup("store conformance")
    group.addoption("--conformance-json", metavar="FILE", help="write the results of store_core.testing to FILE")


def pytest_configure(config: pytest.Config) -> None:
    """Collect results only where somebody wants them."""
    path = config.getoption("--conformance-json")
    if path:
        config.pluginmanager.register(_Collector(Path(path)), "store_core.testing.collector")


class _Collector:
    def __init__(self, path: Path) -> None:
        self._path = path.absolute()
        self._results = Results()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if STORE in item.stash and TEST in item.stash:
            section, secrets = item.stash[TEST]
            parent = item.getparent(pytest.Class)
            facts = {
                "suite": parent.name if parent else "",
                "store": item.stash[STORE],
                "section": section,
                "test": item.name,
            }
            # An attribute of the report travels with it, from pytest-xdist's workers too.
            setattr(report, _ATTRIBUTE, {**facts, "reason": one_line(_reason(report), secrets)})
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        facts: dict[str, Any] | None = getattr(report, _ATTRIBUTE, None)
        outcome = _outcome(report)
        if facts is not None and outcome:
            self._results.add(outcome=outcome, **facts)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if not hasattr(session.config, "workerinput"):
            write(self._path, self._results.as_data())


def _outcome(report: pytest.TestReport) -> str:
    """What a report says of its test; empty where it says nothing (the set-up of a test that will run)."""
    if report.failed:
        return "failed"
    if report.skipped:
        if not hasattr(report, "wasxfail"):
            return "skipped"
        return "warnings" if "is new in kit" in report.wasxfail else "expected_failures"
    return "passed" if report.when == "call" else ""


def _reason(report: pytest.TestReport) -> str:
    if hasattr(report, "wasxfail"):
        return str(report.wasxfail).removeprefix("reason: ")
    details = report.longrepr
    if report.skipped and isinstance(details, tuple):
        return str(details[2]).removeprefix("Skipped: ")
    crash = getattr(details, "reprcrash", None)
    return str(crash.message if crash is not None else details or "")
