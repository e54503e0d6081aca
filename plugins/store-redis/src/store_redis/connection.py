"""RedisConnection: a connection of the caller's own, as ``store.connect()`` returns it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

from store_core import (
    ArgumentError,
    Connection,
    ConnectionFailed,
    ConnectionTimeout,
    ReplyError,
    StoreClosed,
    StoreError,
    Timeout,
    Unsupported,
)
from store_redis.commands import INSTEAD, WAITS, upper, waiting_time
from store_redis.encoding import encoded
from store_redis.errors import make
from store_redis.link import Link

if TYPE_CHECKING:
    from store_redis.store import RedisStore

#: Commands whose replies come unasked, or not at all: no caller could await them.
_UNANSWERED = frozenset({name for name in INSTEAD if name.endswith("SUBSCRIBE")} | {"MONITOR", "PSYNC", "SYNC"})


#: Seconds that a server may be late with a blocked client's timeout: it looks ten times a second, unless it is busy.
SLACK = 1.0


class RedisConnection(Connection):
    """A link and the store that it belongs to."""

    def __init__(self, store: RedisStore, link: Link) -> None:
        self.link = link
        self._store = store

    async def execute(self, *args: Any, timeout: float | None = None) -> Any:
        if self.link.closed:
            raise make(StoreClosed, f"this connection to {self.link.address} is closed; open another")
        check_timeout(timeout)
        if not args:
            raise make(ArgumentError, "a command has a name")
        name = upper(args[0])
        if name in _UNANSWERED:
            raise Unsupported("a connection", name, "use store.pubsub()" if name.endswith("SUBSCRIBE") else "")
        sent = await self._store.prepare(args)
        try:
            if name in WAITS:
                reply = await wait_blocking(self.link, sent, timeout)
            else:
                reply = await send(self.link, sent, timeout)
        except ReplyError as error:
            # A script that fails half-way has written the first half.
            self._store.restore(args, error)
            raise
        return self._store.restore(args, reply)

    async def close(self) -> None:
        self.link.close()

    @property
    def closed(self) -> bool:
        return self.link.closed


def check_timeout(timeout: float | None) -> None:
    """Refuse a caller's own timeout that is none; None is the store's own, 0 is for ever.

    Raises:
        ValueError: It is negative.
    """
    if timeout is not None and timeout < 0:
        raise ValueError(f"timeout is {timeout}; it is in seconds, and 0 means none")


async def send(link: Link, args: tuple[Any, ...], timeout: float | None = None) -> Any:
    """Send a command once the link takes more, and wait for its reply."""
    if timeout is not None:
        return await within(timeout, link.address, _send_patient(link, args))
    await until_writable(link, link.timeout)
    return await link.send(args)


async def wait_blocking(link: Link, args: tuple[Any, ...], timeout: float | None = None) -> Any:
    """Send a blocking command; its reply may take its own time beyond the link's timeout."""
    if timeout is None:
        wait = waiting_time(args)
        timeout = wait + max(link.timeout, SLACK) if wait and link.timeout else 0
    return await within(timeout, link.address, _send_patient(link, args))


async def until_writable(link: Link, seconds: float = 0) -> None:
    """Wait until the link takes commands; gives up when it has taken none for so long (0: never gives up).

    Raises:
        ConnectionFailed: It broke meanwhile, or took none in time; nothing was sent.
    """
    if link.writable is not None:
        # A few at a time: woken all together for room that suffices a few, they would take a time that grows with
        # the square of their number.
        async with link.turnstile:
            while link.writable is not None:
                await _room(link, link.writable, seconds)
    if link.closed:
        raise make(ConnectionFailed, f"the connection to {link.address} was lost; the command was not sent")


async def _room(link: Link, writable: asyncio.Future[None], seconds: float) -> None:
    left = link.unwritable_since + seconds - link.loop.time() if seconds else None
    try:
        async with asyncio.timeout(left):
            await asyncio.shield(writable)
    except TimeoutError as error:
        message = f"{link.address} took no more commands within {seconds:g} s; the command was not sent"
        raise make(ConnectionTimeout, message) from error


async def within(seconds: float, address: str, reply: Awaitable[Any]) -> Any:
    """What is awaited, unless it takes longer; 0 is for ever.

    Raises:
        Timeout: It took longer.
    """
    try:
        async with asyncio.timeout(seconds or None):
            return await reply
    except TimeoutError as error:
        if isinstance(error, StoreError):
            raise
        raise make(Timeout, f"no reply from {address} within {seconds:g} s") from error


async def _send_patient(link: Link, args: tuple[Any, ...]) -> Any:
    await until_writable(link)
    return await link.send_patient(args)


def in_encoding(args: tuple[Any, ...], encoding: str) -> tuple[Any, ...]:
    """The arguments in the store's encoding; UTF-8 is left to the packer."""
    return args if encoding == "utf-8" else encoded(args, encoding)
