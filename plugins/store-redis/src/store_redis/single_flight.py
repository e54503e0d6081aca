"""One run of a coroutine function for everybody who asks while it is under way."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from store_core import StoreError
from store_redis.errors import copied


class SingleFlight:
    """Runs a coroutine function at most once at a time; who asks meanwhile waits for that run.

    It runs in a task of its own, so that a caller who is cancelled takes it from nobody else. When it fails, each
    caller gets an error object of its own. Callers go on in the order in which they asked; each waits for a future of
    its own, since a callback that one of ten thousand takes off a task again is looked for among all of theirs.

    Args:
        function: What to run.
    """

    def __init__(self, function: Callable[[], Awaitable[None]]) -> None:
        self._function = function
        self._task: asyncio.Task[None] | None = None
        self._waiters: dict[asyncio.Future[None], None] = {}

    async def __call__(self) -> None:
        """Wait for the run that is under way, or for one that begins now."""
        task = self._task
        # A task that is done may not have been forgotten yet; waiting for it would not even yield to the loop.
        if task is None or task.done():
            self._waiters = {}
            task = self._task = asyncio.create_task(self._run())
            task.add_done_callback(partial(self._ended, self._waiters))
        waiters, waiter = self._waiters, task.get_loop().create_future()
        waiters[waiter] = None
        try:
            await waiter
        finally:
            waiters.pop(waiter, None)
        try:
            task.result()
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

    def _ended(self, waiters: dict[asyncio.Future[None], None], task: asyncio.Task[None]) -> None:
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)
        if task is self._task:
            self._task = None
        if not task.cancelled():
            task.exception()  # told to those who wait; nobody may be left
