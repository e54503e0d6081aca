"""Consumer groups: who was given which entry, and has not acknowledged it yet.

A pending entry stands in two lists, that of its group and that of its consumer, both in the order of IDs; every
change of owner goes through ``Group``, which keeps them alike. Times are milliseconds since the epoch.
"""

from __future__ import annotations

from typing import Any, Final

from sortedcontainers import SortedDict

NEVER: Final = -1  # a consumer that was never given anything
UNKNOWN: Final = -1  # how many entries a group has read


class Pending:
    """An entry that was delivered and not acknowledged."""

    __slots__ = ("consumer", "count", "delivered")

    def __init__(self, consumer: Consumer, delivered: int, count: int = 1) -> None:
        self.consumer = consumer
        self.delivered = delivered
        self.count = count


class Consumer:
    """One reader of a group: ``seen`` when it last tried, ``active`` when it last got something."""

    __slots__ = ("active", "name", "pending", "seen")

    def __init__(self, name: bytes, seen: int) -> None:
        self.name = name
        self.seen = seen
        self.active = NEVER
        self.pending: Any = SortedDict()  # ID to Pending


class Group:
    """Consumers that share the entries of a stream; ``last`` is the ID up to which they were delivered."""

    __slots__ = ("consumers", "entries_read", "last", "pending")

    def __init__(self, last: int, entries_read: int) -> None:
        self.last = last
        self.entries_read = entries_read
        self.pending: Any = SortedDict()  # ID to Pending
        self.consumers: dict[bytes, Consumer] = {}

    def copy(self) -> Group:
        other = Group(self.last, self.entries_read)
        for name, consumer in self.consumers.items():
            other.add_consumer(name, consumer.seen).active = consumer.active
        for number, pending in self.pending.items():
            other.assign(number, other.consumers[pending.consumer.name], pending.delivered, pending.count)
        return other

    def in_order(self) -> list[Consumer]:
        """The consumers by name, as they are listed."""
        return [self.consumers[name] for name in sorted(self.consumers)]

    def add_consumer(self, name: bytes, now: int) -> Consumer:
        """A new consumer."""
        consumer = self.consumers[name] = Consumer(name, now)
        return consumer

    def remove_consumer(self, name: bytes) -> int:
        """Forget a consumer, and what is pending for it; how much that was."""
        consumer = self.consumers.pop(name)
        for number in consumer.pending:
            del self.pending[number]
        return len(consumer.pending)

    def assign(self, number: int, consumer: Consumer, delivered: int, count: int) -> None:
        """Make an entry pending for a consumer, whoever had it before."""
        pending: Pending | None = self.pending.get(number)
        if pending is None:
            pending = self.pending[number] = consumer.pending[number] = Pending(consumer, delivered, count)
            return
        if pending.consumer is not consumer:
            del pending.consumer.pending[number]
            pending.consumer = consumer
            consumer.pending[number] = pending
        pending.delivered, pending.count = delivered, count

    def acknowledge(self, number: int) -> bool:
        """Take an entry out of the pending ones; whether it was among them."""
        pending: Pending | None = self.pending.pop(number, None)
        if pending is None:
            return False
        del pending.consumer.pending[number]
        return True
