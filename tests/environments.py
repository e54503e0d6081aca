"""Built wheels and fresh virtual environments: what tests of installed distributions share."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
import zipfile
from email.parser import HeaderParser
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
OWN = {path.parent.name: path.parent for path in (ROOT / "plugins").glob("*/pyproject.toml")}
OWN["store-core"] = ROOT / "core"


def run(*command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a program without what this process's environment would do to it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("STORE_", "PYTHON", "COV_"))}
    kept.update(PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_NO_INPUT="1", **environment)
    done = subprocess.run(command, env=kept, cwd="/", capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done


def build(source: Path, into: Path) -> Path:
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", into, source)
    (wheel,) = into.glob("*.whl")
    return wheel


class Wheel:
    """What is inside a wheel."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with zipfile.ZipFile(path) as archive:
            self.names = archive.namelist()
            (metadata,) = [name for name in self.names if name.endswith(".dist-info/METADATA")]
            self.metadata = HeaderParser().parsestr(archive.read(metadata).decode())

    @property
    def requires(self) -> list[str]:
        """What is needed without any extra."""
        return [each for each in self.metadata.get_all("Requires-Dist", []) if "extra ==" not in each]


class Environment:
    """A virtual environment."""

    def __init__(self, folder: Path) -> None:
        venv.create(folder, with_pip=True, symlinks=True)
        self.python = folder / "bin" / "python"

    def pip(self, *arguments: str | Path) -> str:
        return run(self.python, "-m", "pip", *arguments).stdout

    def run(self, program: str, **environment: str) -> Any:
        """Run a program with warnings as errors; what it passes to ``show`` comes back."""
        head = "import asyncio, json, sys\ndef show(value): print(json.dumps(value))\n"
        return json.loads(run(self.python, "-W", "error", "-c", head + program, **environment).stdout)
