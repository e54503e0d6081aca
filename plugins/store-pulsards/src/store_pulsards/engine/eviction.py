"""Eviction: which key goes when there is no room, by the policies of Valkey.

LRU and LFU are approximated as there: a few keys are drawn by chance (``maxmemory-samples``), the best 16 that were
ever drawn wait in a pool, and the best of these goes. Nothing is searched from end to end. ``volatile-ttl`` takes
what is over first, exactly, since the keyspace knows the order anyway.
"""

from __future__ import annotations

from bisect import insort_left
from random import randrange
from typing import TYPE_CHECKING, Final, TypeAlias

from store_pulsards.engine.access import Access

if TYPE_CHECKING:
    from store_pulsards.engine.keyspace import Database, Keyspace

POOL: Final = 16

# How much a key is worth evicting, and which one it is: index of the database, key.
Candidate: TypeAlias = tuple[int, int, bytes]


class Eviction:
    """Finds keys to evict, of all databases of one keyspace that have a ledger."""

    __slots__ = ("_access", "_keyspace", "_pool", "_turn", "any_key", "policy", "samples", "volatile")

    def __init__(self, keyspace: Keyspace, access: Access) -> None:
        self.policy = b"noeviction"
        self.volatile = False  # only keys that expire may go
        self.any_key = False
        self.samples = 5
        self._keyspace = keyspace
        self._access = access
        self._pool: list[Candidate] = []  # the best one is the last
        self._turn = 0  # the database that is drawn from first

    def begin(self, policy: bytes) -> None:
        """Follow a policy from now on."""
        self.policy = policy
        self.volatile = policy.startswith(b"volatile")
        self.any_key = policy.startswith(b"allkeys")
        self._pool.clear()

    def victim(self) -> tuple[Database, bytes] | None:
        """The key that goes next; None when there is none that may."""
        kind = self.policy.partition(b"-")[2]
        if kind == b"ttl":
            return self._soonest()
        if kind == b"random":
            return self._random()
        return self._least_needed() if kind else None

    def _soonest(self) -> tuple[Database, bytes] | None:
        found: tuple[Database, bytes] | None = None
        for db in self._keyspace.databases:
            key = db.deadlines.soonest(db)
            if key is not None and (found is None or db.expires[key] < found[0].expires[found[1]]):
                found = db, key
        return found

    def _random(self) -> tuple[Database, bytes] | None:
        """The databases take turns."""
        databases = self._keyspace.databases
        for _ in databases:
            db = databases[self._turn % len(databases)]
            self._turn += 1
            drawn = self._draw(db, 1)
            if drawn:
                return db, drawn[0]
        return None

    def _least_needed(self) -> tuple[Database, bytes] | None:
        """Draw, and take the best of the pool that is still there and was not used meanwhile."""
        now = self._keyspace.now()
        pool = self._pool
        drawn = True
        while drawn:
            drawn = self._fill_pool(now)
            while pool:
                worth, index, key = pool.pop()
                db = self._keyspace.databases[index]
                if (key in db.expires if self.volatile else key in db.data) and self._worth(db, key, now) >= worth:
                    return db, key
        return None

    def _fill_pool(self, now: int) -> bool:
        """Draw from each database; whether there was anything to draw from."""
        pool = self._pool
        databases = self._keyspace.databases
        found = False
        self._turn += 1
        for offset in range(len(databases)):
            db = databases[(self._turn + offset) % len(databases)]
            if not (db.expires if self.volatile else db.data):
                continue
            for key in self._draw(db, self.samples):
                found = True
                candidate = (self._worth(db, key, now), db.index, key)
                if (len(pool) < POOL or candidate[0] > pool[0][0]) and candidate not in pool:
                    insort_left(pool, candidate, key=_worth_of)  # of equals, the one that was drawn first goes first
                    if len(pool) > POOL:
                        del pool[0]
        return found

    def _worth(self, db: Database, key: bytes, now: int) -> int:
        record = None if db.ledger is None else db.ledger.record(key)
        return 0 if record is None else self._access.worth_evicting(record, now)

    def _draw(self, db: Database, count: int) -> list[bytes]:
        if self.volatile:
            return db.deadlines.some(db, count)
        keys = [] if db.ledger is None else db.ledger.keys
        return [keys[randrange(len(keys))] for _ in range(count)] if keys else []


def _worth_of(candidate: Candidate) -> int:
    return candidate[0]
