"""10,000 connected clients: how fast they come, what each costs the server, and whether the busy ones notice them.

A client counts when its PING is answered; ``WINDOW`` of them connect at a time, fewer than a server lets wait. The
memory is the server's own; what the kernel has for a socket is not in it. Then 50 clients of redis-benchmark send GET
while the 10,000 stay connected, as they have done before on the same server alone.
"""

from __future__ import annotations

import resource
import select
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from errno import EINPROGRESS
from time import perf_counter, sleep

import redis_benchmark
from engine_servers import VALKEY, EngineBench, Kind, Server
from rounds import Figures, Row

CLIENTS = 10_000
WINDOW = 256
SPARE_FILES = 100
PING, PONG = b"*1\r\n$4\r\nPING\r\n", b"+PONG\r\n"
#: Close with a reset: 10,000 ports would be kept for a minute otherwise.
NO_LINGER = struct.pack("ii", 1, 0)
#: Seconds in which nothing comes.
PATIENCE = 30.0

CONNECT = f"{CLIENTS:,} clients connect"
MEMORY = f"Memory of each of {CLIENTS:,} clients"
BUSY = "GET by 50 clients"
ALONE, BESIDE = "alone", f"beside {CLIENTS:,} others"
UNITS = {CONNECT: "thousand clients/s", MEMORY: "bytes", BUSY: redis_benchmark.UNIT}


def measure(bench: EngineBench) -> Iterator[Row]:
    """Rows of connecting, of memory, and of throughput."""
    allow_files(CLIENTS + SPARE_FILES)
    requests = {"": 0}

    def figures(kind: Kind) -> Figures:
        with kind.running() as server:
            if not requests[""]:
                trial = redis_benchmark.rates(server, "get", 1, redis_benchmark.TRIAL)
                requests[""] = int(trial["GET"] * 1000 * bench.seconds)
            return crowd(server, requests[""])

    found = bench.alternate(figures)
    for panel, case in ((CONNECT, "each"), (MEMORY, "each"), (BUSY, ALONE), (BUSY, BESIDE)):
        yield Row("connected", panel, case, UNITS[panel], found[f"{panel}, {case}"], VALKEY)


def crowd(server: Server, requests: int) -> Figures:
    """The figures of one server."""

    def busy() -> float:
        return redis_benchmark.rates(server, "get", 1, requests)["GET"]

    alone = busy()
    sleep(0.2)
    before, start = server.resident(), perf_counter()
    with clients(server, CLIENTS):
        seconds = perf_counter() - start
        grown = server.resident() - before
        beside = busy()
    return {
        f"{CONNECT}, each": CLIENTS / seconds / 1000,
        f"{MEMORY}, each": grown / CLIENTS,
        f"{BUSY}, {ALONE}": alone,
        f"{BUSY}, {BESIDE}": beside,
    }


def allow_files(count: int) -> None:
    """Let this process, and those that it starts, have so many files open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count:
        raise RuntimeError(f"{count:,} open files are needed, and the limit is {hard:,} (ulimit -Hn)")
    if soft != resource.RLIM_INFINITY and soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))


@contextmanager
def clients(server: Server, count: int) -> Iterator[list[socket.socket]]:
    """So many connections whose PING was answered."""
    opened: dict[int, socket.socket] = {}
    poll = select.epoll()
    try:
        _connect(server, count, opened, poll)
        yield list(opened.values())
    finally:
        poll.close()
        for sock in opened.values():
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
            sock.close()


def _connect(server: Server, count: int, opened: dict[int, socket.socket], poll: select.epoll) -> None:
    served = 0
    while served < count:
        while len(opened) < min(count, served + WINDOW):
            sock = socket.socket()
            opened[sock.fileno()] = sock
            sock.setblocking(False)
            error = sock.connect_ex((server.host, server.port))
            if error not in (0, EINPROGRESS):
                raise OSError(error, f"{server.name} does not let client {len(opened):,} connect")
            poll.register(sock, select.EPOLLOUT)
        events = poll.poll(PATIENCE)
        if not events:
            raise TimeoutError(f"{server.name} has served {served:,} of {count:,} clients, and no more")
        for number, event in events:
            sock = opened[number]
            if event & select.EPOLLOUT:
                sock.send(PING)
                poll.modify(sock, select.EPOLLIN)
            else:
                if sock.recv(len(PONG)) != PONG:
                    raise ConnectionError(f"{server.name} did not answer client {served:,} with PONG")
                poll.unregister(sock)
                served += 1
