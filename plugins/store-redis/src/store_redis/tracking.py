"""Tracking: reads that fill the cache, and everything that empties it.

The server remembers which keys were read on a shared connection (``CLIENT TRACKING ON OPTIN``) and tells on the same
connection when one changes. Rules:

- A read that shall be kept goes out as ``CLIENT CACHING YES``, the read, ``PTTL`` of each key. Only such reads are
  remembered by the server, and a key that expires is no longer answered from the moment at which it does: the server
  would tell of it when it comes round to delete it, which may be much later.
- A server tells of a change after it has acknowledged the write, and each connection has a stream of its own. So what
  this store wrote is dropped here, before the caller sees the acknowledgement, whichever connection it came over.
- Silence means nothing: a connection may be dead without having been closed. While something is kept, each tracked
  connection is asked for a sign of life every ``HEARTBEAT`` seconds, and what was read on a silent one is dropped.
- A caller who finds all in memory never waits, so nobody else would run, and no news would be heard. ``find`` says
  when the event loop must have a turn first.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from threading import get_ident
from time import perf_counter
from typing import Any

from store_core import ReplyError, StoreError
from store_redis.cache import MISSING, Announced, Cache, Question
from store_redis.cacheable import CACHEABLE
from store_redis.commands import upper
from store_redis.errors import reply_error
from store_redis.keyspecs import CommandKeys, read_table
from store_redis.link import Link

#: Seconds between two signs of life; a silent connection is distrusted after at most twice as long.
HEARTBEAT = 1.0

#: Seconds for which callers may be answered from memory without the event loop having a turn.
TURN = 0.001

#: What ``find`` returns when the event loop must have a turn before it may answer.
TURN_DUE = object()

#: A command with more keys is not kept: any one of them would drop it, and each costs a ``PTTL``.
MOST_KEYS = 32

_TRACKING = ("CLIENT", "TRACKING", "ON", "OPTIN")
_OPT_IN = ("CLIENT", "CACHING", "YES")

#: Commands that may write what they do not name: scripts, and the end of a transaction on a connection of one's own.
_NAMELESS = frozenset({"EVAL", "EVALSHA", "EXEC", "FCALL"})

#: Where the key of most commands is.
_FIRST = (1,)

# Names of commands whose effect is remembered as they were written; bounded, since a caller may make up names.
_EFFECTS_KEPT = 4096

Encode = Callable[[tuple[Any, ...]], tuple[Any, ...]]


class Effect:
    """What a command means to the cache.

    Attributes:
        cacheable: Whether its reply may be kept.
        changes: Whether it may change anything.
        only_first: Whether its first argument is its only key.
        find: Positions of its keys; None when they cannot be known.
        nameless: Whether without keys it may change any.
    """

    __slots__ = ("cacheable", "changes", "find", "nameless", "only_first")

    def __init__(self, name: str, command: CommandKeys | None) -> None:
        flags = command.flags if command is not None else ()
        self.cacheable = name in CACHEABLE
        self.changes = not self.cacheable and "readonly" not in flags
        self.find = command.find if command is not None else None
        self.only_first = command is not None and command.only_first
        self.nameless = "write" in flags or name in _NAMELESS


#: Nothing at all is refused before it is sent.
_NO_COMMAND = Effect("", CommandKeys(lambda args: (), {}))


class Tracking:
    """One store's cache, and its connections to the server that tells of changes.

    Args:
        limit: The most replies that are kept.
        encoding: The store's encoding.
        decode: Whether replies are decoded, announced keys with them.
        as_sent: Encodes a command's arguments and puts the namespace before its keys.
    """

    def __init__(self, limit: int, encoding: str, decode: bool, as_sent: Encode) -> None:
        self.cache = Cache(limit)
        self._encoding = encoding
        self._decode = decode
        self._as_sent = as_sent
        self._effects: dict[Any, Effect] = {}
        self._invalidate: Announced = b"invalidate".decode(encoding) if decode else b"invalidate"
        self._table: dict[str, CommandKeys] = {}
        self.direct: Link | None = None
        self._links: list[Link] = []
        # One of them, for what all have in common: the event loop and its thread.
        self._home: Link | None = None
        self._signs: dict[Link, asyncio.Future[Any]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._turn = 0.0

    # Connections.

    async def attach(self, link: Link) -> None:
        """Have the server tell of changes on a new connection.

        Raises:
            ReplyError: It refuses.
        """
        wanted: list[tuple[Any, ...]] = [_TRACKING, _OPT_IN, ("PING",)]
        if not self._table:
            wanted.append(("COMMAND",))
        link.on_push = partial(self._pushed, link)
        replies = await link.send_batch(wanted)
        for command, reply in zip(wanted, replies, strict=True):
            if isinstance(reply, ReplyError):
                raise reply_error(
                    f"{reply} (said {link.address} to {' '.join(command[:2])}, which client-side caching needs; "
                    "create the store without the parameter 'cache')"
                ) from reply
        if not self._table:
            self._table = read_table(replies[-1])

    def follow(self, links: Sequence[Link], direct: Link | None) -> None:
        """The shared connections, and the one that needs no choice, have changed.

        What was read on a connection that is gone is dropped.
        """
        self.direct = direct
        for link in self._links:
            if link not in links:
                self.cache.drop_link(link)
                self._signs.pop(link, None)
        self._links = list(links)
        self._home = links[0] if links else None
        if not links:
            self._stop()

    # Reading.

    def find(self, args: tuple[Any, ...], *, turned: bool = False) -> Any:
        """The reply to a command from memory, ``MISSING``, or ``TURN_DUE``. A hit passes here: it is a hot path.

        Args:
            args: The command.
            turned: Whether the event loop has just had its turn.
        """
        home = self._home
        if home is None or home.thread != get_ident() or not home.loop_runs():
            return MISSING
        now = perf_counter()
        try:
            if now - self._turn >= TURN:
                if not turned:
                    return TURN_DUE if self.cache.holds(args) else MISSING
                self._turn = now
            return self.cache.find(args, now)
        except (TypeError, ValueError):
            return MISSING  # one that cannot be a key as it stands; ``question`` makes it one

    async def read(self, link: Link, question: Question, prepared: tuple[Any, ...], patient: bool) -> Any:
        """Ask the server, and keep the reply.

        Args:
            link: A tracked connection that takes commands.
            question: The command as it is known in the cache.
            prepared: The command as it is sent.
            patient: Whether the caller has a time of its own.
        """
        send = link.send_patient if patient else link.send
        found = self._keys(prepared)
        if found is None:
            return await send(prepared)
        sent, wire, keys = found
        self.cache.misses += 1
        now = perf_counter()
        opted = link.send(_OPT_IN)
        asked = send(sent)
        lives = [link.send(("PTTL", key)) for key in wire]
        answer = self.cache.expect(question, keys, link, asked)
        try:
            reply = await asked
            expires = await _expires(now, opted, lives)
            if expires is not None:
                self.cache.keep(answer, reply, expires)
                self._watch(link.loop)
            return reply
        finally:
            if answer.asked is not None:
                self.cache.forget(answer)
            _ignore(opted, *lives)

    # Writing.

    def wrote(self, args: tuple[Any, ...]) -> None:
        """A command is being sent, or its reply is about to be seen: what it may have changed is dropped."""
        effect = self.effect(args)
        if not effect.changes or self.cache.knows_nothing():
            return
        find = effect.find
        if find is None:
            self.cache.clear()
            return
        positions = _FIRST if effect.only_first else tuple(find(args))
        if positions:
            sent = self._as_sent(args)
            for position in positions:
                if position < len(sent):
                    self._changed(sent[position])
        elif effect.nameless:
            self.cache.clear()

    def _changed(self, key: Any) -> None:
        try:
            wire = key.encode() if type(key) is str else key if type(key) is bytes else _bytes(normal((key,)))
            self.cache.changed(wire.decode(self._encoding) if self._decode else wire)
        except (UnicodeError, TypeError):
            return  # no key that was ever read

    # What the server tells.

    def _pushed(self, link: Link, message: list[Any]) -> None:
        if message[0] != self._invalidate:
            return
        if message[1] is None:
            self.cache.clear(link)
            return
        for key in message[1]:
            self.cache.changed(key, link)

    # Signs of life.

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._timer is None:
            self._timer = loop.call_later(HEARTBEAT, self._beat, loop)

    def _beat(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        for link in self._links:
            sign = self._signs.get(link)
            if sign is not None and (not sign.done() or sign.exception() is not None):
                self.cache.drop_link(link)
            if link.writable is None and (sign is None or sign.done()):
                self._signs[link] = sign = link.send(("PING",))
                sign.add_done_callback(_ignore)
        if self.cache.entries:
            self._watch(loop)

    def _stop(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        self._signs.clear()

    # Commands and their keys.

    def effect(self, args: tuple[Any, ...]) -> Effect:
        """What a command means to the cache; one look-up for a name seen before."""
        try:
            return self._effects[args[0]]
        except (KeyError, IndexError, TypeError, ValueError):
            return self._effect_of(args)

    def _effect_of(self, args: tuple[Any, ...]) -> Effect:
        if not args:
            return _NO_COMMAND
        name = upper(args[0])
        command = self._table.get(name)
        if command is not None and command.subcommands:
            # The second word says what it does.
            return Effect(name, command.subcommands.get(upper(args[1])) if len(args) > 1 else None)
        effect = Effect(name, command)
        if type(args[0]) in (str, bytes) and self._table and len(self._effects) < _EFFECTS_KEPT:
            self._effects[args[0]] = effect
        return effect

    def _keys(self, prepared: tuple[Any, ...]) -> tuple[tuple[bytes, ...], list[bytes], tuple[Announced, ...]] | None:
        """A read in bytes, its keys, and its keys as announced; None when its reply cannot be kept."""
        effect = self.effect(prepared)
        if effect.find is None:
            return None
        try:
            sent = tuple([value.encode() if type(value) is str else value for value in prepared])
            positions = _FIRST if effect.only_first else effect.find(sent)
            wire = [sent[position] for position in positions if position < len(sent)]
            keys = tuple([key.decode(self._encoding) for key in wire] if self._decode else wire)
        except UnicodeError:
            # An argument that cannot be sent, as the usual way tells the caller; or a key that could not be announced.
            return None
        return (sent, wire, keys) if 0 < len(wire) <= MOST_KEYS else None


def normal(args: tuple[Any, ...]) -> Question | None:
    """A command with nothing but ``str`` and ``bytes``, of which equal ones are the same on the wire; else None.

    ``1``, ``1.0`` and ``True`` are equal in Python, and three things on the wire.
    """
    for value in args:
        if type(value) is not str and type(value) is not bytes:
            break
    else:
        return args
    changed: list[str | bytes] = []
    for value in args:
        if isinstance(value, str):
            changed.append(str.__str__(value))
        elif isinstance(value, bytes | bytearray | memoryview):
            changed.append(bytes(value))
        elif isinstance(value, int) and not isinstance(value, bool):
            changed.append(str(int(value)))
        else:
            return None
    return tuple(changed)


def _bytes(question: Question | None) -> bytes:
    if question is None:
        raise TypeError("not a key")
    return question[0].encode() if isinstance(question[0], str) else question[0]


async def _expires(now: float, opted: Awaitable[Any], lives: list[asyncio.Future[Any]]) -> float | None:
    """When the first key expires; None when it cannot be known, or the server does not tell of changes."""
    try:
        await opted
        milliseconds = [await life for life in lives]
    except StoreError:
        return None
    soonest = min([life for life in milliseconds if life >= 0], default=math.inf)
    # From the moment before the question was sent: rather a little early than late.
    return now + soonest / 1000


def _ignore(*replies: asyncio.Future[Any]) -> None:
    """Nobody asks for these replies any more, errors included."""
    for reply in replies:
        if not reply.done():
            reply.cancel()
        elif not reply.cancelled():
            reply.exception()
