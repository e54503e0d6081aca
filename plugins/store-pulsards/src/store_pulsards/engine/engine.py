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
from typing import Final

import store_pulsards.engine.commands  # noqa: F401  (fills the table)
from store_pulsards.engine import blocking, replies, table
from store_pulsards.engine.blocking import Blocked
from store_pulsards.engine.config import EVENT_CLASS, Config
from store_pulsards.engine.context import Context
from store_pulsards.engine.keyspace import Database, Keyspace
from store_pulsards.engine.pubsub import PubSub
from store_pulsards.engine.replies import BLOCKED, NO_REPLY, QUEUED, ErrorReply, Push, Reply
from store_pulsards.engine.scan import Scans
from store_pulsards.engine.table import COMMANDS, NO_AUTH, NO_MULTI, CommandSpec
from store_pulsards.session import MUTED, PAUSED, SUBSCRIBER, UNAUTHENTICATED, Session, drop

RUNS_IN_MULTI: Final = frozenset({"exec", "discard", "reset", "quit"})
RUNS_WHILE_SUBSCRIBED: Final = frozenset(
    {"subscribe", "unsubscribe", "psubscribe", "punsubscribe", "ssubscribe", "sunsubscribe", "ping", "quit", "reset"}
)


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
        self.started = clock()
        self.executed = 0
        self.failed = 0
        self._last_session = 0

    def session(
        self,
        push: Callable[[Push], None] | None = None,
        *,
        address: str = "",
        local_address: str = "",
    ) -> Session:
        """A new client; ``push`` gets the messages of its subscriptions."""
        self._last_session += 1
        session = Session(
            self._last_session,
            authenticated=not self.config.password,
            created=self.keyspace.clock(),
            push=push or drop,
            address=address,
            local_address=local_address,
        )
        session.context = Context(self, session)
        session.paused = self.pause.until > self.keyspace.clock()
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
        if session.blocked is not None:
            blocking.leave(session.blocked)

    def kill(self, session: Session) -> None:
        """Close a client that did not ask for it."""
        session.closing = True
        self.close_session(session)
        session.hang_up()

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
            self.failed += 1
            reply = error.answer(args)
        if keyspace.ready:
            blocking.serve(keyspace)
        return reply

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
        more = self.keyspace.expire_some(seconds)
        if self.keyspace.ready:
            blocking.serve(self.keyspace)
        return more

    def tend(self, seconds: float = 0.001) -> bool:
        """Do what no command is to wait for: expiry, growth, freeing; whether some is left."""
        more = self.expire_some(seconds)
        return self.keyspace.tend(seconds) or more

    def next_expiry(self) -> float | None:
        """When (seconds of the clock) ``expire_some`` may find something; None when nothing ever expires."""
        due = self.keyspace.next_expiry()
        return None if due is None else due / 1000

    def _listen(self) -> None:
        """Begin or end keyspace notifications, as the configuration says."""
        self.keyspace.listen(self._announce if self.config.events else None)

    def _announce(self, database: Database, event: str, key: bytes) -> None:
        """Publish a keyspace notification, if its class is wanted."""
        events = self.config.events
        if EVENT_CLASS.get(event, ord("g")) in events:
            name = event.encode()
            if ord("K") in events:
                self.pubsub.publish(b"__keyspace@%d__:%s" % (database.index, key), name)
            if ord("E") in events:
                self.pubsub.publish(b"__keyevent@%d__:%s" % (database.index, name), key)

    def _execute_gated(self, session: Session, args: Sequence[bytes]) -> Reply:
        """Run a command that may not run at once, or whose reply may not be wanted."""
        if not session.gate & MUTED:
            return self._admit(session, args)
        skipped = session.mute == b"SKIP"
        try:
            reply = self._admit(session, args)
        except ErrorReply:
            self.failed += 1
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

    def _admit(self, session: Session, args: Sequence[bytes]) -> Reply:
        spec = table.find(args[0])
        try:
            spec = self._check(session, spec, args)
        except ErrorReply as error:
            if spec is not None and spec.name == "exec":
                session.context.discard()
                raise replies.aborted_because(error) from None
            if session.queued is not None:
                session.queued.failed = True
            raise
        if session.gate & PAUSED and self.pause.holds(session, spec, self.keyspace.clock()):
            return self._postpone(session, args)
        if session.queued is not None and spec.name not in RUNS_IN_MULTI:
            session.queued.commands.append((spec, args))
            return QUEUED
        session.command = spec
        return spec.handler(session.context, *args[spec.words :])

    def _check(self, session: Session, spec: CommandSpec | None, args: Sequence[bytes]) -> CommandSpec:
        """The command or subcommand, when this client may run it now."""
        if session.gate & UNAUTHENTICATED and (spec is None or NO_AUTH not in spec.flags):
            raise replies.no_auth()
        if spec is None:
            raise replies.unknown_command(args)
        if spec.subcommands and len(args) > 1:
            subcommand = spec.subcommands.get(args[1].upper())
            if subcommand is None:
                raise replies.unknown_subcommand(spec.name, args[1])
            spec = subcommand
        if not spec.accepts(len(args)):
            raise replies.wrong_arity(spec.name)
        if session.queued is not None and NO_MULTI in spec.flags:
            raise replies.not_in_transaction(spec.name)
        if session.gate & SUBSCRIBER and spec.name not in RUNS_WHILE_SUBSCRIBED:
            raise replies.not_while_subscribed(spec.name)
        return spec

    def _postpone(self, session: Session, args: Sequence[bytes]) -> Reply:
        """Hold a command up until the pause is over."""

        def run() -> Reply:
            return self.execute(session, args)

        context = session.context
        blocking.wait(Blocked(session, context.db, (), self.pause.until, run, run, postponed=True))
        return BLOCKED
