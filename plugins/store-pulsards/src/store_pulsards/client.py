"""How redis-py's own connections reach an embedded engine: through a socket pair, served in this process.

``store.client()`` sends its commands through ``store.execute``; only what needs a connection for itself (redis-py's
PubSub, MONITOR, WATCH) comes here.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from redis.asyncio.connection import AbstractConnection

if TYPE_CHECKING:
    from store_pulsards.store import EmbeddedStore


class SocketPairConnection(AbstractConnection):
    """One end of a socket pair; the engine's server has the other."""

    def __init__(self, *, store: EmbeddedStore, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._store = store

    def repr_pieces(self) -> list[tuple[str, Any]]:
        return [("store", self._store), ("db", self.db)]

    async def _connect(self) -> None:
        ours, theirs = socket.socketpair()
        with _closed_by_failure(ours):
            with _closed_by_failure(theirs):
                await self._store.serve_socket(theirs)
            self._reader, self._writer = await asyncio.open_connection(sock=ours)

    def _host_error(self) -> str:
        return repr(self._store)


@contextmanager
def _closed_by_failure(sock: socket.socket) -> Iterator[None]:
    try:
        yield
    except BaseException:  # a caller that is cancelled, too
        sock.close()
        raise


def connection_kind(store: EmbeddedStore) -> tuple[type[AbstractConnection], dict[str, Any]]:
    """redis-py's connection class for an embedded store, and its arguments."""
    return SocketPairConnection, {"store": store}
