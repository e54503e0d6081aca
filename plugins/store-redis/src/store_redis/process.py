"""A server process that lives as long as this program wants it, and never longer.

The process (or a supervisor in front of it) watches the pipe that is its standard input: when this program ends, even
by ``kill -9``, the pipe closes and the server stops.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from store_core import DSN

#: Seconds that a server has to stop by itself.
STOP_SECONDS = 10.0


class ServerProcess:
    """A server that ``start_store`` started.

    Attributes:
        dsn: Where it answers.
        process: The process whose standard input is our pipe.
    """

    def __init__(
        self, dsn: DSN, process: asyncio.subprocess.Process, clean_up: Callable[[], None] = lambda: None
    ) -> None:
        self.dsn = dsn
        self.process = process
        self._clean_up = clean_up

    async def stop(self) -> None:
        """Stop it and wait until it is gone; stopping twice is harmless."""
        process = self.process
        if process.stdin is not None:
            process.stdin.close()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await process.wait()
        except BaseException as error:
            # Nothing may outlive us, not even when we are cancelled while we wait.
            if process.returncode is None:
                process.kill()
                await process.wait()
            if not isinstance(error, TimeoutError):
                raise
        finally:
            self._clean_up()
