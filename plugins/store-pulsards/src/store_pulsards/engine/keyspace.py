"""The keyspace: databases, the types of values, expiry, and who is told of a change.

A key past its time is dead at once: every lookup checks it (lazy). Keys that nobody looks up are taken from a heap,
earliest first, in short slices (active); with no key that expires, nothing has to wake up (``deadlines.py``).

No command waits for what takes long: a database of many keys is kept in shards (``shards.py``), and what is large is
freed in slices (``disposal.py``). ``tend`` does a slice of both; whoever runs commands calls it now and then.

Hashes with fields that expire have a heap of their own, with the same rules (``volatile_hash.py``).

Every change ends in ``Database.touched``: it counts (``dirty``), marks transactions that watch the key, notes keys
that blocked clients wait for, and hands the event to whoever listens for keyspace notifications.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from heapq import heappop
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from store_pulsards.engine.deadlines import Deadlines
from store_pulsards.engine.disposal import Disposal, is_large
from store_pulsards.engine.encodings import Limits
from store_pulsards.engine.shards import LARGE, Shards
from store_pulsards.engine.volatile_hash import NEVER, FieldSchedule, VolatileHash

if TYPE_CHECKING:
    from store_pulsards.engine.blocking import Blocked
    from store_pulsards.engine.ledger import Ledger
    from store_pulsards.session import Session

Value: TypeAlias = Any  # an instance of a registered class

SLICE_CHECK: Final = 64  # fields expired between two looks at the clock


@dataclass(frozen=True, slots=True)
class ValueType:
    """What the keyspace has to know of one Redis type."""

    name: bytes
    copy: Callable[[Value], Value]
    encoding: Callable[[Value, Limits], bytes]
    elements: Callable[[Value], Iterable[Any]]  # for MEMORY USAGE


TYPES: Final[dict[type[Value], ValueType]] = {}


def register_type(kind: type[Value], value_type: ValueType) -> None:
    """Tell the keyspace which Redis type the instances of ``kind`` are."""
    TYPES[kind] = value_type


class Keyspace:
    """All databases of one engine, and what is common to them."""

    __slots__ = (
        "clock",
        "databases",
        "dirty",
        "disposal",
        "expired",
        "expired_fields",
        "frozen",
        "listener",
        "observers",
        "ready",
    )

    def __init__(self, count: int, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.frozen = 0  # the time (ms) that the running command sees; 0 when not asked for yet
        self.dirty = 0
        self.expired = 0
        self.expired_fields = 0
        self.observers = 0  # watched keys, awaited keys, the listener, and the ledgers
        self.listener: Callable[[Database, str, bytes], None] | None = None
        self.ready: dict[tuple[Database, bytes], None] = {}  # touched, and somebody waits; in order
        self.disposal = Disposal()
        self.databases = [Database(self, index) for index in range(count)]

    def now(self) -> int:
        """Milliseconds since the epoch; stands still while a command runs."""
        if not self.frozen:
            self.frozen = int(self.clock() * 1000)
        return self.frozen

    def listen(self, listener: Callable[[Database, str, bytes], None] | None) -> None:
        """Hand every event to the listener; None ends it."""
        self.observers += (listener is not None) - (self.listener is not None)
        self.listener = listener

    def next_expiry(self) -> int | None:
        """Earliest time (ms) at which a key, or a field of a hash, may be over."""
        return min((due for db in self.databases if (due := db.next_expiry()) is not None), default=None)

    def expire_some(self, seconds: float) -> bool:
        """Remove keys whose time is over, for at most so long; whether some are left."""
        self.frozen = 0
        deadline = perf_counter() + seconds
        return any(db.sweep(deadline) for db in self.databases)

    def tend(self, seconds: float) -> bool:
        """Make room for growth and free what is large, for at most so long; whether something is left to do."""
        deadline = perf_counter() + seconds
        unsettled = any(db.make_room(deadline) for db in self.databases)
        return self.disposal.work(deadline) or unsettled

    def swap(self, one: Database, other: Database) -> None:
        """Exchange what two databases hold; clients, watches and waits stay where they are."""
        if one.ledger is not None:
            one.ledger.account.settle()
        one.data, other.data = other.data, one.data
        one.expires, other.expires = other.expires, one.expires
        one.deadlines, other.deadlines = other.deadlines, one.deadlines
        one.fields, other.fields = other.fields, one.fields
        one.ledger, other.ledger = other.ledger, one.ledger
        if one.ledger is not None:
            one.ledger.account.find_surveyed()
        self.dirty += 1
        for db in (one, other):
            for key in db.watchers.keys() | db.waiters.keys():
                if key in one.data or key in other.data:
                    db.wake(key)


class Database:
    """Keys of one database."""

    __slots__ = ("data", "deadlines", "expires", "fields", "index", "keyspace", "ledger", "waiters", "watchers")

    def __init__(self, keyspace: Keyspace, index: int) -> None:
        self.keyspace = keyspace
        self.index = index
        self.data: dict[bytes, Value] | Shards[Value] = {}
        self.expires: dict[bytes, int] | Shards[int] = {}  # when (ms) a key is over
        self.deadlines = Deadlines()
        self.fields = FieldSchedule()
        self.watchers: dict[bytes, set[Session]] = {}
        self.waiters: dict[bytes, dict[Blocked, None]] = {}
        self.ledger: Ledger | None = None  # only while a limit or a policy of eviction asks for it

    def get(self, key: bytes) -> Value | None:
        """The value; None when there is none, or its time is over."""
        value = self.data.get(key)
        if value is not None and key in self.expires and self.outlived(key):
            return None
        return value

    def is_over(self, key: bytes) -> bool:
        """Whether the key is there, and its time is over."""
        return key in self.expires and self.expires[key] <= self.keyspace.now()

    def outlived(self, key: bytes) -> bool:
        """Whether the time of a key that expires is over; if so, it is removed."""
        if self.expires[key] > self.keyspace.now():
            return False
        self.expire(key)
        return True

    def expire(self, key: bytes) -> None:
        """Remove a key because its time is over."""
        self.unlink(key)
        self.keyspace.expired += 1
        self.touched("expired", key)

    def put(self, key: bytes, value: Value) -> None:
        """Store a value that lives forever."""
        if key in self.expires and not self.outlived(key):
            del self.expires[key]
        self.data[key] = value
        if type(value) is VolatileHash:
            value.scheduled = NEVER
            self.fields.add(key, value, self.data)

    def remove(self, key: bytes) -> bool:
        """Take a key away, without a word to anybody; whether it was there."""
        self.expires.pop(key, None)
        return self.data.pop(key, None) is not None

    def unlink(self, key: bytes) -> bool:
        """Take a key away, and a large value apart, which nobody may need any more; whether it was there."""
        self.expires.pop(key, None)
        value = self.data.pop(key, None)
        if is_large(value):
            self.keyspace.disposal.take(value)
        return value is not None

    def expire_at(self, key: bytes, when: int) -> None:
        """Let an existing key live until ``when`` (ms)."""
        before = self.expires.get(key)
        self.expires[key] = when
        if before is None or when < before:
            self.deadlines.add(self, when, key)

    def sweep(self, deadline: float) -> bool:
        """Remove dead keys until ``deadline`` (of ``perf_counter``); whether some are left."""
        now = self.keyspace.now()
        return self.deadlines.sweep(self, now, deadline) or self._sweep_fields(now, deadline)

    def next_expiry(self) -> int | None:
        """Earliest time (ms) at which a key, or a field of a hash, may be over."""
        key, fields = self.deadlines.earliest(), self.fields.heap
        if key is None or not fields:
            return fields[0][0] if fields else key
        return min(key, fields[0][0])

    def make_room(self, deadline: float) -> bool:
        """Go over to shards where there are many keys; whether some are left to move."""
        if isinstance(self.data, dict) and len(self.data) > LARGE:
            self.data = Shards(self.data)
        if isinstance(self.expires, dict) and len(self.expires) > LARGE:
            self.expires = Shards(self.expires)
        unsettled = isinstance(self.data, Shards) and self.data.settle(deadline)
        return (isinstance(self.expires, Shards) and self.expires.settle(deadline)) or unsettled

    def _sweep_fields(self, now: int, deadline: float) -> bool:
        """Remove dead fields until ``deadline``; whether some are left."""
        heap = self.fields.heap
        while heap and heap[0][0] <= now:
            _, key = heappop(heap)
            value = self.data.get(key)
            if type(value) is VolatileHash:
                value.scheduled = NEVER
                self.expire_fields(key, value, SLICE_CHECK)
                self.fields.add(key, value, self.data)
                heap = self.fields.heap
            if perf_counter() >= deadline:
                return bool(heap) and heap[0][0] <= now
        return False

    def expire_fields(self, key: bytes, value: VolatileHash, most: int = NEVER) -> None:
        """Remove fields of a hash because their time is over, at most so many; a hash with none left is gone."""
        done = value.expire(self.keyspace.now(), most)
        if done:
            self.keyspace.expired_fields += done
            self.touched("hexpired", key)
            if not value:
                self.remove(key)
                self.touched("del", key)

    def clear(self) -> int:
        """Remove every key; how many there were."""
        data, expires, deadlines = self.data, self.expires, self.deadlines
        self.data, self.expires, self.deadlines, self.fields = {}, {}, Deadlines(), FieldSchedule()
        for key in self.watchers.keys() | self.waiters.keys():
            if key in data:
                self.wake(key)
        count = len(data)
        if count and self.ledger is not None:
            self.ledger = self.ledger.replaced()
            self.ledger.account.find_surveyed()
        for container in (data, expires, deadlines):
            self.keyspace.disposal.take(container)
        return count

    def touched(self, event: str, key: bytes) -> None:
        """Tell everybody that a key has changed."""
        keyspace = self.keyspace
        keyspace.dirty += 1
        if keyspace.observers:
            self.wake(key)
            if keyspace.listener is not None:
                keyspace.listener(self, event, key)

    def wake(self, key: bytes) -> None:
        """Spoil the transactions that watch a key, and note it for the clients that wait for it and for the ledger."""
        if self.ledger is not None:
            self.ledger.account.changed[self, key] = self.keyspace.now()
        for session in self.watchers.get(key, ()):
            if session.watched[self, key] and key not in self.data:
                session.watched[self, key] = False  # was over when it was watched, and now it is gone: no change
            else:
                session.spoiled = True
        self.signal(key)

    def signal(self, key: bytes) -> None:
        """Note a key for the clients that wait for it."""
        if key in self.waiters:
            self.keyspace.ready[self, key] = None
