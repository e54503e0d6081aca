"""The direction of imports that ARCHITECTURE.md draws."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CORE = ROOT / "core" / "src" / "store_core"
REDIS = ROOT / "plugins" / "store-redis" / "src" / "store_redis"
PULSARDS = ROOT / "plugins" / "store-pulsards" / "src" / "store_pulsards"
POSTGRES = ROOT / "plugins" / "store-postgres" / "src" / "store_postgres"

#: Package to what it may not import, not even inside a function.
FORBIDDEN = {
    CORE: {"store_redis", "store_pulsards", "store_postgres", "redis", "hiredis", "asyncpg"},
    REDIS: {"store_pulsards", "store_postgres"},
    POSTGRES: {"store_redis", "store_pulsards"},
}

#: What runs without an event loop, and could be served by another shell.
WITHOUT_IO = [
    *sorted((PULSARDS / "engine").rglob("*.py")),
    *(PULSARDS / f"{name}.py" for name in ("protocol", "encoder", "session")),
]


def imported(path: Path) -> Iterator[str]:
    """The modules that a file imports, by full name."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: a relative import"
            yield node.module or ""


@pytest.mark.parametrize("package", FORBIDDEN, ids=lambda package: package.name)
def test_imports_point_one_way(package: Path) -> None:
    for path in package.rglob("*.py"):
        assert not {name.partition(".")[0] for name in imported(path)} & FORBIDDEN[package], path


@pytest.mark.parametrize("path", WITHOUT_IO, ids=lambda path: str(path.relative_to(PULSARDS)))
def test_the_engine_and_the_protocol_know_no_event_loop_and_no_socket(path: Path) -> None:
    assert not {name.partition(".")[0] for name in imported(path)} & {"asyncio", "socket", "uvloop", "threading"}
