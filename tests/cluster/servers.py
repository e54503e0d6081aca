"""A real Valkey Cluster of six processes: three primaries, each with a replica.

Each server runs under the supervisor of store-redis, so that none outlives the test run, even when that is killed. The
cluster is made and changed by raw commands of redis-py's own client, which has no part in what is tested.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from store_redis.cluster.slots import SLOTS
from store_redis.server import find_binary, free_port

HOST = "127.0.0.1"
NODE_TIMEOUT_MS = 1000


class ClusterServer:
    """One server of the cluster."""

    def __init__(self, directory: Path, port: int, bus_port: int) -> None:
        directory.mkdir()
        self.directory = directory
        self.port = port
        self.bus_port = bus_port
        self._supervisor: subprocess.Popen[bytes] | None = None
        retry = Retry(NoBackoff(), 0)
        self._raw = redis.Redis(HOST, port, decode_responses=True, protocol=2, socket_timeout=10, retry=retry)
        self._raw.response_callbacks.clear()  # replies as the server sends them

    def start(self) -> None:
        lines = {
            "port": self.port,
            "cluster-port": self.bus_port,
            "bind": HOST,
            "dir": f'"{self.directory}"',
            "logfile": f'"{self.directory}/log"',
            "pidfile": f'"{self.directory}/pid"',
            "save": '""',
            "cluster-enabled": "yes",
            "cluster-node-timeout": NODE_TIMEOUT_MS,
            "cluster-databases": 16,
            "cluster-allow-replica-migration": "no",
            "cluster-replica-validity-factor": 0,
            "repl-diskless-sync-delay": 0,
            # A replica that has not caught up says so (MASTERDOWN) instead of answering from an empty data set.
            "replica-serve-stale-data": "no",
            "enable-debug-command": "yes",
        }
        config = "".join(f"{name} {value}\n" for name, value in lines.items())
        command = [sys.executable, "-m", "store_redis.supervisor"]
        self._supervisor = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        assert self._supervisor.stdin is not None
        self._supervisor.stdin.write(json.dumps({"command": [find_binary(), "-"], "input": config}).encode() + b"\n")
        self._supervisor.stdin.flush()
        until(self.answers)

    def answers(self) -> bool:
        try:
            return str(self.run("PING")) == "PONG"
        except redis.exceptions.MasterDownError:
            return True
        except (redis.ConnectionError, redis.BusyLoadingError):
            return False

    def run(self, *args: Any) -> Any:
        """A raw command."""
        return self._raw.execute_command(*args)

    def kill(self) -> None:
        """End the server as a crash does."""
        os.kill(int((self.directory / "pid").read_text()), signal.SIGKILL)
        self._wait()

    def stop(self) -> None:
        self._raw.close()
        if self._supervisor is not None:
            assert self._supervisor.stdin is not None
            self._supervisor.stdin.close()
            self._wait()

    def identity(self) -> str:
        return str(self.run("CLUSTER MYID"))

    def is_primary(self) -> bool:
        return str(self.run("ROLE")[0]) == "master"

    def settled(self) -> bool:
        """Whether it agrees that the cluster is whole, and has caught up where it is a replica."""
        role = self.run("ROLE")
        caught_up = role[0] == "master" or role[3] == "connected"
        info = self.run("CLUSTER INFO")
        return bool(caught_up and "cluster_state:ok" in info and "cluster_slots_fail:0" in info)

    def _wait(self) -> None:
        assert self._supervisor is not None
        self._supervisor.wait(10)
        assert self._supervisor.stdin is not None
        self._supervisor.stdin.close()
        self._supervisor = None


class ClusterServers:
    """The six."""

    def __init__(self, directory: Path) -> None:
        self.servers = [ClusterServer(directory / str(number), free_port(HOST), free_port(HOST)) for number in range(6)]

    @property
    def url(self) -> str:
        seeds = ",".join(f"{HOST}:{server.port}" for server in self.servers[:3])
        return f"redis+cluster://{seeds}"

    def start(self) -> None:
        for server in self.servers:
            server.start()
        first = self.servers[0]
        for index, server in enumerate(self.servers):
            server.run("CLUSTER SET-CONFIG-EPOCH", index + 1)
            first.run("CLUSTER MEET", HOST, server.port, server.bus_port)
        for index, server in enumerate(self.servers[:3]):
            server.run("CLUSTER ADDSLOTSRANGE", SLOTS * index // 3, SLOTS * (index + 1) // 3 - 1)
        for primary, replica in zip(self.servers[:3], self.servers[3:], strict=True):
            identity = primary.identity()
            until(lambda replica=replica, identity=identity: identity in str(replica.run("CLUSTER NODES")))
            replica.run("CLUSTER REPLICATE", identity)
        self.settle()

    def stop(self) -> None:
        for server in self.servers:
            server.stop()

    def settle(self) -> None:
        """Wait until every server agrees that all is well, and that every primary has its replica."""
        until(lambda: all(server.settled() for server in self.servers))
        until(lambda: all(self._sees_all(server) for server in self.servers))

    def _sees_all(self, server: ClusterServer) -> bool:
        # A message of the bus that finds no link is lost: PUBLISH reaches only the nodes that are connected.
        if any(word in server.run("CLUSTER NODES") for word in ("disconnected", "fail", "handshake")):
            return False
        served = server.run("CLUSTER SLOTS")
        return sum(last - first + 1 for first, last, *_ in served) == SLOTS and all(len(each) == 4 for each in served)

    def at(self, port: int) -> ClusterServer:
        return next(server for server in self.servers if server.port == port)

    def owner(self, slot: int) -> ClusterServer:
        """The primary that serves a slot."""
        return next(server for server in self.servers if server.is_primary() and slot in self._served(server))

    def primaries(self) -> list[ClusterServer]:
        return [server for server in self.servers if server.answers() and server.is_primary()]

    def replica_of(self, primary: ClusterServer) -> ClusterServer:
        def follows(server: ClusterServer) -> bool:
            role = server.run("ROLE")
            return role[0] == "slave" and int(role[2]) == primary.port

        return next(server for server in self.servers if server.answers() and follows(server))

    def replicate(self) -> None:
        """Wait until every replica has what its primary has now (WAIT tells that of one connection's writes only)."""
        for primary in self.primaries():
            offset, replica = primary.run("ROLE")[1], self.replica_of(primary)
            until(lambda offset=offset, replica=replica: replica.run("ROLE")[4] >= offset)

    def _served(self, server: ClusterServer) -> set[int]:
        line = next(line for line in server.run("CLUSTER NODES").splitlines() if "myself" in line)
        served: set[int] = set()
        for word in line.split()[8:]:
            if not word.startswith("["):
                first, _, last = word.partition("-")
                served.update(range(int(first), int(last or first) + 1))
        return served

    # Nodes that leave and come.

    def expel(self, replica: ClusterServer) -> None:
        """Take a replica out of the cluster; it goes on by itself."""
        identity = replica.identity()
        for server in self.servers:
            if server is not replica:
                server.run("CLUSTER FORGET", identity)
        replica.run("CLUSTER RESET HARD")

    def adopt(self, server: ClusterServer) -> None:
        """Let a server be the replica of the primary that has none."""
        primary = next(each for each in self.primaries() if not each.run("ROLE")[2] and each is not server)
        primary.run("CLUSTER MEET", HOST, server.port, server.bus_port)
        identity = primary.identity()
        until(lambda: identity in server.run("CLUSTER NODES"))
        server.run("CLUSTER REPLICATE", identity)
        self.settle()

    # Moving slots.

    def open_migration(self, slot: int, source: ClusterServer, target: ClusterServer) -> None:
        target.run("CLUSTER SETSLOT", slot, "IMPORTING", source.identity())
        source.run("CLUSTER SETSLOT", slot, "MIGRATING", target.identity())

    def move_keys(self, slot: int, source: ClusterServer, target: ClusterServer) -> None:
        while keys := source.run("CLUSTER GETKEYSINSLOT", slot, 10):
            source.run("MIGRATE", HOST, target.port, "", 0, 5000, "KEYS", *keys)

    def close_migration(self, slot: int, target: ClusterServer) -> None:
        identity = target.identity()
        for server in sorted(self.primaries(), key=lambda server: server is not target):
            server.run("CLUSTER SETSLOT", slot, "NODE", identity)

    def move_slot(self, slot: int, target: ClusterServer) -> None:
        """Move a slot with its keys, as redis-cli does it."""
        source = self.owner(slot)
        if source is target:
            return
        self.open_migration(slot, source, target)
        self.move_keys(slot, source, target)
        self.close_migration(slot, target)


def until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait until something is true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not become true in time"
        time.sleep(0.02)
