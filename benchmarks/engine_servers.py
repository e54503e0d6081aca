"""The servers that the engine's figures are made with: a real Valkey, and pulsards pure and compiled.

Each runs in a process of its own, which stops when this one is gone. The compiled pulsards is another interpreter's:
``--compiled PYTHON``, of an environment into which a compiled wheel was installed (``tox -e compiled`` leaves one).
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import sleep
from typing import Any, NamedTuple

from rounds import Figures, alternate
from store_core import Unsupported
from store_redis.server import find_binary, free_port
from wire import Wire

VALKEY, PURE, COMPILED = "Valkey", "pulsards", "pulsards, compiled"
#: Connections that a server takes: 10,000 of one section, and redis-benchmark beside them.
MOST_CLIENTS = 10_200
#: Seconds in which a server has to answer.
START_SECONDS = 20.0

_READY = re.compile(r"pulsards ready host=\S+ port=(\d+)")
_ASK = """
import importlib.util, json, platform, store_pulsards.engine.engine as engine
print(json.dumps([engine.__file__, platform.python_version(), importlib.util.find_spec("uvloop") is not None]))
"""


class Server(NamedTuple):
    """A running one."""

    name: str
    host: str
    port: int
    pid: int

    def connect(self) -> Wire:
        """A new connection."""
        return Wire(self.host, self.port)

    def ask(self, *args: str | int) -> Any:
        """One command on a connection of its own."""
        with self.connect() as wire:
            return wire.ask(*args)

    def info(self, section: str) -> dict[str, str]:
        """Fields of INFO."""
        text: str = self.ask("INFO", section).decode()
        return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)

    def resident(self) -> int:
        """Bytes of memory."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise ValueError(f"/proc/{self.pid}/status has no VmRSS")


def processor_time(pid: int) -> float:
    """Milliseconds that a process has had, all threads together; Linux."""
    return sum(int(task.read_text().split()[0]) for task in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e6


class Kind(NamedTuple):
    """A server that can be started."""

    name: str
    python: str  # empty for Valkey

    @contextmanager
    def running(self) -> Iterator[Server]:
        """Start one; it is stopped in the end."""
        with _pulsards(self.name, self.python) if self.python else _valkey(self.name) as server:
            yield server


class EngineBench(NamedTuple):
    """What the sections need.

    Attributes:
        kinds: The servers, the real one first.
        pythons: Interpreters by the name of their pulsards, for what is embedded.
        rounds: How often each is measured.
        seconds: How long a measurement takes, where that can be chosen.
    """

    kinds: Sequence[Kind]
    pythons: dict[str, str]
    rounds: int
    seconds: float

    @property
    def names(self) -> list[str]:
        """Of the servers."""
        return [kind.name for kind in self.kinds]

    def alternate(self, measure: Callable[[Kind], Figures]) -> dict[str, dict[str, list[float]]]:
        """Every server in every round, each one started afresh; case to name to figures."""
        by_name = {kind.name: kind for kind in self.kinds}
        return alternate(self.names, self.rounds, lambda name: measure(by_name[name]))


def find(compiled: str | None) -> tuple[list[Kind], dict[str, str], dict[str, str]]:
    """The servers there are, their versions, and why others are missing.

    Raises:
        SystemExit: An interpreter does not have the pulsards that it is said to have.
    """
    kinds, versions, missing = [], {}, {}
    try:
        versions[VALKEY] = _version_of_binary(find_binary())
        kinds.append(Kind(VALKEY, ""))
    except Unsupported as error:
        missing[VALKEY] = str(error)
    for name, python in ((PURE, sys.executable), (COMPILED, compiled)):
        if python is None:
            missing[name] = "no --compiled PYTHON"
        else:
            kinds.append(Kind(name, python))
            versions[f"{name} on Python"] = _version_of_python(name, python)
    return kinds, versions, missing


def environment(python: str) -> dict[str, str]:
    """Of a process of that interpreter: another one takes its modules from where it is, not from a path of ours."""
    hidden = set() if python == sys.executable else {"PYTHONPATH", "PYTHONHOME"}
    return {name: value for name, value in os.environ.items() if name not in hidden}


def _version_of_binary(path: str) -> str:
    told = subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"v=(\S+)", told)
    version = found[1] if found else told.strip()
    return version if Path(path).name.startswith("valkey") else f"{version} ({Path(path).name})"


def _version_of_python(name: str, python: str) -> str:
    done = subprocess.run([python, "-c", _ASK], env=environment(python), capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{python} cannot import store_pulsards: {done.stderr.strip().splitlines()[-1]}")
    place, version, uvloop = json.loads(done.stdout)
    if place.endswith(".py") == (name == COMPILED):
        sys.exit(f"{python} has store_pulsards from {place}; for {name!r} the other form is needed")
    return version if uvloop else f"{version} without uvloop"


@contextmanager
def _pulsards(name: str, python: str) -> Iterator[Server]:
    command = [python, "-m", "store_pulsards", "--exit-on-stdin-eof", "--loglevel", "warning"]
    command += ["--port", "0", "--maxclients", str(MOST_CLIENTS)]
    process = subprocess.Popen(command, env=environment(python), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with _stopped(process):
        assert process.stdout is not None
        line = process.stdout.readline().decode()
        ready = _READY.match(line)
        if not ready:
            raise RuntimeError(f"{name} did not start")
        yield Server(name, "127.0.0.1", int(ready[1]), process.pid)


@contextmanager
def _valkey(name: str) -> Iterator[Server]:
    with TemporaryDirectory() as folder:
        port = free_port("127.0.0.1")
        lines = [f"port {port}", "bind 127.0.0.1", 'save ""', f"dir {folder}", f"maxclients {MOST_CLIENTS}"]
        lines.append(f"logfile {folder}/log")
        command = [sys.executable, "-m", "store_redis.supervisor"]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        with _stopped(process):
            assert process.stdin is not None
            request = {"command": [find_binary(), "-"], "input": "\n".join([*lines, ""])}
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
            server = Server(name, "127.0.0.1", port, 0)
            _wait_for(server)
            yield server._replace(pid=int(server.info("server")["process_id"]))


@contextmanager
def _stopped(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Close the pipe by which it lives, and wait for its end."""
    try:
        yield
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _wait_for(server: Server) -> None:
    for _ in range(int(START_SECONDS / 0.02)):
        try:
            server.ask("PING")
        except OSError:
            sleep(0.02)
        else:
            return
    raise RuntimeError(f"{server.name} did not start")
