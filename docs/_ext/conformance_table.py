"""Directives whose tables come from the results in ``docs/conformance/*.json``; ``update.py`` there writes them.

::

    ```{conformance-table}     a row for each section of the kit, a column for each form of a backend
    ```{capability-table}      a row for each capability, a column for each form of a backend
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from docutils import nodes
from from_code import code, table
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from store_core import Capability

RESULTS = Path(__file__).parents[1] / "conformance"


def results() -> dict[str, dict[str, Any]]:
    """Title to result, by the names of the files."""
    found = {}
    for path in sorted(RESULTS.glob("*.json")):
        data = json.loads(path.read_text(encoding="utf-8"))
        (result,) = data["stores"]
        found[path.stem] = {**result, "kit": data["kit"], "spec": data["spec"]}
    return found


def cell(outcomes: dict[str, Any] | None) -> str:
    """What one section says of one backend."""
    if outcomes is None:
        return ""
    passed, failed = outcomes["passed"], len(outcomes["failed"])
    expected = len(outcomes["expected_failures"])
    if not passed and not failed and not expected:
        return "\N{EN DASH}"
    parts = [str(passed)] if not failed and not expected else [f"{passed} of {passed + failed + expected}"]
    return " ".join(parts)


class _Table(SphinxDirective):
    """Rebuilt whenever a result changes."""

    def run(self) -> list[nodes.Node]:
        for path in RESULTS.glob("*.json"):
            self.env.note_dependency(str(path))
        return self.tables(results())

    def tables(self, found: dict[str, dict[str, Any]]) -> list[nodes.Node]:
        raise NotImplementedError


class ConformanceTable(_Table):
    """``conformance-table``"""

    def tables(self, found: dict[str, dict[str, Any]]) -> list[nodes.Node]:
        sections = dict.fromkeys(section for result in found.values() for section in result["sections"])
        rows = [
            ("Distribution", *(f"{each['distribution']} {each['version']}" for each in found.values())),
            ("Kit, hook spec", *(f"{each['kit']}, {each['spec']}" for each in found.values())),
            *((section, *(cell(each["sections"].get(section)) for each in found.values())) for section in sections),
        ]
        return [table(("Section", *found), rows), *self._notes(found)]

    def _notes(self, found: dict[str, dict[str, Any]]) -> list[nodes.Node]:
        notes = nodes.bullet_list()
        for name, result in found.items():
            for section, outcomes in result["sections"].items():
                for kind, word in (("failed", "fails"), ("expected_failures", "is expected to fail")):
                    for test, reason in outcomes[kind].items():
                        text = nodes.paragraph("", "", nodes.Text(f"{name}, {section}: "), code(test))
                        text += nodes.Text(f" {word}: {reason}")
                        notes += nodes.list_item("", text)
        return [notes] if len(notes) else []


class CapabilityTable(_Table):
    """``capability-table``"""

    def tables(self, found: dict[str, dict[str, Any]]) -> list[nodes.Node]:
        rows = [
            (code(each.value), *("yes" if each in result["capabilities"] else "" for result in found.values()))
            for each in Capability
        ]
        return [table(("Capability", *found), rows)]


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directives."""
    app.add_directive("conformance-table", ConformanceTable)
    app.add_directive("capability-table", CapabilityTable)
    return {"version": "1", "parallel_read_safe": True}
