"""A new backend as its author gets it: written by the installed ``store`` command, built, installed beside the core.

Everything happens in a fresh environment that has the core's wheel in it and nothing of this repository.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.environments import OWN, Environment, Wheel, build, run

NAME = "proof"


class Generated(NamedTuple):
    """A generated distribution.

    Attributes:
        folder: Where its source is.
        wheel: What was built from it.
        environment: Where the core and that wheel are installed.
    """

    folder: Path
    wheel: Wheel
    environment: Environment

    def store(self, *arguments: str | Path) -> str:
        """What the ``store`` command prints."""
        return run(self.environment.python.with_name("store"), *arguments).stdout

    def pytest(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the generated tests with what is installed."""
        return run(self.environment.python, "-m", "pytest", "-q", "-p", "no:cacheprovider", self.folder, *arguments)


@pytest.fixture(scope="session")
def author(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment with the core's wheel, its command line and its conformance kit."""
    environment = Environment(tmp_path_factory.mktemp("author"))
    core = build(OWN["store-core"], tmp_path_factory.mktemp("core"))
    environment.pip("install", f"{core}[cli,testing]")
    return environment


@pytest.fixture(scope="session")
def generated(author: Environment, tmp_path_factory: pytest.TempPathFactory) -> Generated:
    """``store new-backend proof``, built and installed."""
    folder = tmp_path_factory.mktemp("source") / f"store-{NAME}"
    run(
        author.python.with_name("store"),
        "new-backend",
        NAME,
        "--directory",
        folder,
        "--author",
        "Ada <ada@example.org>",
    )
    wheel = Wheel(build(folder, tmp_path_factory.mktemp("dist")))
    # Without the index: beside the core it needs nothing.
    author.pip("install", "--no-index", wheel.path)
    return Generated(folder, wheel, author)
