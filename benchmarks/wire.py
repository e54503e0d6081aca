"""A connection to a server without an event loop, for what has to be measured without a client's own work."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from typing import Any, Self

import hiredis

CHUNK = 1 << 18


def pack(*words: bytes) -> bytes:
    """A command as it is sent."""
    return b"*%d\r\n" % len(words) + b"".join([b"$%d\r\n%b\r\n" % (len(word), word) for word in words])


class Wire:
    """One connection; blocking."""

    def __init__(self, host: str, port: int) -> None:
        self.sock = socket.create_connection((host, port), timeout=60)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader = hiredis.Reader()

    def ask(self, *args: str | int) -> Any:
        """Run one command; its reply.

        Raises:
            hiredis.ReplyError: The server refused it.
        """
        self.sock.sendall(pack(*(str(arg).encode() for arg in args)))
        return self.replies(1)[0]

    def pipeline(self, commands: Iterable[tuple[bytes, ...]]) -> list[Any]:
        """Run commands that are sent at once; their replies."""
        packed = [pack(*command) for command in commands]
        self.sock.sendall(b"".join(packed))
        return self.replies(len(packed))

    def replies(self, count: int) -> list[Any]:
        """The next ones of what was sent."""
        found: list[Any] = []
        while len(found) < count:
            reply = self._reader.gets()
            if reply is False:  # nothing whole yet; no reply of RESP2 is False
                data = self.sock.recv(CHUNK)
                if not data:
                    raise ConnectionResetError("the server closed the connection")
                self._reader.feed(data)
            elif isinstance(reply, hiredis.ReplyError):
                raise reply
            else:
                found.append(reply)
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.sock.close()
