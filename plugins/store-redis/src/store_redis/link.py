"""Link: what carries commands for a store, whether a socket or an engine in this process.

The store, its transactions, its dedicated connections and its subscriber know links by these methods alone.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from threading import get_ident
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from store_core.pubsub import Subscriptions

#: How many callers look for room at a time when a link takes commands again.
TURNSTILE = 64


class Line(Protocol):
    """Where the callers of a link wait their turn, when it bounds how many commands are under way."""

    async def wait(self, seconds: float) -> None:
        """Return when it is the caller's turn; gives up when the link has taken nobody for so long (0: never)."""


class Link(ABC):
    """Carries commands, in order, and hands out their replies.

    Attributes:
        loop: The event loop that it belongs to.
        thread: The thread of that loop. With ``loop_runs``, whether the caller is on that loop: at most one loop runs
            in a thread, and asking for the running loop costs five times as much (Python 3.11 asks the kernel for the
            process id each time).
        loop_runs: Whether that loop runs.
        address: Where it leads, for people.
        timeout: Seconds to a reply; 0 for none.
        closed: Whether it was closed or has broken.
        writable: Set while it takes no more commands: callers wait for it before they add to it.
        unwritable_since: The loop's time at which it last took no more.
        turnstile: Lets a few of the callers that wait for room look for it at a time.
        line: Where they wait instead, one behind the other, if the link bounds how many commands are under way.
        opened_at: The loop's time at which it was made.
        encoding: What replies are decoded with; None leaves bytes.
        client_id: The server's number for this connection; None where it told none.
        peer: The address at the other end, as the system gives it.
        on_push: Called with each RESP3 push message.
        on_lost: Called once when the link is gone.
        listening: Whether what comes unasked is a message for ``on_push`` too: a subscriber's link in RESP2, whose
            messages are ordinary arrays, and its errors.
    """

    line: Line | None = None
    listening = False

    def __init__(self, timeout: float = 0.0) -> None:
        self.loop = asyncio.get_running_loop()
        self.thread = get_ident()
        self.loop_runs = self.loop.is_running
        self.address = ""
        self.timeout = timeout
        self.closed = False
        self.writable: asyncio.Future[None] | None = None
        self.unwritable_since = 0.0
        self.turnstile = asyncio.Semaphore(TURNSTILE)
        self.opened_at = self.loop.time()
        self.encoding: str | None = None
        self.client_id: int | None = None
        self.peer: Any = None
        self.on_push: Callable[[Any], None] | None = None
        self.on_lost: Callable[[Link], None] | None = None

    @abstractmethod
    def send(self, args: tuple[Any, ...]) -> asyncio.Future[Any]:
        """Queue one command; the future gets its reply. The caller has seen that the link is open and writable."""

    @abstractmethod
    def send_patient(self, args: tuple[Any, ...]) -> asyncio.Future[Any]:
        """Queue one command that the link's timeout does not concern."""

    @abstractmethod
    def send_batch(self, commands: list[tuple[Any, ...]]) -> asyncio.Future[list[Any]]:
        """Queue commands with nobody's between; the future gets the list of replies, errors in place."""

    @abstractmethod
    def post(self, args: tuple[Any, ...]) -> None:
        """Queue one command that has no reply of its own (``SUBSCRIBE`` on a listening link)."""

    @abstractmethod
    def leave_bytes(self) -> None:
        """Decode no reply from here on."""

    def listen(self, subscriptions: Subscriptions, on_push: Callable[[Any], None]) -> None:
        """Carry subscriptions from here on: everything that comes goes to ``on_push``.

        A link that knows a faster way hands messages to ``subscriptions`` itself.
        """
        self.leave_bytes()
        self.listening = True
        self.on_push = on_push

    @abstractmethod
    def load(self) -> int:
        """How many replies are due."""

    def answers_next(self, reply: asyncio.Future[Any]) -> bool:
        """Whether this is the reply that comes next; others on the same connection may be due before it."""
        return True

    @abstractmethod
    def check_health(self, interval: float) -> None:
        """Check from here on that the other end is there, whenever nothing came for ``interval`` seconds."""

    @abstractmethod
    def close(self) -> None:
        """Close the link; callers that wait get ``ConnectionLost``."""

    @abstractmethod
    def abandon(self) -> None:
        """Drop a link whose event loop has been closed: there is nobody left to tell."""
