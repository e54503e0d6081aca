"""Engine: executes commands, one at a time.

``execute`` is synchronous and knows neither sockets nor asyncio. Its fast way is for a client whose commands may
run at once, and a command whose arity fits: one look-up, one comparison, one call (GET and SET: more than two
million a second on one core). Everything else (no password yet, MULTI, a subscriber, a subcommand, an
error) goes through ``_admit``, in the order of Valkey's ``processCommand``.

Replies that come later (a served blocked client, a message) go through the callables of the session.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from os import urandom
from typing import Final, TypeAlias

import store_pulsards.engine.commands  # noqa: F401  (fills the table)
from store_pulsards.engine import blocking, errors, table
from store_pulsards.engine.acl_log import AclLog
from store_pulsards.engine.blocking import Blocked
from store_pulsards.engine.config import EVENT_CLASS, Config
from store_pulsards.engine.context import Context
from store_pulsards.engine.keyspace import Database, Keyspace
from store_pulsards.engine.memory import Memory
from store_pulsards.engine.observation import SLOW_BY_DEFAULT, Observation
from store_pulsards.engine.pubsub import PubSub
from store_pulsards.engine.replies import BLOCKED, NO_REPLY, QUEUED, ErrorReply, Reply
from store_pulsards.engine.scan import Scans
from store_pulsards.engine.table import COMMANDS, NO_AUTH, NO_MULTI, CommandSpec
from store_pulsards.engine.tracking import Tracked, Tracking
from store_pulsards.engine.traffic import Traffic
from store_pulsards.session import LIMITED, MUTED, OBSERVED, PAUSED, SUBSCRIBER, TRACKED, UNAUTHENTICATED, Session, drop

MOST_CODES: Final = 128  # a client may make codes up (DEBUG ERROR)
RUNS_IN_MULTI: Final = frozenset({"exec", "discard", "reset", "quit"})
RUNS_WHILE_SUBSCRIBED: Final = frozenset(
    {"subscribe", "unsubscribe", "psubscribe", "punsubscribe", "ssubscribe", "sunsubscribe", "ping", "quit", "reset"}
)


SLOWER_THAN: Final = b"commandlog-execution-slower-than"
THRESHOLDS: Final = {
    b"slow-execution": SLOWER_THAN,
    b"large-request": b"commandlog-request-larger-than",
    b"large-reply": b"commandlog-reply-larger-than",
}


# Host, port, seconds, requests: what each was answered (None: no error), and what went wrong at last, if anything.
Exchange: TypeAlias = Callable[[str, int, float, Sequence[Sequence[bytes]]], tuple[list[str | None], str]]


class Engine:
    """A Redis-compatible data store in this process."""

    def __init__(
        self,
        *,
        databases: int = 16,
        clock: Callable[[], float] = time.time,
        password: str | None = None,
    ) -> None:
        """Make an empty store.

        Args:
            databases: How many there are, from 0 on.
            clock: Seconds since the epoch.
            password: What AUTH has to give; None, and nobody needs to.
        """
        self.config = Config(databases=databases, password=password or "")
        self.keyspace = Keyspace(databases, clock)
        self.pubsub = PubSub()
        self.scans = Scans()
        self.pause = blocking.Pause()
        self.sessions: dict[int, Session] = {}
        self.config.watch_events = self._listen
        self.observation = Observation(self)
        self.config.watch_observation = self.observe
        self.memory = Memory(self.keyspace, self.config)
        self.config.watch_memory = self._limit_memory
        self.started = clock()
        self.executed = 0
        self.failed = 0
        self.active_expiry = True  # DEBUG SET-ACTIVE-EXPIRE
        self.shut_down: Callable[[], None] | None = None  # set by a server process that SHUTDOWN may end
        self.exchange: Exchange | None = None  # set by the shell: how MIGRATE reaches another server
        self.run_id = urandom(20).hex()
        self.acl_log = AclLog()
        self.errors: dict[str, int] = {}  # how often each code was answered
        self.replication_id = ""
        self.change_replication_id()
        self.tracking = Tracking(self.sessions)
        self.traffic = Traffic()
        self._last_session = 0

    def session(
        self,
        push: Callable[[Reply], None] | None = None,
        *,
        address: str = "",
        local_address: str = "",
        trusted: bool = False,
    ) -> Session:
        """A new client; ``push`` gets the messages of its subscriptions. One that is trusted needs no password."""
        self._last_session += 1
        session = Session(
            self._last_session,
            authenticated=not self.config.password,
            trusted=trusted,
            created=self.keyspace.clock(),
            push=push or drop,
            address=address,
            local_address=local_address,
        )
        session.context = Context(self, session)
        session.paused = self.pause.until > self.keyspace.clock()
        session.observed = self.observation.needed
        session.limited = self.memory.on
        session.regate()
        self.sessions[session.id] = session
        return session

    @property
    def sessions_made(self) -> int:
        """How many clients there have been."""
        return self._last_session

    def close_session(self, session: Session) -> None:
        """The client has gone: it watches, hears and waits for nothing any more."""
        self.sessions.pop(session.id, None)
        session.context.unwatch()
        self.pubsub.leave(session)
        self.end_monitor(session)
        self.end_tracking(session)
        if session.blocked is not None:
            blocking.leave(session.blocked)

    def kill(self, session: Session) -> None:
        """Close a client that did not ask for it."""
        session.closing = True
        self.close_session(session)
        session.hang_up()

    def end_monitor(self, session: Session) -> None:
        """The client sees no commands of others any more."""
        if session in self.observation.monitors:
            session.monitoring = False
            del self.observation.monitors[session]
            self.observe()

    def observe(self) -> None:
        """Begin or end looking at every command, as MONITOR and the configuration want it."""
        observation, config = self.observation, self.config
        for log, kind in (
            (observation.slow, b"slow-execution"),
            (observation.large_requests, b"large-request"),
            (observation.large_replies, b"large-reply"),
        ):
            log.threshold = config.number(THRESHOLDS[kind])
            log.limit = config.number(b"commandlog-%b-max-len" % kind)
            log.trim()
        observation.refresh()
        self.tracking.limit = config.number(b"tracking-table-max-keys")
        self.tracking.shorten()
        needed = observation.needed
        for session in self.sessions.values():
            session.observed = needed
            session.regate()

    def _limit_memory(self) -> None:
        """The limit of memory or the policy has changed: commands have to ask for memory, or need not any more."""
        if self.memory.refresh():
            for session in self.sessions.values():
                session.limited = self.memory.on
                session.regate()

    def change_replication_id(self) -> None:
        """Begin another history, as far as replicas would be concerned."""
        self.replication_id = urandom(20).hex()

    def observe_chunks(self) -> None:
        """A server is there that times the chunks it reads: log slow commands, unless that was set already."""
        if self.config.number(SLOWER_THAN) < 0 and not self.observation.per_chunk:
            self.observation.per_chunk = True
            self.config.set([(SLOWER_THAN, b"%d" % SLOW_BY_DEFAULT)])

    def run(self, session: Session, spec: CommandSpec, args: Sequence[bytes]) -> Reply:
        """Run a command that has been admitted, before the eyes of whoever looks."""
        session.command = spec
        if session.gate & LIMITED:
            self.memory.note(session, spec, args)
        if session.gate & TRACKED:
            return self._run_tracked(session, spec, args)
        if session.gate & OBSERVED:
            return self.observation.run(session, spec, args)
        return spec.handler(session.context, *args[spec.words :])

    def _run_tracked(self, session: Session, spec: CommandSpec, args: Sequence[bytes]) -> Reply:
        """Run a command of a tracking client; what it reads is remembered."""
        self.tracking.running = session
        try:
            if session.gate & OBSERVED:
                return self.observation.run(session, spec, args)
            return spec.handler(session.context, *args[spec.words :])
        finally:
            self.tracking.running = None
            self.tracking.remember(session, spec, args)
            self._end_caching(session, spec)

    @staticmethod
    def _end_caching(session: Session, spec: CommandSpec) -> None:
        """CLIENT CACHING holds for one command, or one whole transaction."""
        tracked = session.tracked
        if tracked is None or not tracked.caching or spec.name.startswith("client"):
            return
        if session.queued is None and not session.context.in_exec:
            tracked.caching = False
            session.regate()

    def begin_tracking(self, session: Session, tracked: Tracked) -> None:
        """Tell a client when what it reads changes."""
        self.tracking.begin(session, tracked)
        self._listen()

    def end_tracking(self, session: Session) -> None:
        """Tell it no more."""
        if session.tracked is not None:
            self.tracking.end(session)
            self._listen()

    def execute(self, session: Session, args: Sequence[bytes]) -> Reply:
        """Run one command and return its reply; a command's error is a reply too (``ErrorReply``)."""
        spec = COMMANDS.get(args[0])
        count = len(args)
        keyspace = self.keyspace
        keyspace.frozen = 0
        self.executed += 1
        try:
            if session.gate or spec is None or not spec.least <= count <= spec.most:
                reply = self._execute_gated(session, args)
            else:
                session.command = spec
                if count == 2:
                    reply = spec.handler(session.context, args[1])
                elif count == 3:
                    reply = spec.handler(session.context, args[1], args[2])
                else:
                    reply = spec.handler(session.context, *args[1:])
        except ErrorReply as error:
            reply = self.failure(error, args)
        if keyspace.ready:
            blocking.serve(keyspace)
        return reply

    def failure(self, error: ErrorReply, args: Sequence[bytes]) -> ErrorReply:
        """The reply of a command that failed; it is counted."""
        self._count_error(error)
        return error.answer(args)

    def unblock(self, session: Session) -> Reply:
        """The deadline of a blocked client has come.

        Returns:
            The reply of the command that had blocked; BLOCKED when it goes on waiting, with a new deadline.
        """
        blocked = session.blocked
        if blocked is None:
            return NO_REPLY
        self.keyspace.frozen = 0
        muted = blocked.muted
        blocking.leave(blocked)
        reply = blocked.overdue()
        if self.keyspace.ready:
            blocking.serve(self.keyspace)
        return NO_REPLY if muted else reply

    def resume(self, session: Session) -> None:
        """Run the command that CLIENT PAUSE had held up."""
        if session.blocked is not None:
            reply = self.unblock(session)
            if reply is not BLOCKED:
                session.deliver(reply)

    def expire_some(self, seconds: float = 0.001) -> bool:
        """Remove keys whose time is over, for at most so long; whether some are left."""
        more = self.active_expiry and self.keyspace.expire_some(seconds)
        if self.keyspace.ready:
            blocking.serve(self.keyspace)
        return more

    def tend(self, seconds: float = 0.001) -> bool:
        """Do what no command is to wait for: expiry, growth, freeing; whether some is left."""
        self.traffic.sample(self.keyspace.clock(), self.executed)
        more = self.expire_some(seconds)
        if self.memory.on:
            more = self.memory.tend(seconds) or more
            if self.keyspace.ready:
                blocking.serve(self.keyspace)
        return self.keyspace.tend(seconds) or more

    def next_expiry(self) -> float | None:
        """When (seconds of the clock) ``expire_some`` may find something; None when nothing ever expires."""
        due = self.keyspace.next_expiry()
        return None if due is None else due / 1000

    def _listen(self) -> None:
        """Begin or end keyspace notifications, as the configuration says."""
        wanted = self.config.events or self.tracking.clients
        self.keyspace.listen(self._announce if wanted else None)

    def _announce(self, database: Database, event: str, key: bytes) -> None:
        """Publish a keyspace notification, if its class is wanted."""
        events = self.config.events
        if self.tracking.clients:
            self.tracking.changed(key)
        if EVENT_CLASS.get(event, ord("g")) in events:
            name = event.encode()
            if ord("K") in events:
                self.pubsub.publish(b"__keyspace@%d__:%s" % (database.index, key), name)
            if ord("E") in events:
                self.pubsub.publish(b"__keyevent@%d__:%s" % (database.index, name), key)

    def _execute_gated(self, session: Session, args: Sequence[bytes]) -> Reply:
        """Run a command that may not run at once, or whose reply may not be wanted."""
        if session.gate == LIMITED:
            spec = COMMANDS.get(args[0])
            if spec is not None and spec.least <= len(args) <= spec.most:
                self.memory.admit_and_note(session, spec, args)
                session.command = spec
                return spec.handler(session.context, *args[1:])
        if not session.gate & MUTED:
            return self._admit(session, args)
        skipped = session.mute == b"SKIP"
        try:
            reply = self._admit(session, args)
        except ErrorReply as error:
            self._count_error(error)
            reply = NO_REPLY
        if skipped:
            session.mute = b"ON"
            session.regate()
        elif session.mute == b"ON":
            return reply
        if session.blocked is not None:
            session.blocked.muted = True
            return BLOCKED
        return NO_REPLY

    def _count_error(self, error: ErrorReply) -> None:
        self.failed += 1
        code = error.message.partition(" ")[0]
        if code in self.errors or len(self.errors) < MOST_CODES:
            self.errors[code] = self.errors.get(code, 0) + 1

    def _admit(self, session: Session, args: Sequence[bytes]) -> Reply:
        spec = table.find(args[0])
        try:
            spec = self._check(session, spec, args)
        except ErrorReply as error:
            if spec is not None and spec.name == "exec":
                session.context.discard()
                raise errors.aborted_because(error) from None
            if session.queued is not None:
                session.queued.failed = True
            if spec is not None and session.gate & OBSERVED:
                self.observation.rejected(table.resolve(args) or spec)
            raise
        if session.gate & PAUSED and self.pause.holds(session, spec, self.keyspace.clock()):
            return self._postpone(session, args)
        if session.queued is not None and spec.name not in RUNS_IN_MULTI:
            session.queued.commands.append((spec, args))
            return QUEUED
        return self.run(session, spec, args)

    def _check(self, session: Session, spec: CommandSpec | None, args: Sequence[bytes]) -> CommandSpec:
        """The command or subcommand, when this client may run it now."""
        session.command = spec
        if session.gate & UNAUTHENTICATED and (spec is None or NO_AUTH not in spec.flags):
            raise errors.no_auth()
        if spec is None:
            raise errors.unknown_command(args)
        if spec.subcommands and len(args) > 1:
            subcommand = spec.subcommands.get(args[1].upper())
            if subcommand is None:
                session.command = None
                raise errors.unknown_subcommand(spec.name, args[1])
            spec = session.command = subcommand
        if not spec.accepts(len(args)):
            raise errors.wrong_arity(spec.name)
        if session.queued is not None and NO_MULTI in spec.flags:
            raise errors.not_in_transaction(spec.name)
        if session.gate & LIMITED:
            self.memory.admit(self.memory.takes_memory(session, spec))
        if session.gate & SUBSCRIBER and spec.name not in RUNS_WHILE_SUBSCRIBED:
            raise errors.not_while_subscribed(spec.name)
        return spec

    def _postpone(self, session: Session, args: Sequence[bytes]) -> Reply:
        """Hold a command up until the pause is over."""

        def run() -> Reply:
            return self.execute(session, args)

        context = session.context
        blocking.wait(Blocked(session, context.db, (), self.pause.until, run, run, postponed=True))
        return BLOCKED
