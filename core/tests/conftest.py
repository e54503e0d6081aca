"""A small backend in memory: enough of every operation that the core's own rules can be seen at work."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from store_core import (
    DSN,
    Capability,
    Connection,
    ConnectionFailed,
    Parameter,
    PubSub,
    ReplyError,
    Store,
    TransactionAborted,
    data_stores,
    register_store,
)
from store_core.parameters import Params
from store_core.pubsub import Kind, Subscriber, Subscriptions, make_codec


class MemorySubscriber(Subscriber):
    def __init__(self) -> None:
        self.subscriptions = Subscriptions()
        self.calls: list[tuple[Any, ...]] = []

    async def publish(self, channel: str, data: bytes, *, kind: Kind) -> int:
        self.subscriptions.deliver(channel.encode(), data, kind=kind)
        for wire in self.subscriptions.names(kind=Kind.PATTERN) if kind is Kind.CHANNEL else ():
            if channel.encode().startswith(wire.rstrip(b"*")):
                self.subscriptions.deliver_pattern(wire, channel, data)
        return len(self.subscriptions.pubsubs())

    async def subscribe(self, pubsub: PubSub, names: Iterable[str], *, kind: Kind) -> None:
        names = list(names)
        if "forbidden" in names:
            raise ReplyError("NOPERM no permission")
        self.calls.append((("subscribe", "psubscribe", "ssubscribe")[kind], *names))
        self.subscriptions.add(pubsub, [(name.encode(), name) for name in names], kind=kind)

    async def unsubscribe(self, pubsub: PubSub, names: Iterable[str], *, kind: Kind) -> None:
        names = list(names)
        self.calls.append((("unsubscribe", "punsubscribe", "sunsubscribe")[kind], *names))
        self.subscriptions.remove(pubsub, [name.encode() for name in names], kind=kind)

    async def count(self, channels: Iterable[str]) -> dict[str, int]:
        return {channel: int(channel.encode() in self.subscriptions.names(kind=Kind.CHANNEL)) for channel in channels}

    async def channels(self, pattern: str | None) -> list[str]:
        return sorted(name.decode() for name in self.subscriptions.names(kind=Kind.CHANNEL))


class MemoryWatch:
    def __init__(self, versions: dict[str, int]) -> None:
        self.versions = versions
        self.released = False

    async def release(self) -> None:
        self.released = True


class MemoryConnection(Connection):
    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self._closed = False

    async def execute(self, *args: Any, **options: Any) -> Any:
        return await self._store.execute(*args, **options)

    async def close(self) -> None:
        self._closed = True

    @property
    def closed(self) -> bool:
        return self._closed


class MemoryServer:
    """What ``start_store`` starts: from then on its address answers."""

    def __init__(self, dsn: DSN) -> None:
        self.dsn = dsn
        self.address = dsn.hosts
        self.stops = 0

    async def stop(self) -> None:
        self.stops += 1
        MemoryStore.up.discard(self.address)


class MemoryStore(Store):
    parameters = (
        Parameter("db", int, 0, minimum=0),
        Parameter("username", str),
        Parameter("password", str, secret=True),
        Parameter("api_token", str, secret=True),
        Parameter("namespace", str, ""),
        Parameter("timeout", float, 5.0, minimum=0),
        Parameter("decode", bool, False),
        Parameter("mode", str, "fast", choices=("fast", "safe")),
    )
    database_parameter = "db"
    capabilities = frozenset(Capability) - {Capability.CLIENT, Capability.DATABASES}

    #: Addresses at which a "server" answers; no host at all always does.
    up: ClassVar[set[tuple[Any, ...]]] = {()}
    servers: ClassVar[list[MemoryServer]] = []

    def __init__(self, dsn: DSN, params: Params) -> None:
        super().__init__(dsn, params)
        self.data: dict[str, Any] = {}
        self.versions: Counter[str] = Counter()
        self.subscriber = MemorySubscriber()
        self.watches: list[MemoryWatch] = []
        self.closes = 0
        self.rebound = 0

    @classmethod
    async def start_server(cls, dsn: DSN, params: Params) -> MemoryServer:
        text = str(dsn).replace(":0", ":4242", 1)
        server = MemoryServer(DSN.parse(text))
        cls.up.add(server.address)
        cls.servers.append(server)
        return server

    async def connect(self) -> MemoryConnection:
        self.bind_loop()
        return MemoryConnection(self)

    async def execute(self, *args: Any, **options: Any) -> Any:
        self.rebound += self.bind_loop()
        await asyncio.sleep(0)
        return getattr(self, "_do_" + args[0].lower(), self._do_unknown)(*args[1:])

    async def execute_transaction(self, commands: Any, watch: Any = None) -> list[Any]:
        if watch is not None and any(self.versions[key] != version for key, version in watch.versions.items()):
            raise TransactionAborted("a watched key changed; nothing was run")
        return await self.execute_pipeline(commands)

    async def watch(self, *keys: Any) -> MemoryWatch:
        watch = MemoryWatch({key: self.versions[key] for key in keys})
        self.watches.append(watch)
        return watch

    def pubsub(self, protocol: Any = None, *, limit: int = 10_000) -> PubSub:
        self.check_open()
        return PubSub(self.subscriber, make_codec(protocol), limit)

    async def ping(self) -> bool:
        if self._dsn.hosts not in self.up:
            raise ConnectionFailed(f"{self!r}: nobody answers")
        return True

    async def _close(self) -> None:
        self.closes += 1

    def _do_set(self, key: str, value: Any) -> str:
        self.data[key] = value
        self.versions[key] += 1
        return "OK"

    def _do_get(self, key: str) -> Any:
        return self.data.get(key)

    def _do_incr(self, key: str) -> int:
        value = self.data.get(key, 0)
        if not isinstance(value, int):
            raise ReplyError("ERR value is not an integer or out of range")
        self._do_set(key, value + 1)
        return value + 1

    def _do_unknown(self, *args: Any) -> Any:
        raise ReplyError("ERR unknown command")


@pytest.fixture
def memory() -> Iterator[type[MemoryStore]]:
    """The backend, registered for ``memory://`` while the test runs."""
    register_store("memory", MemoryStore)
    MemoryStore.up = {()}
    MemoryStore.servers = []
    yield MemoryStore
    data_stores.unregister("memory")


@pytest.fixture(scope="session")
def run_python() -> Callable[..., str]:
    """Run a program in a fresh interpreter, with warnings as errors; returns what it printed."""

    def run(program: str, *path: Path, **environment: str) -> str:
        search = os.pathsep.join(map(str, path))
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", program],
            env={**os.environ, "PYTHONPATH": search, **environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return run
