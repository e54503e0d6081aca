"""The receiving end of a listening connection: what comes is a message, nearly always.

A connection that has been told to listen gets this as its transport's protocol, so that the loop that hands out replies
knows nothing of messages, and this one nothing of replies. It is the hot path of every subscriber: for each message
one look-up finds the route, and the message goes straight into the readers' queues; the queues are settled, and their
readers woken, once for all that came in one read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from hiredis import Reader

from store_core import ConnectionLost, Message, StoreError
from store_core.pubsub import Kind, Subscriptions
from store_core.subscriptions import Route
from store_redis.errors import make

#: Messages with three parts, and the kind of the second one.
_MESSAGES = {b"message": Kind.CHANNEL, b"smessage": Kind.SHARD}

#: Bytes in one read. What they make of messages stays in the processor's cache until the readers have taken it.
READ = 32 * 1024

#: Equal to nothing that comes.
_NONE: Any = object()


class MessageStream(asyncio.BufferedProtocol):
    """Hands messages to the subscriptions, and the rest to ``on_push``.

    Args:
        reader: Takes the bytes; it answers ``nothing`` when there is no whole reply.
        nothing: That answer.
        link: Takes the events of the transport.
        fail: Takes an error that ends the connection.
        subscriptions: Who gets the messages.
        on_push: Takes what is no message of a channel: confirmations, error replies, messages of patterns.

    Attributes:
        reads: How often something came.
    """

    def __init__(
        self,
        reader: Reader,
        nothing: object,
        link: asyncio.Protocol,
        fail: Callable[[StoreError], None],
        subscriptions: Subscriptions,
        on_push: Callable[[Any], None],
    ) -> None:
        self.reads = 0
        self._reader = reader
        self._buffer = bytearray(READ)
        self._nothing = nothing
        self._fail = fail
        self._subscriptions = subscriptions
        self._on_push = on_push
        self.connection_lost = link.connection_lost  # type: ignore[method-assign]
        self.pause_writing = link.pause_writing  # type: ignore[method-assign]
        self.resume_writing = link.resume_writing  # type: ignore[method-assign]

    def get_buffer(self, sizehint: int) -> bytearray:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.reads += 1
        self._reader.feed(self._buffer, 0, nbytes)  # type: ignore[arg-type]  # takes any buffer
        touched: set[Route] = set()
        try:
            self._take(touched)
        except StoreError as error:
            self._fail(error)
        finally:
            for route in touched:
                route.settle()

    def _take(self, touched: set[Route]) -> None:
        gets, nothing, new = self._reader.gets, self._nothing, tuple.__new__
        # The route of the message before, which is the next one's as well when many come on one channel.
        last_verb = last_wire = _NONE
        while True:
            try:
                reply = gets()
            except (ValueError, TypeError) as error:
                # A map whose keys Python cannot hash: hiredis has lost its place in the stream.
                raise make(ConnectionLost, f"the server sent what Python cannot hold: {error}") from error
            if reply is nothing:
                return
            try:
                verb, wire, data = reply
            except (ValueError, TypeError):  # a pattern's message has one more, an error reply is no list
                verb = wire = data = None
            if wire != last_wire or verb != last_verb:
                route = self._route(verb, wire, reply)
                if route is None:
                    last_wire = _NONE  # whoever was called may have changed the routes
                    continue
                touched.add(route)
                name, only, add = route.name, route.only, route.add
                last_verb, last_wire = verb, _NONE if route.others else wire
            if only is not None:
                only(new(Message, (name, data, None, 0)))
            else:
                add(name, data)

    def _route(self, verb: Any, wire: Any, reply: Any) -> Route | None:
        """Where a message goes; what is none has been handed on."""
        kind = _MESSAGES.get(verb) if type(verb) is bytes else None
        if kind is None:
            self._on_push(reply)
            return None
        if type(wire) is not bytes:
            return None
        return self._subscriptions.routes[kind].get(wire) or self._subscriptions.route(wire, kind=kind)
