"""What ``store new-backend`` does: write the template, and say what comes next."""

from __future__ import annotations

import shlex
from pathlib import Path

from store_core.scaffold import Scaffold, write


def new_backend(name: str, directory: str, licence: str, author: str) -> str:
    """Write a distribution; returns what to tell its author.

    Raises:
        ScaffoldError: It cannot be written; nothing was.
    """
    folder = write(Scaffold(name, licence, author.strip(), Path(directory) if directory else None))
    near = Path.cwd()
    shown = f"./{folder.relative_to(near)}" if folder.is_relative_to(near) else str(folder)
    place = shlex.quote(shown)
    return "\n".join(
        (
            f"{shown}: a backend for {name}://, over SQLite until you replace it",
            f"  pip install -e {place}'[test]'",
            f"  pytest {place}",
            f"  store backends {name}",
        )
    )
