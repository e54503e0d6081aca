"""A process that runs a PostgreSQL server for as long as its own standard input stays open.

``python -m store_postgres.supervisor`` reads one line of JSON: the commands ``initdb`` (empty where the data is there
already) and ``server``, the ``password`` file and its text, the ``user`` and ``group`` to run them as (null: ours), the
``log``, and the ``temporary`` directory. It stops the server and removes that directory when standard input ends:
whoever started us has closed it, or is gone.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

#: Seconds that the server has for a fast shutdown, then for an immediate one.
GRACE = 5.0


def main() -> int:
    """Run the server; returns its exit status."""
    request = json.loads(sys.stdin.buffer.readline())
    # A Ctrl-C at the terminal is meant for the program that uses the server, and it decides what becomes of it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # From here on the directory is ours to remove, whatever comes.
    running: list[subprocess.Popen[bytes]] = []
    over = threading.Event()
    threading.Thread(target=_stop_at_end_of_input, args=(running, over), daemon=True).start()
    status = 1
    try:
        status = 1 if request["initdb"] and _initialize(request, running, over) else _serve(request, running, over)
    finally:
        shutil.rmtree(request["temporary"], ignore_errors=True)
        # The thread may hold the lock of standard input, which a normal exit would wait for.
        os._exit(status)


def _initialize(request: dict[str, Any], running: list[subprocess.Popen[bytes]], over: threading.Event) -> int:
    password = Path(request["password_file"])
    password.touch(mode=0o600)
    if request["user"] is not None:
        os.chown(password, request["user"], request["group"])
    password.write_text(request["password"] + "\n")
    try:
        return _run(request, "initdb", running, over)
    finally:
        password.unlink()


def _serve(request: dict[str, Any], running: list[subprocess.Popen[bytes]], over: threading.Event) -> int:
    status = _run(request, "server", running, over)
    return status if status >= 0 else 1


def _run(request: dict[str, Any], command: str, running: list[subprocess.Popen[bytes]], over: threading.Event) -> int:
    if over.is_set():
        return 1
    with Path(request["log"]).open("ab") as log:
        process = subprocess.Popen(  # noqa: S603 - given by our own parent
            request[command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=request["temporary"],
            user=request["user"],
            group=request["group"],
            extra_groups=None if request["user"] is None else [],
            # Out of the terminal's reach: a Ctrl-C would stop it.
            start_new_session=True,
        )
    running[:] = [process]
    if over.is_set():  # the end came while it started
        _stop(process)
    return process.wait()


def _stop_at_end_of_input(running: list[subprocess.Popen[bytes]], over: threading.Event) -> None:
    while sys.stdin.buffer.read(4096):
        pass
    over.set()
    for process in list(running):
        _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    # Fast shutdown, immediate shutdown, none.
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        process.send_signal(number)
        try:
            process.wait(GRACE)
        except subprocess.TimeoutExpired:
            continue
        return


if __name__ == "__main__":
    sys.exit(main())
