"""Reading what is installed: by the rules of importlib_metadata, which is asked beside it wherever it could differ."""

from __future__ import annotations

import sys
import zipfile

import importlib_metadata
import pytest

from store_core import installed
from store_core.installed import Claim

GROUP = "store_core.backends"


def write(place, folder, points="acme = acme_mod:Acme", name="acme-store", version="1.0", metadata="METADATA"):
    """One distribution's metadata, as pip or another installer leaves it."""
    info = place / folder
    info.mkdir(parents=True)
    if metadata:
        (info / metadata).write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\nbody\n")
    if points is not None:
        (info / "entry_points.txt").write_text(f"[console_scripts]\nx = y:z\n\n# a comment\n[{GROUP}]\n{points}\n")
    return info


@pytest.fixture
def path(tmp_path, monkeypatch):
    """A sys.path of two directories, and nothing else."""
    places = [tmp_path / "first", tmp_path / "second"]
    for place in places:
        place.mkdir()
    monkeypatch.setattr(sys, "path", [str(place) for place in places])
    importlib_metadata.MetadataPathFinder.invalidate_caches()
    return places


def ours():
    return sorted(installed.scan().get(GROUP, ()))


def theirs():
    """What importlib_metadata finds."""
    points = importlib_metadata.entry_points(group=GROUP)
    return sorted(Claim(point.name, point.value, point.dist.name, point.dist.version) for point in points)


LAYOUTS = {
    "a dist-info": lambda one, two: write(one, "acme_store-1.0.dist-info"),
    "an egg-info with a version": lambda one, two: write(one, "acme_store-1.0-py3.11.egg-info", metadata="PKG-INFO"),
    "an egg-info without a version": lambda one, two: write(one, "acme_store.egg-info", metadata="PKG-INFO"),
    "an egg-info that is a file": lambda one, two: (one / "old-1.0.egg-info").write_text("Name: old\nVersion: 1.0\n"),
    "upper case": lambda one, two: write(one, "Acme_Store-1.0.DIST-INFO"),
    "one name in two places": lambda one, two: (
        write(one, "acme_store-2.0.dist-info", "acme = new:New", version="2.0"),
        write(two, "acme_store-1.0.dist-info", "acme = old:Old\nold = old:Old"),
    ),
    "one name spelled in two ways": lambda one, two: (
        write(one, "acme.store-2.0.dist-info", "acme = new:New", "Acme.Store", "2.0"),
        write(two, "acme_store-1.0.dist-info"),
    ),
    "hidden by one without entry points": lambda one, two: (
        write(one, "acme_store-2.0.dist-info", None),
        write(two, "acme_store-1.0.dist-info"),
    ),
    "half removed before a whole one": lambda one, two: (
        write(one, "acme_store-2.0.dist-info", "acme = gone:Gone", metadata=""),
        write(two, "acme_store-1.0.dist-info"),
    ),
    "two distributions": lambda one, two: (
        write(one, "acme_store-1.0.dist-info"),
        write(two, "rival_store-3.0.dist-info", "acme = rival:Rival\nb = rival:B", "rival-store", "3.0"),
    ),
    "neighbours that are no distributions": lambda one, two: (
        write(one, "acme_store-1.0.dist-info"),
        write(one, "acme_store", "other = other:Other"),
        (one / "notes.txt").write_text("dist-info"),
    ),
    "nothing": lambda one, two: None,
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_directories_are_read_as_importlib_metadata_reads_them(path, layout):
    layout(*path)
    assert installed._in_directories() is not None
    assert ours() == theirs()


def test_this_environment_is_read_as_importlib_metadata_reads_it():
    assert ours() == theirs()
    assert {"store-core", "store-redis"} >= {claim.distribution for claim in ours() if claim.name == "redis"}


def test_places_that_are_not_there_or_twice_there_do_no_harm(path, monkeypatch):
    write(path[0], "acme_store-1.0.dist-info")
    monkeypatch.setattr(sys, "path", [*sys.path, *sys.path, "/no/such/place", str(path[0] / "python311.zip")])
    assert ours() == theirs() == [Claim("acme", "acme_mod:Acme", "acme-store", "1.0")]


def test_the_empty_entry_means_the_current_directory(path, monkeypatch):
    write(path[0], "acme_store-1.0.dist-info")
    monkeypatch.chdir(path[0])
    monkeypatch.setattr(sys, "path", [""])
    assert [claim.name for claim in ours()] == ["acme"]


def test_a_zip_file_on_the_path_is_read_too(path, tmp_path, monkeypatch):
    write(path[0], "plain_store-1.0.dist-info", "plain = plain:Plain", "plain-store")
    archive = tmp_path / "bundle.zip"
    with zipfile.ZipFile(archive, "w") as bundle:
        bundle.writestr("acme_store-1.0.dist-info/METADATA", "Name: acme-store\nVersion: 1.0\n")
        bundle.writestr("acme_store-1.0.dist-info/entry_points.txt", f"[{GROUP}]\nacme = acme_mod:Acme\n")
    monkeypatch.setattr(sys, "path", [*sys.path, str(archive)])
    assert installed._in_directories() is None
    assert ours() == theirs()
    assert [claim.name for claim in ours()] == ["acme", "plain"]


def test_an_egg_on_the_path_is_read_too(path, monkeypatch):
    write(path[0], "acme_store-1.0-py3.11.egg/EGG-INFO", metadata="PKG-INFO")
    monkeypatch.setattr(sys, "path", [str(path[0] / "acme_store-1.0-py3.11.egg")])
    assert ours() == theirs() == [Claim("acme", "acme_mod:Acme", "acme-store", "1.0")]


class Frozen(importlib_metadata.Distribution):
    """A distribution that is nowhere on a disk."""

    def __init__(self, files):
        self.files_ = files

    def read_text(self, filename):
        return self.files_.get(filename)

    def locate_file(self, path):
        raise NotImplementedError


class FrozenWithPoints(Frozen):
    entry_points = importlib_metadata.EntryPoints([importlib_metadata.EntryPoint("acme", "acme_mod:Acme", GROUP)])


METADATA = "Name: acme-store\nVersion: 1.0\n"


@pytest.mark.parametrize(
    "distribution",
    [
        Frozen({"METADATA": METADATA, "entry_points.txt": f"[{GROUP}]\nacme = acme_mod:Acme\n"}),
        FrozenWithPoints({"METADATA": METADATA}),
    ],
)
def test_a_finder_of_somebodys_own_is_asked(path, monkeypatch, distribution):
    class Finder:
        def find_spec(self, name, path=None, target=None):
            return None

        def find_distributions(self, context=None):
            return [distribution]

    write(path[0], "plain_store-1.0.dist-info", "plain = plain:Plain", "plain-store")
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder()])
    assert [claim.name for claim in ours()] == ["acme", "plain"]
    assert Claim("acme", "acme_mod:Acme", "acme-store", "1.0") in ours()


