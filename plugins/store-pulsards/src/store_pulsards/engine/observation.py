"""Observation: who looks at commands while they run (MONITOR, the command logs, LATENCY).

Nobody looks, usually, and then it costs nothing: only the gate of a session (``OBSERVED``) leads here, and it is
closed to commands while somebody wants to see or to time every one of them.

The slow log alone, at its usual threshold, does without: the server times each chunk that it reads, with one look at
the clock. A chunk of one request is the command's own time; after a slow chunk of several (a pipeline), the next
``TIMED`` commands of that client are timed one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from time import perf_counter
from typing import TYPE_CHECKING, Final

from store_pulsards.encoder import encode
from store_pulsards.engine.commandlog import CommandLog
from store_pulsards.engine.latency import Distribution, Spikes
from store_pulsards.engine.replies import BLOCKED, ErrorReply, Reply, Status
from store_pulsards.engine.table import ADMIN, FAST, READONLY, SKIP_COMMANDLOG, CommandSpec, find_keys, resolve
from store_pulsards.session import Session

if TYPE_CHECKING:
    from store_pulsards.engine.engine import Engine

SLOW_BY_DEFAULT: Final = 10_000  # microseconds
COARSE: Final = 1_000  # microseconds; to find faster commands, each one is timed
TIMED: Final = 1_000  # commands that are timed one by one after a slow pipeline
REDACTED: Final = b"(redacted)"
_AUTH: Final = {b"AUTH": (1,), b"AUTH2": (1, 2)}  # of MIGRATE: how many words behind it are secret
SECRETS: Final = frozenset({b"requirepass", b"masterauth", b"primaryauth", b"tls-key-file-pass"})

_ESCAPED: Final = {
    **{code: b"\\x%02x" % code for code in range(256) if not 32 <= code < 127},
    **{ord(char): b"\\" + code for char, code in zip("\n\r\t\a\b", (b"n", b"r", b"t", b"a", b"b"), strict=True)},
    ord('"'): b'\\"',
    ord("\\"): b"\\\\",
}


class Observation:
    """What one engine's commands are looked at for."""

    __slots__ = (
        "distributions",
        "engine",
        "events",
        "hits",
        "large_replies",
        "large_requests",
        "misses",
        "monitors",
        "per_chunk",
        "slow",
        "slow_chunk",
    )

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.monitors: dict[Session, None] = {}
        self.slow = CommandLog()
        self.large_requests = CommandLog()
        self.large_replies = CommandLog()
        self.events: dict[bytes, Spikes] = {}
        self.distributions: dict[str, Distribution] = {}
        self.hits = 0  # keys that commands looked for and found, while ``latency-tracking`` is on
        self.misses = 0
        self.per_chunk = False  # there is a server that times chunks
        self.slow_chunk = inf  # seconds from which on it tells of one

    def reset_statistics(self) -> None:
        """Begin to count anew (CONFIG RESETSTAT)."""
        self.distributions.clear()
        self.hits = self.misses = 0

    @property
    def needed(self) -> bool:
        """Whether every command has to be looked at."""
        config = self.engine.config
        return bool(
            self.monitors
            or (self.slow.wanted and self.slow_chunk == inf)
            or self.large_requests.wanted
            or self.large_replies.wanted
            or config.number(b"latency-monitor-threshold")
            or config.switch(b"latency-tracking")
        )

    def refresh(self) -> None:
        """The configuration has changed."""
        coarse = self.per_chunk and self.slow.wanted and self.slow.threshold >= COARSE
        self.slow_chunk = self.slow.threshold / 1e6 if coarse else inf

    def run(self, session: Session, spec: CommandSpec, args: Sequence[bytes]) -> Reply:
        """Execute a command under observation."""
        started = perf_counter()
        reply: Reply = None
        try:
            reply = spec.handler(session.context, *args[spec.words :])
        except ErrorReply as error:
            reply = error
            raise
        finally:
            self._note(session, spec, args, reply, perf_counter() - started)
        return reply

    def _note(self, session: Session, spec: CommandSpec, args: Sequence[bytes], reply: Reply, seconds: float) -> None:
        if session.timed:
            session.timed -= 1
            if not session.timed:
                session.regate()
        if self.monitors and ADMIN not in spec.flags:
            self._show(session, redacted(spec, args))
        if reply is BLOCKED:
            return
        config = self.engine.config
        if SKIP_COMMANDLOG not in spec.flags:
            self._log(session, redacted(spec, args), reply, seconds)
        if config.switch(b"latency-tracking"):
            self._distribution(spec).add(seconds, failed=isinstance(reply, ErrorReply))
            if READONLY in spec.flags and spec.keys:
                self._count_keys(session, spec, args)
        threshold = config.number(b"latency-monitor-threshold")
        if threshold and seconds * 1000 >= threshold:
            event = b"fast-command" if FAST in spec.flags else b"command"
            self.events.setdefault(event, Spikes()).add(int(self.engine.keyspace.clock()), int(seconds * 1000))

    def _log(self, session: Session, args: Sequence[bytes], reply: Reply, seconds: float) -> None:
        now = int(self.engine.keyspace.clock())
        self.slow.offer(session, args, int(seconds * 1_000_000), now)
        if self.large_requests.wanted:
            self.large_requests.offer(session, args, len(encode(list(args), 2)), now)
        if self.large_replies.wanted:
            self.large_replies.offer(session, args, len(encode(reply, session.resp)), now)

    def rejected(self, spec: CommandSpec) -> None:
        """A command was refused before it ran."""
        if self.engine.config.switch(b"latency-tracking"):
            self._distribution(spec).rejected += 1

    def chunk(self, session: Session, first: Sequence[bytes], count: int, seconds: float) -> None:
        """A chunk of requests took longer than ``slow_chunk``."""
        if count > 1:
            session.timed = TIMED
            session.regate()
            return
        spec = resolve(first)
        if spec is not None and SKIP_COMMANDLOG not in spec.flags and not session.observed:
            now = int(self.engine.keyspace.clock())
            self.slow.offer(session, redacted(spec, first), int(seconds * 1_000_000), now)

    def _count_keys(self, session: Session, spec: CommandSpec, args: Sequence[bytes]) -> None:
        """A command has read keys: count those that were there, and those that were not."""
        db = session.context.db
        for position in find_keys(spec, args):
            if db.get(args[position]) is None:
                self.misses += 1
            else:
                self.hits += 1

    def _distribution(self, spec: CommandSpec) -> Distribution:
        found = self.distributions.get(spec.name)
        if found is None:
            found = self.distributions[spec.name] = Distribution()
        return found

    def _show(self, session: Session, args: Sequence[bytes]) -> None:
        where = session.address.encode()
        if where.startswith(b"/"):
            where = b"unix:" + where.rpartition(b":")[0]
        words = b" ".join(map(quoted, args))
        line = b"%.6f [%d %b] %b" % (self.engine.keyspace.clock(), session.context.db.index, where, words)
        message = Status(line)
        for monitor in tuple(self.monitors):
            monitor.push(message)


def quoted(arg: bytes) -> bytes:
    """An argument in quotation marks, on one line of ASCII."""
    return b'"%b"' % b"".join([_ESCAPED.get(code) or bytes((code,)) for code in arg])


def redacted(spec: CommandSpec, args: Sequence[bytes]) -> Sequence[bytes]:
    """The arguments without passwords."""
    if spec.name == "auth":
        return [args[0], *[REDACTED for _ in args[1:]]]
    if spec.name == "config|set":
        return [REDACTED if index > 2 and args[index - 1].lower() in SECRETS else arg for index, arg in enumerate(args)]
    if spec.name == "migrate":
        hidden = {index + step for index, arg in enumerate(args) if arg.upper() in _AUTH for step in _AUTH[arg.upper()]}
        return [REDACTED if index in hidden and index > 6 else arg for index, arg in enumerate(args)]
    if spec.name == "hello":
        hidden = {index + step for index, arg in enumerate(args) if arg.upper() == b"AUTH" for step in (1, 2)}
        return [REDACTED if index in hidden else arg for index, arg in enumerate(args)]
    return args
