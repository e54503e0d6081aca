"""The listener: one connection that carries subscriptions, and brings them back when it is lost.

It knows names on the wire, not who wants them. Three rules hold:

- The server confirms names in the order in which it was asked, and refuses a command as a whole. So what was asked
  stands in a queue, a confirmation belongs to the queue's head, and each call gets its own outcome. A name that
  several calls wait for is asked for again when the call that asked first was refused.
- When the connection is lost, it is opened again after a pause that doubles up to a limit (with jitter, so that a
  restarted server is not met by all its clients at once), and every name is asked for again. A call that is under
  way waits for that.
- An ``sunsubscribe`` that nobody asked for says that a shard channel has moved to another server of the cluster.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from store_core import ConnectionLost, ReplyError, StoreError, Timeout
from store_core.pubsub import Kind, Subscriptions
from store_redis.errors import copied, make
from store_redis.link import Link
from store_redis.single_flight import SingleFlight

logger = logging.getLogger(__name__)

#: Seconds before the first attempt to reconnect, and the longest pause between two.
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 5.0

#: Names in one command. Shard channels go one by one: those of one command must belong to one slot.
BATCH = {Kind.CHANNEL: 1000, Kind.PATTERN: 1000, Kind.SHARD: 1}

_SUBSCRIBE = ("SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE")
_UNSUBSCRIBE = ("UNSUBSCRIBE", "PUNSUBSCRIBE", "SUNSUBSCRIBE")
_CONFIRMATIONS = frozenset(name.lower().encode() for name in _SUBSCRIBE + _UNSUBSCRIBE)

OpenLink = Callable[[], Awaitable[Link]]


class Listener:
    """One listening connection.

    Args:
        owner: Whose it is, for people: its ``repr`` stands in messages.
        open_link: Opens the connection.
        timeout: Seconds to a confirmation; 0 for none.
        subscriptions: Who gets the messages.
        name: A channel's name from its name on the wire.

    Attributes:
        on_moved: Called with this listener and the shard channels that belong to another server now; they are
            forgotten here. Without it they are asked for again when the connection opens again.
        on_restored: Called with this listener when everything is subscribed again after a loss.
    """

    def __init__(
        self,
        owner: object,
        open_link: OpenLink,
        timeout: float,
        subscriptions: Subscriptions,
        name: Callable[[bytes], str],
    ) -> None:
        self.on_moved: Callable[[Listener, list[bytes]], None] | None = None
        self.on_restored: Callable[[Listener], None] | None = None
        self._owner = owner
        self._open_link = open_link
        self._timeout = timeout
        self._subscriptions = subscriptions
        self._name = name
        self._link: Link | None = None
        self._wanted: tuple[dict[bytes, _Name], ...] = tuple({} for _ in Kind)
        self._asked: deque[_Asked] = deque()
        self._connect = SingleFlight(self._connect_once)
        self._reconnecting: asyncio.Task[None] | None = None
        self._restoration: _Call | None = None

    @property
    def connected(self) -> bool:
        """Whether there is a connection now."""
        return self._link is not None

    @property
    def address(self) -> str:
        """Where its connection leads; empty without one."""
        return "" if self._link is None else self._link.address

    def reconnect(self) -> None:
        """Give up the connection, and open another."""
        if self._link is not None:
            self._link.close()

    @property
    def reconnecting(self) -> bool:
        """Whether a lost connection is being opened again."""
        return self._reconnecting is not None

    def names(self, kind: Kind) -> list[bytes]:
        """The wire names that it listens to, or will when there is a connection again."""
        return list(self._wanted[kind])

    async def listen(self, kind: Kind, wires: Iterable[bytes]) -> None:
        """Subscribe; returns once the server has confirmed every name. The caller ignores them when this fails.

        Raises:
            ConnectionFailed: Nobody answers.
            ReplyError: The server refused a name; ``MOVED`` where a shard channel belongs to another server.
            Timeout: No confirmation in time.
        """
        call = _Call(asyncio.get_running_loop().create_future())
        names = [self._wanted[kind].setdefault(wire, _Name(kind, wire)) for wire in wires]
        due = [name for name in names if call.await_(name)]
        if not due:
            return
        try:
            async with asyncio.timeout(self._timeout or None):
                if self._link is None and self._reconnecting is None:
                    await self._connect()
                self._ask([name for name in due if name.wanted and not (name.asked or name.confirmed)], call)
                await call.future
        except TimeoutError as error:
            if isinstance(error, StoreError):
                raise
            raise self._no_confirmation() from error
        finally:
            call.forget(due)

    def ignore(self, kind: Kind, wires: Iterable[bytes]) -> None:
        """Unsubscribe, whether the names were confirmed or not; what waits for them waits no more."""
        names = [name for name in (self._wanted[kind].pop(wire, None) for wire in wires) if name is not None]
        self._post(_UNSUBSCRIBE[kind], [name for name in names if name.asked or name.confirmed], None)
        for name in names:
            name.wanted = False
            name.settle()

    async def close(self, error: StoreError) -> None:
        """Close the connection; calls under way get an error like this one."""
        calls = {call for table in self._wanted for name in table.values() for call in name.calls}
        self._forget()
        for call in calls:
            call.fail(error)
        task, self._reconnecting = self._reconnecting, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await self._connect.settled()
        link, self._link = self._link, None
        if link is not None:
            link.on_lost = None
            link.close()

    def abandon(self) -> None:
        """Drop everything that belongs to an event loop that is gone."""
        self._forget()
        self._reconnecting = self._restoration = None
        self._connect.forget()
        link, self._link = self._link, None
        if link is not None:
            link.abandon()

    def _forget(self) -> None:
        for table in self._wanted:
            table.clear()
        self._asked.clear()

    # Asking.

    def _ask(self, names: list[_Name], call: _Call | None) -> None:
        for kind in Kind:
            self._post(_SUBSCRIBE[kind], [name for name in names if name.kind is kind], call)

    def _post(self, command: str, names: list[_Name], call: _Call | None) -> None:
        link = self._link
        if link is None or link.closed or not names:
            return
        size = BATCH[names[0].kind]
        subscribing = command in _SUBSCRIBE
        for start in range(0, len(names), size):
            asked = _Asked(command.lower().encode(), subscribing, deque(names[start : start + size]), call)
            for name in asked.due:
                name.asked = subscribing
            # First the queue: an embedded engine confirms within the call.
            wires = [name.wire for name in asked.due]
            self._asked.append(asked)
            link.post((command, *wires))

    # What the server says.

    def _on_push(self, message: Any) -> None:
        if isinstance(message, Exception):
            self._refused(message)
            return
        if not isinstance(message, list) or len(message) < 3:
            return
        verb, wire = message[:2]
        if not isinstance(verb, bytes) or not isinstance(wire, bytes):
            return
        if verb == b"message":
            self._subscriptions.deliver(wire, message[2])
        elif verb == b"pmessage":
            self._subscriptions.deliver_pattern(wire, self._name(message[2]), message[3])
        elif verb == b"smessage":
            self._subscriptions.deliver(wire, message[2], kind=Kind.SHARD)
        elif verb in _CONFIRMATIONS:
            self._confirmed(verb, wire)

    def _confirmed(self, verb: bytes, wire: bytes) -> None:
        head = self._asked[0] if self._asked else None
        if head is not None and head.verb == verb and head.due[0].wire == wire:
            name = head.due.popleft()
            if not head.due:
                self._asked.popleft()
            if head.subscribing:
                name.asked, name.confirmed = False, True
                name.settle()
        elif verb == b"sunsubscribe":
            name_ = self._wanted[Kind.SHARD].get(wire)
            # What is just being asked for gets its answer yet.
            if name_ is not None and name_.confirmed:
                name_.confirmed = False
                self._moved(name_)

    def _refused(self, error: Exception) -> None:
        asked = self._asked.popleft() if self._asked else None
        if asked is None or not asked.subscribing:
            logger.warning("%r: the server refused a command of the subscriber: %s", self._owner, error)
            return
        for name in asked.due:
            name.asked = False
        if asked.call is not None:
            asked.call.fail(error)
            self._ask_for_others(asked.due)
        elif len(asked.due) > 1:
            for name in asked.due:
                self._ask([name], None)  # which of them it is
        else:
            self._lose(asked.due[0], error)

    def _ask_for_others(self, names: Iterable[_Name]) -> None:
        asking: dict[_Call, list[_Name]] = {}
        for name in names:
            waiting = next((call for call in name.calls if not call.future.done()), None)
            if waiting is not None and name.wanted:
                asking.setdefault(waiting, []).append(name)
        for call, names_ in asking.items():
            self._ask(names_, call)

    def _lose(self, name: _Name, error: Exception) -> None:
        """A name that was subscribed before is refused now."""
        for call in name.calls:
            if call is not self._restoration:
                call.fail(error)
        name.settle()
        if not name.wanted:
            return
        if isinstance(error, ReplyError) and error.code == "MOVED":
            self._moved(name)
        else:
            logger.warning("%r: the server refused to subscribe again: %s", self._owner, error)

    def _moved(self, name: _Name) -> None:
        if self.on_moved is None:
            logger.warning("%r: the server ended the subscription to a shard channel", self._owner)
            return
        del self._wanted[Kind.SHARD][name.wire]
        name.wanted = False
        self.on_moved(self, [name.wire])

    # Losing the connection, and coming back.

    async def _connect_once(self) -> None:
        link = await self._open_link()
        link.listen(self._subscriptions, self._on_push)
        link.on_lost = self._on_lost
        self._asked.clear()
        self._link = link

    def _on_lost(self, link: Link) -> None:
        if link is not self._link:
            return
        self._link = None
        self._asked.clear()
        for table in self._wanted:
            for name in table.values():
                name.asked = name.confirmed = False
        if self._restoration is not None:
            self._restoration.fail(make(ConnectionLost, f"the connection to {link.address} was lost again"))
        if self._reconnecting is None and any(self._wanted):
            self._reconnecting = link.loop.create_task(self._reconnect())

    async def _reconnect(self) -> None:
        pause = FIRST_PAUSE
        try:
            while True:
                await asyncio.sleep(pause * random.uniform(0.5, 1.0))
                if not any(self._wanted):
                    return  # nobody listens any more; the next subscription connects
                pause = min(pause * 2, LONGEST_PAUSE)
                try:
                    await self._connect()
                    await self._restore()
                    # It may have been lost again while this task waited for its turn.
                    if self._link is not None:
                        break
                except StoreError as error:
                    logger.warning("%r: cannot subscribe again yet: %s", self._owner, error)
                except Exception:
                    # An extension may raise anything where it connects; it may be well the next time.
                    logger.exception("%r: cannot subscribe again yet", self._owner)
        finally:
            self._reconnecting = None
        if self.on_restored is not None:
            self.on_restored(self)

    async def _restore(self) -> None:
        """Ask for every name again, and wait until the server has answered."""
        if self._link is None:
            raise make(ConnectionLost, "the connection was lost at once")
        self._restoration = call = _Call(asyncio.get_running_loop().create_future())
        names = [name for table in self._wanted for name in table.values() if call.await_(name)]
        try:
            self._ask([name for name in names if not name.asked], None)
            if names:
                async with asyncio.timeout(self._timeout or None):
                    await call.future
        except TimeoutError as error:
            if self._link is not None:
                self._link.close()
            raise self._no_confirmation() from error
        finally:
            self._restoration = None
            call.forget(names)

    def _no_confirmation(self) -> StoreError:
        return make(Timeout, f"{self._owner!r}: no confirmation of a subscription within {self._timeout:g} s")


class _Name:
    """A channel or pattern that somebody wants.

    Attributes:
        wanted: Nobody has ignored it since.
        asked: The server has been asked on this connection, and has not answered.
        confirmed: The server has confirmed it on this connection.
        calls: Who waits for the confirmation.
    """

    __slots__ = ("asked", "calls", "confirmed", "kind", "wanted", "wire")

    def __init__(self, kind: Kind, wire: bytes) -> None:
        self.kind = kind
        self.wire = wire
        self.wanted = True
        self.asked = False
        self.confirmed = False
        self.calls: list[_Call] = []

    def settle(self) -> None:
        """Nobody needs to wait for it any more."""
        calls, self.calls = self.calls, []
        for call in calls:
            call.count_down()


class _Call:
    """Waits for several names; done when each is settled."""

    __slots__ = ("_left", "future")

    def __init__(self, future: asyncio.Future[None]) -> None:
        self.future = future
        self._left = 0

    def await_(self, name: _Name) -> bool:
        """Wait for a name too, unless it is confirmed already; returns whether there is anything to wait for."""
        if name.confirmed or self in name.calls:
            return False
        name.calls.append(self)
        self._left += 1
        return True

    def count_down(self) -> None:
        self._left -= 1
        if self._left == 0 and not self.future.done():
            self.future.set_result(None)

    def fail(self, error: Exception) -> None:
        if not self.future.done():
            self.future.set_exception(copied(error) if isinstance(error, StoreError) else error)

    def forget(self, names: Iterable[_Name]) -> None:
        """The caller has gone, or has its outcome."""
        for name in names:
            if self in name.calls:
                name.calls.remove(self)
        if self.future.done() and not self.future.cancelled():
            self.future.exception()  # told to the caller, unless it was cancelled in the same turn


class _Asked:
    """A command whose confirmations are due."""

    __slots__ = ("call", "due", "subscribing", "verb")

    def __init__(self, verb: bytes, subscribing: bool, due: deque[_Name], call: _Call | None) -> None:
        self.verb = verb
        self.subscribing = subscribing
        self.due = due
        self.call = call
