"""Real wheels in a real virtual environment: what a user's ``pip install`` makes of these distributions.

The environment is made once for each session, with the wheels of core and store-redis in it. The third-party backends
are small distributions written here, built as their authors would build them, and installed by the tests that need
them for as long as they run.
"""

from __future__ import annotations

import functools
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.environments import OWN, Environment, Wheel, build

GOOD = """
from store_core import Store

class {class_name}(Store):
    async def execute(self, *args, **options):
        return "{class_name} says " + args[0]
"""

#: Distribution to (entry point group, its entry points, source of its module).
DISTRIBUTIONS = {
    "acme-store": ("store_core.backends", {"acme": "acme_store:AcmeStore"}, GOOD.format(class_name="AcmeStore")),
    "Rival.Store": ("store_core.backends", {"acme": "rival_store:RivalStore"}, GOOD.format(class_name="RivalStore")),
    "broken-store": (
        "store_core.backends",
        {"broken": "broken_store:BrokenStore"},
        "raise ImportError('libbroken.so.1: cannot open shared object file')",
    ),
    "future-store": (
        "store_core.backends",
        {"future": "future_store:FutureStore"},
        GOOD.format(class_name="FutureStore") + "    store_spec = (2, 0)\n",
    ),
    "shout-extension": (
        "store_core.extensions",
        {"shout": "shout_extension:Shout"},
        """
        from store_core import hookimpl

        class Shout:
            @hookimpl
            def store_execute(self, operation):
                async def execute(*args, **options):
                    return (await operation(*args, **options)).upper()
                return execute
        """,
    ),
}


def write_distribution(name: str, folder: Path) -> Path:
    """The source of a third party's distribution."""
    group, points, source = DISTRIBUTIONS[name]
    package = folder / "src" / next(iter(points.values())).partition(":")[0]
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(textwrap.dedent(source))
    lines = "\n".join(f'{scheme} = "{target}"' for scheme, target in points.items())
    (folder / "pyproject.toml").write_text(
        f'[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
        f'[project]\nname = "{name}"\nversion = "1.2"\ndependencies = ["store-core"]\n'
        f'[project.entry-points."{group}"]\n{lines}\n'
        f'[tool.hatch.build.targets.wheel]\npackages = ["src/{package.name}"]\n'
    )
    return folder


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Wheel]:
    """The wheel of a distribution, by name; each is built once."""

    @functools.cache
    def built(name: str) -> Wheel:
        source = OWN.get(name) or write_distribution(name, tmp_path_factory.mktemp("source"))
        return Wheel(build(source, tmp_path_factory.mktemp("dist")))

    return built


@pytest.fixture(scope="session")
def base(wheel: Callable[[str], Wheel], tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment into which ``pip install store-redis`` was run, the own distributions coming from their wheels."""
    environment = Environment(tmp_path_factory.mktemp("environment"))
    own = [wheel("store-core"), wheel("store-redis")]
    third_party = {each for one in own for each in one.requires if not each.startswith("store-")}
    environment.pip("install", *sorted(third_party))
    links = [argument for one in own for argument in ("--find-links", one.path.parent)]
    # Without the index: the own distributions have to be these wheels, and nothing else may be missing.
    environment.pip("install", "--no-index", *links, "store-redis")
    return environment


@pytest.fixture
def environment(base: Environment, wheel: Callable[[str], Wheel]) -> Iterator[Callable[..., Environment]]:
    """``environment("acme-store", …)``: the base with these distributions in it while the test runs."""
    added: list[str] = []

    def install(*names: str) -> Environment:
        base.pip("install", "--no-index", "--no-deps", *(wheel(name).path for name in names))
        added.extend(names)
        return base

    yield install
    if added:
        base.pip("uninstall", "--yes", *added)
