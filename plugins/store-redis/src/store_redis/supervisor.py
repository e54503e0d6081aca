"""A process that runs a server for as long as its own standard input stays open.

``python -m store_redis.supervisor`` reads one line of JSON, ``{"command": […], "input": "…"}``, starts the command
with that input, and stops it when standard input ends: whoever started us has closed it, or is gone.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading

#: Seconds that the server has to stop by itself.
GRACE = 5.0


def main() -> int:
    """Run the server; returns its exit status."""
    request = json.loads(sys.stdin.buffer.readline())
    # A Ctrl-C at the terminal is meant for the program that uses the server, and it decides what becomes of it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    process = subprocess.Popen(request["command"], stdin=subprocess.PIPE)  # noqa: S603 - given by our own parent
    assert process.stdin is not None
    process.stdin.write(request["input"].encode())
    process.stdin.close()
    threading.Thread(target=_stop_at_end_of_input, args=(process,), daemon=True).start()
    status = process.wait()
    # The thread may hold the lock of standard input, which a normal exit would wait for.
    os._exit(status if status >= 0 else 1)


def _stop_at_end_of_input(process: subprocess.Popen[bytes]) -> None:
    while sys.stdin.buffer.read(4096):
        pass
    process.terminate()
    try:
        process.wait(GRACE)
    except subprocess.TimeoutExpired:
        process.kill()


if __name__ == "__main__":
    sys.exit(main())
