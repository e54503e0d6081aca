"""The connections that all callers of a store share: asyncpg's pool, and what it leaves to its users.

A connection that comes back is reset by asyncpg (locks, settings, cursors), so callers never see each other's traces.
A caller that was cancelled, or whose time is over, does not wait for that: its connection comes back by itself, and
is cut when the server does not confirm in time that the statement has ended.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
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
        self._releases: set[asyncio.Task[None]] = set()

    @property
    def pool(self) -> asyncpg.Pool:
        """asyncpg's pool; a new one where there is none, or its user closed it."""
        if self._pool is None or self._pool.is_closing():
            self._pool = _ready(
                asyncpg.create_pool(
                    connect=self._opened,
                    init_size=0,
                    min_size=self._params["pool_min"],
                    max_size=self._params["pool_max"],
                    max_inactive_connection_lifetime=self._params["pool_idle"],
                )
            )
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
            task = asyncio.create_task(self._release(pool, connection))
            self._releases.add(task)
            task.add_done_callback(self._releases.discard)
            raise
        await self._release(pool, connection)

    async def close(self) -> None:
        """Close every connection now; callers that wait for a reply get their error."""
        pool, self._pool = self._pool, None
        if pool is not None and not pool.is_closing():
            pool.terminate()
        if self._releases:
            await asyncio.gather(*self._releases, return_exceptions=True)
        await asyncio.sleep(0)  # transports close in the next turn of the loop

    def abandon(self) -> None:
        """Drop what belongs to an event loop that is gone."""
        self._pool = None
        self._releases.clear()

    async def _opened(self, *_args: Any, **_options: Any) -> asyncpg.Connection:
        # What asyncpg would pass to its own connect: the store has all of it.
        return await self._connect()

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
