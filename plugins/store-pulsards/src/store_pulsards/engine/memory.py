"""Memory: the limit (``maxmemory``), and what is done to stay within it.

Without a limit and without an LRU or LFU policy there is nothing here that a command could notice. Otherwise each
database has a ledger, and every session a bit in its gate (``LIMITED``), by which commands come this way:

- **admit**, before a command: keys are evicted until the data is within the limit, for half a millisecond (as
  ``maxmemory-eviction-tenacity`` has it), and goes on between commands. While it goes on, a command that takes memory
  runs as long as eviction keeps pace: when the data is larger than it was when eviction began, the command waits ten
  times as long for room, and is refused when there still is none. Where nothing may be evicted, it is refused at once.
- **note**, when it runs: its keys are used; those of a writing command may have changed.

Expired keys, commands that run later, and whatever else changes a key come here through ``Database.wake``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from time import perf_counter
from typing import TYPE_CHECKING, Final

from store_pulsards.engine import errors, sizes
from store_pulsards.engine.access import Access
from store_pulsards.engine.config import Config
from store_pulsards.engine.eviction import Eviction
from store_pulsards.engine.ledger import OWN, Account, Ledger
from store_pulsards.engine.table import DENYOOM, FIRST, WRITE, CommandSpec, find_keys

if TYPE_CHECKING:
    from store_pulsards.engine.keyspace import Database, Keyspace
    from store_pulsards.session import Session

PATIENT: Final = 10  # times as long is evicted for a command that takes memory, before it is refused
BETWEEN_LOOKS: Final = 16  # keys evicted between two looks at the clock
AT_ONCE: Final = 1_000  # keys surveyed when a limit is set; the others by and by
BY_THE_WAY: Final = 16  # keys surveyed with each command
SAMPLED: Final = 256  # keys looked at where there is no ledger

# What is to be done with a command, in bits.
USES: Final = 1  # its keys count as used
CHANGES: Final = 2
ONE_KEY: Final = 4  # and it is the first argument
TAKES: Final = 8  # memory

NOT_A_USE: Final = frozenset(
    {"exists", "type", "ttl", "pttl", "expiretime", "pexpiretime", "memory|usage", "watch"}
    | {f"object|{name}" for name in ("encoding", "refcount", "idletime", "freq")}
)


class Memory:
    """The memory of one engine's data."""

    __slots__ = (
        "_account",
        "_base",
        "_ceiling",
        "_config",
        "_eviction",
        "_keyspace",
        "_over_since",
        "_over_total",
        "_plans",
        "access",
        "evicted",
        "on",
        "peak",
    )

    def __init__(self, keyspace: Keyspace, config: Config) -> None:
        self.on = False
        self.access = Access(config)
        self.evicted = 0
        self.peak = 0
        self._keyspace = keyspace
        self._config = config
        self._base = sizes.DATABASE * len(keyspace.databases)
        self._account = Account(keyspace, self.access)
        self._eviction = Eviction(keyspace, self.access)
        self._ceiling = 0  # of the memory while eviction is under way; 0 when it is not
        self._over_since = 0  # ms
        self._over_total = 0
        self._plans: dict[str, int] = {}

    # The configuration

    def refresh(self) -> bool:
        """The limit or the policy has changed; whether commands have to come here now, or need not any more."""
        policy = self._config.policy
        was_on = self.on
        self.on = self._config.limit > 0 or policy.endswith((b"lru", b"lfu"))
        lfu = policy.endswith(b"lfu")
        if self.access.lfu is not lfu:
            self.access.lfu = lfu
            for ledger in self._ledgers():
                ledger.forget_uses(self._keyspace.now())
        if self._eviction.policy != policy:
            self._eviction.begin(policy)
        if self._ceiling:
            self._end_excess()
        if self.on and not was_on:
            self._open()
        elif was_on and not self.on:
            self._close()
        return self.on is not was_on

    def _open(self) -> None:
        self._keyspace.observers += 1
        for db in self._keyspace.databases:
            db.ledger = Ledger(self._account)
            if db.data:
                db.ledger.begin_survey(db.data)
        self._account.find_surveyed()
        self._account.survey(perf_counter() + 1, AT_ONCE)

    def _close(self) -> None:
        self._keyspace.observers -= 1
        for db in self._keyspace.databases:
            if db.ledger is not None:
                db.ledger.close()
                db.ledger = None
        self._account.changed.clear()
        self._account.surveyed.clear()

    def _ledgers(self) -> list[Ledger]:
        return [db.ledger for db in self._keyspace.databases if db.ledger is not None]

    # Commands

    def admit(self, takes_memory: bool) -> None:
        """A command is about to run.

        Raises:
            ErrorReply: It takes memory, and there is none.
        """
        account = self._account
        if account.changed:
            account.settle()
        if account.surveyed:
            account.survey(perf_counter() + 1, BY_THE_WAY)
        limit = self._config.limit
        if limit and (account.surveyed or self._ceiling or account.bytes + self._base > limit):
            used = self.used()
            if used > limit:
                self._make_room(used, takes_memory)
            elif self._ceiling:
                self._end_excess()

    def admit_and_note(self, session: Session, spec: CommandSpec, args: Sequence[bytes]) -> None:
        """Both at once, for a command that runs at once; on the way of every command while there is a limit."""
        plan = self._plans.get(spec.name)
        if plan is None:
            plan = self._plan(spec)
        self.admit(plan & TAKES > 0)
        if plan & (USES | CHANGES):
            self._note(session, spec, args, plan)

    def _make_room(self, used: int, takes_memory: bool) -> None:
        if not self._ceiling:
            self._ceiling = used
            self._over_since = self._keyspace.now()
        seconds = self._tenacity()
        enough = self._evict(seconds)
        if takes_memory and not (enough and self._keeps_pace(seconds)):
            raise errors.out_of_memory()

    def takes_memory(self, session: Session, spec: CommandSpec) -> bool:
        """Whether a command may need memory, or one of the transaction that it is to execute."""
        if spec.name == "exec" and session.queued is not None:
            return any(self._plan(queued) & TAKES for queued, _ in session.queued.commands)
        return self._plan(spec) & TAKES > 0

    def note(self, session: Session, spec: CommandSpec, args: Sequence[bytes]) -> None:
        """A command runs now: remember which keys it uses, and which it may change."""
        plan = self._plan(spec)
        if plan & (USES | CHANGES):
            self._note(session, spec, args, plan)

    def _note(self, session: Session, spec: CommandSpec, args: Sequence[bytes], plan: int) -> None:
        db = session.context.db
        ledger = db.ledger
        keys = (args[1],) if plan & ONE_KEY else [args[at] for at in find_keys(spec, args)]
        now = self._keyspace.now()
        if plan & USES and ledger is not None and not (session.no_touch and spec.name != "touch"):
            for key in keys:
                ledger.use(key, now)
        if plan & CHANGES:
            changed = self._account.changed
            for key in keys:
                changed[db, key] = now

    def _plan(self, spec: CommandSpec) -> int:
        plan = self._plans.get(spec.name)
        if plan is None:
            plan = TAKES if DENYOOM in spec.flags else 0
            if spec.keys and not spec.keys[0].not_key:
                plan |= 0 if spec.name in NOT_A_USE else USES
                plan |= CHANGES if WRITE in spec.flags else 0
                plan |= ONE_KEY if len(spec.keys) == 1 and replace(spec.keys[0], note="") == FIRST else 0
            self._plans[spec.name] = plan
        return plan

    # Eviction

    def tend(self, seconds: float) -> bool:
        """Go on with what was begun, for at most so long; whether something is left to do."""
        self._keyspace.frozen = 0
        deadline = perf_counter() + seconds
        self._account.settle()
        more = self._account.survey(deadline)
        for ledger in self._ledgers():
            more = ledger.make_room(deadline) or more
        limit = self._config.limit
        if limit and self.used() > limit:
            more = (self._evict(deadline - perf_counter()) and self.used() > limit) or more
        return more

    def _evict(self, seconds: float) -> bool:
        """Evict until the data is within the limit, or the time is over; False when there is nothing to evict."""
        limit = self._config.limit
        self._eviction.samples = self._config.number(b"maxmemory-samples")
        deadline = perf_counter() + seconds
        done = 0
        while self.used() > limit:
            victim = self._eviction.victim()
            if victim is not None:
                self._remove(*victim)
            elif not self._account.surveyed or not self._eviction.any_key:
                return False
            else:  # those that were measured have gone already
                self._account.survey(deadline, BY_THE_WAY)
            done += 1
            if done % BETWEEN_LOOKS == 0 and perf_counter() >= deadline:
                return True
        if self._ceiling:
            self._end_excess()
        return True

    def _remove(self, db: Database, key: bytes) -> None:
        db.unlink(key)
        self.evicted += 1
        db.touched("evicted", key)

    def _keeps_pace(self, seconds: float) -> bool:
        """Evict for longer, as a command wants memory; whether there is no more data than when eviction began."""
        for _ in range(PATIENT):
            if not self._ceiling or self.used() <= self._ceiling:
                return True
            if not self._evict(seconds):
                return False
        return not self._ceiling or self.used() <= self._ceiling

    def _tenacity(self) -> float:
        """Seconds that a command may spend on eviction, by Valkey's formula."""
        tenacity = self._config.number(b"maxmemory-eviction-tenacity")
        if tenacity <= 10:
            return tenacity * 50e-6
        return 500e-6 * 1.15 ** (tenacity - 10) if tenacity < 100 else 1e9

    def _end_excess(self) -> None:
        self._over_total += self.over_now
        self._ceiling = 0

    # What keys are like

    def idle_seconds(self, db: Database, key: bytes) -> int:
        """How long ago a key was used; 0 where that is not recorded."""
        record = None if self.access.lfu else self._record(db, key)
        return 0 if record is None else self.access.idle_time(record, self._keyspace.now()) // 10

    def frequency(self, db: Database, key: bytes) -> int:
        """How often a key was used, as a logarithmic counter."""
        record = self._record(db, key)
        return 0 if record is None else self.access.frequency(record, self._keyspace.now())

    def set_idle_seconds(self, db: Database, key: bytes, seconds: int) -> None:
        """A key was last used so long ago."""
        self._set_record(db, key, self.access.with_idle_time(seconds, self._keyspace.now()))

    def set_frequency(self, db: Database, key: bytes, counter: int) -> None:
        """A key was used so often."""
        self._set_record(db, key, self.access.with_frequency(counter, self._keyspace.now()))

    def _record(self, db: Database, key: bytes) -> int | None:
        self._account.settle()
        return None if db.ledger is None else db.ledger.record(key)

    def _set_record(self, db: Database, key: bytes, record: int) -> None:
        if db.ledger is not None:
            db.ledger.measure(db, key, self._keyspace.now())
            db.ledger.set_record(key, record)

    # The figures

    def used(self) -> int:
        """Bytes that the data takes: measured where there is a ledger, told from a few keys where there is none."""
        data = self._account.used() if self.on else sum(map(_estimated, self._keyspace.databases))
        used = data + self._base
        self.peak = max(self.peak, self._account.peak + self._base, used)
        return used

    def overhead(self) -> int:
        """Bytes of that which are neither keys nor values."""
        databases = self._keyspace.databases
        return self._base + sum(sum(tables(db)) for db in databases if db.data)

    @property
    def over_now(self) -> int:
        """Milliseconds for which the data has been over the limit."""
        return self._keyspace.now() - self._over_since if self._ceiling else 0

    @property
    def over_total(self) -> int:
        """Milliseconds for which it ever was."""
        return self._over_total + self.over_now

    def reset_statistics(self) -> None:
        self.evicted = self._over_total = self.peak = self._account.peak = 0


def tables(db: Database) -> tuple[int, int]:
    """Bytes of what a database has beside keys and values: for all of its keys, and for those that expire."""
    own = OWN if db.ledger is not None else 0
    return len(db.data) * (sizes.TABLE + own), len(db.expires) * sizes.EXPIRY


def _estimated(db: Database) -> int:
    """The memory of a database, told from some of its keys."""
    data = db.data
    parts = [data] if isinstance(data, dict) else [*data.parts, data.rest]
    found = [item for part in parts for item in islice(part.items(), SAMPLED // len(parts) + 1)]
    if not found:
        return 0
    total = sum(sizes.of_name(key, volatile=key in db.expires) + sizes.of_value(value) for key, value in found)
    return sum(tables(db)) + total * len(data) // len(found)
