"""What ``store ping``, ``exec`` and ``start`` do with a store."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from time import perf_counter
from typing import Any

from store_core import (
    ConnectionFailed,
    ConnectionLost,
    ReplyError,
    Store,
    StoreError,
    Timeout,
    create_store,
    start_store,
)

#: Seconds between two looks at a started server.
LOOK = 1.0


async def ping(dsn: str) -> float:
    """Ping a store over an open connection; returns the seconds of the round trip.

    Raises:
        StoreError: It does not answer.
    """
    async with create_store(dsn) as store:
        await store.ping()  # opens the connection
        start = perf_counter()
        if not await store.ping():
            raise StoreError(f"{store.masked_dsn} did not answer PING with PONG")
        return perf_counter() - start


async def execute(dsn: str, command: Sequence[str]) -> Any:
    """Run one command; returns its reply.

    Raises:
        StoreError: It failed, or the data store refused it.
    """
    async with create_store(dsn) as store:
        return await store.execute(*map(_argument, command))


async def start(dsn: str, say: Callable[[str], None]) -> None:
    """Start a server and keep it until SIGINT or SIGTERM.

    Raises:
        StoreError: Somebody answers there already, the server could not be started, or it stopped by itself.
    """
    _cancel_on_signal()
    with suppress(asyncio.CancelledError):
        async with await start_store(dsn) as store:
            if not store.started:
                raise StoreError(f"{store.masked_dsn} answers already: there is nothing to start")
            say(store.masked_dsn)
            say(f"Ctrl-C stops it; from another terminal: kill {os.getpid()}")
            await _watch(store)


def _argument(text: str) -> str | bytes:
    """A word of the command line; one that is no text in this locale is sent as the bytes it was."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return os.fsencode(text)
    return text


def _cancel_on_signal() -> None:
    """Let SIGINT and SIGTERM cancel the running task: once, so that an impatient second one leaves nothing behind."""
    task = asyncio.current_task()
    assert task is not None

    def cancel() -> None:
        if not task.cancelling():
            task.cancel()

    with suppress(NotImplementedError):  # Windows, where asyncio itself cancels on Ctrl-C
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, cancel)


async def _watch(store: Store) -> None:
    while True:
        await asyncio.sleep(LOOK)
        try:
            # A server that is busy, or dropped one connection, is still there.
            with suppress(Timeout, ReplyError, ConnectionLost):
                await store.ping()
        except ConnectionFailed as error:
            raise StoreError(f"the server at {store.masked_dsn} has gone: {error}") from error
