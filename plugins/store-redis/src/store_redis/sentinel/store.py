"""SentinelStore: a primary that sentinels watch, and its replicas.

All that differs from one server is where a connection leads: the sentinels are asked at each dial, and they tell when
the primary changes. Everything above the dialler is the store of one server.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from store_core import DSN, Capability, DSNError, Unsupported
from store_core.parameters import Parameter, Params
from store_redis.connection import RedisConnection
from store_redis.parameters import PARAMETERS
from store_redis.sentinel.dial import SentinelDialer
from store_redis.sentinel.sentinels import DEFAULT_PORT
from store_redis.sentinel.watch import Watch
from store_redis.store import RedisStore

if TYPE_CHECKING:
    from redis.asyncio.connection import AbstractConnection

    from store_core.store import Server

logger = logging.getLogger(__name__)

_OWN = (
    Parameter("service", str, None, "name under which the sentinels watch the primary; also the path"),
    Parameter(
        "read_from", str, "primary", "where connections lead; a replica takes no writes", choices=("primary", "replica")
    ),
    Parameter("sentinel_username", str, None, "ACL user at the sentinels"),
    Parameter("sentinel_password", str, None, "password at the sentinels", secret=True),
)


class SentinelStore(RedisStore):
    """A Redis or Valkey primary that sentinels name."""

    parameters: ClassVar[tuple[Parameter, ...]] = (*PARAMETERS, *_OWN)
    several_hosts: ClassVar[bool] = True
    default_port: ClassVar[int] = DEFAULT_PORT

    name = "redis-sentinel"
    capabilities = RedisStore.capabilities - {Capability.START}
    dialer: SentinelDialer

    def __init__(self, dsn: DSN, params: Params) -> None:
        if not params["service"]:
            raise DSNError(f"{dsn.scheme}://… names no service; write {dsn.scheme}://host:{DEFAULT_PORT}/service")
        super().__init__(dsn, params)
        self.dialer = SentinelDialer(dsn, params)
        self._watch = Watch(self.dialer, self._switched)
        self._disconnecting: set[asyncio.Task[None]] = set()

    @classmethod
    def path_parameters(cls, dsn: DSN) -> Mapping[str, str]:
        service = dsn.path.strip("/")
        return {"service": service} if service else {}

    @classmethod
    async def start_server(cls, dsn: DSN, params: Params) -> Server:
        raise Unsupported(cls.name, Capability.START, "start the servers and their sentinels by hand")

    async def connect(self) -> RedisConnection:
        connection = await super().connect()
        self._watch.start()
        return connection

    def redis_connection(self) -> tuple[type[AbstractConnection], dict[str, Any]]:
        from store_redis.sentinel.client import sentinel_connection_kind  # redis-py takes 0.2 s to import

        return sentinel_connection_kind(self)

    async def _close(self) -> None:
        if self._loop is None or self._loop is asyncio.get_running_loop():
            await self._watch.close()
            await asyncio.gather(*self._disconnecting, return_exceptions=True)
        await super()._close()

    def _abandon(self) -> None:
        self._watch.abandon()
        self.dialer.abandon()
        self._disconnecting.clear()
        super()._abandon()

    def _switched(self) -> None:
        """Let go of the connections that redis-py holds; they lead where the primary was."""
        if self._client is not None:
            task = asyncio.get_running_loop().create_task(self._client.connection_pool.disconnect())
            self._disconnecting.add(task)
            task.add_done_callback(self._disconnected)

    def _disconnected(self, task: asyncio.Task[None]) -> None:
        self._disconnecting.discard(task)
        if not task.cancelled() and task.exception() is not None:
            logger.warning("%r: redis-py could not let go of its connections: %s", self, task.exception())
