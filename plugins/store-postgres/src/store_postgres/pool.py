"""The connections that all callers of a store share: asyncpg's pool, and what it leaves to its users.

A connection that comes back is reset by asyncpg (locks, settings, cursors), so callers never see each other's traces.
A caller that was cancelled, or whose time is over, does not wait for that: its connection comes back by itself, and
is cut when the server does not confirm in time that the statement has ended.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import asyncpg

from store_core import ConnectionFailed
from store_core.parameters import Params
from store_postgres.errors import LIBRARY

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

logger = logging.getLogger(__name__)

#: Seconds that a connection has to become ready for its next user.
RELEASE_SECONDS = 5.0


class SharedConnections:
    """A pool of one event loop, opened by its first user.

    Args:
        connect: Opens a connection.
        params: The store's parameters.
    """

    def __init__(self, connect: Callable[[], Awaitable[asyncpg.Connection]], params: Params) -> None:
        self._connect = connect
        self._params = params
        self._pool: asyncpg.Pool | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def pool(self) -> asyncpg.Pool:
        """asyncpg's pool; a new one where there is none, or its user closed it."""
        least: int = self._params["pool_min"]
        if self._pool is None or self._pool.is_closing():
            self._pool = _ready(
                asyncpg.create_pool(
                    connect=self._opened,
                    # asyncpg would make its user wait for the first ones, and fail for all when one of them fails.
                    min_size=0,
                    max_size=self._params["pool_max"],
                    max_inactive_connection_lifetime=0 if least else self._params["pool_idle"],
                )
            )
            if least:
                self._later(self._warm(self._pool, least))
        return self._pool

    @asynccontextmanager
    async def lend(self) -> AsyncIterator[PoolConnectionProxy]:
        """A connection for a statement or a few; callers wait for one in turn.

        Raises:
            ConnectionFailed: There is none: nothing was sent.
        """
        pool = self.pool
        try:
            connection = await pool.acquire()
        except asyncpg.InterfaceError as error:
            raise ConnectionFailed(f"no connection: {error}; nothing was sent") from error
        try:
            yield connection
        except BaseException:
            self._later(self._release(pool, connection))
            raise
        await self._release(pool, connection)

    async def close(self) -> None:
        """Close every connection now; callers that wait for a reply get their error."""
        pool, self._pool = self._pool, None
        if pool is not None and not pool.is_closing():
            pool.terminate()
        if self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0)  # transports close in the next turn of the loop

    def abandon(self) -> None:
        """Drop what belongs to an event loop that is gone."""
        self._pool = None
        self._tasks.clear()

    async def _opened(self, *_args: Any, **_options: Any) -> asyncpg.Connection:
        # What asyncpg would pass to its own connect: the store has all of it.
        return await self._connect()

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _warm(self, pool: asyncpg.Pool, least: int) -> None:
        """Open the connections that are to be there from the first statement on."""
        opened = await asyncio.gather(*(pool.acquire() for _ in range(least)), return_exceptions=True)
        for connection in opened:
            if isinstance(connection, BaseException):
                logger.debug("a connection could not be opened beforehand: %s", connection)
            else:
                await self._release(pool, connection)

    async def _release(self, pool: asyncpg.Pool, connection: PoolConnectionProxy) -> None:
        try:
            await pool.release(connection, timeout=RELEASE_SECONDS)
        except LIBRARY as error:
            # The caller has its reply; asyncpg has closed the connection, and the next caller gets another.
            logger.debug("a connection could not be used again: %s", error)


def _ready(pool: asyncpg.Pool) -> asyncpg.Pool:
    # ``await pool`` opens the first connections; with none to open it never waits, so that no event loop is needed.
    try:
        pool.__await__().send(None)
    except StopIteration:
        return pool
    raise AssertionError("asyncpg's pool waits although it has no connection to open")
