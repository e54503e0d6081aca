"""Tracking: clients that keep what they have read, and are told when it changes (client-side caching).

In the usual mode the table remembers who read which key, and forgets it with the message that tells of its change: a
client is told once, and reads anew. In broadcasting mode a client names prefixes and is told of every change beneath
them. While nobody tracks, there is neither a gate (``TRACKED``) on any command nor a listener on the keyspace.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from store_pulsards.engine.replies import Push, Reply
from store_pulsards.engine.table import PUBSUB, READONLY, CommandSpec, find_keys

if TYPE_CHECKING:
    from store_pulsards.session import Session

CHANNEL: Final = b"__redis__:invalidate"  # where a client that speaks RESP2 hears of it
MOST_KEYS: Final = 1_000_000  # tracking-table-max-keys, unless it is set


class Tracked:
    """What one client wants to be told."""

    __slots__ = ("broadcast", "broken", "caching", "noloop", "optin", "optout", "prefixes", "redirect")

    def __init__(self) -> None:
        self.redirect = 0  # the client that gets the messages; 0 is this one
        self.broken = False  # that one has gone
        self.broadcast = False
        self.prefixes: dict[bytes, None] = {}
        self.optin = False
        self.optout = False
        self.noloop = False
        self.caching = False  # CLIENT CACHING was given for the next command

    @property
    def gates(self) -> bool:
        """Whether the engine has to look at the next command."""
        return self.noloop or self.caching or not (self.broadcast or self.optin)

    @property
    def remembers(self) -> bool:
        """Whether the next command's keys are to be remembered."""
        return not self.broadcast and (self.caching if self.optin else not (self.optout and self.caching))


class Tracking:
    """The tracking clients of one engine, and what they have read."""

    __slots__ = ("clients", "keys", "limit", "running", "sessions")

    def __init__(self, sessions: dict[int, Session]) -> None:
        self.sessions = sessions
        self.clients: dict[Session, Tracked] = {}
        self.keys: dict[bytes, set[int]] = {}  # ids, which outlive a client at no cost
        self.limit = MOST_KEYS  # keys that are remembered; 0 for any number
        self.running: Session | None = None  # whose command it is that changes keys

    def begin(self, session: Session, tracked: Tracked) -> None:
        session.tracked = tracked
        self.clients[session] = tracked
        session.regate()

    def end(self, session: Session) -> None:
        """The client wants to be told nothing more; what the table has of it goes with the next message."""
        session.tracked = None
        self.clients.pop(session, None)
        session.regate()

    def remember(self, session: Session, spec: CommandSpec, args: Sequence[bytes]) -> None:
        """A tracking client has run a command: remember what it read."""
        tracked = session.tracked
        if tracked is None or READONLY not in spec.flags or PUBSUB in spec.flags or not tracked.remembers:
            return
        for position in find_keys(spec, args):
            self.keys.setdefault(bytes(args[position]), set()).add(session.id)
        self.shorten()

    def shorten(self) -> None:
        """Forget the keys that were read first, as far as there are too many; who read them is told."""
        while 0 < self.limit < len(self.keys):
            self._tell_readers(next(iter(self.keys)))

    def changed(self, key: bytes) -> None:
        """A key has changed: tell who read it, and who listens to a prefix of it."""
        self._tell_readers(key)
        for session, tracked in tuple(self.clients.items()):
            if tracked.broadcast and any(key.startswith(prefix) for prefix in tracked.prefixes):
                self._tell(session, tracked, [key])

    def _tell_readers(self, key: bytes) -> None:
        for number in self.keys.pop(key, ()):
            session = self.sessions.get(number)
            tracked = None if session is None else session.tracked
            if session is not None and tracked is not None and not tracked.broadcast:
                self._tell(session, tracked, [key])

    def flushed(self) -> None:
        """Every key of a database may have changed: everybody forgets everything."""
        self.keys.clear()
        for session, tracked in tuple(self.clients.items()):
            self._tell(session, tracked, None, always=True)

    def _tell(self, session: Session, tracked: Tracked, keys: Reply, *, always: bool = False) -> None:
        if tracked.noloop and session is self.running and not always:
            return
        target = session
        if tracked.redirect:
            found = self.sessions.get(tracked.redirect)
            if found is None:
                self._tell_of_break(session, tracked)
                return
            target = found
        if target.resp > 2:
            target.push(Push([b"invalidate", keys]))
        elif tracked.redirect and target.subscribed:
            target.push(Push([b"message", CHANNEL, keys]))

    @staticmethod
    def _tell_of_break(session: Session, tracked: Tracked) -> None:
        tracked.broken = True
        if session.resp > 2:
            session.push(Push([b"tracking-redir-broken", tracked.redirect]))
