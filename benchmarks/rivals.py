"""The clients that are measured, each behind the same operations: ``set``, ``get``, a pipeline, open and close.

Each is set up the way that suits it best: redis-py gets hiredis and a pool as large as the callers, valkey-glide room
for as many requests in flight, ours its defaults. A client that is not installed is left out, and the report says so.

``set`` and ``get`` are the client's own functions, so that nothing of ours stands between a caller and the client.
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from time import perf_counter
from typing import Any, ClassVar, NamedTuple, Self

from store_core import DSN, Store, create_store

#: More callers than this share redis-py's connections: each costs the server, and 64 are its fastest pool.
MOST_CONNECTIONS = 1000
BLOCKING_POOL = 64
#: Seconds that redis-py may take to connect: hundreds of connections at once outlast its own 5 on a busy machine.
PATIENCE = 60

Pairs = Sequence[tuple[str, str]]


class Server(NamedTuple):
    """Where the server is, for clients that take no connection string."""

    dsn: str
    host: str
    port: int
    database: int
    username: str | None
    password: str | None

    @classmethod
    def at(cls, dsn: str) -> Server:
        """The server of a connection string.

        Raises:
            ValueError: It is not a single server over plain TCP, which is all that every client has in common.
        """
        hosts, params = DSN.parse(dsn).hosts, create_store(dsn).params
        if len(hosts) != 1 or params.get("tls") or not dsn.startswith(("redis://", "valkey://")):
            raise ValueError("the clients are compared over plain TCP: --dsn redis://host:port")
        username, password = params["username"], params["password"]
        return cls(dsn, hosts[0].name or "127.0.0.1", hosts[0].port or 6379, params["db"], username, password)


class Run:
    """One measurement: until when its callers go on, and how many operations they have done."""

    stop_at = 0.0
    done = 0


class Rival(ABC):
    """A client under measurement; ``async with`` opens and closes it.

    Args:
        server: Where to connect.
        callers: How many tasks will use it at once.
    """

    name: ClassVar[str]
    needs: ClassVar[tuple[str, ...]] = ()

    set: Callable[..., Awaitable[Any]]
    get: Callable[..., Awaitable[Any]]

    def __init__(self, server: Server, callers: int) -> None:
        self.server = server
        self.callers = callers

    @classmethod
    def missing(cls) -> str:
        """The module that it needs and does not find; empty when it can run."""
        for module in cls.needs:
            try:
                importlib.import_module(module)
            except ImportError:
                return module
        return ""

    @abstractmethod
    async def open(self) -> None:
        """Make the client; sets ``set`` and ``get``."""

    @abstractmethod
    async def close(self) -> None:
        """Close its connections."""

    @abstractmethod
    async def pipeline(self, pairs: Pairs) -> Sequence[Any]:
        """SET and GET of each pair in one explicit pipeline; the replies."""

    async def take_turns(self, key: str, value: str, run: Run) -> None:
        """What one caller does until the run is over: SET, GET, each awaited."""
        set_, get = self.set, self.get
        while True:
            await set_(key, value)
            await get(key)
            run.done += 2
            if perf_counter() >= run.stop_at:
                return

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()


class RedisPy(Rival):
    """redis-py's asyncio client."""

    name = "redis-py"
    needs = ("redis", "hiredis")

    async def open(self) -> None:
        import redis.asyncio

        at = self.server
        where: dict[str, Any] = {
            "host": at.host,
            "port": at.port,
            "db": at.database,
            "username": at.username,
            "password": at.password,
            "socket_connect_timeout": PATIENCE,
            "socket_timeout": PATIENCE,
        }
        if self.callers > MOST_CONNECTIONS:
            pool = redis.asyncio.BlockingConnectionPool(max_connections=BLOCKING_POOL, timeout=None, **where)
            self._client = redis.asyncio.Redis.from_pool(pool)
        else:
            self._client = redis.asyncio.Redis(max_connections=self.callers, **where)
        self.set, self.get = self._client.set, self._client.get

    async def close(self) -> None:
        await self._client.aclose()

    async def pipeline(self, pairs: Pairs) -> Sequence[Any]:
        return await redis_py_pipeline(self._client, pairs)


