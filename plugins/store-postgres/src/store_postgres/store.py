"""PostgresStore: PostgreSQL behind the Store API, on asyncpg.

Callers share a pool of connections, one statement at a time on each. Whatever would change a shared session (SET,
BEGIN, LISTEN) is refused and says what to call instead; ``store.connect()`` gives a session of one's own.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar
from weakref import WeakSet

import asyncpg

from store_core import (
    DSN,
    ArgumentError,
    Capability,
    Command,
    ExtensionError,
    PubSub,
    ReplyError,
    Store,
    StoreError,
    TransactionAborted,
    Unsupported,
)
from store_core.command import Watch
from store_core.parameters import Parameter, Params
from store_core.pubsub import DEFAULT_LIMIT, Codec, make_codec
from store_postgres.connection import Clock, PostgresConnection, run, seconds_of, within
from store_postgres.dial import DEFAULT_PORT, Dialer, abandon
from store_postgres.errors import LIBRARY, lost, while_executing
from store_postgres.parameters import PARAMETERS
from store_postgres.pool import SharedConnections
from store_postgres.statements import ENDS_TRANSACTION, SESSION_ONLY, Shapes, check, first_word, quoted
from store_postgres.subscriber import PostgresSubscriber

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    from store_core.store import Server

    #: SQL and its parameters.
    _Statements = Sequence[tuple[str, tuple[Any, ...]]]

#: Ordinary and partitioned tables of one schema, or of all that are not the server's; not those of an extension.
_TABLES = """
SELECT format('%I.%I', n.nspname, c.relname) AS name
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
  AND CASE WHEN $1 = '' THEN n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' ELSE n.nspname = $1::text END
  AND NOT EXISTS (
      SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY 1
"""

#: Times that a transaction which gave way to others is run again.
ATTEMPTS = 50

# What the server says of a database that is there already, or that another creates at this moment.
_EXISTS = frozenset({"42P04", "23505"})


class PostgresStore(Store):
    """A PostgreSQL server."""

    store_spec: ClassVar[tuple[int, int]] = (1, 0)
    parameters: ClassVar[tuple[Parameter, ...]] = PARAMETERS
    database_parameter: ClassVar[str] = "db"
    conformance_dialect: ClassVar[str] = "store_postgres.conformance:PostgresDialect"
    several_hosts: ClassVar[bool] = True
    default_port: ClassVar[int] = DEFAULT_PORT

    name = "postgres"
    capabilities = frozenset(
        {
            Capability.EXECUTE,
            Capability.CONNECT,
            Capability.TRANSACTIONS,
            Capability.PUBSUB,
            Capability.NAMESPACE,
            Capability.FLUSH,
            Capability.DATABASES,
            Capability.CLIENT,
            Capability.START,
        }
    )

    def __init__(self, dsn: DSN, params: Params) -> None:
        super().__init__(dsn, params)
        self.dialer = Dialer(dsn, params)
        self.database = self.dialer.database
        self._isolation = params["isolation"].replace(" ", "_")
        # Held by a transaction that had to give way, while it runs again.
        self._again = asyncio.Lock()
        self._shapes = Shapes()
        self._shared = SharedConnections(self.open, params)
        self._subscriber: PostgresSubscriber | None = None
        # Connections that the store itself is opening, and those that it has opened.
        self._dials: set[asyncio.Timeout] = set()
        self._opened: WeakSet[asyncpg.Connection] = WeakSet()

    @classmethod
    async def start_server(cls, dsn: DSN, params: Params) -> Server:
        from store_postgres.server import start_postgres  # processes are rarely started

        return await start_postgres(dsn, params)

    # The four operations.

    async def connect(self) -> PostgresConnection:
        """Open a session of the caller's own, where every statement is allowed; close it after use."""
        self.bind()
        raw = await self.dialer.dial()
        return PostgresConnection(raw, self._shapes, self.dialer.address, self.params["command_timeout"])

    async def execute(self, *args: Any, **options: Any) -> Any:
        """Run one SQL statement and return its reply.

        Args:
            args: The statement, and its parameters ``$1``, ``$2``, …, in the Python types that asyncpg maps to the
                types that the statement wants (``int``, ``str``, ``bytes``, ``datetime``, ``list``, ``None``, …).
            options: ``timeout`` in seconds, over the store's ``command_timeout`` (0: none).

        Returns:
            A list of dictionaries, column to value, for a statement that returns rows (``SELECT``, ``… RETURNING``),
            even when there are none; the number of rows for one that changes them (``INSERT``, ``UPDATE``,
            ``DELETE``); None for any other (``CREATE TABLE``). Of columns with one name the last stays.

        Raises:
            ReplyError: The server refused the statement; ``code`` is the SQLSTATE (``"23505"``).
            ArgumentError: A parameter does not fit; the statement did not run.
            TransactionAborted: It gave way to another transaction (deadlock); it did not run.
            ConnectionFailed: No connection; the statement was not sent.
            ConnectionLost: The connection broke; the statement may or may not have run.
            Timeout: No reply in time; the server was asked to cancel the statement.
            Unsupported: The statement would change the session that all callers share.
        """
        self.bind()
        seconds = seconds_of(options, self.params["command_timeout"])
        sql = check(args, SESSION_ONLY)
        async with within(seconds, self.dialer.address) as clock, self._shared.lend() as raw:
            clock.sent = True
            return await self._run(raw, sql, args[1:])

    async def execute_transaction(self, commands: Sequence[Command], watch: Watch | None = None) -> list[Any]:
        """Run statements in one transaction, as if nobody else were there (``isolation``: serializable).

        The first statement that is refused undoes the whole: its error is raised, and no results are there. A
        transaction that the server rolls back because of another one is run again, within ``command_timeout``:
        nothing of it was run, and its statements are known beforehand.

        Raises:
            ReplyError: The server refused a statement, or the transaction as it was committed; nothing was run.
            TransactionAborted: It gave way to others at every attempt; nothing was run.
        """
        self.bind()
        statements = [(check(each.args, ENDS_TRANSACTION), each.args[1:]) for each in commands]
        if any(each.options for each in commands):
            raise ArgumentError("commands of a transaction take no options; command_timeout bounds the whole")
        async with within(self.params["command_timeout"], self.dialer.address) as clock:
            try:
                return await self._transact(statements, clock)
            except TransactionAborted:
                # One at a time from here on: they would only make each other give way.
                async with self._again:
                    return await self._transact_again(statements, clock)

    def pubsub(self, protocol: str | Codec | None = None, *, limit: int = DEFAULT_LIMIT) -> PubSub:
        """Open a PubSub over LISTEN and NOTIFY; close it after use.

        A message has at most 7,999 bytes. Text goes as it is, other bytes as ``\\\\x`` and
        hexadecimal digits. PostgreSQL does not tell how many received a message: ``publish`` returns -1.
        """
        self.check_open()
        if self._subscriber is None:
            self._subscriber = PostgresSubscriber(self)
        return PubSub(self._subscriber, make_codec(protocol, self.encoding), limit)

    # What is built on them.

    async def watch(self, *keys: Any) -> Watch:
        detail = "there are no keys; a transaction that meets another is run again by itself"
        raise Unsupported(self.name, Capability.WATCH, detail)

    def client(self) -> asyncpg.Pool:
        """asyncpg's pool, the store's own; closed with the store.

        Its statements are asyncpg's, errors too, and pass through no extension but those that wrap ``connect``.
        """
        self.bind()
        return self._shared.pool

    async def ping(self) -> bool:
        return bool(await self.execute("SELECT 1") == [{"?column?": 1}])

    async def flush(self) -> None:
        """Empty every table of the database, and start their identity columns again; with a namespace, of its schema.

        The tables themselves stay, and so do views, functions and schemas; tables of extensions are left alone. It
        is one TRUNCATE, all or nothing, which waits for whoever uses the tables. A table of a namespace that one
        outside refers to by a foreign key is refused.
        """
        tables = await self.execute(_TABLES, self.namespace)
        if tables:
            await self.execute(f"TRUNCATE {', '.join(row['name'] for row in tables)} RESTART IDENTITY")

    async def create_database(self, name: str) -> str:
        """Create a database, unless it is there already."""
        try:
            await self.execute(f"CREATE DATABASE {quoted(name)}")
        except ReplyError as error:
            if error.code not in _EXISTS:
                raise
        return name

    async def delete_database(self, name: str) -> None:
        """Drop a database with everything in it, and end the connections to it; not the store's own."""
        await self.execute(f"DROP DATABASE {quoted(name)} WITH (FORCE)")

    async def _close(self) -> None:
        if self._loop is not None and self._loop is not asyncio.get_running_loop():
            self._abandon()
            return
        for dial in self._dials:
            dial.reschedule(asyncio.get_running_loop().time())
        if self._subscriber is not None:
            await self._subscriber.close()
        await self._shared.close()

    # What the other modules of this package use.

    def bind(self) -> None:
        """Tie the store to the running loop; what belonged to one that is gone is dropped."""
        if self.bind_loop():
            self._abandon()

    async def open(self) -> asyncpg.Connection:
        """A new connection for the store's own use, through ``connect`` with whatever extensions wrap it."""
        self.check_open()
        try:
            async with asyncio.timeout(None) as dial:
                self._dials.add(dial)
                try:
                    connection = await self.connect()
                finally:
                    self._dials.discard(dial)
        except TimeoutError as error:
            if not isinstance(error, StoreError):
                self.check_open()
            raise
        if not isinstance(connection, PostgresConnection):
            raise ExtensionError(f"an extension made connect() return {type(connection).__name__}")
        if self._closed:
            await connection.close()
            self.check_open()
        self._opened.add(connection.raw)
        return connection.raw

    async def _transact_again(self, statements: _Statements, clock: Clock) -> list[Any]:
        for attempt in range(ATTEMPTS):
            await asyncio.sleep(random.uniform(0.0, 0.001 * 2 ** min(attempt, 8)))
            try:
                return await self._transact(statements, clock)
            except TransactionAborted:
                if attempt == ATTEMPTS - 1:
                    raise
        raise AssertionError

    async def _transact(self, statements: _Statements, clock: Clock) -> list[Any]:
        results: list[Any] = []
        async with self._shared.lend() as raw:
            begun = False
            try:
                async with raw.transaction(isolation=self._isolation):
                    begun = clock.sent = True
                    for sql, parameters in statements:
                        results.append(await run(raw, self._shapes, sql, parameters))
            except LIBRARY as error:
                translated = self._translated(error, raw, sent=begun)
                if isinstance(translated, ReplyError | ArgumentError):
                    translated.add_note(_place(statements, len(results)))
                raise translated from error
        return results

    async def _run(self, raw: PoolConnectionProxy, sql: str, parameters: tuple[Any, ...]) -> Any:
        try:
            return await run(raw, self._shapes, sql, parameters)
        except LIBRARY as error:
            raise self._translated(error, raw) from error

    def _translated(self, error: Exception, raw: PoolConnectionProxy, *, sent: bool = False) -> StoreError:
        closed = _is_closed(raw)
        if sent and closed:
            return lost(self.dialer.address, error)
        return while_executing(error, self.dialer.address, closed=closed)

    def _abandon(self) -> None:
        opened, self._opened = list(self._opened), WeakSet()
        for connection in opened:
            abandon(connection)
        self._dials.clear()
        self._again = asyncio.Lock()
        self._shared.abandon()
        if self._subscriber is not None:
            self._subscriber.abandon()


def _is_closed(raw: PoolConnectionProxy) -> bool:
    try:
        return bool(raw.is_closed())
    except asyncpg.InterfaceError:  # the pool has taken it back already, which it does when it breaks
        return True


def _place(statements: _Statements, done: int) -> str:
    if done == len(statements):
        return "as the transaction was committed; nothing was run"
    return f"in command {done + 1} of {len(statements)} ({first_word(statements[done][0])}); nothing was run"
