"""From ``store new-backend`` to a proven wheel, every time."""

from __future__ import annotations

import re
import subprocess
import sys
from email.utils import parseaddr
from pathlib import Path

import pytest
from tests.environments import Wheel, build, run

from store_core.scaffold import LICENCES, Scaffold, write

pytestmark = pytest.mark.timeout(600)

#: Names that a formatter would lay out differently: the shortest, a usual one, the longest.
NAMES = ("a", "acme-db", "n" * 30)

_EXAMPLE = re.compile(r"```python\n(.*?)```\n\n```text\n(.*?)```", re.DOTALL)


def test_the_scheme_is_found_in_the_registry(generated):
    program = "from store_core import data_stores; found = data_stores['proof']\n"
    found = generated.environment.run(program + "show([str(found), found.distribution, found.version, found.origin])")
    assert found == ["store_proof:ProofStore", "store-proof", "0.1.0", "entry point"]


def test_it_is_listed_and_the_doctor_finds_nothing_wrong(generated):
    assert re.search(r"^proof +store-proof +0\.1\.0 .* loaded$", generated.store("backends"), re.MULTILINE)
    assert "foreign_keys" in generated.store("backends", "proof")
    assert generated.store("doctor").endswith("nothing is wrong\n")


def test_the_command_line_talks_to_it(generated, tmp_path):
    url = f"proof://{tmp_path}/test.db"
    generated.store("exec", url, "CREATE TABLE t (name TEXT)")
    assert generated.store("exec", "--json", url, "INSERT INTO t VALUES (?)", "Ada") == "1\n"
    assert generated.store("exec", "--json", url, "SELECT * FROM t") == '[["Ada"]]\n'


def test_its_own_tests_pass_with_the_conformance_kit(generated):
    told = generated.pytest("-o", "addopts=--strict-markers --import-mode=importlib", "-rfExX").stdout
    assert re.search(r"^\d+ passed", told, re.MULTILINE), told
    assert "failed" not in told
    listed = generated.pytest("--collect-only").stdout
    for name in ("test_conformance.py::TestMemory::", "test_conformance.py::TestFile::", "test_discovery.py::"):
        assert name in listed
    from store_core.testing import StoreTests

    kit = {name for name in dir(StoreTests) if name.startswith("test_")}
    assert kit <= set(re.findall(r"test_conformance\.py::TestFile::(\w+)", listed))


def test_a_backend_that_is_damaged_is_caught_by_its_tests(generated, tmp_path):
    """The same tests fail where transactions are no longer undone: they are not green whatever happens."""
    (tmp_path / "damage.py").write_text(
        "import store_proof.statements\n"
        "def run(database, commands):\n"
        "    return [store_proof.statements.run_statement(database, command.args) for command in commands]\n"
        "import store_proof.store\n"
        "store_proof.store.run_transaction = run\n"
    )
    command = [generated.environment.python, "-m", "pytest", "-q", "-p", "damage", generated.folder, "-x"]
    with pytest.raises(AssertionError, match="1 failed"):
        run(*command, PYTHONPATH=str(tmp_path))


def test_the_readmes_example_prints_what_it_says(generated):
    program, output = _EXAMPLE.search((generated.folder / "README.md").read_text()).groups()
    assert run(generated.environment.python, "-W", "error", "-c", program).stdout == output


def test_the_wheel_is_typed_licensed_and_says_what_it_is(generated):
    metadata = generated.wheel.metadata
    assert "store_proof/py.typed" in generated.wheel.names
    assert {name.partition("/")[0] for name in generated.wheel.names} == {"store_proof", "store_proof-0.1.0.dist-info"}
    assert metadata["License-Expression"] == LICENCES[0]
    assert parseaddr(metadata["Author-email"]) == ("Ada", "ada@example.org")
    assert [each for each in generated.wheel.requires if not each.startswith("store-core>=")] == []


@pytest.mark.parametrize("licence", LICENCES)
def test_the_licence_that_was_chosen_is_in_the_wheel(licence, tmp_path):
    folder = write(Scaffold("acmedb", licence, "Ada", tmp_path / "store-acmedb"))
    wheel = Wheel(build(folder, tmp_path / "dist"))
    assert wheel.metadata["License-Expression"] == licence
    assert wheel.metadata["Author"] == "Ada"
    assert any(name.endswith("/licenses/LICENSE") for name in wheel.names)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("check", [("format", "--check"), ("check",)], ids=" ".join)
def test_what_is_written_is_formatted_and_free_of_lint(name, check, tmp_path):
    pytest.importorskip("ruff", reason="ruff is not installed; tox -e wheels has it")
    folder = write(Scaffold(name, directory=tmp_path / name))
    done = subprocess.run(
        [sys.executable, "-m", "ruff", *check, "--no-cache", "."],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_what_is_written_is_typed_strictly(generated, tmp_path):
    pytest.importorskip("mypy", reason="mypy is not installed; tox -e wheels has it")
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--cache-dir",
        tmp_path,
        "--python-executable",
        generated.environment.python,
    ]
    done = subprocess.run(command, cwd=generated.folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "no issues found in 7 source files" in done.stdout


def test_the_kit_ships_no_file_of_the_repository(generated):
    location = generated.environment.run("import store_core; show([store_core.__file__, sys.prefix])")
    assert Path(location[0]).is_relative_to(location[1])
