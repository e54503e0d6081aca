"""Ledger: the size of each key of a database, and when or how often it was used.

It is there only while a limit or a policy asks for it, and takes about 100 bytes a key, which it counts too. Keys
that have changed are noted, and measured once the size of everything is asked for: however often a transaction
changes a list, it is measured once. What is measured replaces what was known of the key, so that no mistake lasts
longer than to the key's next change.

Where there were keys before the ledger, a survey goes over them in slices. Until it is through, the keys not yet
seen are taken to be as large as the others on average.
"""

from __future__ import annotations

from array import array
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from store_pulsards.engine import sizes
from store_pulsards.engine.access import Access
from store_pulsards.engine.shards import LARGE, Shards

if TYPE_CHECKING:
    from store_pulsards.engine.keyspace import Database, Keyspace

OWN: Final = sizes.TABLE + sizes.NUMBER + 2 * sizes.SLOT + 5  # the ledger itself, for one key
MANY: Final = 256  # elements; what one of them takes is not told anew at each change
ROOMY: Final = 65_536  # bytes of a collection's tables, where there are few elements in them
SLICE_CHECK: Final = 64  # keys surveyed between two looks at the clock


class Account:
    """What the ledgers of all databases come to."""

    __slots__ = ("access", "bytes", "changed", "keys", "keyspace", "mean", "peak", "surveyed")

    def __init__(self, keyspace: Keyspace, access: Access) -> None:
        self.keyspace = keyspace
        self.access = access
        self.bytes = 0  # of the keys that have been measured
        self.keys = 0  # how many these are
        self.peak = 0
        self.mean = 0  # bytes a key, for those that have not been measured
        self.surveyed: list[Database] = []  # those that have keys which were not yet measured
        self.changed: dict[tuple[Database, bytes], int] = {}  # and when (ms)

    def settle(self) -> None:
        """Measure what has changed."""
        changed, self.changed = self.changed, {}
        for (db, key), when in changed.items():
            ledger = db.ledger
            if ledger is not None:
                ledger.measure(db, key, when)
        self.peak = max(self.peak, self.bytes)

    def used(self) -> int:
        """The memory of every key; what has changed is measured first."""
        if self.changed:
            self.settle()
        if not self.surveyed:
            return self.bytes
        if self.keys:
            self.mean = self.bytes // self.keys
        return self.bytes + self._unseen() * self.mean

    def _unseen(self) -> int:
        """How many keys have not been measured."""
        return sum(max(0, len(db.data) - len(db.ledger.keys)) for db in self.surveyed if db.ledger is not None)

    def find_surveyed(self) -> None:
        """Ledgers have come, gone or changed places."""
        databases = self.keyspace.databases
        self.surveyed = [db for db in databases if db.ledger is not None and db.ledger.surveying]

    def survey(self, deadline: float, most: int = 2**62) -> bool:
        """Measure keys that were there before, until ``deadline`` (of ``perf_counter``); whether some are left."""
        while self.surveyed and most > 0:
            db = self.surveyed[-1]
            if db.ledger is not None:
                most = db.ledger.survey(db, deadline, most)
            if db.ledger is None or not db.ledger.surveying:
                self.find_surveyed()
        return bool(self.surveyed)


