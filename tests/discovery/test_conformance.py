"""The kit as an author has it: from the built wheel, beside a backend's wheel, with nothing of this repository."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.environments import Environment, run

pytestmark = pytest.mark.timeout(600)

AUTHORS = """
import pytest
from store_core.testing import ExecuteTests, HonestyTests

class TestEmbedded(ExecuteTests, HonestyTests):
    @pytest.fixture
    def store_url(self):
        return "pulsards://"
"""


@pytest.fixture(scope="module")
def installed(base: Environment, wheel) -> Environment:
    pulsards = wheel("store-pulsards")
    base.pip("install", *(each for each in pulsards.requires if not each.startswith("store-")))
    base.pip("install", "pytest", "pytest-asyncio", "typer", "rich")
    base.pip("install", "--no-index", "--no-deps", pulsards.path)
    yield base
    base.pip("uninstall", "--yes", "store-pulsards", "pytest-asyncio", "pytest", "typer", "rich")


def test_the_command_proves_an_installed_backend(installed: Environment, tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    run(installed.python, "-m", "store_core.cli", "conformance", "pulsards://", "--may-flush", "--json", file)
    (result,) = json.loads(file.read_text())["stores"]
    assert (result["distribution"], result["form"]) == ("store-pulsards", "pulsards:// EmbeddedStore")
    assert sum(section["passed"] for section in result["sections"].values()) > 100


def test_an_authors_own_test_file_passes_with_no_settings_at_all(installed: Environment, tmp_path: Path) -> None:
    file = tmp_path / "test_acme.py"
    file.write_text(AUTHORS)
    done = run(installed.python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", tmp_path, file)
    assert " passed" in done.stdout
    assert "Deprecation" not in done.stdout