def test_a_distribution_that_cannot_be_read_is_told_of_and_costs_the_others_nothing(path, monkeypatch, caplog):
    class Unreadable(Frozen):
        def read_text(self, filename):
            raise OSError("disk on fire")

    class Finder:
        def find_spec(self, name, path=None, target=None):
            return None

        def find_distributions(self, context=None):
            return [Unreadable({})]

    write(path[0], "plain_store-1.0.dist-info", "plain = plain:Plain", "plain-store")
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder()])
    assert [claim.name for claim in ours()] == ["plain"]
    assert "disk on fire" in caplog.text


@pytest.mark.parametrize(
    "text",
    [
        "acme = acme_mod:Acme",
        "acme=acme_mod:Acme",
        "  acme   =   acme_mod : Acme  ",
        "acme = acme_mod:Acme [fast,loud]",
        "# comment\n\nacme = acme_mod:Acme\r",
        "acme = acme_mod:Acme\nacme = acme_mod:Acme",
        "acme = acme_mod:Acme\n[other.group]\nnoise = x:y",
        "acme = acme_mod:Acme\nnonsense",
    ],
)
def test_every_form_of_a_line_is_understood(path, text):
    write(path[0], "acme_store-1.0.dist-info", text)
    assert ours() == [Claim("acme", "acme_mod:Acme", "acme-store", "1.0")]


def test_only_the_header_of_the_metadata_counts(path):
    info = write(path[0], "acme_store-1.0.dist-info")
    text = "Name: acme-store\r\nDescription: folded\r\n  Name: no\r\nVersion: 1.0\r\n\r\nName: body\r\nVersion: 9\r\n"
    (info / "METADATA").write_bytes(text.encode())
    assert ours() == theirs() == [Claim("acme", "acme_mod:Acme", "acme-store", "1.0")]


@pytest.mark.parametrize("name", ["Acme.Store", "acme_store", "ACME--STORE", "acme-._store"])
def test_names_are_compared_as_pip_compares_them(name):
    assert installed.normalized(name) == "acme-store"
