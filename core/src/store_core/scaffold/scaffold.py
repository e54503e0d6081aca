"""Rendering the template: what goes where, which names it takes, and writing it all or not at all.

The files of ``template/`` are plain text with ``string.Template``'s placeholders. They are rendered into a temporary
folder beside the one that is wanted, and moved when every file is there: who is told of an error finds nothing written.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from dataclasses import dataclass, field
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from string import Template

import store_core
from store_core.errors import StoreError
from store_core.registry import KNOWN_DISTRIBUTIONS, data_stores

LICENCES = ("BSD-3-Clause", "MIT", "Apache-2.0")

#: File of the new distribution to its template; the placeholders of a name are filled in too.
FILES = {
    ".github/workflows/ci.yml": "ci.yml",
    ".gitignore": "gitignore",
    "CHANGELOG.md": "CHANGELOG.md",
    "LICENSE": "licences/${licence}",
    "README.md": "README.md",
    "pyproject.toml": "pyproject.toml",
    "src/${module}/__init__.py": "init.py",
    "src/${module}/conformance.py": "conformance.py",
    "src/${module}/connection.py": "connection.py",
    "src/${module}/errors.py": "errors.py",
    "src/${module}/py.typed": "",
    "src/${module}/pubsub.py": "pubsub.py",
    "src/${module}/statements.py": "statements.py",
    "src/${module}/store.py": "store.py",
    "tests/test_conformance.py": "conformance_tests.py",
    "tests/test_discovery.py": "discovery_tests.py",
    "tests/test_store.py": "store_tests.py",
    "tox.ini": "tox.ini",
}

_NAME = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
_LONGEST = 30
_AUTHOR = re.compile(r"(?P<name>[^<>]*[^<>\s])(?:\s*<(?P<email>[^<>\s@]+@[^<>\s@]+)>)?")


class ScaffoldError(StoreError):
    """The distribution cannot be written; nothing was."""


@dataclass(frozen=True, slots=True)
class Scaffold:
    """What is written, and where.

    Attributes:
        name: The scheme of the connection strings; the distribution is ``store-<name>``.
        licence: An SPDX identifier, one of ``LICENCES``.
        author: ``Name``, or ``Name <address>``; empty for the distribution's authors.
        directory: The folder; None for ``store-<name>`` in the current one.
    """

    name: str
    licence: str = LICENCES[0]
    author: str = ""
    directory: Path | None = None
    year: int = field(default_factory=lambda: datetime.now().astimezone().year)

    @property
    def distribution(self) -> str:
        """The name on PyPI."""
        return f"store-{self.name}"

    @property
    def folder(self) -> Path:
        """Where it is written."""
        return Path(self.distribution) if self.directory is None else self.directory

    def rendered(self) -> dict[str, str]:
        """Every file of the distribution, by its path in the folder.

        Raises:
            ScaffoldError: A name, the licence or the author is not valid.
        """
        self._check()
        names = self._names()
        return {
            Template(path).substitute(names): Template(_read(Template(source).substitute(names))).substitute(names)
            for path, source in FILES.items()
        }

    def _check(self) -> None:
        if not _NAME.fullmatch(self.name) or len(self.name) > _LONGEST:
            raise ScaffoldError(
                f"{self.name!r} is not a backend's name: at most {_LONGEST} small letters, digits and single '-', "
                "a letter first, as in 'acme' or 'acme-db'"
            )
        if self.name.startswith("store-"):
            raise ScaffoldError(f"leave out 'store-': the distribution of {self.name[6:]!r} is {self.name}")
        if self.licence not in LICENCES:
            raise ScaffoldError(f"no licence {self.licence!r}; there are: {', '.join(LICENCES)}")
        if self.author and not (self.author.isprintable() and _AUTHOR.fullmatch(self.author)):
            raise ScaffoldError(f"{self.author!r} is not an author: write 'Name' or 'Name <name@example.org>'")

    def _names(self) -> dict[str, str]:
        author = _AUTHOR.fullmatch(self.author) if self.author else None
        known = author.groupdict() if author else {"name": f"{self.distribution} contributors", "email": None}
        # A JSON string is a TOML string.
        table = ", ".join(f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in known.items() if value)
        return {
            "author": known["name"] or "",
            "author_table": f"{{ {table} }}",
            "core_version": ".".join(store_core.__version__.split(".")[:2]),
            "distribution": self.distribution,
            "licence": self.licence,
            "module": self.distribution.replace("-", "_"),
            "name": self.name,
            "prefix": self.name.title().replace("-", ""),
            "year": str(self.year),
        }


def write(scaffold: Scaffold) -> Path:
    """Write the distribution; returns its folder.

    Raises:
        ScaffoldError: The name is not valid or taken, or the folder has something in it. Nothing was written.
    """
    rendered = scaffold.rendered()
    _refuse_taken(scaffold.name)
    folder = scaffold.folder.absolute()
    _refuse_used(folder)
    try:
        with tempfile.TemporaryDirectory(prefix=f".{scaffold.distribution}-", dir=folder.parent) as temporary:
            root = Path(temporary) / folder.name
            for path, text in rendered.items():
                file = root / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text, encoding="utf-8", newline="\n")
            _move(root, folder)
    except OSError as error:
        raise ScaffoldError(f"cannot write {folder}: {error.strerror or error}") from error
    return folder


def _read(source: str) -> str:
    if not source:
        return ""
    return (files("store_core.scaffold") / "template" / f"{source}.tmpl").read_text(encoding="utf-8")


def _refuse_taken(name: str) -> None:
    taken = {scheme: backend.distribution for scheme, backend in data_stores.items()}
    taken |= {scheme: claims[0].distribution for scheme, claims in data_stores.blocked().items()}
    owner = (taken | dict(KNOWN_DISTRIBUTIONS)).get(name)
    if owner is not None:
        raise ScaffoldError(f"the scheme {name!r} is taken by {owner}; choose another name")


def _refuse_used(folder: Path) -> None:
    if not folder.parent.is_dir():
        raise ScaffoldError(f"there is no folder {folder.parent}")
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise ScaffoldError(f"{folder} is there, and is no folder")
    if folder.is_dir() and any(folder.iterdir()):
        raise ScaffoldError(f"{folder} is not empty; name another folder with --directory")


def _move(root: Path, folder: Path) -> None:
    if not folder.exists():
        root.rename(folder)
        return
    # It may be somebody's current directory: it stays, and is filled.
    moved: list[Path] = []
    try:
        for entry in os.listdir(root):  # noqa: PTH208 - the names, while the entries go
            moved.append(folder / entry)
            (root / entry).rename(folder / entry)
    except OSError:
        for path in moved:
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        raise
