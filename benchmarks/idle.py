"""Nothing to do: the processor time that servers and embedded stores take in ten seconds, all of them at once.

Each holds a key that expires in an hour, and each server has a client that waits in BLPOP. Linux only: the time is
read from ``/proc``, of all threads, in nanoseconds.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from time import sleep

import embedded
from engine_servers import VALKEY, EngineBench, environment, processor_time
from rounds import Row
from wire import pack

SECONDS = 10
#: Seconds after its last command in which a process may still have something to do.
SETTLED = 1.0

PANEL = f"Idle for {SECONDS} s, processor time"
SERVER, STORE = "server", "embedded store"
UNIT = "ms"


def measure(bench: EngineBench) -> Iterator[Row]:
    """A row for servers, one for what is embedded."""
    with ExitStack() as stack:
        servers = {kind.name: stack.enter_context(kind.running()) for kind in bench.kinds}
        for server in servers.values():
            wire = stack.enter_context(server.connect())
            wire.ask("SET", embedded.KEY, embedded.VALUE, "EX", embedded.HOUR)
            wire.sock.sendall(pack(b"BLPOP", b"nothing", b"0"))
        stores = {
            name: stack.enter_context(waiting(command))
            for name, command in embedded.clients(bench).items()
            if not name.startswith(embedded.ENGINE)  # which has no loop, and cannot but be idle
        }
        groups = {SERVER: {name: server.pid for name, server in servers.items()}, STORE: stores}
        sleep(SETTLED)
        before = {pid: processor_time(pid) for group in groups.values() for pid in group.values()}
        sleep(SECONDS)
        taken = {pid: processor_time(pid) - start for pid, start in before.items()}
    for case, group in groups.items():
        yield Row("idle", PANEL, case, UNIT, {name: [taken[pid]] for name, pid in group.items()}, VALKEY)


@contextmanager
def waiting(command: list[str]) -> Iterator[int]:
    """The process id of an embedded store that does nothing."""
    process = subprocess.Popen(
        [*command, "idle"], env=environment(command[0]), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        if process.stdout.readline() != b"idle\n":
            raise RuntimeError(f"{command[-1]} did not start")
        yield process.pid
    finally:
        process.communicate()
