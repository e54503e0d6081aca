"""RedisStore: Redis and Valkey behind the Store API.

All callers share one multiplexed connection (or ``connections`` of them); commands that wait, and WATCH, go to
connections of their own. ``execute`` is the hot path: one look-up says that the command may be shared, one check
that the link belongs to the running event loop, and the link does the rest. Everything else is the slow path beside
it: no connection yet, an option, a namespace, a full buffer, a name that was not seen before.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from threading import get_ident
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from store_core import (
    DSN,
    ArgumentError,
    Capability,
    Command,
    ConnectionFailed,
    DSNError,
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
from store_redis.cache import MISSING, Cache, Question
from store_redis.collected import check_collected, first_refusal
from store_redis.commands import BLOCKING, REFUSED, SHARED, instead, plain_names, route, upper
from store_redis.connection import (
    RedisConnection,
    check_timeout,
    in_encoding,
    send,
    until_writable,
    within,
)
from store_redis.dial import Dialer, is_unix
from store_redis.errors import make, was_not_sent
from store_redis.keyspecs import CommandKeys, only_reads, read_table
from store_redis.link import Link
from store_redis.namespace import Namespace
from store_redis.node import Node, lost_at_once
from store_redis.parameters import PARAMETERS
from store_redis.retry import FAILURES, Commands, Retry, nothing_ran
from store_redis.single_flight import SingleFlight
from store_redis.subscriber import RedisSubscriber
from store_redis.tracking import TURN_DUE, Tracking, normal
from store_redis.watch import RedisWatch

if TYPE_CHECKING:
    import redis.asyncio
    from redis.asyncio.connection import AbstractConnection

    from store_core.store import Server
    from store_redis.client import StoreRedis

_FLUSH_BATCH = 1000

T = TypeVar("T")


class RedisStore(Store):
    """A Redis or Valkey server."""

    store_spec: ClassVar[tuple[int, int]] = (1, 0)
    parameters: ClassVar[tuple[Parameter, ...]] = PARAMETERS
    database_parameter: ClassVar[str] = "db"
    default_port: ClassVar[int] = 6379

    name = "redis"
    capabilities = frozenset(Capability) - {Capability.RECORDS}

    def __init__(self, dsn: DSN, params: Params) -> None:
        super().__init__(dsn, params)
        self.dialer = Dialer(dsn, params, self.default_port)
        self._routes = plain_names()
        # The shared link when there is exactly one and nothing stands between a caller and it; else None.
        self._link: Link | None = None
        self._node = Node(
            self.open_link, params["connections"], params["dedicated"], self._links_changed, self._open_shared
        )
        self._tracking = self._make_tracking(params)
        self._learn = SingleFlight(self._learn_table)
        self._retry = Retry(params, self._only_read, self.redial)
        # Connections that the store itself is opening; closing the store ends them.
        self._dials: set[asyncio.Timeout] = set()
        self._subscriber: RedisSubscriber | None = None
        self._table: Mapping[str, CommandKeys] | None = None
        self._keys: Namespace | None = None
        self._client: StoreRedis | None = None

    @classmethod
    def path_parameters(cls, dsn: DSN) -> Mapping[str, str]:
        if not is_unix(dsn):
            return super().path_parameters(dsn)
        if dsn.hosts or not dsn.path.strip("/"):
            raise DSNError(f"a unix socket is written {dsn.scheme}:///path/to/socket")
        return {}

    @classmethod
    async def start_server(cls, dsn: DSN, params: Params) -> Server:
        from store_redis.server import start_valkey  # processes are rarely started

        return await start_valkey(dsn, params)

    @property
    def cache(self) -> Cache | None:
        """The replies that are kept in memory, and their figures; None without the parameter ``cache``."""
        return None if self._tracking is None else self._tracking.cache

    # The four operations.

    async def connect(self) -> RedisConnection:
        self.bind()
        return RedisConnection(self, await self.dialer.dial())

    # A keyword of its own instead of **options: an empty dictionary for each command is a fiftieth of what it costs.
    async def execute(self, *args: Any, timeout: float | None = None) -> Any:
        try:
            shared = not self._routes[args[0]]
        except (KeyError, IndexError, TypeError):
            # A name not seen before, no name at all, or one that is no text: the slow path knows which.
            shared = False
        link = self._link
        if (
            shared
            and link is not None
            and timeout is None
            and link.writable is None
            and link.thread == get_ident()
            and link.loop_runs()
        ):
            try:
                return await link.send(args)
            except FAILURES as error:
                return await self.go_on(error, args)
        return await self._execute(args, timeout)

    async def execute_transaction(self, commands: Sequence[Command], watch: Watch | None = None) -> list[Any]:
        for command in commands:
            check_collected(command, "a transaction")
        prepared = await self._prepare_all(commands)
        if isinstance(watch, RedisWatch):
            # What is watched is watched on that connection: no other can take its place.
            replies = await self._transact_on(watch.link, commands, prepared)
        else:
            attempt = partial(self._on_shared, lambda link: self._transact_on(link, commands, prepared))
            replies = await self._retry.run(attempt, prepared)
        return self._restore_all(commands, replies)

    def pubsub(self, protocol: str | Codec | None = None, *, limit: int = DEFAULT_LIMIT) -> PubSub:
        self.check_open()
        if self._subscriber is None:
            self._subscriber = self._make_subscriber()
        return PubSub(self._subscriber, make_codec(protocol, self.encoding, self.params["decode_responses"]), limit)

    def _make_subscriber(self) -> RedisSubscriber:
        return RedisSubscriber(self)

    # What is built on them.

    async def execute_pipeline(self, commands: Sequence[Command]) -> list[Any]:
        # An extension that wraps execute sees every command, so each goes through it.
        plain = "execute" not in self.__dict__ and not any(command.options for command in commands)
        if not plain or any(not command.args or route(command.args) != SHARED for command in commands):
            for command in commands:
                check_collected(command, "a pipeline")
            return await super().execute_pipeline(commands)
        if not commands:
            return []
        replies = await self._pipeline(commands)
        return self._restore_all(commands, replies)

    async def watch(self, *keys: Any) -> RedisWatch:
        self.bind()
        prepared = await self.prepare(("WATCH", *keys))
        link = await self._node.dedicated.take()
        watch = RedisWatch(self._node.dedicated, link)
        try:
            await send(link, prepared)
        except BaseException:
            await watch.release()
            raise
        return watch

    def client(self) -> redis.asyncio.Redis:
        """A ``redis.asyncio.Redis`` whose commands travel through ``execute``; closed with the store."""
        self.check_open()
        if self._client is None:
            self._client = self._make_client()
        return self._client

    def _make_client(self) -> StoreRedis:
        from store_redis.client import make_client  # redis-py takes 0.2 s to import

        return make_client(self)

    async def ping(self) -> bool:
        return await self.execute("PING") in (b"PONG", "PONG")

    async def flush(self) -> None:
        if not self.namespace:
            await self.execute("FLUSHDB")
            return
        self.bind()
        async with self._undecoded_link() as link:
            await self._flush_server(link)

    async def _flush_server(self, link: Link) -> None:
        """Delete the namespace's keys of the server to which a link leads, one whose replies stay bytes."""
        cursor: Any = b"0"
        while True:
            # Keys need not be text.
            scan = ("SCAN", cursor, "COUNT", _FLUSH_BATCH)
            cursor, keys = self.restore(scan, await send(link, await self.prepare(scan)))
            if keys:
                await self.execute("UNLINK", *keys)
            if int(cursor) == 0:
                return

    async def create_database(self, name: str) -> str:
        """Check that the server has a database of that number; Redis's databases are always there."""
        async with await self.connect() as connection:
            await connection.execute("SELECT", name)
        return str(name)

    async def delete_database(self, name: str) -> None:
        """Delete everything in the database of that number."""
        async with await self.connect() as connection:
            await connection.execute("SELECT", name)
            await send(connection.link, ("FLUSHDB",))
        if self._tracking is not None:
            self._tracking.cache.clear()

    async def _close(self) -> None:
        loop_changed = self._loop is not None and self._loop is not asyncio.get_running_loop()
        if loop_changed:
            self._abandon()
            return
        for dial in self._dials:
            dial.reschedule(asyncio.get_running_loop().time())
        if self._subscriber is not None:
            await self._subscriber.close()
        await self._node.close()
        if self._client is not None:
            await self._client.aclose(close_connection_pool=True)

    # What the other modules of this package use.

    def bind(self) -> None:
        """Tie the store to the running loop; what belonged to one that is gone is dropped."""
        used = self._loop is not None
        if self.bind_loop() and used:
            self._abandon()

    async def open_link(self) -> Link:
        """A new link, through ``connect`` with whatever extensions wrap it."""
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
        if not isinstance(connection, RedisConnection):
            raise ExtensionError(f"an extension made connect() return {type(connection).__name__}")
        link = connection.link
        if self._closed:
            link.close()
            self.check_open()
        if link.closed:
            raise lost_at_once(link)
        if self.params["health_check"]:
            # Not on a connection of a caller's own, where a PING would be part of what the caller does (MULTI).
            link.check_health(self.params["health_check"])
        return link

    async def prepare(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The arguments as they go on the wire: encoded, with the namespace before every key."""
        args = in_encoding(args, self.encoding)
        if not self.namespace:
            return args
        if self._keys is None:
            await self._learn()
        assert self._keys is not None
        return self._keys.apply(args)

    def restore(self, args: tuple[Any, ...], reply: Any) -> Any:
        """The reply as the caller sees it: without the namespace. What the command changed is no longer cached."""
        if self._tracking is not None:
            self._tracking.wrote(args)
        return reply if self._keys is None else self._keys.restore(args, reply)

    def prefixed(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The arguments with the namespace, once ``prepare`` has learned the server's commands."""
        if not self.namespace:
            return args
        assert self._keys is not None
        return self._keys.apply(args)

    def without_prefix(self, message: Any) -> Any:
        """A pub/sub message without the namespace; any other reply as it is."""
        return message if self._keys is None else self._keys.restore_message(message)

    @property
    def unwrapped(self) -> bool:
        """Whether ``execute`` is this class's own: no extension, no subclass stands between a caller and the link."""
        return "execute" not in self.__dict__ and type(self).execute is RedisStore.execute

    def is_shared(self, name: str) -> bool:
        """Whether every command of that name may go on the shared connection as it stands."""
        return self._routes.get(name) == SHARED

    def redis_connection(self) -> tuple[type[AbstractConnection], dict[str, Any]]:
        """redis-py's connection class for this store's address, and its arguments."""
        from store_redis.pool import connection_kind

        return connection_kind(self)

    async def execute_raw(self, *args: Any) -> Any:
        """Run a command as it stands: no namespace, no extension."""
        attempt = partial(self._on_shared, lambda link: send(link, args))
        return await self._retry.run(attempt, (args,))

    async def go_on(self, error: StoreError, args: tuple[Any, ...]) -> Any:
        """What follows when a shared command of the hot path has failed: another attempt, or the error."""
        if was_not_sent(error) and not self._closed:
            return await self._execute(args, None)
        return await self._retry.again(error, partial(self._run, SHARED, args), (args,))

    async def run_blocking(self, link: Link, args: tuple[Any, ...], timeout: float | None) -> Any:
        """Run a blocking command on a caller's own connection."""
        return await self._node.blocking.run_on(link, args, timeout, lambda: None)

    def redial(self) -> None:
        """Leave the connections that are open; the next command opens others."""
        self._node.redial()

    async def execute_undecoded(self, args: tuple[Any, ...]) -> Any:
        """Run a command whose reply stays bytes whatever ``decode_responses`` says."""
        if not self.params["decode_responses"]:
            return await self.execute(*args)
        self.bind()
        return await self._retry.run(partial(self._run_undecoded, args), (args,))

    async def take_undecoded(self) -> RedisWatch:
        """A connection of one's own whose replies stay bytes; release it, and it is closed."""
        self.bind()
        link = await self._node.dedicated.take()
        link.leave_bytes()
        return RedisWatch(self._node.dedicated, link, changed=True)

    def names_parameter(self, name: str) -> bool:
        """Whether the parameter was given, in the connection string or beside it, rather than left to its default."""
        return any(given == name for given, _ in self._dsn.query)

    @asynccontextmanager
    async def _undecoded_link(self) -> AsyncIterator[Link]:
        # Not a dedicated one: callers that block may hold all of those for ever.
        link = await self.open_link()
        try:
            link.leave_bytes()
            yield link
        finally:
            link.close()

    # The slow path.

    async def _execute(self, args: tuple[Any, ...], timeout: float | None) -> Any:
        tracking = self._tracking
        if tracking is None:
            return await self._execute_sent(args, timeout)
        check_timeout(timeout)
        effect = tracking.effect(args)
        if effect.cacheable:
            reply = tracking.find(args)
            if reply is TURN_DUE:
                await asyncio.sleep(0)
                reply = tracking.find(args, turned=True)
            return reply if reply is not MISSING else await self._read(tracking, args, timeout)
        link = None if timeout is not None else self._direct_link(tracking, args)
        # Who reads after this call without awaiting it is behind it on the connection, not in front of it in memory.
        tracking.wrote(args)
        try:
            if link is None:
                return await self._execute_sent(args, timeout)
            try:
                return await link.send(args)
            except FAILURES as error:
                return await self.go_on(error, args)
        except ReplyError as error:
            # A script that fails half-way has written the first half.
            self.restore(args, error)
            raise

    async def _read(self, tracking: Tracking, args: tuple[Any, ...], timeout: float | None) -> Any:
        question = normal(args)
        if question is None:
            return await self._execute_sent(args, timeout)
        link = None if timeout is not None else self._direct_link(tracking, question)
        if link is not None and question is args:
            try:
                return await tracking.read(link, question, question, False)
            except FAILURES as error:
                attempt = partial(self._read_from_server, tracking, question, False)
                if was_not_sent(error) and not self._closed:
                    return await self._retry.run(attempt, (question,))
                return await self._retry.again(error, attempt, (question,))
        if question is not args and (reply := tracking.find(question, turned=True)) is not MISSING:
            return reply
        self.bind()
        attempt = partial(self._read_from_server, tracking, question, timeout is not None)
        running = self._retry.run(attempt, (question,))
        return await (running if timeout is None else within(timeout, self.dialer.address, running))

    def _direct_link(self, tracking: Tracking, args: tuple[Any, ...]) -> Link | None:
        """The shared link when nothing stands between a caller and it, as in ``execute``."""
        link = tracking.direct
        if (
            link is not None
            and link.writable is None
            and link.thread == get_ident()
            and link.loop_runs()
            and args
            and type(args[0]) is str
            and self._routes.get(args[0]) == SHARED
        ):
            return link
        return None

    async def _read_from_server(self, tracking: Tracking, question: Question, patient: bool) -> Any:
        prepared = await self.prepare(question)

        async def read(link: Link) -> Any:
            await until_writable(link, 0 if patient else link.timeout)
            return await tracking.read(link, question, prepared, patient)

        return await self._on_shared(read)

    async def _execute_sent(self, args: tuple[Any, ...], timeout: float | None) -> Any:
        check_timeout(timeout)
        if not args:
            raise make(ArgumentError, "a command has a name")
        kind = route(args)
        if kind == REFUSED:
            raise Unsupported(f"store.execute of {self.name}", upper(args[0]), instead(args))
        self.bind()
        if timeout is None:
            return await self._retry.run(partial(self._run, kind, args), (args,))
        # A caller's own time covers all that it waits for: a connection, its turn, the reply.
        running = self._retry.run(partial(self._run, kind, args, 0), (args,))
        return await within(timeout, self.dialer.address, running)

    async def _run(self, kind: int, args: tuple[Any, ...], timeout: float | None = None) -> Any:
        prepared = await self.prepare(args)
        if kind == BLOCKING:
            reply = await self._node.blocking.run(prepared, timeout, self.namespace)
        else:
            reply = await self._on_shared(lambda link: send(link, prepared, timeout))
        return self.restore(args, reply)

    async def _on_shared(self, use: Callable[[Link], Awaitable[T]]) -> T:
        """Use a shared link; once more where it broke, after having been good, before anything was sent."""
        link = await self._shared_link()
        try:
            return await use(link)
        except ConnectionFailed as error:
            if self._closed or not was_not_sent(error):
                raise
        return await use(await self._shared_link())

    async def _pipeline(self, commands: Sequence[Command]) -> list[Any]:
        prepared = await self._prepare_all(commands)
        replies: list[Any] = []

        async def attempt() -> list[Any]:
            replies.clear()
            replies.extend(await self._on_shared(lambda link: self._send_batch(link, prepared)))
            if nothing_ran(replies):
                raise replies[0]
            return replies

        try:
            return await self._retry.run(attempt, prepared)
        except ReplyError:
            if not replies:
                raise  # the server refused the connection, not the commands
            return replies

    async def _transact_on(self, link: Link, commands: Sequence[Command], prepared: list[tuple[Any, ...]]) -> list[Any]:
        return self._executed(commands, await self._send_batch(link, [("MULTI",), *prepared, ("EXEC",)]))

    def _executed(self, commands: Sequence[Command], replies: Sequence[Any]) -> list[Any]:
        """The replies of a transaction's commands, from those to MULTI, the commands and EXEC."""
        executed: list[Any] | ReplyError | None = replies[-1]
        if executed is None:
            raise make(TransactionAborted, "a watched key changed; nothing was run")
        if isinstance(executed, ReplyError):
            raise first_refusal(commands, replies[1:-1], executed)
        return executed

    async def _only_read(self, commands: Commands) -> bool:
        if self._table is None:
            await self._learn()
        assert self._table is not None
        return all(only_reads(args, self._table) for args in commands)

    async def _run_undecoded(self, args: tuple[Any, ...]) -> Any:
        prepared = await self.prepare(args)
        async with self._node.dedicated.lend() as link:
            link.leave_bytes()
            try:
                return self.restore(args, await send(link, prepared))
            finally:
                # The next caller of this link may want its replies decoded.
                link.close()

    async def _prepare_all(self, commands: Sequence[Command]) -> list[tuple[Any, ...]]:
        if not self.namespace and self.encoding == "utf-8":
            return [command.args for command in commands]
        return [await self.prepare(command.args) for command in commands]

    def _restore_all(self, commands: Sequence[Command], replies: list[Any]) -> list[Any]:
        if self._keys is None and self._tracking is None:
            return replies
        return [self.restore(command.args, reply) for command, reply in zip(commands, replies, strict=True)]

    async def _send_batch(self, link: Link, commands: list[tuple[Any, ...]]) -> list[Any]:
        await until_writable(link, link.timeout)
        return await link.send_batch(commands)

    async def _shared_link(self) -> Link:
        self.bind()
        return await self._node.shared()

    async def _open_shared(self) -> Link:
        link = await self.open_link()
        if self._tracking is not None:
            try:
                await self._tracking.attach(link)
            except BaseException:
                link.close()
                raise
        return link

    def _links_changed(self) -> None:
        links = self._node.links
        direct = self.params["connections"] == 1 and not self.namespace and self.encoding == "utf-8" and links
        link = links[0] if direct else None
        if self._tracking is None:
            self._link = link
        else:
            self._tracking.follow(links, link)

    def _make_tracking(self, params: Params) -> Tracking | None:
        if not params["cache"]:
            return None
        if params["protocol"] != 3:
            raise DSNError(
                f"{self.name}: cache={params['cache']} needs protocol=3: RESP2 has no way to tell of changes"
            )
        return Tracking(params["cache"], self.encoding, params["decode_responses"], self._as_sent)

    def _as_sent(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        return self.prefixed(in_encoding(args, self.encoding))

    async def _learn_table(self) -> None:
        async with self._undecoded_link() as link:
            self._table = read_table(await send(link, ("COMMAND",)))
        if self.namespace:
            self._keys = Namespace(self.namespace, self.encoding, self._table)

    def _abandon(self) -> None:
        self._node.abandon()
        self._learn.forget()
        self._dials.clear()
        if self._client is not None:
            self._client.forget_loop()
        if self._subscriber is not None:
            self._subscriber.abandon()
