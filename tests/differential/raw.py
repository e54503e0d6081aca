"""A raw connection: replies as (kind, value), with nothing made of them."""

from __future__ import annotations

import contextlib
import select
import socket
from collections.abc import Sequence
from typing import Any, BinaryIO

PATIENCE = 30.0  # seconds; a server that says nothing for so long hangs


class RawClient:
    """One connection to one server."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.settimeout(PATIENCE)
        self._file: BinaryIO = self.socket.makefile("rb")
        self.id = self.ask(b"CLIENT", b"ID")[1]

    def send(self, words: Sequence[bytes]) -> None:
        self.socket.sendall(pack(words))

    def ask(self, *words: bytes) -> Any:
        self.send(words)
        return self.read()

    def read(self) -> Any:
        """One reply."""
        line = self._file.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError(f"the server closed the connection after {line!r}")
        kind, rest = chr(line[0]), line[1:-2]
        if kind in "+-:,#_(":
            return kind, rest
        size = int(rest)
        if size < 0:
            return kind, None
        if kind in "$=":
            return kind, self._file.read(size + 2)[:-2]
        return kind, [self.read() for _ in range(size * (2 if kind == "%" else 1))]

    def readable(self, seconds: float = 0.0) -> bool:
        """Whether something has come in."""
        # What is in the file's buffer was read together with a reply before.
        self.socket.settimeout(0.0)
        try:
            if self._file.peek(1):  # type: ignore[attr-defined]
                return True
        except BlockingIOError:
            pass
        finally:
            self.socket.settimeout(PATIENCE)
        return bool(select.select([self.socket], [], [], seconds)[0])

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._file.close()
            self.socket.close()


def pack(words: Sequence[bytes]) -> bytes:
    """A request."""
    return b"*%d\r\n" % len(words) + b"".join([b"$%d\r\n%b\r\n" % (len(word), word) for word in words])
