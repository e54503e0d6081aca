"""1,000 subscribers of one channel: messages delivered a second, and how long the last of them waits for one.

All of them are connections of one process that reads bytes and counts them, so that it is the server that is
measured. For the latency a message is published when everybody has had the one before; for the throughput the
publisher is two batches ahead.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator
from statistics import median
from time import perf_counter

from connected import PATIENCE, SPARE_FILES, allow_files, clients
from engine_servers import VALKEY, EngineBench, Kind, Server
from rounds import Figures, Row
from wire import pack

SUBSCRIBERS = 1000
CHANNEL, MESSAGE = b"channel", b"m" * 32
CONFIRMED = b"*3\r\n$9\r\nsubscribe\r\n$7\r\nchannel\r\n:1\r\n"
DELIVERED = b"*3\r\n$7\r\nmessage\r\n$7\r\nchannel\r\n$32\r\n" + MESSAGE + b"\r\n"
ANSWERED = b":1000\r\n"
PUBLISH = pack(b"PUBLISH", CHANNEL, MESSAGE)
BATCH, AHEAD = 10, 2
ALONE = 30  # messages published one at a time
CHUNK = 1 << 16

PANEL = f"{SUBSCRIBERS:,} subscribers of one channel"
RATE, LAST = f"{PANEL}, messages delivered", f"{PANEL}, one message"
UNITS = {RATE: "thousand messages/s", LAST: "ms"}
CASES = {RATE: "in batches of 10", LAST: "the last has it"}


def measure(bench: EngineBench) -> Iterator[Row]:
    """A row for the throughput, one for the latency."""
    allow_files(SUBSCRIBERS + SPARE_FILES)
    found = bench.alternate(lambda kind: figures(kind, bench.seconds))
    for panel, case in CASES.items():
        yield Row("fanout", panel, case, UNITS[panel], found[panel], VALKEY)


def figures(kind: Kind, seconds: float) -> Figures:
    """Of one server."""
    with (
        kind.running() as server,
        clients(server, SUBSCRIBERS) as subscribers,
        Readers(server, subscribers) as readers,
    ):
        for sock in subscribers:
            sock.send(pack(b"SUBSCRIBE", CHANNEL))
        readers.read(SUBSCRIBERS * len(CONFIRMED))
        return {RATE: rate(readers, seconds) / 1000, LAST: median(latencies(readers)) * 1000}


class Readers:
    """Subscribers and their publisher, of which only the bytes count."""

    def __init__(self, server: Server, subscribers: list[socket.socket]) -> None:
        self._server = server
        self._by_number = {sock.fileno(): sock for sock in subscribers}
        self._ahead = 0  # bytes that have come, and were not yet asked for
        self._poll = select.epoll()
        for sock in subscribers:
            self._poll.register(sock, select.EPOLLIN)
        self._publisher = server.connect().sock

    def publish(self, count: int) -> None:
        """Send so many messages; their replies are left for ``settle``."""
        self._publisher.sendall(PUBLISH * count)

    def read(self, count: int) -> None:
        """Until the subscribers have had so many bytes more."""
        count -= self._ahead
        while count > 0:
            events = self._poll.poll(PATIENCE)
            if not events:
                raise TimeoutError(f"{self._server.name} has {count:,} bytes of messages yet to deliver, and does not")
            for number, _ in events:
                data = self._by_number[number].recv(CHUNK)
                if not data:
                    raise ConnectionResetError(f"{self._server.name} dropped a subscriber")
                count -= len(data)
        self._ahead = -count

    def settle(self, count: int) -> None:
        """Read the publisher's replies: each message must have gone to everybody."""
        wanted, got = ANSWERED * count, b""
        while len(got) < len(wanted):
            data = self._publisher.recv(CHUNK)
            got += data
            if not data or not wanted.startswith(got):
                raise AssertionError(f"{self._server.name} answered PUBLISH with {got[:40]!r}")

    def __enter__(self) -> Readers:
        return self

    def __exit__(self, *error: object) -> None:
        self._publisher.close()
        self._poll.close()


def rate(readers: Readers, seconds: float) -> float:
    """Messages delivered a second; a fifth of the time is spent warming up."""
    batch = BATCH * SUBSCRIBERS
    for duration in (seconds / 5, seconds):
        done, start = 0, perf_counter()
        readers.publish(AHEAD * BATCH)
        while perf_counter() < start + duration:
            readers.read(batch * len(DELIVERED))
            done += batch
            readers.publish(BATCH)
        found = done / (perf_counter() - start)
        readers.read(AHEAD * batch * len(DELIVERED))
        readers.settle(done // SUBSCRIBERS + AHEAD * BATCH)
    return found


def latencies(readers: Readers) -> Iterator[float]:
    """Seconds from publishing one message until everybody has it."""
    for _ in range(ALONE):
        start = perf_counter()
        readers.publish(1)
        readers.read(SUBSCRIBERS * len(DELIVERED))
        yield perf_counter() - start
        readers.settle(1)