class Mean:
    """What an element of a large collection takes; told anew after a 16th of it has changed.

    The tables of a collection that was larger once are walked for longer, and have to last for longer.
    """

    __slots__ = ("bytes", "changes")

    def __init__(self, value: Any, fixed: int) -> None:
        self.bytes = sizes.mean(value)
        self.changes = max(len(value), fixed // 256) // 16


class Ledger:
    """The keys of one database: ``keys`` in no order, ``index`` where each one stands in ``keys``, ``sizes`` and
    ``access``.
    """

    __slots__ = ("_batch", "_parts", "access", "account", "bytes", "index", "keys", "means", "sizes")

    def __init__(self, account: Account) -> None:
        self.account = account
        self.keys: list[bytes] = []
        self.index: dict[bytes, int] | Shards[int] = {}
        self.sizes: array[int] = array("Q")
        self.access: array[int] = array("I")
        self.means: dict[bytes, Mean] = {}
        self.bytes = 0
        self._parts: list[dict[bytes, Any]] = []  # of the database; their keys are not yet in _batch
        self._batch: list[bytes] = []  # keys to go over

    def begin_survey(self, data: dict[bytes, Any] | Shards[Any]) -> None:
        """There were keys before the ledger."""
        if isinstance(data, dict):
            self._batch = list(data)
        else:  # the last one first: what is not yet moved goes to the others meanwhile
            self._parts = [*data.parts, data.rest]

    def close(self) -> None:
        """Nothing of this counts any more; what is large is freed in slices."""
        account = self.account
        account.bytes -= self.bytes
        account.keys -= len(self.keys)
        account.keyspace.disposal.take(self)

    def replaced(self) -> Ledger:
        """Another one, for a database that was emptied."""
        self.close()
        return Ledger(self.account)

    @property
    def surveying(self) -> bool:
        """Whether there are keys that were there before the ledger, and have not been measured."""
        return bool(self._batch or self._parts)

    def contents(self) -> list[object]:
        """The containers that this one consists of."""
        return [self.keys, self.index, self.means, self._batch]

    def measure(self, db: Database, key: bytes, now: int) -> None:
        """A key has changed, or has come, or gone."""
        value = db.data.get(key)
        at = self.index.get(key)
        if value is None:
            if at is not None:
                self._remove(key, at)
            return
        size = OWN + sizes.of_key(key, volatile=key in db.expires) + self._of_value(key, value)
        if at is None:
            self._add(key, size, now)
        else:
            self._grow(size - self.sizes[at])
            self.sizes[at] = size

    def use(self, key: bytes, now: int) -> None:
        """A key is used, if it is one."""
        at = self.index.get(key)
        if at is not None:
            self.access[at] = self.account.access.again(self.access[at], now)

    def record(self, key: bytes) -> int | None:
        """When or how often a key was used; None where that is not known."""
        at = self.index.get(key)
        return None if at is None else self.access[at]

    def set_record(self, key: bytes, record: int) -> None:
        """Say when or how often a key was used."""
        at = self.index.get(key)
        if at is not None:
            self.access[at] = record

    def forget_uses(self, now: int) -> None:
        """Uses are recorded in another way from now on."""
        self.access = array("I", (self.account.access.first(now),)) * len(self.keys)

    def make_room(self, deadline: float) -> bool:
        """Go over to shards where there are many keys; whether some are left to move."""
        if isinstance(self.index, dict) and len(self.index) > LARGE:
            self.index = Shards(self.index)
        return isinstance(self.index, Shards) and self.index.settle(deadline)

    def survey(self, db: Database, deadline: float, most: int) -> int:
        """Measure at most so many keys that were there before; how many more may be measured."""
        now = self.account.keyspace.now()
        while self.surveying:
            if not self._batch:
                self._batch = list(self._parts.pop())
            while self._batch:
                key = self._batch.pop()
                if self.index.get(key) is None:
                    self.measure(db, key, now)
                most -= 1
                if most <= 0 or (most % SLICE_CHECK == 0 and perf_counter() >= deadline):
                    return 0
        return most

    def _of_value(self, key: bytes, value: Any) -> int:
        if type(value) is bytes:
            return sizes.of_text(value)
        fixed = sizes.fixed(value)
        if len(value) <= MANY and fixed <= ROOMY:
            if key in self.means:
                del self.means[key]
            return fixed + int(sizes.mean(value) * sizes.count(value))
        mean = self.means.get(key)
        if mean is None or mean.changes <= 0:
            mean = self.means[key] = Mean(value, fixed)
        else:
            mean.changes -= 1
        return fixed + int(mean.bytes * sizes.count(value))

    def _add(self, key: bytes, size: int, now: int) -> None:
        self.index[key] = len(self.keys)
        self.keys.append(key)
        self.sizes.append(size)
        self.access.append(self.account.access.first(now))
        self.account.keys += 1
        self._grow(size)

    def _remove(self, key: bytes, at: int) -> None:
        """The last key takes the place of the one that goes."""
        self._grow(-self.sizes[at])
        self.account.keys -= 1
        del self.index[key]
        self.means.pop(key, None)
        last, size, access = self.keys.pop(), self.sizes.pop(), self.access.pop()
        if last != key:
            self.keys[at], self.sizes[at], self.access[at] = last, size, access
            self.index[last] = at

    def _grow(self, size: int) -> None:
        self.bytes += size
        self.account.bytes += size
