"""The ``store`` command: look at backends, talk to a store, start a server.

Nothing here is imported by ``import store_core``; typer and rich come with the extra ``[cli]``, and without them the
command says so in one line.
"""

from __future__ import annotations

import sys

_EXTRA = frozenset({"typer", "rich", "click"})


def main() -> int:
    """Run ``store`` with the arguments of this process; returns the exit status."""
    try:
        from store_core.cli.run import run

        return run(sys.argv[1:])
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in _EXTRA:
            raise
        sys.stderr.write(
            f"store: {missing} is not installed, and this command needs it: pip install 'store-core[cli]'\n"
        )
        return 1
    except KeyboardInterrupt:
        return 130
