"""The reference backend: whole, correct, in memory. What the kit says of it is what the kit should say.

Stores of one process share their data, as clients of one server do. The mutations beside it break one thing each.
"""

from __future__ import annotations

import asyncio
import fnmatch
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Sequence
from typing import Any

from store_core import (
    ArgumentError,
    Capability,
    Command,
    Connection,
    ConnectionLost,
    Parameter,
    PubSub,
    ReplyError,
    Store,
    StoreClosed,
    Timeout,
    TransactionAborted,
)
from store_core.pubsub import DEFAULT_LIMIT, Kind, Subscriber, Subscriptions, make_codec


class Data:
    """One database."""

    def __init__(self) -> None:
        self.values: dict[bytes, bytes] = {}
        self.queues: dict[bytes, deque[bytes]] = defaultdict(deque)
        self.versions: Counter[bytes] = Counter()
        self.waiting: dict[bytes, deque[asyncio.Future[bytes]]] = defaultdict(deque)


DATABASES: dict[str, Data] = defaultdict(Data)
SUBSCRIBERS: list[ReferenceSubscriber] = []


class ReferenceSubscriber(Subscriber):
    def __init__(self, namespace: str) -> None:
        self.subscriptions = Subscriptions()
        self._prefix = namespace.encode()
        SUBSCRIBERS.append(self)

    async def publish(self, channel: str, data: bytes, *, kind: Kind) -> int:
        wire = self._prefix + channel.encode()
        if kind is Kind.SHARD:
            return sum(each.receive_from_shard(wire, data) for each in SUBSCRIBERS)
        return sum(each.receive(wire, data) for each in SUBSCRIBERS)

    def receive(self, wire: bytes, data: bytes) -> int:
        mine = wire in self.subscriptions.names(kind=Kind.CHANNEL)
        self.subscriptions.deliver(wire, data)
        count = int(mine)
        for pattern in self.subscriptions.names(kind=Kind.PATTERN):
            if fnmatch.fnmatchcase(wire.decode(), pattern.decode()):
                self.subscriptions.deliver_pattern(pattern, wire[len(self._prefix) :].decode(), data)
                count += 1
        return count

    def receive_from_shard(self, wire: bytes, data: bytes) -> int:
        self.subscriptions.deliver(wire, data, kind=Kind.SHARD)
        return int(wire in self.subscriptions.names(kind=Kind.SHARD))

    async def subscribe(self, pubsub: PubSub, names: Iterable[str], *, kind: Kind) -> None:
        self.subscriptions.add(pubsub, [(self._prefix + name.encode(), name) for name in names], kind=kind)

    async def unsubscribe(self, pubsub: PubSub, names: Iterable[str], *, kind: Kind) -> None:
        self.subscriptions.remove(pubsub, [self._prefix + name.encode() for name in names], kind=kind)

    async def count(self, channels: Iterable[str]) -> dict[str, int]:
        return {
            name: sum(
                self._prefix + name.encode() in each.subscriptions.names(kind=Kind.CHANNEL) for each in SUBSCRIBERS
            )
            for name in channels
        }

    async def channels(self, pattern: str | None) -> list[str]:
        names = {wire.decode() for each in SUBSCRIBERS for wire in each.subscriptions.names(kind=Kind.CHANNEL)}
        return sorted(name for name in names if pattern is None or fnmatch.fnmatchcase(name, pattern))

    def close(self) -> None:
        for pubsub in self.subscriptions.pubsubs():
            pubsub.end()
        self.subscriptions.clear()
        SUBSCRIBERS.remove(self)


class ReferenceConnection(Connection):
    def __init__(self, store: ReferenceStore) -> None:
        self._store = store
        self._closed = False

    async def execute(self, *args: Any, **options: Any) -> Any:
        if self._closed:
            raise StoreClosed("this connection is closed")
        return await self._store.run(args, options)

    async def close(self) -> None:
        self._closed = True

    @property
    def closed(self) -> bool:
        return self._closed


class ReferenceWatch:
    def __init__(self, versions: dict[bytes, int]) -> None:
        self.versions = versions

    async def release(self) -> None:
        self.versions.clear()


