"""Session: what one client has.

The engine writes it, the shell around the engine reads it. ``gate`` is not zero when a command of this client needs
more than to be run at once (no password yet, MULTI, a subscriber that speaks RESP2, ...): the engine's fast way
looks at nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar, Final

from store_pulsards.engine.replies import Reply

if TYPE_CHECKING:
    from store_pulsards.engine.blocking import Blocked
    from store_pulsards.engine.context import Context
    from store_pulsards.engine.keyspace import Database
    from store_pulsards.engine.table import CommandSpec
    from store_pulsards.engine.tracking import Tracked

UNAUTHENTICATED: Final = 1
IN_MULTI: Final = 2
SUBSCRIBER: Final = 4  # speaks RESP2, and is subscribed
PAUSED: Final = 8
MUTED: Final = 16  # CLIENT REPLY OFF or SKIP
TRACKED: Final = 64  # what the next command reads may have to be remembered
OBSERVED: Final = 32  # somebody looks at each command (MONITOR, a command log)
LIMITED: Final = 128  # there is a limit of memory, or uses of keys are recorded


class Queued:
    """A transaction that is being collected."""

    __slots__ = ("commands", "failed")

    def __init__(self) -> None:
        self.commands: list[tuple[CommandSpec, Sequence[bytes]]] = []
        self.failed = False


class Buffers:
    """What a client's connection holds, in bytes, and what its event loop waits for; there is none without a socket."""

    __slots__ = ("arguments", "events", "fd", "output", "query", "replies")

    def __init__(self) -> None:
        self.fd = -1
        self.query = 0  # not yet understood, or not yet its turn
        self.arguments = 0  # of a request that is not complete
        self.output = 0  # not yet taken by the client
        self.replies = 0  # not yet written
        self.events = ""  # r: to read, w: to write


def drop(_: Reply) -> None:
    """Where replies and pushes go when nobody listens."""


def stay() -> None:
    """What hanging up means where there is no connection."""


class Session:
    """One client.

    The shell sets ``push`` (a message that nobody asked for), ``deliver`` (the reply of a command that had
    blocked), ``hang_up`` (this client was killed) and ``measure`` (what its connection holds). After each command it
    looks at ``blocked`` (further requests wait; its ``deadline``, when not None, is when to call ``Engine.unblock``)
    and ``closing`` (flush, then close).
    """

    __slots__ = (
        "address",
        "authenticated",
        "blocked",
        "capabilities",
        "channels",
        "closing",
        "command",
        "context",
        "created",
        "deliver",
        "gate",
        "hang_up",
        "id",
        "last_active",
        "lib_name",
        "lib_version",
        "limited",
        "local_address",
        "measure",
        "monitoring",
        "mute",
        "name",
        "no_evict",
        "no_touch",
        "observed",
        "patterns",
        "paused",
        "push",
        "queued",
        "readonly",
        "resp",
        "shard_channels",
        "spoiled",
        "timed",
        "tracked",
        "trusted",
        "watched",
    )
    __deletable__: ClassVar = ["context"]  # tells mypyc

    def __init__(
        self,
        number: int,
        *,
        authenticated: bool,
        trusted: bool = False,
        created: float,
        push: Callable[[Reply], None] = drop,
        address: str = "",
        local_address: str = "",
    ) -> None:
        self.id = number
        self.context: Context
        self.trusted = trusted  # the program that the engine is in: no password keeps it out
        self.authenticated = authenticated or trusted
        self.created = created
        self.last_active = created
        self.address = address
        self.local_address = local_address
        self.push = push
        self.deliver: Callable[[Reply], None] = drop
        self.hang_up: Callable[[], None] = stay
        self.measure: Callable[[], Buffers] = Buffers
        self.resp = 2
        self.name = b""
        self.lib_name = b""
        self.lib_version = b""
        self.command: CommandSpec | None = None
        self.queued: Queued | None = None
        self.watched: dict[tuple[Database, bytes], bool] = {}  # the value: was already over when watched
        self.spoiled = False  # a watched key was touched
        self.channels: dict[bytes, None] = {}
        self.patterns: dict[bytes, None] = {}
        self.shard_channels: dict[bytes, None] = {}
        self.blocked: Blocked | None = None
        self.closing = False
        self.mute = b"ON"
        self.paused = False
        self.no_evict = False
        self.no_touch = False
        self.readonly = False  # READONLY, which changes nothing without a cluster
        self.monitoring = False
        self.capabilities = b""  # CLIENT CAPA
        self.observed = False
        self.limited = False
        self.tracked: Tracked | None = None
        self.timed = 0  # so many commands are timed one by one
        self.gate = 0
        self.regate()

    def detach(self) -> None:
        """The client has gone for good, and nothing will run for it: free it at once, without the garbage collector."""
        self.push = self.deliver = drop
        self.hang_up = stay
        self.measure = Buffers
        del self.context

    @property
    def subscriptions(self) -> int:
        """Channels and patterns, which share one count in the replies of SUBSCRIBE and its kin."""
        return len(self.channels) + len(self.patterns)

    @property
    def subscribed(self) -> bool:
        """Whether messages may come at any time."""
        return bool(self.channels or self.patterns or self.shard_channels)

    @property
    def hears(self) -> bool:
        """Whether something comes in that the client did not ask for, and does not pace."""
        return self.subscribed or self.monitoring or self.tracked is not None

    def regate(self) -> None:
        """Find out anew whether commands of this client may run at once; after each change that bears on it."""
        self.gate = (
            (0 if self.authenticated else UNAUTHENTICATED)
            | (0 if self.queued is None else IN_MULTI)
            | (SUBSCRIBER if self.resp == 2 and self.subscribed else 0)
            | (PAUSED if self.paused else 0)
            | (0 if self.mute == b"ON" else MUTED)
            | (TRACKED if self.tracked is not None and self.tracked.gates else 0)
            | (OBSERVED if self.observed or self.timed else 0)
            | (LIMITED if self.limited else 0)
        )
