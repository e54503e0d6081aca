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

_ENDS_MULTI = frozenset({"DISCARD", "EXEC", "RESET"})

#: Seconds that a server may be late with a blocked client's timeout: it looks ten times a second, unless it is busy.
SLACK = 1.0


class RedisConnection(Connection):
    """A link and the store that it belongs to."""

    def __init__(self, store: RedisStore, link: Link) -> None:
        self.link = link
        self._store = store
        # Between MULTI and EXEC, the commands that wait: EXEC brings their replies.
        self._queued: list[tuple[Any, ...]] | None = None

    async def execute(self, *args: Any, timeout: float | None = None) -> Any:
        if self.link.closed:
            raise make(StoreClosed, f"this connection to {self.link.address} is closed; open another")
        check_timeout(timeout)
        if not args:
            raise make(ArgumentError, "a command has a name")
        name = upper(args[0])
        if name in _UNANSWERED:
            raise Unsupported("a connection", name, "use store.pubsub()" if name.endswith("SUBSCRIBE") else "")
        if name == "CLIENT" and _silences(args):
            raise Unsupported("a connection", f"CLIENT REPLY {upper(args[2])}", "every caller waits for its reply")
        sent = await self._store.prepare(args)
        try:
            if name in WAITS:
                reply = await self._store.run_blocking(self.link, sent, timeout)
            else:
                reply = await send(self.link, sent, timeout)
        except ReplyError as error:
            # A script that fails half-way has written the first half.
            self._store.restore(args, error)
            self._queued = None if name in _ENDS_MULTI else self._queued
            raise
        return self._restored(name, args, reply)

    def _restored(self, name: str, args: tuple[Any, ...], reply: Any) -> Any:
        queued, reply = self._queued, self._store.restore(args, reply)
        if name == "MULTI":
            self._queued = []
        elif name in _ENDS_MULTI:
            self._queued = None
            if queued is not None and isinstance(reply, list):
                return [self._store.restore(waited, part) for waited, part in zip(queued, reply, strict=True)]
        elif queued is not None:
            queued.append(args)
        return reply

    async def close(self) -> None:
        self.link.close()

    @property
    def closed(self) -> bool:
        return self.link.closed


def _silences(args: tuple[Any, ...]) -> bool:
    """Whether the server would leave commands without a reply, and the next reply would go to the wrong caller."""
    return len(args) > 2 and upper(args[1]) == "REPLY" and upper(args[2]) != "ON"


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


def blocking_time(link: Link, args: tuple[Any, ...], timeout: float | None) -> float:
    """Seconds that a blocking command has: the caller's, or its own and the link's timeout; 0 for ever."""
    if timeout is not None:
        return timeout
    wait = waiting_time(args)
    return wait + max(link.timeout, SLACK) if wait and link.timeout else 0


async def until_writable(link: Link, seconds: float = 0) -> None:
    """Wait until the link takes commands; gives up when it has taken none for so long (0: never gives up).

    Raises:
        ConnectionFailed: It broke meanwhile, or took none in time; nothing was sent.
    """
    if link.line is not None and link.writable is not None:
        await link.line.wait(seconds)
    elif link.writable is not None:
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
        raise took_no_more(link, seconds) from error


def took_no_more(link: Link, seconds: float) -> ConnectionTimeout:
    """The error of a caller that waited for room on the link."""
    message = f"{link.address} took no more commands within {seconds:g} s; the command was not sent"
    return make(ConnectionTimeout, message)


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
