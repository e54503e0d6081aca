"""Who listens to what: the bookkeeping that every ``Subscriber`` needs, and the way of a message to its readers.

The way of a message is worked out once for each name, as a ``Route``, and forgotten when somebody comes or goes. On it,
readers with the same decoding share one ``Message``, which goes straight into their queues. Hot path: a backend
that takes many messages at a time from its connection may walk the routes itself.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from enum import IntEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from store_core.capabilities import Capability
from store_core.mailbox import Mailbox, Message

if TYPE_CHECKING:
    from store_core.pubsub import PubSub

logger = logging.getLogger(__name__)


class Kind(IntEnum):
    """What a name of a subscription is."""

    CHANNEL = 0  #: a channel, which every server of a cluster carries
    PATTERN = 1  #: a glob pattern of channels
    SHARD = 2  #: a shard channel, which belongs to one shard of a cluster, as a key does

    @property
    def capability(self) -> Capability:
        """What a backend declares that has it."""
        return _CAPABILITIES[self]


_CAPABILITIES = (Capability.PUBSUB, Capability.PATTERNS, Capability.SHARDED)


class Direct(NamedTuple):
    """What a PubSub says of itself when its messages need nothing but decoding before they are queued.

    Attributes:
        decode: Makes the value of a payload; None leaves bytes.
        same: Equal for PubSubs that may share the value.
        mailboxes: Where its messages go.
    """

    decode: Callable[[bytes], Any] | None
    same: object
    mailboxes: tuple[Mailbox, ...]


class Route:
    """The way of the messages of one name.

    Attributes:
        name: The channel or pattern, as callers write it.
        queues: For each way of decoding, what adds to the queues.
        only: What adds to the only queue, where there is just one reader, of bytes.
        mailboxes: Those queues, to be settled when messages were added.
        others: The PubSubs that take each message themselves.
    """

    __slots__ = ("mailboxes", "name", "only", "others", "queues")

    def __init__(self, name: str, pubsubs: Iterable[PubSub]) -> None:
        self.name = name
        groups: dict[object, tuple[Callable[[bytes], Any] | None, list[Callable[[Message], None]]]] = {}
        others: list[PubSub] = []
        mailboxes: list[Mailbox] = []
        for pubsub in pubsubs:
            direct = pubsub.direct()
            if direct is None:
                others.append(pubsub)
            else:
                adding = groups.setdefault(direct.same, (direct.decode, []))[1]
                adding.extend(mailbox.append for mailbox in direct.mailboxes)
                mailboxes.extend(direct.mailboxes)
        self.queues = tuple((decode, tuple(adding)) for decode, adding in groups.values())
        alone = len(mailboxes) == 1 and not others and self.queues[0][0] is None
        self.only = mailboxes[0].append if alone else None
        self.mailboxes = tuple(mailboxes)
        self.others = tuple(others)

    def add(self, channel: str, data: bytes, pattern: str | None = None) -> None:
        """Hand a message on; ``settle`` follows in the same turn of the event loop."""
        for decode, adding in self.queues:
            try:
                message = Message(channel, data if decode is None else decode(data), pattern)
            except Exception as error:  # noqa: BLE001 - whatever a codec raises
                dropped(channel, error)
                continue
            for append in adding:
                append(message)
        for pubsub in self.others:
            pubsub.receive(channel, data, pattern)

    def settle(self) -> None:
        """Let queues go of what is too much, and wake their readers."""
        for mailbox in self.mailboxes:
            mailbox.settle()


def dropped(channel: str, error: Exception) -> None:
    """Tell of a payload that cannot be decoded: anybody may publish anything, and it must not stop the rest."""
    logger.warning("dropped a message on %r that is not in this protocol: %s", channel, type(error).__name__)


class Attempt:
    """One call of ``subscribe`` that is under way.

    Attributes:
        wires: The wire names that the PubSub does not have yet, as far as anybody knows.
        fresh: Those of them that nobody had before.
    """

    __slots__ = ("fresh", "kind", "pubsub", "wires")

    def __init__(self, pubsub: PubSub, kind: Kind) -> None:
        self.pubsub = pubsub
        self.kind = kind
        self.wires: list[bytes] = []
        self.fresh: list[bytes] = []


class Subscriptions:
    """Who listens to what: the bookkeeping that every ``Subscriber`` needs. Pure; returns what is left to do.

    A channel is known by its name on the wire (bytes), so that delivery is one look-up. A backend that has to wait
    for its data store calls ``begin``, and then ``settle`` or ``undo``; what it gets in between is delivered already.
    """

    def __init__(self) -> None:
        self._tables: tuple[dict[bytes, _Entry], ...] = tuple({} for _ in Kind)
        # Calls under way for a name that their PubSub does not surely have; the last one that fails takes it away.
        self._unsettled: dict[tuple[Kind, bytes, PubSub], set[Attempt]] = {}
        #: For each kind, the routes by wire name, as far as they are known; ``route`` finds out about the others.
        self.routes: tuple[dict[bytes, Route], ...] = tuple({} for _ in Kind)

    def add(self, pubsub: PubSub, names: Iterable[tuple[bytes, str]], *, kind: Kind) -> list[bytes]:
        """Record (wire name, name) pairs; returns the wire names that nobody had before."""
        attempt = self.begin(pubsub, names, kind=kind)
        self.settle(attempt)
        return attempt.fresh

    def begin(self, pubsub: PubSub, names: Iterable[tuple[bytes, str]], *, kind: Kind) -> Attempt:
        """Record (wire name, name) pairs for the time being."""
        table, attempt = self._tables[kind], Attempt(pubsub, kind)
        for wire, name in dict(names).items():
            entry = table.get(wire)
            if entry is None:
                entry = table[wire] = _Entry(name, {})
                attempt.fresh.append(wire)
            key = (kind, wire, pubsub)
            if pubsub not in entry.pubsubs:
                entry.pubsubs[pubsub] = None
                pubsub.on_rerouted = self._forget_routes
                self.routes[kind].pop(wire, None)
                self._unsettled[key] = set()
            if key in self._unsettled:
                self._unsettled[key].add(attempt)
                attempt.wires.append(wire)
        return attempt

    def settle(self, attempt: Attempt) -> None:
        """The data store has confirmed it."""
        for wire in attempt.wires:
            key = (attempt.kind, wire, attempt.pubsub)
            if attempt in self._unsettled.get(key, ()):
                del self._unsettled[key]

    def undo(self, attempt: Attempt) -> list[bytes]:
        """It failed: the PubSub has what it had before; returns the wire names nobody has any more."""
        failed = []
        for wire in attempt.wires:
            calls = self._unsettled.get((attempt.kind, wire, attempt.pubsub), set())
            if attempt in calls:
                calls.discard(attempt)
                if not calls:
                    failed.append(wire)
        return self._remove(attempt.pubsub, failed, attempt.kind)

    def remove(self, pubsub: PubSub, wires: Iterable[bytes], *, kind: Kind) -> list[bytes]:
        """Forget subscriptions (all of one PubSub when none is named); returns the wire names nobody has any more."""
        return self._remove(pubsub, list(wires) or list(self._tables[kind]), kind)

    def names(self, *, kind: Kind) -> list[bytes]:
        """Every wire name: what to subscribe to again after a loss."""
        return list(self._tables[kind])

    def pubsubs(self, names: Callable[[Kind], Iterable[bytes]] | None = None) -> list[PubSub]:
        """Everybody who is subscribed to anything, or to one of these wire names."""
        found: dict[PubSub, None] = {}
        for kind, table in zip(Kind, self._tables, strict=True):
            for wire in table if names is None else names(kind):
                if wire in table:
                    found.update(table[wire].pubsubs)
        return list(found)

    def clear(self) -> None:
        """Forget everything."""
        for table in self._tables:
            table.clear()
        self._unsettled.clear()
        self._forget_routes()

    def route(self, wire: bytes, *, kind: Kind) -> Route | None:
        """The way of the messages of a name; None where nobody wants them."""
        route = self.routes[kind].get(wire)
        if route is None:
            entry = self._tables[kind].get(wire)
            if entry is not None:
                route = self.routes[kind][wire] = Route(entry.name, entry.pubsubs)
        return route

    def deliver(self, wire: bytes, data: bytes, *, kind: Kind = Kind.CHANNEL) -> None:
        """Hand a message to the subscribers of its channel, or shard channel."""
        route = self.route(wire, kind=kind)
        if route is not None:
            route.add(route.name, data)
            route.settle()

    def deliver_pattern(self, wire: bytes, channel: str, data: bytes) -> None:
        """Hand a message to the subscribers of a pattern."""
        route = self.route(wire, kind=Kind.PATTERN)
        if route is not None:
            route.add(channel, data, route.name)
            route.settle()

    def _forget_routes(self) -> None:
        for routes in self.routes:
            routes.clear()

    def _remove(self, pubsub: PubSub, wires: Iterable[bytes], kind: Kind) -> list[bytes]:
        table, gone = self._tables[kind], []
        for wire in wires:
            entry = table.get(wire)
            if entry is None or pubsub not in entry.pubsubs:
                continue
            del entry.pubsubs[pubsub]
            self.routes[kind].pop(wire, None)
            self._unsettled.pop((kind, wire, pubsub), None)
            if not entry.pubsubs:
                del table[wire]
                gone.append(wire)
        return gone


class _Entry(NamedTuple):
    name: str
    pubsubs: dict[PubSub, None]  # in the order in which they came