class ReferenceStore(Store):
    """Data in this process."""

    name = "reference"
    parameters = (
        Parameter("db", int, 0, "database number", minimum=0),
        Parameter("namespace", str, "", "prefix before every key and channel"),
        Parameter("password", str, None, "not used", secret=True),
        Parameter("token", str, None, "not used", secret=True),
        Parameter("timeout", float, 5.0, "seconds to a reply", minimum=0),
        Parameter("encoding", str, "utf-8", "how text is encoded"),
    )
    database_parameter = "db"
    capabilities = frozenset(Capability) - {Capability.START, Capability.RECORDS}

    def __init__(self, dsn: Any, params: Any) -> None:
        super().__init__(dsn, params)
        self.data = DATABASES[self.database]
        self.subscriber: ReferenceSubscriber | None = None
        self._blocked: set[asyncio.Future[bytes]] = set()

    async def connect(self) -> ReferenceConnection:
        self.bind_loop()
        return ReferenceConnection(self)

    async def execute(self, *args: Any, **options: Any) -> Any:
        return await self.run(args, options)

    async def execute_pipeline(self, commands: Sequence[Command]) -> list[Any]:
        return await super().execute_pipeline(commands)

    async def execute_transaction(self, commands: Sequence[Command], watch: Any = None) -> list[Any]:
        self.bind_loop()
        await asyncio.sleep(0)
        self.check_watch(watch)
        prepared = [self.encoded(command.args) for command in commands]
        for index, args in enumerate(prepared):
            if not self.is_known(args):
                error = ReplyError(f"ERR unknown command {args[0]!r}")
                error.add_note(f"in command {index + 1} of {len(prepared)}")
                raise error
        return [self.apply(args) for args in prepared]

    def check_watch(self, watch: Any) -> None:
        if watch is not None and any(self.data.versions[key] != seen for key, seen in watch.versions.items()):
            raise TransactionAborted("a watched key changed; nothing was run")

    async def watch(self, *keys: Any) -> ReferenceWatch:
        self.bind_loop()
        names = [self.key(self.encoded((key,))[0]) for key in keys]
        return ReferenceWatch({name: self.data.versions[name] for name in names})

    def pubsub(self, protocol: Any = None, *, limit: int = DEFAULT_LIMIT) -> PubSub:
        self.check_open()
        if self.subscriber is None:
            self.subscriber = ReferenceSubscriber(self.namespace)
        return PubSub(self.subscriber, make_codec(protocol), limit)

    def client(self) -> Any:
        self.check_open()
        return self.data

    async def ping(self) -> bool:
        return await self.execute("PING") == b"PONG"

    async def flush(self) -> None:
        self.bind_loop()
        for table in (self.data.values, self.data.queues):
            for name in [name for name in table if name.startswith(self.key(b""))]:
                del table[name]

    async def create_database(self, name: str) -> str:
        return str(int(name))

    async def delete_database(self, name: str) -> None:
        DATABASES.pop(name, None)

    async def _close(self) -> None:
        for future in self._blocked:
            if not future.done():
                future.set_exception(ConnectionLost("the store was closed; the command may have run"))
        if self.subscriber is not None:
            self.subscriber.close()

    # How a command runs.

    async def run(self, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        self.bind_loop()
        timeout = options.pop("timeout", None)
        if options:
            raise TypeError(f"execute has no option {next(iter(options))!r}")
        prepared = self.encoded(args)
        try:
            async with asyncio.timeout(timeout or None):
                await asyncio.sleep(0)
                self.check_open()
                return await self.pop(prepared) if prepared[0] == b"BLPOP" else self.apply(prepared)
        except TimeoutError:
            raise Timeout(f"no reply within {timeout:g} s") from None

    def encoded(self, args: tuple[Any, ...]) -> tuple[bytes, ...]:
        if not args:
            raise ArgumentError("a command has a name")
        return tuple(self.as_bytes(arg) for arg in args)

    def as_bytes(self, value: Any) -> bytes:
        if isinstance(value, bytes):
            return value
        if isinstance(value, str):
            return value.encode(self.encoding)
        if isinstance(value, int | float):
            return str(value).encode()
        raise ArgumentError(f"an argument is of type {type(value).__name__}")

    def is_known(self, args: tuple[bytes, ...]) -> bool:
        return hasattr(self, f"do_{args[0].decode().lower()}")

    def apply(self, args: tuple[bytes, ...]) -> Any:
        if not self.is_known(args):
            raise ReplyError(f"ERR unknown command {args[0]!r}")
        return getattr(self, f"do_{args[0].decode().lower()}")(*args[1:])

    def key(self, name: bytes) -> bytes:
        return self.namespace.encode() + name

    def do_ping(self) -> bytes:
        return b"PONG"

    def do_get(self, name: bytes) -> bytes | None:
        return self.data.values.get(self.key(name))

    def do_set(self, name: bytes, value: bytes) -> bytes:
        self.data.values[self.key(name)] = value
        self.data.versions[self.key(name)] += 1
        return b"OK"

    def do_del(self, name: bytes) -> int:
        self.data.versions[self.key(name)] += 1
        return int(self.data.values.pop(self.key(name), None) is not None)

    def do_incr(self, name: bytes) -> int:
        value = int(self.do_get(name) or 0) + 1
        self.do_set(name, str(value).encode())
        return value

    def do_rpush(self, name: bytes, value: bytes) -> int:
        waiting = self.data.waiting[self.key(name)]
        while waiting:
            future = waiting.popleft()
            if not future.done():
                future.set_result(value)
                return 1
        self.data.queues[self.key(name)].append(value)
        return len(self.data.queues[self.key(name)])

    async def pop(self, args: tuple[bytes, ...]) -> list[bytes] | None:
        name, seconds = args[1], float(args[2])
        queue = self.data.queues[self.key(name)]
        if queue:
            return [name, queue.popleft()]
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self.data.waiting[self.key(name)].append(future)
        self._blocked.add(future)
        try:
            async with asyncio.timeout(seconds or None) as limit:
                return [name, await future]
        except TimeoutError:
            if not limit.expired():
                raise
            return None
        finally:
            self._blocked.discard(future)
            future.cancel()
