"""Messages received a second beside redis-py's asyncio client: same server, same process, alternating runs.

    python benchmarks/pubsub.py [--dsn redis://…] [--rounds 5] [--seconds 1.0] [--json FILE]

A process of its own publishes messages of 32 bytes, packed beforehand, through a real server to one channel;
``subscribers`` PubSub objects of one process read it with ``async for``, a task each. A figure counts what all of
them got together. The publisher is never further ahead than the readers' queues are long, so nothing is lost, but far
enough that the readers need not wait for it. Publisher, server and readers are three processes: where they have to
share fewer cores than that, messages for each second of the readers' processor time tell more than those a second.
redis-py has a connection for each PubSub; a store has one for all. A bare socket, which is read and not understood,
says how many messages the server sends to one subscriber at most.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import platform
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from store_core import DSN, Store, create_store, start_store

SUBSCRIBERS = (1, 10, 100, 1000)
CHANNEL = "benchmark"
PAYLOAD = "x" * 32
MESSAGE = f"*3\r\n$7\r\nmessage\r\n${len(CHANNEL)}\r\n{CHANNEL}\r\n${len(PAYLOAD)}\r\n{PAYLOAD}\r\n".encode()

#: Batches that the publisher may be ahead, and deliveries (messages times subscribers) in one.
AHEAD, DELIVERIES = 12, 5000


class Count:
    """Counts deliveries; lets the publisher go on whenever a batch of them is complete."""

    def __init__(self, go_on: Callable[[], object], batch: int) -> None:
        self.received = 0
        self.due = batch
        self._batch = batch
        self._go_on = go_on
        self.begun = asyncio.Event()

    async def all_of(self, messages: AsyncIterator[Any]) -> None:
        """What each reader does."""
        async for _ in messages:
            self.received += 1
            if self.received == self.due:
                self.due += self._batch
                self._go_on()
                self.begun.set()

    async def all_that_comes(self, sock: socket.socket) -> None:
        """What who reads a bare socket does: whole messages are told from bytes by their length alone."""
        loop, buffer, size = asyncio.get_running_loop(), bytearray(64 * 1024), 0
        while True:
            size += await loop.sock_recv_into(sock, buffer)
            self.received = size // len(MESSAGE)
            while self.received >= self.due:
                self.due += self._batch
                self._go_on()
                self.begun.set()


class Sample(NamedTuple):
    """Deliveries a second, and deliveries for each second of processor time of the readers' process."""

    per_second: float
    per_cpu_second: float


# The publisher.


def publish(host: str, port: int, messages: int) -> None:
    """The publisher's process: a batch for each byte that comes in, until the input ends."""
    command = f"*3\r\n$7\r\nPUBLISH\r\n${len(CHANNEL)}\r\n{CHANNEL}\r\n${len(PAYLOAD)}\r\n{PAYLOAD}\r\n".encode()
    batch = command * messages
    with socket.create_connection((host, port)) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.sendall(b"*3\r\n$6\r\nCLIENT\r\n$5\r\nREPLY\r\n$3\r\nOFF\r\n")
        while asked := os.read(sys.stdin.fileno(), AHEAD):
            sock.sendall(batch * len(asked))


@contextmanager
def publishing(dsn: str, subscribers: int) -> Iterator[Count]:
    """A publisher that runs, and the count that keeps it running."""
    host = DSN.parse(dsn).hosts[0]
    messages = max(1, DELIVERIES // subscribers)
    command = [sys.executable, __file__, "--publish", host.name, str(host.port), str(messages)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, bufsize=0)
    assert process.stdin is not None
    try:
        count = Count(lambda: process.stdin.write(b"x"), messages * subscribers)  # type: ignore[union-attr]
        process.stdin.write(b"x" * AHEAD)
        yield count
    finally:
        process.stdin.close()
        process.wait()


# The readers.


Read = Callable[[Count], Coroutine[Any, Any, None]]


async def deliveries_per_second(dsn: str, reads: list[Read], seconds: float) -> Sample:
    """What these readers get together, once the publisher is up to speed."""
    with publishing(dsn, len(reads)) as count:
        readers = [asyncio.create_task(read(count)) for read in reads]
        await count.begun.wait()
        before, start, start_cpu = count.received, time.perf_counter(), time.process_time()
        await asyncio.sleep(seconds)
        received, elapsed, cpu = count.received - before, time.perf_counter() - start, time.process_time() - start_cpu
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)
    return Sample(received / elapsed, received / cpu)


async def with_store(dsn: str, subscribers: int, seconds: float) -> Sample:
    async with create_store(dsn) as store:
        pubsubs = [store.pubsub(limit=2 * AHEAD * DELIVERIES) for _ in range(subscribers)]
        await asyncio.gather(*(pubsub.subscribe(CHANNEL) for pubsub in pubsubs))
        return await deliveries_per_second(dsn, [of(aiter(pubsub)) for pubsub in pubsubs], seconds)


