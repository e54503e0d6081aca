"""Watching the sentinels: what they publish about the service, as it happens.

A connection to each sentinel is subscribed to ``+switch-master``, so that the news arrives even when one of them went
down together with the primary. Nothing runs while nothing happens: a task exists only where a connection is being
made. One that was lost is made again after a pause that doubles up to a limit, with jitter. Since news was missed
meanwhile, the sentinel is asked where the primary is in the same breath.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from typing import Any

from store_core import StoreError
from store_redis.dial import Address, Dialer
from store_redis.link import Link
from store_redis.multiplexed import MultiplexedLink
from store_redis.sentinel.dial import SentinelDialer

logger = logging.getLogger(__name__)

#: Seconds before the first attempt to connect again, and the longest pause between two.
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 15.0

#: What is listened to; without an interest in replicas, the first one.
_CHANNELS = ("+switch-master", "+sdown")


class Watch:
    """The watches over all sentinels of a dialer.

    Args:
        dialer: Whose sentinels, and whose links are to be closed.
        on_switch: Called after another primary was announced.
    """

    def __init__(self, dialer: SentinelDialer, on_switch: Callable[[], None]) -> None:
        self._listeners = [_Listener(sentinel, dialer, on_switch) for sentinel in dialer.sentinels.dialers]

    def start(self) -> None:
        """Subscribe where that is neither done nor under way."""
        for listener in self._listeners:
            listener.start()

    async def close(self) -> None:
        """End every connection and every attempt to make one; for good."""
        await asyncio.gather(*(listener.close() for listener in self._listeners))

    def abandon(self) -> None:
        """Drop what belongs to an event loop that is gone; ``start`` begins anew."""
        for listener in self._listeners:
            listener.abandon()


class _Listener:
    """The subscription at one sentinel."""

    def __init__(self, sentinel: Dialer, dialer: SentinelDialer, on_switch: Callable[[], None]) -> None:
        self._sentinel = sentinel
        self._dialer = dialer
        self._on_switch = on_switch
        self._channels = _CHANNELS if dialer.replicas else _CHANNELS[:1]
        self._link: MultiplexedLink | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._pause = 0.0
        self._told = False
        self._closed = False

    def start(self) -> None:
        if self._link is None and self._connecting is None and not self._closed:
            self._connecting = asyncio.get_running_loop().create_task(self._connect())

    async def close(self) -> None:
        self._closed = True
        task, self._connecting = self._connecting, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        link, self._link = self._link, None
        if link is not None:
            link.close()

    def abandon(self) -> None:
        self._connecting = None
        self._pause = 0.0
        link, self._link = self._link, None
        if link is not None:
            link.abandon()

    async def _connect(self) -> None:
        try:
            while self._link is None:
                if self._pause:
                    await asyncio.sleep(self._pause * random.uniform(0.5, 1.0))
                try:
                    await self._subscribe()
                except StoreError as error:
                    self._warn(error)
                    self._pause = min(self._pause * 2, LONGEST_PAUSE) or FIRST_PAUSE
        finally:
            self._connecting = None

    async def _subscribe(self) -> None:
        sentinels = self._dialer.sentinels
        missed = self._pause > 0
        link = self._link = await self._sentinel.dial()
        try:
            link.listening = True
            link.on_push = self._on_push
            link.on_lost = self._on_lost
            # In one write: nothing that happens after the answer is missed.
            answer = link.send(sentinels.question)
            link.post(("SUBSCRIBE", *self._channels))
            primary = sentinels.read_primary(await answer, link)
        except BaseException:
            link.close()
            raise
        if missed:
            self._announce(primary)  # perhaps it was published while nobody listened
        else:
            self._dialer.learn(primary)

    def _on_lost(self, link: Link) -> None:
        if link is self._link:
            self._link = None
            self._pause = min(self._pause * 2, LONGEST_PAUSE) or FIRST_PAUSE
            if self._connecting is None:
                self.start()

    def _on_push(self, message: Any) -> None:
        if isinstance(message, Exception):
            self._warn(message)
            if self._link is not None:
                self._link.close()
        elif message[0] == b"subscribe":
            self._pause, self._told = 0.0, False
        elif message[0] == b"message":
            self._heard(message[1].decode(), message[2].decode("utf-8", "replace").split())

    def _heard(self, channel: str, words: list[str]) -> None:
        service = self._dialer.sentinels.service
        # "<service> <old host> <old port> <new host> <new port>"
        if channel == "+switch-master" and len(words) == 5 and words[0] == service:
            self._announce(Address(words[3], int(words[4])))
        # "slave <name> <host> <port> @ <service> <host> <port>"
        elif channel == "+sdown" and len(words) == 8 and (words[0], words[5]) == ("slave", service):
            self._dialer.replica_down(Address(words[2], int(words[3])))

    def _warn(self, error: Exception) -> None:
        # An outage is told once, however long it lasts.
        level, self._told = logging.DEBUG if self._told else logging.WARNING, True
        logger.log(level, "cannot watch the sentinel %s yet: %s", self._sentinel.address, error)

    def _announce(self, primary: Address) -> None:
        if self._dialer.announce(primary, self._sentinel):
            self._on_switch()
