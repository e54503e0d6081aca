"""Running statements on one asyncpg connection, and PostgresConnection: one of the caller's own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import asyncpg

from store_core import ArgumentError, Connection, StoreClosed, StoreError, Timeout
from store_postgres.errors import LIBRARY, ConnectionTimeout, lost, while_executing
from store_postgres.statements import Shapes, affected, check

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    Raw = asyncpg.Connection | PoolConnectionProxy


class PostgresConnection(Connection):
    """A connection of the caller's own: a session with its settings, transactions and locks.

    Args:
        raw: The asyncpg connection.
        shapes: What the store knows of statements.
        address: The server, for messages.
        timeout: Seconds to a reply; 0 for ever.
    """

    def __init__(self, raw: asyncpg.Connection, shapes: Shapes, address: str, timeout: float) -> None:
        self.raw = raw
        self._shapes = shapes
        self._address = address
        self._timeout = timeout
        self._closed = False
        # asyncpg refuses a statement while another is under way; here it waits its turn.
        self._turn = asyncio.Lock()

    async def execute(self, *args: Any, **options: Any) -> Any:
        """Run one statement on this connection; every statement is allowed. See ``PostgresStore.execute``."""
        self._check_open()
        seconds = seconds_of(options, self._timeout)
        sql = check(args, {})
        async with within(seconds, self._address) as clock, self._turn:
            self._check_open()
            clock.sent = True
            try:
                return await run(self.raw, self._shapes, sql, args[1:])
            except LIBRARY as error:
                if self._closed:
                    raise lost(self._address) from error
                raise while_executing(error, self._address, closed=self.raw.is_closed()) from error

    async def close(self) -> None:
        self._closed = True
        await hang_up(self.raw)

    @property
    def closed(self) -> bool:
        return self._closed or self.raw.is_closed()

    def _check_open(self) -> None:
        if self._closed:
            raise StoreClosed(f"this connection to {self._address} is closed; open another")


async def run(raw: Raw, shapes: Shapes, sql: str, parameters: tuple[Any, ...]) -> Any:
    """Run a statement and shape its reply; errors are still asyncpg's.

    A statement that the store has not seen before is prepared on its own, for the server to say whether it returns
    rows, and then run: two round trips. From then on it is one, and asyncpg keeps it prepared on each connection.
    """
    returns_rows = shapes.get(sql)
    if returns_rows is None:
        # Without a name: nothing of it stays on the server.
        statement = await raw.prepare(sql, name="")
        returns_rows = bool(statement.get_attributes())
        shapes.learn(sql, returns_rows)
        rows = await statement.fetch(*parameters)
        return list(map(dict, rows)) if returns_rows else affected(statement.get_statusmsg() or "")
    if returns_rows:
        return list(map(dict, await raw.fetch(sql, *parameters)))
    return affected(await raw.execute(sql, *parameters))


def seconds_of(options: dict[str, Any], default: float) -> float:
    """The ``timeout`` among the options of ``execute``, or the store's own.

    Raises:
        ArgumentError: Another option, or a timeout that is no time.
    """
    unknown = options.keys() - {"timeout"}
    if unknown:
        raise ArgumentError(f"execute has no option {', '.join(map(repr, sorted(unknown)))}; it has: timeout")
    timeout = options.get("timeout")
    if timeout is None:
        return default
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not timeout >= 0:
        raise ArgumentError(f"timeout is {timeout!r}; it is a number of seconds, 0 for ever")
    return float(timeout)


class Clock:
    """The time of one call, and whether anything was sent in it."""

    def __init__(self) -> None:
        self.sent = False


@asynccontextmanager
async def within(seconds: float, address: str) -> AsyncIterator[Clock]:
    """Bound everything that a call waits for: a connection, its turn, the reply."""
    clock = Clock()
    try:
        async with asyncio.timeout(seconds or None):
            yield clock
    except TimeoutError as error:
        if isinstance(error, StoreError):
            raise
        if clock.sent:
            raise Timeout(f"no reply from {address} within {seconds:g} s; the statement was cancelled") from error
        raise ConnectionTimeout(f"no free connection to {address} within {seconds:g} s: all are busy") from error


async def hang_up(raw: asyncpg.Connection) -> None:
    """Say goodbye and close; callers that wait get their error at once."""
    if not raw.is_closed():
        # asyncpg's close would first wait for a statement that is under way.
        raw.terminate()
        await asyncio.sleep(0)  # the socket closes in the next turn of the loop