async def with_redis_py(dsn: str, subscribers: int, seconds: float) -> Sample:
    import redis.asyncio

    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(redis.asyncio.from_url(dsn, max_connections=subscribers))
        pubsubs = [await stack.enter_async_context(client.pubsub()) for _ in range(subscribers)]
        await asyncio.gather(*(pubsub.subscribe(CHANNEL) for pubsub in pubsubs))
        return await deliveries_per_second(dsn, [of(pubsub.listen()) for pubsub in pubsubs], seconds)


def of(messages: AsyncIterator[Any]) -> Read:
    """Read messages one by one."""
    return lambda count: count.all_of(messages)


async def with_a_bare_socket(dsn: str, subscribers: int, seconds: float) -> Sample:
    host = DSN.parse(dsn).hosts[0]
    with socket.create_connection((host.name, host.port)) as sock:
        sock.sendall(f"*2\r\n$9\r\nSUBSCRIBE\r\n${len(CHANNEL)}\r\n{CHANNEL}\r\n".encode())
        sock.recv(1024)  # that it is subscribed
        sock.setblocking(False)
        return await deliveries_per_second(dsn, [lambda count: count.all_that_comes(sock)], seconds)


CLIENTS = {"redis-py": with_redis_py, "store.pubsub()": with_store}
ALONE = {"a bare socket": with_a_bare_socket}  # where there is one subscriber


def loops() -> dict[str, Callable[..., Any]]:
    found: dict[str, Callable[..., Any]] = {"asyncio": asyncio.run}
    try:
        import uvloop
    except ImportError:
        print("uvloop is not installed: pip install 'store-redis[fast]'", file=sys.stderr)
    else:
        found["uvloop"] = uvloop.run
    return found


def measure(dsn: str, rounds: int, seconds: float) -> list[dict[str, Any]]:
    """A row for each event loop and number of subscribers; prints them as it goes."""
    rows = []
    for loop, run in loops().items():
        for subscribers in SUBSCRIBERS:
            clients = {**CLIENTS, **(ALONE if subscribers == 1 else {})}
            samples: dict[str, list[Sample]] = {name: [] for name in clients}
            for _ in range(rounds):
                for name, benchmark in clients.items():
                    samples[name].append(run(benchmark(dsn, subscribers, seconds)))
            rows.append({"loop": loop, "subscribers": subscribers, **summary(samples)})
            print_row(rows[-1])
    return rows


def summary(samples: dict[str, list[Sample]]) -> dict[str, Any]:
    """Medians and samples of each client, by the clock and (``_cpu``) by processor time."""
    row: dict[str, Any] = {}
    for suffix, field in (("", "per_second"), ("_cpu", "per_cpu_second")):
        values = {name: [getattr(each, field) for each in found] for name, found in samples.items()}
        row["median" + suffix] = {name: statistics.median(each) for name, each in values.items()}
        row["samples" + suffix] = values
    return row


def print_header() -> None:
    names = "".join(f" {name:>15}" for name in (*CLIENTS, *ALONE))
    print(f"{'loop':8} {'subscribers':>11}{names}   ratio to redis-py; the same for processor time")


def print_row(row: dict[str, Any]) -> None:
    numbers = "".join(f" {row['median'].get(name, math.nan):15,.0f}" for name in (*CLIENTS, *ALONE))
    ratios = [row[key]["store.pubsub()"] / row[key]["redis-py"] for key in ("median", "median_cpu")]
    print(f"{row['loop']:8} {row['subscribers']:11}{numbers}   {ratios[0]:.1f}x; {ratios[1]:.1f}x", flush=True)


async def _start() -> Store:
    return await start_store("redis://127.0.0.1:0")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dsn", help="a server that runs already; else one is started")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each measurement")
    parser.add_argument("--json", type=Path, default=Path("pubsub.json"))
    parser.add_argument("--publish", nargs=3, metavar=("HOST", "PORT", "MESSAGES"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.publish:
        publish(options.publish[0], int(options.publish[1]), int(options.publish[2]))
        return
    with asyncio.Runner() as runner:
        # The server's store lives on a loop of its own, so that the measured loops are fresh.
        server = None if options.dsn else runner.run(_start())
        print_header()
        rows = measure(options.dsn if server is None else server.dsn, options.rounds, options.seconds)
        if server is not None:
            runner.run(server.close())
    about = {"python": platform.python_version(), "machine": platform.machine(), "rounds": options.rounds}
    options.json.write_text(json.dumps({"about": about, "rows": rows}, indent=1) + "\n")
    print(f"wrote {options.json}")


if __name__ == "__main__":
    main()
