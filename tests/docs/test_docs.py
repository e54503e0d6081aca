"""The documentation is complete, its links lead somewhere, and its examples do what it says they print."""

from __future__ import annotations

import re
import subprocess
import sys
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

import pytest

import store_core
from store_core import data_stores
from store_core.hookspecs import HookSpecs

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(
    path
    for path in [*ROOT.glob("*.md"), *ROOT.glob("core/*.md"), *ROOT.glob("plugins/*/*.md"), *DOCS.rglob("*.md")]
    if "_build" not in path.parts
)

_FENCE = re.compile(r"^( *)```(\S*)[^\n]*\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_DOCUMENTED = re.compile(r"^\.\. (?:auto|py:)\w+:: ([\w.]+)", re.MULTILINE)


class Example(NamedTuple):
    """A whole program in a page, and what the page says that it prints (None: nothing is said)."""

    page: Path
    line: int
    program: str
    output: str | None


def relative(page: Path) -> str:
    return str(page.relative_to(ROOT))


def examples() -> list[Example]:
    """Every fenced Python block that imports what it uses; a block without an import is a fragment."""
    found = []
    for page in PAGES:
        text = page.read_text()
        blocks = list(_FENCE.finditer(text))
        for block, follower in zip_longest(blocks, blocks[1:]):
            if block[2] != "python" or "import " not in block[3]:
                continue
            shown = follower is not None and follower[2] == "text" and not text[block.end() : follower.start()].strip()
            line = text.count("\n", 0, block.start()) + 1
            found.append(Example(page, line, block[3], follower[3] if follower and shown else None))
    return found


def documented(page: str) -> set[str]:
    return set(_DOCUMENTED.findall((DOCS / page).read_text()))


@pytest.mark.parametrize("example", examples(), ids=lambda each: f"{relative(each.page)}:{each.line}")
def test_an_example_prints_what_the_page_says(example: Example, tmp_path: Path) -> None:
    program = [sys.executable, "-W", "error", "-c", example.program]
    done = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    if example.output is not None:
        assert done.stdout == example.output


@pytest.mark.parametrize(
    "page",
    [
        "README.md",
        "core/README.md",
        *(f"plugins/{name}/README.md" for name in ("store-redis", "store-pulsards", "store-postgres")),
    ],
)
def test_a_readme_has_an_example_that_runs(page: str) -> None:
    assert [example for example in examples() if relative(example.page) == page]


@pytest.mark.parametrize("name", store_core.__all__)
def test_every_public_name_is_in_the_reference(name: str) -> None:
    assert f"store_core.{name}" in documented("reference.md")


@pytest.mark.parametrize("hook", [name for name in vars(HookSpecs) if name.startswith("store_")])
def test_every_hook_is_in_the_hook_spec_reference(hook: str) -> None:
    assert f"store_core.hookspecs.HookSpecs.{hook}" in documented("extensions.md")


@pytest.mark.parametrize(
    "scheme",
    [
        "redis",
        "rediss",
        "unix",
        "valkey",
        "valkeys",
        "redis+cluster",
        "redis+sentinel",
        "pulsards",
        "pulsards+unix",
        "postgres",
        "postgresql",
    ],
)
def test_every_parameter_of_a_backend_has_one_line_of_help(scheme: str) -> None:
    for parameter in data_stores[scheme].load().parameters:
        assert parameter.help, parameter.name
        assert "\n" not in parameter.help


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_links_to_files_lead_to_files(page: Path) -> None:
    for target in _LINK.findall(_FENCE.sub("", page.read_text())):
        path = target.partition("#")[0]
        if path and "://" not in path and not path.startswith("mailto:"):
            assert (page.parent / path).exists(), target


def test_every_page_is_reached_from_the_index() -> None:
    listed = set()
    for index in (DOCS / "index.md", DOCS / "decisions" / "index.md"):
        for block in _FENCE.finditer(index.read_text()):
            entries = [line for line in block[3].splitlines() if line and not line.startswith(":")]
            listed |= {index.parent / f"{entry}.md" for entry in entries if block[2] == "{toctree}"}
    assert {page for page in PAGES if DOCS in page.parents} - {DOCS / "index.md"} == listed


def test_every_command_of_the_command_line_has_a_section() -> None:
    pytest.importorskip("typer", reason="the extra [cli] is not installed")
    from store_core.cli.app import app

    names = {command.name or command.callback.__name__ for command in app.registered_commands}  # type: ignore[union-attr]
    assert set(re.findall(r"^## store ([\w-]+)$", (DOCS / "command-line.md").read_text(), re.MULTILINE)) == names


def test_the_changelog_has_the_version_that_is_next() -> None:
    assert "## [Unreleased]" in (ROOT / "CHANGELOG.md").read_text()
