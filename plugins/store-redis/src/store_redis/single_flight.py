"""One run of a coroutine function for everybody who asks while it is under way."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from store_core import StoreError
from store_redis.errors import copied


class SingleFlight:
    """Runs a coroutine function at most once at a time; who asks meanwhile waits for that run.

    It runs in a task of its own, so that a caller who is cancelled takes it from nobody else. When it fails, each
    caller gets an error object of its own.

    Args:
        function: What to run.
    """

    def __init__(self, function: Callable[[], Awaitable[None]]) -> None:
        self._function = function
        self._task: asyncio.Task[None] | None = None

    async def __call__(self) -> None:
        """Wait for the run that is under way, or for one that begins now."""
        # A task that is done may not have been forgotten yet; waiting for it would not even yield to the loop.
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())
            self._task.add_done_callback(self._ended)
        try:
            await asyncio.shield(self._task)
        except StoreError as error:
            raise copied(error) from error.__cause__

    async def settled(self) -> None:
        """Wait until nothing is under way, however it ends."""
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    def forget(self) -> None:
        """Drop a run whose event loop is gone."""
        self._task = None

    async def _run(self) -> None:
        await self._function()

    def _ended(self, task: asyncio.Task[None]) -> None:
        if task is self._task:
            self._task = None
        if not task.cancelled():
            task.exception()  # told to those who wait; nobody may be left