async def redis_py_pipeline(client: Any, pairs: Pairs) -> Sequence[Any]:
    """A pipeline in redis-py's idiom."""
    pipeline = client.pipeline(transaction=False)
    for key, value in pairs:
        pipeline.set(key, value)
        pipeline.get(key)
    replies: list[Any] = await pipeline.execute()
    return replies


class Coredis(Rival):
    """coredis."""

    name = "coredis"
    needs = ("coredis",)

    async def open(self) -> None:
        import coredis

        at = self.server
        self._client: Any = coredis.Redis(
            at.host,
            at.port,
            at.database,
            username=at.username,
            password=at.password,
            max_connections=min(self.callers, BLOCKING_POOL),
        )
        await self._client.__aenter__()
        self.set, self.get = self._client.set, self._client.get

    async def close(self) -> None:
        await self._client.__aexit__(None, None, None)

    async def pipeline(self, pairs: Pairs) -> Sequence[Any]:
        async with self._client.pipeline(transaction=False) as pipeline:
            for key, value in pairs:
                pipeline.set(key, value)
                pipeline.get(key)
        replies: tuple[Any, ...] = pipeline.results
        return replies


class Glide(Rival):
    """valkey-glide, whose core is written in Rust."""

    name = "valkey-glide"
    needs = ("glide",)

    async def open(self) -> None:
        import glide

        at = self.server
        glide.Logger.set_logger_config(glide.LogLevel.OFF)
        credentials = None
        if at.password is not None:
            credentials = glide.ServerCredentials(password=at.password, username=at.username)
        config = glide.GlideClientConfiguration(
            addresses=[glide.NodeAddress(at.host, at.port)],
            credentials=credentials,
            database_id=at.database,
            request_timeout=60_000,
            inflight_requests_limit=max(1000, 2 * self.callers),
        )
        self._client: Any = await glide.GlideClient.create(config)
        self.set, self.get = self._client.set, self._client.get

    async def close(self) -> None:
        await self._client.close()

    async def pipeline(self, pairs: Pairs) -> Sequence[Any]:
        import glide

        batch = glide.Batch(is_atomic=False)
        for key, value in pairs:
            batch.set(key, value)
            batch.get(key)
        replies: list[Any] = await self._client.exec(batch, raise_on_error=True)
        return replies


class OfStore(Rival):
    """What both of ours have in common: a store of their own."""

    async def open(self) -> None:
        self.store: Store = create_store(self.server.dsn)
        self._bind()

    @abstractmethod
    def _bind(self) -> None:
        """Set ``set`` and ``get``."""

    async def close(self) -> None:
        await self.store.close()


class StoreClient(OfStore):
    """redis-py's own methods on the store's connection."""

    name = "store.client()"
    needs = ("store_redis",)

    def _bind(self) -> None:
        self._client: Any = self.store.client()
        self.set, self.get = self._client.set, self._client.get

    async def pipeline(self, pairs: Pairs) -> Sequence[Any]:
        return await redis_py_pipeline(self._client, pairs)


class StoreExecute(OfStore):
    """The store itself."""

    name = "store.execute"
    needs = ("store_redis",)

    def _bind(self) -> None:
        self.set, self.get = partial(self.store.execute, "SET"), partial(self.store.execute, "GET")

    async def take_turns(self, key: str, value: str, run: Run) -> None:
        # As a program writes it: the command's name is an argument, not a partial.
        execute = self.store.execute
        while True:
            await execute("SET", key, value)
            await execute("GET", key)
            run.done += 2
            if perf_counter() >= run.stop_at:
                return

    async def pipeline(self, pairs: Pairs) -> Sequence[Any]:
        async with self.store.pipeline() as pipeline:
            for key, value in pairs:
                pipeline.execute("SET", key, value)
                pipeline.execute("GET", key)
        return pipeline.results or []


#: In the order of every table and plot; the first is what the others are compared with.
RIVALS: tuple[type[Rival], ...] = (RedisPy, Coredis, Glide, StoreClient, StoreExecute)
BASELINE = RedisPy.name


def installed() -> tuple[list[type[Rival]], dict[str, str]]:
    """The clients that can run, and for the others the module that is missing."""
    missing = {rival.name: rival.missing() for rival in RIVALS}
    return [rival for rival in RIVALS if not missing[rival.name]], {name: why for name, why in missing.items() if why}
