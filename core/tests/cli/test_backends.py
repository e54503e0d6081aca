"""``store backends``: everything that is offered is listed, and what cannot be used says why."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from typing import Any

import pytest

FINE = "import store_core\nclass Fine(store_core.Store):\n    '''Fine as it is.'''\n"


def rows(run: Any, **variables: str) -> dict[tuple[str, str], Any]:
    result = run("backends", "--json", **variables)
    assert (result.returncode, result.stderr) == (0, "")
    return {(row["scheme"], row["distribution"]): row for row in json.loads(result.stdout)}


def test_an_installed_backend_is_loaded_with_its_provenance(run: Any, distribution: Any) -> None:
    row = rows(run, PYTHONPATH=distribution("fine-store", "fine = fine_store:Fine", FINE))["fine", "fine-store"]
    assert row == {
        "scheme": "fine",
        "distribution": "fine-store",
        "version": "2.5",
        "target": "fine_store:Fine",
        "origin": "entry point",
        "status": "loaded",
        "reason": "",
    }


@pytest.mark.parametrize(
    ("module", "status", "reason"),
    [
        ("import no_such_library\n", "broken", "No module named 'no_such_library'"),
        ("1 / 0\n", "broken", "ZeroDivisionError"),
        ("raise SystemExit(3)\n", "broken", "SystemExit"),
        ("Fine = 5\n", "broken", "not a subclass"),
        (FINE + "    store_spec = (9, 0)\n", "incompatible", "hook spec 9.0"),
    ],
)
def test_a_backend_that_cannot_be_used_is_listed_with_the_reason_beside_the_others(
    run: Any, distribution: Any, module: str, status: str, reason: str
) -> None:
    listed = rows(run, PYTHONPATH=distribution("fine-store", "fine = fine_store:Fine", module))
    assert listed["fine", "fine-store"]["status"] == status
    assert reason in listed["fine", "fine-store"]["reason"]
    assert listed["redis", "store-redis"]["status"] == "loaded"


def test_a_blocked_distribution_is_listed_as_blocked(run: Any) -> None:
    row = rows(run, STORE_BLOCK="store-redis")["redis", "store-redis"]
    assert (row["status"], row["reason"]) == ("blocked", "STORE_BLOCK hides it")


def test_a_scheme_offered_twice_is_a_conflict_until_it_is_pinned(run: Any, distribution: Any) -> None:
    distribution("fine-store", "fine = fine_store:Fine", FINE)
    path = distribution("other-store", "fine = fine_store:Fine")
    row = rows(run, PYTHONPATH=path)["fine", "fine-store"]
    assert row["status"] == "conflict"
    assert "offered by fine-store and other-store" in row["reason"]
    row = rows(run, PYTHONPATH=path, STORE_BACKEND_FINE="other-store")["fine", "other-store"]
    assert (row["status"], row["origin"]) == ("loaded", "pin")


def test_in_a_pipe_the_table_is_aligned_text_a_line_for_each_backend(run: Any, distribution: Any) -> None:
    path = distribution("fine-store", "fine = fine_store:Fine", "raise ValueError('two\\nlines')\n")
    header, *lines = run("backends", PYTHONPATH=path).stdout.splitlines()
    assert header.split() == ["SCHEME", "DISTRIBUTION", "VERSION", "TARGET", "ORIGIN", "STATUS"]
    status = header.index("STATUS")
    cells = {line.split()[0]: line[status:] for line in lines}
    assert cells["redis"] == "loaded"
    assert cells["fine"].startswith("broken: the backend fine_store:Fine of fine-store 2.5 cannot be loaded")
    assert "two lines" in cells["fine"]


def test_on_a_terminal_the_table_is_drawn(command: list[str]) -> None:
    leader, follower = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    environment.pop("NO_COLOR", None)
    with subprocess.Popen([*command, "backends"], stdout=follower, env=environment) as process:
        os.close(follower)
        seen = b""
        while True:
            try:
                data = os.read(leader, 4096)
            except OSError:  # how Linux says that the other end is closed
                break
            if not data:
                break
            seen += data
        os.close(leader)
    assert process.returncode == 0
    assert b"\x1b[1m" in seen
    assert b"store-redis" in seen


@pytest.mark.parametrize("name", ["redis", "REDIS", "redis://", "redis://me:s3cret@host"])
def test_one_backend_shows_what_it_can_do_and_its_parameters(run: Any, name: str) -> None:
    result = run("backends", name)
    assert result.returncode == 0
    lines = result.stdout.splitlines()
    assert lines[0].startswith("backend  redis://")
    assert "store_redis:RedisStore" in lines[1]
    assert "transactions" in lines[2]
    table = {line.split()[0]: line for line in lines[4:]}
    assert table["timeout"].split()[:3] == ["timeout", "float", "5.0"]
    assert table["password"].split()[:4] == ["password", "str", "-", "yes"]
    assert table["credentials"].endswith("keyword only")
    assert "s3cret" not in result.stdout


def test_one_backend_as_json_has_the_types_of_its_values(run: Any) -> None:
    described = json.loads(run("backends", "redis", "--json").stdout)
    parameters = {parameter["name"]: parameter for parameter in described["parameters"]}
    assert described["scheme"] == "redis"
    assert "pubsub" in described["capabilities"]
    assert parameters["timeout"]["default"] == 5.0
    assert parameters["timeout"]["minimum"] == 0
    assert parameters["protocol"]["choices"] == [2, 3]
    assert parameters["password"]["secret"] is True
    assert parameters["db"]["secret"] is False
    assert [name for name, each in parameters.items() if each["keyword_only"]] == ["credentials"]


def test_a_backend_without_parameters_says_so(run: Any, distribution: Any) -> None:
    result = run("backends", "fine", PYTHONPATH=distribution("fine-store", "fine = fine_store:Fine", FINE))
    assert "fine://  Fine as it is." in result.stdout
    assert result.stdout.endswith("It takes no parameters.\n")


@pytest.mark.parametrize(
    ("name", "message"), [("reids", "did you mean 'redis'?"), ("fine", "cannot be loaded (ZeroDivisionError")]
)
def test_a_backend_that_is_unknown_or_broken_is_one_line(run: Any, distribution: Any, name: str, message: str) -> None:
    result = run("backends", name, PYTHONPATH=distribution("fine-store", "fine = fine_store:Fine", "1 / 0\n"))
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("store: ")
    assert result.stderr.count("\n") == 1
    assert message in result.stderr
