"""The build hook: a pure wheel by default, a compiled one with ``STORE_PULSARDS_COMPILE=1`` in the environment.

Both are made of the same sources. Compiled (by mypyc, which takes a C compiler and a few minutes) is what every
command passes through: the engine, the families of commands for data, and the protocol. What answers administrators
stays Python, and so do classes that inherit from ``bytes``, ``list``, ``dict`` or ``set``, which mypyc cannot compile.
"""

from __future__ import annotations

import ast
import contextlib
import json
import os
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

VARIABLE = "STORE_PULSARDS_COMPILE"
REQUIREMENTS = ["mypy>=2.1", "setuptools>=65.5"]
PACKAGE = "store_pulsards"
OUTSIDE_THE_ENGINE = ("batch.py", "direct.py", "encoder.py", "native.py", "protocol.py", "session.py")
ADMINISTRATION = (
    *("absent", "acl", "clients", "connection", "help", "info", "introspection", "modules", "objects", "pubsub"),
    *("scripting", "server"),
)
INTERPRETED = {
    "engine/errors.py",
    "engine/refusals.py",
    "engine/members.py",
    "engine/replies.py",
    "engine/volatile_hash.py",
    *(f"engine/commands/{name}.py" for name in ADMINISTRATION),
}

# mypyc up to 2.4 fails for a slice of bytes that ends before it begins (b"abc"[2:1]), where Python has b"".
SLICE_OF_BYTES = ("Py_ssize_t slice_len = endn - startn;", "Py_ssize_t slice_len = endn > startn ? endn - startn : 0;")


class CompileHook(BuildHookInterface):  # type: ignore[type-arg]
    """Adds the extension modules to a wheel."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        return REQUIREMENTS if wanted() else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name != "wheel" or version == "editable" or not wanted():
            return
        self._folder = TemporaryDirectory()
        folder = Path(self._folder.name)
        shutil.copytree(Path(self.root, "src", PACKAGE), folder / PACKAGE)
        summaries = folder / "summaries.json"
        summaries.write_text(json.dumps(docstrings(folder / PACKAGE / "engine" / "commands"), indent=1))
        build_data["force_include"][str(summaries)] = f"{PACKAGE}/engine/commands/summaries.json"
        with contextlib.chdir(folder):
            compile_extensions(folder / "out")
        for path in (folder / "out").rglob("*"):
            if path.is_file():
                build_data["force_include"][str(path)] = str(path.relative_to(folder / "out"))
        build_data["pure_python"] = False
        build_data["infer_tag"] = True

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        if hasattr(self, "_folder"):
            self._folder.cleanup()


def wanted() -> bool:
    """Whether the environment asks for the compiled form."""
    value = os.environ.get(VARIABLE, "0")
    if value not in ("0", "1"):
        raise ValueError(f"{VARIABLE} is {value!r}; it may be 0 (pure Python) or 1 (compiled)")
    return value == "1"


def sources() -> list[str]:
    """What is compiled, from the folder that has the package."""
    package = Path(PACKAGE)
    engine = [path for path in sorted((package / "engine").rglob("*.py")) if path.name != "__init__.py"]
    return [
        str(path)
        for path in (*engine, *(package / name for name in OUTSIDE_THE_ENGINE))
        if path.relative_to(package).as_posix() not in INTERPRETED
    ]


def compile_extensions(out: Path) -> None:
    """Compile the package in the working directory; the extension modules go to ``out``."""
    import mypyc  # only where it is asked for, and installed
    from mypyc.build import mypycify
    from setuptools import Distribution

    options = ["--strict", "--ignore-missing-imports", "--allow-subclassing-any", "--no-warn-unused-ignores"]
    options += ["--no-warn-return-any", "--allow-untyped-calls"]  # what the build has not installed is Any
    options += ["--follow-imports=silent"]  # for the same reason: what is not compiled is not this build's to judge
    modules = mypycify([*options, *sources()], opt_level="3", group_name=PACKAGE, target_dir="c")
    # The generated code includes the runtime's files; this folder is the first in which they are looked for.
    runtime = Path(mypyc.__file__).parent / "lib-rt" / "bytes_ops.c"
    Path("c", runtime.name).write_text(runtime.read_text().replace(*SLICE_OF_BYTES))
    for module in modules:
        module.include_dirs.insert(0, "c")
    build = Distribution({"name": PACKAGE, "ext_modules": modules}).get_command_obj("build_ext")
    build.build_lib, build.build_temp, build.parallel = str(out), "objects", os.cpu_count()
    build.ensure_finalized()
    build.run()


def docstrings(folder: Path) -> dict[str, str]:
    """The first line of each function's docstring, which a compiled function does not have."""
    return {
        f"{PACKAGE}.engine.commands.{path.stem}.{node.name}": text.partition("\n")[0]
        for path in sorted(folder.glob("*.py"))
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef) and (text := ast.get_docstring(node))
    }
