"""What holds for every command: help, usage errors, what is missing, secrets, closed pipes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import store_core

COMMANDS = ["backends", "ping", "exec", "start", "new-backend", "doctor", "conformance"]


def test_the_version_is_that_of_the_library(run: Any) -> None:
    assert run("--version").stdout == f"store {store_core.__version__}\n"


def test_the_installed_script_is_the_same_command(run: Any) -> None:
    script = Path(sys.executable).with_name("store")
    if not script.exists():
        pytest.skip("store-core is not installed here")
    assert subprocess.run([script, "--help"], capture_output=True, text=True, check=True).stdout == run("--help").stdout


def test_the_help_names_every_command(run: Any) -> None:
    result = run("--help")
    assert result.returncode == 0
    assert all(f"\n  {name} " in result.stdout for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_on_standard_output(run: Any, name: str) -> None:
    result = run(name, "-h")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith(f"Usage: store {name} ")


def test_no_command_at_all_is_a_usage_error_that_shows_the_help(run: Any) -> None:
    result = run()
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("Usage: store ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("pign",), "no such command 'pign'"),
        (("--bogus",), "no such option: --bogus"),
        (("ping",), "missing argument 'DSN'"),
        (("ping", "redis://a", "redis://b"), "unexpected extra argument"),
        (("exec", "redis://a"), "missing argument 'COMMAND"),
        (("exec", "redis://a", "--"), "a command comes after DSN"),
        (("exec", "redis://a", "--json", "GET", "k"), "options stand before DSN"),
        (("exec", "--json", "--raw", "redis://a", "GET", "k"), "--raw and --json exclude each other"),
        (("backends", "!"), "NAME is a scheme"),
    ],
)
def test_a_usage_error_is_one_line_and_status_2(run: Any, arguments: tuple[str, ...], message: str) -> None:
    result = run(*arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("store: ")
    assert result.stderr.count("\n") == 1
    assert message in result.stderr
    assert "--help)" in result.stderr


@pytest.mark.parametrize(
    ("dsn", "message"),
    [
        ("nonsense", "a connection string starts with '<scheme>://'"),
        ("redis://127.0.0.1:99999", "a port is a number from 0 to 65535"),
        ("redis://127.0.0.1:1", "cannot connect to 127.0.0.1:1"),
        ("redis://127.0.0.1?timeot=5", "did you mean 'timeout'?"),
        ("reids://127.0.0.1", "did you mean 'redis'?"),
    ],
)
def test_what_fails_is_one_line_and_status_1(run: Any, dsn: str, message: str) -> None:
    result = run("exec", dsn, "GET", "k")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("store: ")
    assert result.stderr.count("\n") == 1
    assert message in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("redis://me:s3cret@host/", "ping"),
        ("redis://me:s3 cret'\"@host/", "ping"),
        ("me:s3cret@host", "ping"),
        ("ping", "redis://host", "redis://me:s3cret@host"),
        ("ping", "redis://me:s3cret@host:port"),
        ("ping", "redis://me:s3/cret@127.0.0.1:1"),
        ("ping", "redis://me:s3cret@127.0.0.1:1"),
        ("ping", "redis://127.0.0.1:1?password=s3cret"),
        ("exec", "redis://me:s3cret@127.0.0.1:1", "GET", "k"),
        ("exec", "redis://127.0.0.1:1", "AUTH", "s3cret"),
        ("start", "redis://me:s3cret@192.0.2.1:0"),
        ("backends", "acme://me:s3cret@host"),
        ("backends", "me:s3cret@host"),
    ],
)
def test_no_error_repeats_a_password(run: Any, arguments: tuple[str, ...]) -> None:
    result = run(*arguments)
    assert result.returncode in (1, 2)
    assert "s3" not in result.stdout + result.stderr
    assert "cret" not in result.stdout + result.stderr


def test_a_backend_that_raises_anything_at_all_gets_one_line(run: Any, distribution: Any) -> None:
    module = (
        "import store_core\n"
        "class Odd(store_core.Store):\n"
        "    async def ping(self):\n"
        "        raise RuntimeError('no\\nluck at odd://me:s3cret@host')\n"
    )
    result = run("ping", "odd://", PYTHONPATH=distribution("odd-store", "odd = odd_store:Odd", module))
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == "store: unexpected RuntimeError: no luck at odd://***\n"


def test_control_characters_in_an_error_do_not_reach_the_terminal(run: Any, distribution: Any) -> None:
    module = (
        "import store_core\n"
        "class Odd(store_core.Store):\n"
        "    async def ping(self):\n"
        "        raise store_core.ReplyError('ERR \\x1b[2Jgone\\r\\nand a second line')\n"
    )
    result = run("ping", "odd://", PYTHONPATH=distribution("odd-store", "odd = odd_store:Odd", module))
    assert result.stderr == "store: ERR  [2Jgone and a second line\n"


@pytest.mark.parametrize("missing", ["typer", "rich"])
def test_without_the_extra_one_line_says_what_is_missing(run: Any, tmp_path: Path, missing: str) -> None:
    (tmp_path / "typer.py").write_text(f"raise ModuleNotFoundError('No module', name='{missing}.sub')\n")
    result = run("backends", PYTHONPATH=str(tmp_path))
    assert (result.returncode, result.stdout) == (1, "")
    line = f"store: {missing} is not installed, and this command needs it: pip install 'store-core[cli]'\n"
    assert result.stderr == line


def test_the_library_does_not_import_the_command_nor_its_extra() -> None:
    code = "import sys, store_core; print({'typer', 'rich', 'click', 'store_core.cli'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


def test_a_reader_that_goes_away_is_no_error(spawn: Any) -> None:
    process = spawn("backends", "redis", "--json")
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait() == 1
