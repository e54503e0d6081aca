"""Who waits for which key.

A client that waits for keys is served when a key of its own was touched, after the touching command (or the whole
of its transaction) has finished. Clients that wait for one key are served in the order in which they came. A client
that CLIENT PAUSE holds up waits for no key: its command is run when the pause ends.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from store_pulsards.engine.replies import NO_REPLY, ErrorReply, Reply
from store_pulsards.engine.table import WRITE, CommandSpec

if TYPE_CHECKING:
    from store_pulsards.engine.keyspace import Database, Keyspace
    from store_pulsards.session import Session


class Blocked:
    """One client that waits.

    ``retry`` gives the reply, or None when there is still nothing. ``deadline`` is a time (s) of the engine's clock;
    None waits forever. ``overdue`` gives the reply when the deadline has come. Where there is a ``kind``, only a key
    of that type serves; ``needs_key`` is False for a client that wants to know when its key is gone, or became
    something else.
    """

    __slots__ = (
        "database",
        "deadline",
        "keys",
        "kind",
        "muted",
        "needs_key",
        "overdue",
        "postponed",
        "retry",
        "session",
    )

    def __init__(
        self,
        session: Session,
        database: Database,
        keys: Sequence[bytes],
        deadline: float | None,
        retry: Callable[[], Reply | None],
        overdue: Callable[[], Reply],
        *,
        postponed: bool = False,
        kind: type[Any] | None = None,
        needs_key: bool = True,
    ) -> None:
        self.session = session
        self.database = database
        self.keys = tuple(dict.fromkeys(keys))
        self.deadline = deadline
        self.retry = retry
        self.overdue = overdue
        self.kind = kind
        self.needs_key = needs_key
        self.postponed = postponed  # held up by CLIENT PAUSE, not by a key
        self.muted = False  # CLIENT REPLY: the reply is not wanted


def wait(blocked: Blocked) -> None:
    """Put a client into the queues of its keys."""
    blocked.session.blocked = blocked
    waiters = blocked.database.waiters
    for key in blocked.keys:
        waiters.setdefault(key, {})[blocked] = None
    blocked.database.keyspace.observers += len(blocked.keys)


def leave(blocked: Blocked) -> None:
    """Take a client out of its queues."""
    blocked.session.blocked = None
    waiters = blocked.database.waiters
    for key in blocked.keys:
        queue = waiters[key]
        del queue[blocked]
        if not queue:
            del waiters[key]
    blocked.database.keyspace.observers -= len(blocked.keys)


def release(session: Session, reply: Reply) -> None:
    """End a wait from outside, with a reply."""
    blocked = session.blocked
    if blocked is not None:
        leave(blocked)
        session.deliver(NO_REPLY if blocked.muted else reply)


def serve(keyspace: Keyspace) -> None:
    """Serve the clients whose keys were touched; what they do may touch further keys."""
    ready = keyspace.ready
    while ready:
        database, key = next(iter(ready))
        del ready[database, key]
        for blocked in tuple(database.waiters.get(key, ())):
            value = database.data.get(key)
            if blocked.needs_key and (value is None or (blocked.kind is not None and type(value) is not blocked.kind)):
                continue
            reply = _attempt(blocked)
            if reply is not None:
                leave(blocked)
                blocked.session.deliver(NO_REPLY if blocked.muted else reply)


def _attempt(blocked: Blocked) -> Reply | None:
    try:
        return blocked.retry()
    except ErrorReply as error:
        return error.with_traceback(None)


class Pause:
    """CLIENT PAUSE: until when commands are held up, and which."""

    __slots__ = ("only_writes", "until")

    def __init__(self) -> None:
        self.until = 0.0  # seconds of the engine's clock
        self.only_writes = False

    def holds(self, session: Session, spec: CommandSpec, now: float) -> bool:
        """Whether this command has to wait; a client finds out here that the pause is over."""
        if self.until <= now:
            session.paused = False
            session.regate()
            return False
        return not self.only_writes or _may_change_data(session, spec)


def _may_change_data(session: Session, spec: CommandSpec) -> bool:
    if spec.name == "exec" and session.queued is not None:
        return any(_may_change_data(session, queued) for queued, _ in session.queued.commands)
    return WRITE in spec.flags or spec.name in ("publish", "spublish")
