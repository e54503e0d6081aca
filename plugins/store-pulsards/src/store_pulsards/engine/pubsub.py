"""Channels and patterns: who is subscribed to what.

Shard channels are a space of their own; outside a cluster, nothing else sets them apart. A message is one object
for all its receivers, which let it as it is.
"""

from __future__ import annotations

from typing import TypeAlias

from store_pulsards.engine.glob import compile_glob
from store_pulsards.engine.replies import Push
from store_pulsards.session import Session

Subscribers: TypeAlias = dict[bytes, dict[Session, None]]


class PubSub:
    """The subscriptions of all clients of one engine."""

    __slots__ = ("channels", "patterns", "shard_channels")

    def __init__(self) -> None:
        self.channels: Subscribers = {}
        self.patterns: Subscribers = {}
        self.shard_channels: Subscribers = {}

    def publish(self, channel: bytes, message: bytes) -> int:
        """Send a message to everybody who is subscribed to the channel; how many deliveries that were."""
        receivers = self._send(self.channels.get(channel), Push([b"message", channel, message]))
        for pattern, sessions in tuple(self.patterns.items()):
            if compile_glob(pattern)(channel):
                receivers += self._send(sessions, Push([b"pmessage", pattern, channel, message]))
        return receivers

    def publish_to_shard(self, channel: bytes, message: bytes) -> int:
        """The same, for a shard channel."""
        return self._send(self.shard_channels.get(channel), Push([b"smessage", channel, message]))

    def leave(self, session: Session) -> None:
        """End every subscription of a client."""
        for mine, everybody in (
            (session.channels, self.channels),
            (session.patterns, self.patterns),
            (session.shard_channels, self.shard_channels),
        ):
            for name in tuple(mine):
                unsubscribe(session, mine, everybody, name)

    @staticmethod
    def _send(sessions: dict[Session, None] | None, message: Push) -> int:
        if not sessions:
            return 0
        receivers = tuple(sessions)  # one that cannot keep up may be closed, and leave, while we send
        for session in receivers:
            session.push(message)
        return len(receivers)


def subscribe(session: Session, mine: dict[bytes, None], everybody: Subscribers, name: bytes) -> None:
    """Add one subscription; a second one to the same name changes nothing."""
    mine[name] = None
    everybody.setdefault(name, {})[session] = None
    session.regate()


def unsubscribe(session: Session, mine: dict[bytes, None], everybody: Subscribers, name: bytes) -> None:
    """End one subscription, if there is one."""
    if name not in mine:
        return
    del mine[name]
    sessions = everybody[name]
    del sessions[session]
    if not sessions:
        del everybody[name]
    session.regate()
