"""A real deployment: one primary, two replicas, three sentinels. Every process ends with the test run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any

from tests.conftest import eventually

from store_core import ConnectionFailed, ReplyError, Timeout, create_store
from store_redis.server import find_binary, free_port

SERVICE = "main"

#: Periods of the sentinels in milliseconds, a tenth of what they are by default.
_HASTE = {
    "info-period": 200,
    "publish-period": 200,
    "ask-period": 200,
    "min-link-reconnect-period": 100,
    "tilt-trigger": 30_000,  # a test stops sentinels for a moment
}


class Process:
    """A valkey-server, or a sentinel, on a port of its own that it keeps when it is started again."""

    def __init__(self, directory: Path, lines: list[str], *, sentinel: bool = False) -> None:
        self.port = free_port("127.0.0.1")
        self._directory = directory / str(self.port)
        self._directory.mkdir()
        self._lines = lines
        self._sentinel = sentinel
        self._supervisor: subprocess.Popen[bytes] | None = None

    def start(self, *more: str) -> None:
        """Start it under a supervisor, which stops it when this process is gone."""
        config = self._directory / "config"
        own = [
            f"port {self.port}",
            f"dir {self._directory}",
            f"pidfile {self._pid_file}",
            f"logfile {self._directory}/log",
        ]
        config.write_text("\n".join(["bind 127.0.0.1", *own, *self._lines, *more]) + "\n")
        command = [find_binary(), str(config), *(["--sentinel"] if self._sentinel else [])]
        self._supervisor = subprocess.Popen([sys.executable, "-m", "store_redis.supervisor"], stdin=subprocess.PIPE)
        assert self._supervisor.stdin is not None
        self._supervisor.stdin.write(json.dumps({"command": command, "input": ""}).encode() + b"\n")
        self._supervisor.stdin.flush()

    def send_signal(self, number: int) -> None:
        """Send the server a signal."""
        os.kill(int(self._pid_file.read_text()), number)

    def kill(self) -> None:
        """End it as a crash would; harmless when it does not run."""
        if self._supervisor is not None:
            with suppress(OSError, ValueError):
                self.send_signal(signal.SIGKILL)
            self._supervisor.communicate()
            self._supervisor = None
            self._pid_file.unlink(missing_ok=True)

    @property
    def running(self) -> bool:
        return self._supervisor is not None

    @property
    def _pid_file(self) -> Path:
        return self._directory / "pid"

    async def answers(self) -> bool:
        """Whether it answers yet."""
        try:
            return bool(await self.ask("PING"))
        except ConnectionFailed:
            return False

    async def ask(self, *args: Any, password: str | None = None) -> Any:
        """Run one command on it."""
        async with create_store(f"redis://127.0.0.1:{self.port}", password=password, connections=1) as store:
            return await store.execute(*args)


class Deployment:
    """The servers and the sentinels of one service.

    Args:
        directory: For their files.
        password: Of the servers.
        sentinel_password: Of the sentinels.
    """

    def __init__(self, directory: Path, password: str | None = None, sentinel_password: str | None = None) -> None:
        self.password = password
        self.sentinel_password = sentinel_password
        guard = [f"requirepass {password}", f"masterauth {password}"] if password else []
        fast = ['save ""', "repl-diskless-sync-delay 0", "repl-ping-replica-period 1"]
        self.servers = [Process(directory, [*fast, *guard]) for _ in range(3)]
        first = self.servers[0].port
        watched = [
            f"sentinel monitor {SERVICE} 127.0.0.1 {first} 2",
            f"sentinel down-after-milliseconds {SERVICE} 1000",
            f"sentinel failover-timeout {SERVICE} 1500",
            f"sentinel parallel-syncs {SERVICE} 2",
        ]
        if password:
            watched.append(f"sentinel auth-pass {SERVICE} {password}")
        if sentinel_password:
            watched += [f"requirepass {sentinel_password}", f"sentinel sentinel-pass {sentinel_password}"]
        self.sentinels = [Process(directory, watched, sentinel=True) for _ in range(3)]

    @property
    def hosts(self) -> str:
        return ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)

    @property
    def url(self) -> str:
        return f"redis+sentinel://{f':{self.password}@' if self.password else ''}{self.hosts}/{SERVICE}"

    async def start(self) -> None:
        """Start all, and wait until each knows the others."""
        primary, *replicas = self.servers
        primary.start()
        for replica in replicas:
            replica.start(f"replicaof 127.0.0.1 {primary.port}")
        await eventually(self._replicated, 30)
        for sentinel in self.sentinels:
            sentinel.start()
        await self.settled()

    def stop(self) -> None:
        """End every process."""
        for process in (*self.sentinels, *self.servers):
            process.kill()

    async def primary(self) -> Process:
        """The server that the sentinels hold for the primary."""
        port = int((await self._ask(self.sentinels[0], "GET-MASTER-ADDR-BY-NAME"))[1])
        return next(server for server in self.servers if server.port == port)

    async def fail_over(self) -> None:
        """Have the sentinels make another server the primary, and wait until they all know."""
        before = await self.primary()
        await self._ask(self.sentinels[0], "FAILOVER")
        await eventually(lambda: self._is_replaced(before), 30)

    async def settled(self) -> None:
        """Start what was killed, and wait until all is as it was in the beginning, but for who is the primary."""
        for sentinel in self.sentinels:
            if not sentinel.running:
                sentinel.start()
        await eventually(self._knows_the_primary, 30)
        primary = await self.primary()
        for server in self.servers:
            if not server.running:
                server.start(f"replicaof 127.0.0.1 {primary.port}")
        await eventually(self._complete, 40)

    async def _replicated(self) -> bool:
        try:
            info = await self.servers[0].ask("INFO", "replication", password=self.password)
        except (ConnectionFailed, ReplyError, Timeout):
            return False
        return info.count(b"state=online") == 2

    async def _is_replaced(self, before: Process) -> bool:
        return all(
            [int((await self._ask(each, "GET-MASTER-ADDR-BY-NAME"))[1]) != before.port for each in self.sentinels]
        )

    async def _knows_the_primary(self) -> bool:
        try:
            for sentinel in self.sentinels:
                await sentinel.ask(
                    "SENTINEL", "DEBUG", *chain.from_iterable(_HASTE.items()), password=self.sentinel_password
                )
            return bool(await self.primary())
        except ConnectionFailed:
            return False

    async def _complete(self) -> bool:
        primary = await self.primary()
        for sentinel in self.sentinels:
            status = await self._ask(sentinel, "MASTER")
            if int(status[b"port"]) != primary.port or status[b"flags"] != b"master":
                return False
            if (int(status[b"num-slaves"]), int(status[b"num-other-sentinels"])) != (2, 2):
                return False
            for replica in await self._ask(sentinel, "REPLICAS"):
                if replica[b"flags"] != b"slave" or replica[b"master-link-status"] != b"ok":
                    return False
        return True

    async def _ask(self, sentinel: Process, question: str) -> Any:
        return await sentinel.ask("SENTINEL", question, SERVICE, password=self.sentinel_password)
