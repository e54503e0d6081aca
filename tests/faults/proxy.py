"""A TCP proxy that fails on purpose: between a store and its server, one connection at a time.

What shall happen to a connection is said before it is made (``proxy.next(Fault(…))``, one for each connection in
turn; ``proxy.default`` for the rest) or while it lives (``proxy.connections[-1].cut()``). Bytes are counted on the
server's stream, from the moment of the call: ``cut_after(3)`` lets three more bytes through and closes.

It accepts by itself: asyncio leaves a socket open that it accepted in the turn in which its listener is closed.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

_CHUNK = 65536


@dataclass(frozen=True)
class Fault:
    """What happens to one connection.

    Attributes:
        delay: Seconds before each chunk of the server's stream goes on.
        cut_after: Close once so many bytes of the server's stream have passed.
        reset: Cut with RST instead of FIN.
        hold: Accept and forward nothing: a half-open connection.
        refuse: Close at once.
        garbage: Bytes sent to the client before anything that the server says.
        spoil_after: Send the garbage once so many bytes of the server's stream have passed.
        drip: Send the server's stream a byte at a time.
    """

    delay: float = 0.0
    cut_after: int | None = None
    reset: bool = False
    hold: bool = False
    refuse: bool = False
    garbage: bytes = b""
    spoil_after: int | None = None
    drip: bool = False


class ProxyConnection:
    """One connection through the proxy."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, fault: Fault) -> None:
        self._client = (reader, writer)
        self._server: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._reset = fault.reset
        self._delay = fault.delay
        self._drip = fault.drip
        self._left = fault.cut_after
        self._spoil: tuple[int, bytes] | None = None
        self._to_server, self._to_client = asyncio.Event(), asyncio.Event()
        self.passed = 0
        self.closed = asyncio.Event()
        if not fault.hold:
            self.release()
        if fault.spoil_after is not None:
            self.spoil_after(fault.spoil_after, fault.garbage)
        elif fault.garbage:
            self.inject(fault.garbage)

    async def forward(self, host: str, port: int) -> None:
        """Carry bytes both ways until either side ends or the connection is cut."""
        try:
            self._server = await asyncio.open_connection(host, port)
            pumps = [asyncio.ensure_future(self._upstream()), asyncio.ensure_future(self._downstream())]
            try:
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pump in pumps:
                    pump.cancel()
                await asyncio.gather(*pumps, return_exceptions=True)
        except OSError:
            pass  # the server is away: the client sees the connection close
        finally:
            self.cut(reset=self._reset)

    def hold(self, *, to_server: bool = True, to_client: bool = True) -> None:
        """Carry nothing more, in the directions named, until ``release``."""
        if to_server:
            self._to_server.clear()
        if to_client:
            self._to_client.clear()

    def release(self) -> None:
        """Carry again what was held."""
        self._to_server.set()
        self._to_client.set()

    def cut_after(self, size: int, *, reset: bool = False) -> None:
        """Close once so many more bytes of the server's stream have passed; 0 closes at its next byte."""
        self._left, self._reset = size, reset

    def spoil_after(self, size: int, garbage: bytes) -> None:
        """Say something that the server did not, once so many more bytes of its stream have passed."""
        self._spoil = (size, garbage)

    def inject(self, data: bytes) -> None:
        """Say something to the client that the server did not."""
        self._client[1].write(data)

    def cut(self, *, reset: bool = False) -> None:
        """Close both sides now."""
        self.closed.set()
        self.release()
        for _, writer in filter(None, (self._client, self._server)):
            if reset and not writer.transport.is_closing():
                sock = writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
            else:
                writer.close()

    async def _upstream(self) -> None:
        assert self._server is not None
        while True:
            await self._to_server.wait()
            data = await self._client[0].read(_CHUNK)
            await self._to_server.wait()
            if not data or self.closed.is_set():
                return
            self._server[1].write(data)
            await self._server[1].drain()

    async def _downstream(self) -> None:
        assert self._server is not None
        while True:
            await self._to_client.wait()
            data = await self._server[0].read(_CHUNK)
            if self._delay:
                await asyncio.sleep(self._delay)
            await self._to_client.wait()
            if not data or self.closed.is_set():
                return
            last = self._left is not None and len(data) > self._left
            if self._left is not None:
                data = data[: self._left]
                self._left -= len(data)
            self.passed += len(data)
            for piece in self._pieces(self._spoiled(data)):
                self._client[1].write(piece)
                await self._client[1].drain()
                if self._drip:
                    await asyncio.sleep(0)  # the client's turn
            if last:
                return

    def _spoiled(self, data: bytes) -> bytes:
        if self._spoil is None:
            return data
        left, garbage = self._spoil
        if len(data) < left:
            self._spoil = (left - len(data), garbage)
            return data
        self._spoil = None
        return data[:left] + garbage + data[left:]

    def _pieces(self, data: bytes) -> list[bytes]:
        return [data[index : index + 1] for index in range(len(data))] if self._drip else [data]


class Proxy:
    """A listener in front of a server.

    Args:
        host: The server's host.
        port: The server's port.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._listener: socket.socket | None = None
        self._faults: deque[Fault] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self.default = Fault()
        self.connections: list[ProxyConnection] = []
        self.accepted = 0
        self.port = 0

    async def __aenter__(self) -> Self:
        await self.listen()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def listen(self) -> None:
        """Take connections (again), on the same port as before."""
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=1024)
        self._listener.setblocking(False)
        self.port = self._listener.getsockname()[1]
        asyncio.get_running_loop().add_reader(self._listener, self._accept, self._listener)

    def deafen(self) -> None:
        """Take no more connections: the next client is refused. Those that are open stay."""
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener)
            self._listener.close()
            self._listener = None

    def next(self, *faults: Fault) -> None:
        """What happens to the next connections, one fault for each."""
        self._faults.extend(faults)

    def cut_all(self, *, reset: bool = False) -> None:
        """Close every open connection."""
        for connection in tuple(self.connections):
            connection.cut(reset=reset)

    def cut_all_after(self, size: int) -> None:
        """Close each open connection once so many more bytes of its server's stream have passed."""
        for connection in self.connections:
            connection.cut_after(size)

    async def close(self) -> None:
        """Close the listener and every connection."""
        self.deafen()
        await asyncio.sleep(0)  # a task cancelled before its first step would leave its socket to nobody
        self.cut_all()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, listener: socket.socket) -> None:
        with suppress(BlockingIOError, ConnectionAbortedError):
            accepted, _ = listener.accept()
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.accepted += 1
            fault = self._faults.popleft() if self._faults else self.default
            task = asyncio.ensure_future(self._serve(accepted, fault))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _serve(self, accepted: socket.socket, fault: Fault) -> None:
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_accepted_socket(lambda: protocol, accepted)
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        connection = ProxyConnection(reader, writer, fault)
        try:
            if fault.refuse:
                connection.cut(reset=fault.reset)
            else:
                self.connections.append(connection)
                await connection.forward(*self._target)
        except asyncio.CancelledError:
            connection.cut()  # the test is over
        finally:
            with suppress(ValueError):
                self.connections.remove(connection)
            with suppress(OSError):
                await writer.wait_closed()
