"""The template: what is written, and what is refused with nothing written."""

from __future__ import annotations

import configparser
import re
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest

from store_core.registry import KNOWN_DISTRIBUTIONS
from store_core.scaffold import LICENCES, Scaffold, ScaffoldError, write
from store_core.scaffold.scaffold import FILES


def tree(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_a_whole_distribution_is_written(tmp_path):
    folder = write(Scaffold("acme-db", directory=tmp_path / "new"))
    assert folder == tmp_path / "new"
    assert tree(folder) == {path.replace("${module}", "store_acme_db") for path in FILES}
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


def test_without_a_folder_it_is_written_beside(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert write(Scaffold("acmedb")) == tmp_path / "store-acmedb"


def test_no_placeholder_is_left_and_only_the_workflow_has_expressions():
    rendered = Scaffold("acme-db").rendered()
    left = {path: re.findall(r"\$\{+[^}]*\}+", text) for path, text in rendered.items()}
    assert {path: found for path, found in left.items() if found} == {
        ".github/workflows/ci.yml": ["${{ matrix.python }}"]
    }


def test_every_file_of_the_template_is_used():
    template = files("store_core.scaffold") / "template"
    there = {str(path.relative_to(template)) for path in Path(str(template)).rglob("*") if path.is_file()}
    used = {f"{source}.tmpl" for source in FILES.values() if source}
    assert there == (used - {"licences/${licence}.tmpl"}) | {f"licences/{licence}.tmpl" for licence in LICENCES}


def test_the_metadata_has_the_names_and_the_entry_point():
    rendered = Scaffold("acme-db", "MIT", "Ada Lovelace <ada@example.org>").rendered()
    project = tomllib.loads(rendered["pyproject.toml"])["project"]
    assert project["name"] == "store-acme-db"
    assert project["license"] == "MIT"
    assert project["authors"] == [{"name": "Ada Lovelace", "email": "ada@example.org"}]
    assert project["entry-points"]["store_core.backends"] == {"acme-db": "store_acme_db:AcmeDbStore"}
    tox = configparser.ConfigParser()
    tox.read_string(rendered["tox.ini"])
    assert tox["testenv"]["extras"] in project["optional-dependencies"]


@pytest.mark.parametrize(
    ("author", "authors"),
    [
        ("", [{"name": "store-acmedb contributors"}]),
        ('Ada "the \\ Countess" é', [{"name": 'Ada "the \\ Countess" é'}]),
        ("$name", [{"name": "$name"}]),
    ],
)
def test_an_author_is_quoted_whatever_the_name(author, authors):
    rendered = Scaffold("acmedb", author=author).rendered()
    assert tomllib.loads(rendered["pyproject.toml"])["project"]["authors"] == authors
    assert authors[0]["name"] in rendered["LICENSE"]


def test_a_licence_has_the_year_and_the_author():
    for licence in ("BSD-3-Clause", "MIT"):
        rendered = Scaffold("acmedb", licence, "Ada", year=2031).rendered()
        assert re.search(r"^Copyright \(c\) 2031,? Ada$", rendered["LICENSE"], re.MULTILINE)
    assert "Apache License" in Scaffold("acmedb", "Apache-2.0").rendered()["LICENSE"]


@pytest.mark.parametrize(
    "name", ["", "Acme", "1acme", "acme_db", "acme.db", "-acme", "acme-", "a--b", "é", "a/b", "a" * 31]
)
def test_a_name_that_is_not_valid_is_refused(tmp_path, name):
    with pytest.raises(ScaffoldError, match="is not a backend's name"):
        write(Scaffold(name, directory=tmp_path / "new"))
    assert list(tmp_path.iterdir()) == []


def test_the_prefix_of_the_distribution_is_left_out_of_the_name(tmp_path):
    with pytest.raises(ScaffoldError, match="leave out 'store-'"):
        write(Scaffold("store-acmedb", directory=tmp_path / "new"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"licence": "GPL"}, "no licence 'GPL'; there are: BSD-3-Clause, MIT, Apache-2.0"),
        ({"author": "Ada <ada"}, "is not an author"),
        ({"author": "Ada\nEvil"}, "is not an author"),
        ({"author": "<ada@example.org>"}, "is not an author"),
    ],
)
def test_a_licence_or_an_author_that_is_not_valid_is_refused(tmp_path, options, message):
    with pytest.raises(ScaffoldError, match=message):
        write(Scaffold("acmedb", directory=tmp_path / "new", **options))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["redis", "pulsards", *(name for name in KNOWN_DISTRIBUTIONS if name.isalpha())])
@pytest.mark.parametrize("block", ["", "store-redis,store-pulsards"])
def test_a_scheme_that_is_taken_is_refused_blocked_or_not(tmp_path, monkeypatch, name, block):
    monkeypatch.setenv("STORE_BLOCK", block)
    with pytest.raises(ScaffoldError, match=f"the scheme '{name}' is taken by store-"):
        write(Scaffold(name, directory=tmp_path / "new"))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_something_in_it_is_left_alone(tmp_path):
    (tmp_path / "mine").write_text("precious")
    with pytest.raises(ScaffoldError, match="is not empty; name another folder with --directory"):
        write(Scaffold("acmedb", directory=tmp_path))
    assert tree(tmp_path) == {"mine"}


def test_an_empty_folder_is_filled_and_stays_the_same_folder(tmp_path):
    folder = tmp_path / "empty"
    folder.mkdir()
    before = folder.stat().st_ino
    write(Scaffold("acmedb", directory=folder))
    assert folder.stat().st_ino == before
    assert "pyproject.toml" in tree(folder)
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


def test_a_file_in_the_place_of_the_folder_is_left_alone(tmp_path):
    (tmp_path / "file").write_text("precious")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("file", "link"):
        with pytest.raises(ScaffoldError, match="is there, and is no folder"):
            write(Scaffold("acmedb", directory=tmp_path / name))
    assert (tmp_path / "file").read_text() == "precious"
    with pytest.raises(ScaffoldError, match="there is no folder"):
        write(Scaffold("acmedb", directory=tmp_path / "no" / "such"))


def test_what_cannot_be_moved_into_place_leaves_nothing(tmp_path, monkeypatch):
    folder = tmp_path / "empty"
    folder.mkdir()
    rename = Path.rename

    def full(self: Path, target: Path) -> Path:
        if self.name == "pyproject.toml":
            raise OSError(28, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", full)
    with pytest.raises(ScaffoldError, match="No space left on device"):
        write(Scaffold("acmedb", directory=folder))
    assert list(folder.iterdir()) == []
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]
