"""The kit as an author has it: from the built wheel, beside a backend's wheel, with nothing of this repository."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.conftest import FORMS, Servers
from tests.environments import Environment, run

from store_core import Unsupported, start_store

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
def installed(base: Environment, wheel) -> Iterator[Environment]:
    own = [wheel("store-pulsards"), wheel("store-postgres")]
    third_party = [each for backend in own for each in backend.requires if not each.startswith("store-")]
    base.pip("install", *third_party, "pytest", "pytest-asyncio", "typer", "rich")
    base.pip("install", "--no-index", "--no-deps", *(backend.path for backend in own))
    yield base
    names = ["store-pulsards", "store-postgres", "pytest-asyncio", "pytest", "typer", "rich"]
    base.pip("uninstall", "--yes", *names)


@pytest.fixture(scope="module")
def postgres_url() -> Iterator[str]:
    with asyncio.Runner() as runner:
        try:
            store = runner.run(start_store("postgres://127.0.0.1:0"))
        except Unsupported as error:
            pytest.skip(str(error))
        yield store.dsn
        runner.run(store.close())


def prove(installed: Environment, url: str, file: Path) -> dict:
    """Run ``store conformance`` in the environment; returns its result, which has no failure."""
    run(installed.python, "-m", "store_core.cli", "conformance", url, "--may-flush", "--json", file)
    (result,) = json.loads(file.read_text())["stores"]
    assert sum(section["passed"] for section in result["sections"].values()) > 100
    return result


@pytest.mark.parametrize("form", FORMS)
def test_the_command_proves_each_form_of_the_redis_protocol(
    installed: Environment, servers: Servers, form: str, tmp_path: Path
) -> None:
    result = prove(installed, servers.url(form), tmp_path / "result.json")
    assert result["distribution"] == ("store-redis" if form.startswith("valkey") else "store-pulsards")


def test_the_command_proves_postgres(installed: Environment, postgres_url: str, tmp_path: Path) -> None:
    assert prove(installed, postgres_url, tmp_path / "result.json")["distribution"] == "store-postgres"


def test_an_authors_own_test_file_passes_with_no_settings_at_all(installed: Environment, tmp_path: Path) -> None:
    file = tmp_path / "test_acme.py"
    file.write_text(AUTHORS)
    done = run(installed.python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", tmp_path, file)
    assert " passed" in done.stdout
    assert "Deprecation" not in done.stdout
