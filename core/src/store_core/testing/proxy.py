"""A TCP proxy that fails on purpose, between a store and its server.

``async with Proxy(host, port) as proxy``: a store that connects to ``127.0.0.1:proxy.port`` reaches the server, until
a connection is held (``hold``) or cut, at once or after so many more bytes of one direction.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Self

_CHUNK = 65536


class Pipe:
    """One direction of a connection: it carries bytes until it is held, or has carried as many as it may."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._open = asyncio.Event()
        self._open.set()
        self._left: int | None = None
        self.passed = 0

    def hold(self) -> None:
        """Carry nothing more."""
        self._open.clear()

    def release(self) -> None:
        """Carry again what was held."""
        self._open.set()

    def cut_after(self, size: int | None) -> None:
        """Close the connection once so many more bytes have passed; 0 closes at the next byte, None never."""
        self._left = size

    async def carry(self) -> None:
        """Carry bytes until the end of the stream, or of what may pass."""
        with suppress(OSError):
            while data := await self._reader.read(_CHUNK):
                await self._open.wait()
                last = self._left is not None and len(data) > self._left
                if self._left is not None:
                    data = data[: self._left]
                    self._left -= len(data)
                self.passed += len(data)
                self._writer.write(data)
                await self._writer.drain()
                if last:
                    return


class ProxyConnection:
    """One connection through the proxy: ``to_server`` and ``to_client`` are its two directions."""

    def __init__(
        self,
        client: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        server: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        self.to_server = Pipe(client[0], server[1])
        self.to_client = Pipe(server[0], client[1])
        self._writers = (client[1], server[1])
        self._cut = asyncio.Event()

    def cut(self) -> None:
        """Close both sides now."""
        self._cut.set()

    async def carry(self) -> None:
        """Carry bytes both ways until either side ends, or the connection is cut."""
        watched = [
            asyncio.ensure_future(waited)
            for waited in (self.to_server.carry(), self.to_client.carry(), self._cut.wait())
        ]
        try:
            await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in watched:
                task.cancel()
            await asyncio.gather(*watched, return_exceptions=True)
            for writer in self._writers:
                writer.close()


class Proxy:
    """A listener on a free port of this machine, in front of a server.

    Args:
        host: The server's host.
        port: The server's port.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._tasks: set[asyncio.Task[None]] = set()
        self._listener: asyncio.Server | None = None
        #: Whether the next connections are accepted and then hear nothing.
        self.mute = False
        self.connections: list[ProxyConnection] = []
        self.port = 0
        self._allowed: int | None = None

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._listener.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._listener is not None
        self._listener.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def allow(self, size: int | None) -> None:
        """Cut each connection, those to come too, once so many more bytes have gone to the server; None for all."""
        self._allowed = size
        for connection in self.connections:
            connection.to_server.cut_after(size)

    def cut_all(self) -> None:
        """Close every connection now."""
        for connection in self.connections:
            connection.cut()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        # asyncio's own server reports a cancelled handler as an error.
        with suppress(asyncio.CancelledError, OSError):
            await self._forward(reader, writer)
        writer.close()
        self._tasks.discard(task)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server = await asyncio.open_connection(*self._target)
        connection = ProxyConnection((reader, writer), server)
        connection.to_server.cut_after(self._allowed)
        if self.mute:
            connection.to_server.hold()
        self.connections.append(connection)
        try:
            await connection.carry()
        finally:
            self.connections.remove(connection)
