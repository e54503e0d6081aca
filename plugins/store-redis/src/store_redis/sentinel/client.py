"""redis-py's own connections of a store whose primary sentinels name: what WATCH, PubSub and MONITOR take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from redis.asyncio.connection import Connection
from redis.exceptions import ReadOnlyError

from store_redis.pool import connection_kind

if TYPE_CHECKING:
    from redis.asyncio.connection import AbstractConnection

    from store_redis.sentinel.dial import SentinelDialer
    from store_redis.sentinel.store import SentinelStore


class _Named(Connection):
    """Connects where the sentinels say, and leaves a primary that is one no more."""

    dialer: SentinelDialer

    async def _connect(self) -> None:
        self.host, self.port, _ = await self.dialer.where()
        await super()._connect()  # type: ignore[no-untyped-call]

    async def read_response(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return await super().read_response(*args, **kwargs)
        except ReadOnlyError:
            if not self.dialer.replicas:
                await self.disconnect()
            raise


def sentinel_connection_kind(store: SentinelStore) -> tuple[type[AbstractConnection], dict[str, Any]]:
    """redis-py's connection class for the server that sentinels name, and its arguments."""
    kind, where = connection_kind(store)
    return type(f"Named{kind.__name__}", (_Named, kind), {"dialer": store.dialer}), where
