"""Context: what a handler can do.

One is made for each session, never for a command. It is the only way by which a handler reaches the keyspace; what
it changes, it tells with ``notify``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, cast

from store_pulsards.engine import args, errors
from store_pulsards.engine.blocking import Blocked, wait
from store_pulsards.engine.errors import wrong_type
from store_pulsards.engine.keyspace import Database, Value
from store_pulsards.engine.replies import BLOCKED, NULL_ARRAY, Reply
from store_pulsards.engine.volatile_hash import VolatileHash
from store_pulsards.session import Session

if TYPE_CHECKING:
    from store_pulsards.engine.engine import Engine

V = TypeVar("V")


class Context:
    """The engine, as seen by one client's commands."""

    __slots__ = ("db", "engine", "in_exec", "keyspace", "session")

    def __init__(self, engine: Engine, session: Session) -> None:
        self.engine = engine
        self.keyspace = engine.keyspace
        self.session = session
        self.db: Database = engine.keyspace.databases[0]
        self.in_exec = False  # a transaction of this client is running: nothing may block

    @property
    def now(self) -> int:
        """Milliseconds since the epoch, the same for the whole of a command."""
        return self.keyspace.now()

    def lookup(self, key: bytes, kind: type[V]) -> V | None:
        """The value of a key; None when there is none.

        Raises:
            ErrorReply: It is of another type.
        """
        db = self.db
        value = db.data.get(key)
        if value is None or (key in db.expires and db.outlived(key)):
            return None
        if type(value) is not kind:
            return self._lookup_volatile(key, value, kind)
        return value

    def _lookup_volatile(self, key: bytes, value: Value, kind: type[V]) -> V | None:
        """A hash some of whose fields expire, without those whose time is over."""
        if type(value) is not VolatileHash or kind is not dict:
            raise wrong_type()
        if value.due() <= self.now:
            self.db.expire_fields(key, value)
        return cast(V, value) if value else None

    def lookup_any(self, key: bytes) -> Value | None:
        """The value of a key, whatever its type."""
        return self.db.get(key)

    def set(self, key: bytes, value: Value) -> None:
        """Store a new value; an expiry that the key had is gone. A value whose time is over goes first, and says so."""
        db = self.db
        if key in db.expires and not db.outlived(key):
            del db.expires[key]
        db.data[key] = value

    def update(self, key: bytes, value: Value) -> None:
        """Store what became of a value; the key lives as long as before."""
        self.db.data[key] = value

    def delete(self, key: bytes) -> bool:
        """Remove a key, one whose time is over as well; whether it was there."""
        return self.db.remove(key)

    def unlink(self, key: bytes) -> bool:
        """Remove a key that is not over; whether it was there. A large value is freed in slices."""
        db = self.db
        if key in db.expires and db.outlived(key):
            return False
        return db.unlink(key)

    def expire_at(self, key: bytes, when: int) -> None:
        """Let an existing key live until ``when`` (ms), and tell it; a key whose time is over by then is gone."""
        if when <= self.now:
            self.db.expire(key)
        else:
            self.db.expire_at(key, when)
            self.notify("expire", key)

    def persist(self, key: bytes) -> bool:
        """Let an existing key live forever; whether it was to expire."""
        return self.db.expires.pop(key, None) is not None

    def database(self, index: bytes) -> Database:
        """The database of that number, as a client writes it."""
        number = args.integer(index)
        if not -(2**31) <= number < 2**31:
            raise errors.not_32_bits()
        if not 0 <= number < len(self.keyspace.databases):
            raise errors.database_out_of_range()
        return self.keyspace.databases[number]

    def notify(self, event: str, key: bytes) -> None:
        """Tell that a key has changed, once for each event (those of keyspace notifications: ``lpush``, ``del``)."""
        keyspace = self.keyspace
        if keyspace.observers:
            self.db.touched(event, key)
        else:
            keyspace.dirty += 1

    def touch(self, key: bytes) -> None:
        """Count a change that is told to nobody but those who watch the key or wait for it."""
        self.keyspace.dirty += 1
        if self.keyspace.observers:
            self.db.wake(key)

    def announce(self, event: str, key: bytes) -> None:
        """Tell of what is not a change of the value (that of a consumer group): it spoils no transaction."""
        keyspace = self.keyspace
        keyspace.dirty += 1
        if keyspace.listener is not None:
            keyspace.listener(self.db, event, key)

    def watch(self, key: bytes) -> None:
        """Spoil the next transaction of this client when the key is touched."""
        db = self.db
        watched = self.session.watched
        if (db, key) not in watched:
            watched[db, key] = db.is_over(key)
            db.watchers.setdefault(key, set()).add(self.session)
            self.keyspace.observers += 1

    def unwatch(self) -> None:
        """Forget what this client watches."""
        session = self.session
        for db, key in session.watched:
            watchers = db.watchers[key]
            watchers.discard(session)
            if not watchers:
                del db.watchers[key]
        self.keyspace.observers -= len(session.watched)
        session.watched.clear()
        session.spoiled = False

    def discard(self) -> None:
        """Forget the transaction that was being collected, and what it watched."""
        self.session.queued = None
        self.session.regate()
        self.unwatch()

    @property
    def may_block(self) -> bool:
        """Whether a command that finds nothing may wait."""
        return not self.in_exec

    def block(
        self,
        keys: Sequence[bytes],
        timeout: float,
        retry: Callable[[], Reply | None],
        overdue: Reply = NULL_ARRAY,
        *,
        kind: type[Any] | None = None,
        needs_key: bool = True,
    ) -> Reply:
        """Wait for keys; to be returned by the handler.

        Args:
            keys: ``retry`` is called whenever one of them was touched.
            timeout: Seconds; 0 waits forever.
            retry: Gives the reply, or None when there is still nothing. An ``ErrorReply`` that it raises is the reply.
            overdue: The reply when the time is over; in a transaction, at once.
            kind: Only a key of that type is worth a ``retry``.
            needs_key: Without it, so is a key that is gone, or became something else.
        """
        if not self.may_block:
            return overdue
        deadline = self.now / 1000 + timeout if timeout else None
        wait(Blocked(self.session, self.db, keys, deadline, retry, lambda: overdue, kind=kind, needs_key=needs_key))
        return BLOCKED
