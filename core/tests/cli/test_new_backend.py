"""``store new-backend``: one line for what is wrong, and what comes next where it is right."""

from __future__ import annotations

import pytest


def test_it_writes_the_folder_and_says_what_comes_next(run, tmp_path):
    folder = tmp_path / "my folder"
    result = run("new-backend", "acmedb", "--directory", str(folder), "--license", "MIT", "--author", "Ada")
    assert (result.returncode, result.stderr) == (0, "")
    assert (folder / "LICENSE").read_text().startswith("MIT License\n\nCopyright (c) 20")
    assert result.stdout.splitlines() == [
        f"{folder}: a backend for acmedb://, over SQLite until you replace it",
        f"  pip install -e '{folder}''[test]'",
        f"  pytest '{folder}'",
        "  store backends acmedb",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("Acme",), "'Acme' is not a backend's name"),
        (("redis",), "the scheme 'redis' is taken by store-redis; choose another name"),
        (("acmedb", "--licence", "GPL"), "no licence 'GPL'; there are: BSD-3-Clause, MIT, Apache-2.0"),
        (("acmedb", "--author", "<>"), "is not an author"),
    ],
)
def test_what_is_wrong_is_one_line_and_nothing_is_written(run, tmp_path, arguments, message):
    result = run("new-backend", *arguments, "--directory", str(tmp_path / "new"))
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("store: ")
    assert result.stderr.count("\n") == 1
    assert message in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_empty_is_one_line(run, tmp_path):
    (tmp_path / "mine").touch()
    result = run("new-backend", "acmedb", "--directory", str(tmp_path))
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == f"store: {tmp_path} is not empty; name another folder with --directory\n"
