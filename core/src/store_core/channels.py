"""Channels: events over a PubSub. One subscription for each channel, events inside it.

An event travels as the JSON array ``[event, data]`` (or whatever the PubSub's protocol makes of that pair).
"""

from __future__ import annotations

import fnmatch
import inspect
import logging
import re
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from store_core.pubsub import Message

if TYPE_CHECKING:
    from store_core.pubsub import PubSub
    from store_core.store import Store

logger = logging.getLogger(__name__)

#: ``callback(channel, event, data)``; a coroutine function is awaited.
Callback = Callable[[str, str, Any], Any]


class Channels:
    """Events by channel; get one from ``store.channels()``.

    Args:
        store: The store that carries the events.
        pubsub: A PubSub of this object's own; closed with it.
        namespace: A prefix, ``<namespace>.<channel>``, that callers never see.
    """

    def __init__(self, store: Store, pubsub: PubSub, namespace: str | None = None) -> None:
        self._store = store
        self._pubsub = pubsub
        self._prefix = f"{namespace}." if namespace else ""
        self._callbacks: dict[str, list[tuple[str, re.Pattern[str], Callback]]] = {}
        self._listening = False

    async def connect(self) -> None:
        """Reach the data store now.

        Raises:
            ConnectionFailed: It is not there.
        """
        await self._store.ping()
        self._listen()

    async def register(self, channel: str, event_pattern: str, callback: Callback) -> None:
        """Call ``callback(channel, event, data)`` for the events of a channel that match a glob pattern.

        Callbacks run one after another in the order of the events; one that raises is logged and stays.
        """
        self._listen()
        callbacks = self._callbacks.setdefault(channel, [])
        entry = (event_pattern, re.compile(fnmatch.translate(event_pattern)), callback)
        callbacks.append(entry)
        try:
            await self._pubsub.subscribe(self._prefix + channel)
        except BaseException:
            callbacks.remove(entry)
            raise

    async def unregister(self, channel: str, event_pattern: str, callback: Callback) -> None:
        """Undo ``register``; the last one of a channel ends its subscription. Harmless when it is not there."""
        callbacks = self._callbacks.get(channel, [])
        callbacks[:] = [entry for entry in callbacks if (entry[0], entry[2]) != (event_pattern, callback)]
        if not callbacks and self._callbacks.pop(channel, None) is not None:
            await self._pubsub.unsubscribe(self._prefix + channel)

    async def publish(self, channel: str, event: str, data: Any = None) -> int:
        """Publish an event; returns how many subscribers of the data store received it."""
        return await self._pubsub.publish(self._prefix + channel, [event, data])

    def on_resubscribed(self, callback: Callable[[], Any]) -> None:
        """Call ``callback()`` after the connection was lost and is back: events may have been missed."""
        self._pubsub.on_resubscribed(callback)

    async def close(self) -> None:
        """Drop every subscription; closing twice is harmless."""
        self._callbacks.clear()
        await self._pubsub.close()

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def _listen(self) -> None:
        if not self._listening:
            self._pubsub.add_client(self._on_message)
            self._listening = True

    async def _on_message(self, message: Message) -> None:
        channel = message.channel[len(self._prefix) :]
        if message.lost:
            logger.warning("%d events were lost before one on %r: callbacks are too slow", message.lost, channel)
        if not (isinstance(message.data, list | tuple) and len(message.data) == 2 and isinstance(message.data[0], str)):
            logger.warning("dropped a message on %r that is not an event", channel)
            return
        event, data = message.data
        for _, matches, callback in list(self._callbacks.get(channel, ())):
            if matches.match(event):
                await self._call(callback, channel, event, data)

    async def _call(self, callback: Callback, channel: str, event: str, data: Any) -> None:
        try:
            result = callback(channel, event, data)
            if inspect.isawaitable(result):
                await result
        except Exception:
            logger.exception("the callback %r failed on the event %r of %r", callback, event, channel)
