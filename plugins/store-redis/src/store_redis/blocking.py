"""Blocking commands: a connection to themselves, and no element lost with a caller that has gone.

A command that pops (``BLPOP`` and its family) may be served in the very moment in which its caller is cancelled or
runs out of time. So its connection is not closed then: the server is asked to end the wait (``CLIENT UNBLOCK``), and
the reply is read in the background. It is nil, and nothing was popped, or it brings elements, which go back to the
end that they came from. What is popped and put back is out of the list for that moment; it is lost only when the
connection or this process ends within it, as it would be with the caller that had it.

The caller waits for none of this. Where the server cannot be asked (``CLIENT UNBLOCK`` is forbidden, the connections
lead to different servers) the connection is closed, and an element popped in that moment is lost.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from store_core import ConnectionFailed, ReplyError, StoreError
from store_redis.commands import upper
from store_redis.connection import blocking_time, send, until_writable, within
from store_redis.dedicated import DedicatedLinks
from store_redis.encoding import encoded
from store_redis.errors import was_not_sent
from store_redis.link import Link

logger = logging.getLogger(__name__)

#: Seconds in which the server ends a wait, or the connection is closed; and those that closing a store gives to it.
PATIENCE, PATIENCE_WHEN_CLOSING = 5.0, 1.0

#: Seconds between two calls of CLIENT UNBLOCK: the blocking command may not have reached the server yet.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.001, 0.1

_LOST = "what %s popped for a caller that has gone may be lost: %s"

Command = tuple[Any, ...]

#: Replication marker of WAIT: a sharded channel, since no pattern listens to those.
_MARKER = "store-redis.wait"


class Blocking:
    """Runs the blocking commands of one server.

    Args:
        dedicated: The links that they get to themselves.
        shared: A link that all callers share.
    """

    def __init__(self, dedicated: DedicatedLinks, shared: Callable[[], Awaitable[Link]]) -> None:
        self._dedicated = dedicated
        self._shared = shared
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(
        self, args: Command, timeout: float | None = None, namespace: str = "", before: Command | None = None
    ) -> Any:
        """Run a command on a link of its own, once more on another where the first broke before it was sent.

        Args:
            args: The command.
            timeout: The caller's own time.
            namespace: The store's.
            before: A command that goes just before it, whose reply nobody wants (``ASKING``).
        """
        link = await self._dedicated.take()
        try:
            return await self._run(link, args, timeout, namespace, before)
        except ConnectionFailed as error:
            if not was_not_sent(error):
                raise
        return await self._run(await self._dedicated.take(), args, timeout, namespace, before)

    async def run_on(self, link: Link, args: Command, timeout: float | None, done: Callable[[], None]) -> Any:
        """Run a command on a link; ``done()`` is called once the link is free, maybe after the caller has gone."""
        pop = _POPS.get(upper(args[0]))
        reply: asyncio.Future[Any] | None = None

        async def answer() -> Any:
            nonlocal reply
            await until_writable(link)
            reply = link.send_patient(args)
            return await (reply if pop is None or link.client_id is None else _heard(reply))

        try:
            return await within(blocking_time(link, args, timeout), link.address, answer())
        except BaseException:
            if pop is not None and reply is not None and _is_owed(reply, link):
                task = asyncio.create_task(self._take_back(link, reply, pop, args, done))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
                done = _nothing
            raise
        finally:
            done()

    async def settle(self) -> None:
        """Finish what is being taken back, within a second."""
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=PATIENCE_WHEN_CLOSING)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def forget(self) -> None:
        """Drop everything that belongs to an event loop that is gone."""
        self._tasks.clear()

    async def _run(
        self, link: Link, args: Command, timeout: float | None, namespace: str, before: Command | None
    ) -> Any:
        def done() -> None:
            if link.load():
                link.close()  # a reply is under way: nobody else may get it
            self._dedicated.give_back(link)

        if upper(args[0]) in ("WAIT", "WAITAOF"):
            try:
                await _mark(link, namespace)
            except BaseException:
                done()
                raise
        if before is not None:
            link.send(before).cancel()
        return await self.run_on(link, args, timeout, done)

    async def _take_back(
        self, link: Link, reply: asyncio.Future[Any], pop: _Pop, args: Command, done: Callable[[], None]
    ) -> None:
        try:
            await _come_next(link, reply)
            async with asyncio.timeout(PATIENCE):
                await self._unblock(link, reply)
            popped = reply.result()
        except (StoreError, TimeoutError) as error:
            logger.debug("the reply to an abandoned %s did not come: %s", upper(args[0]), error)
            return
        except UnicodeDecodeError as error:
            logger.warning(_LOST, upper(args[0]), error)
            return
        finally:
            # A link of the pool whose reply has not come is closed by done(), and the reply with it.
            reply.cancel()
            done()
        if popped:
            command = pop(args, popped)
            await self._put_back(encoded(command, link.encoding) if link.encoding else command, args)

    async def _unblock(self, link: Link, reply: asyncio.Future[Any]) -> None:
        pause = _FIRST_PAUSE
        while not reply.done():
            shared = await self._shared()
            if shared.peer != link.peer:
                raise ConnectionFailed(f"{link.address} leads to several servers")
            await send(shared, ("CLIENT", "UNBLOCK", link.client_id))
            await asyncio.wait((reply,), timeout=pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _put_back(self, command: Command, args: Command) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                await self._push(command)
        except (StoreError, TimeoutError) as error:
            logger.warning(_LOST, upper(args[0]), error)

    async def _push(self, command: Command) -> None:
        pause = _FIRST_PAUSE
        while True:
            try:
                await send(await self._shared(), command)
                return
            except ConnectionFailed as error:
                if not was_not_sent(error):
                    raise  # it may be back, and must not be there twice
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)


async def _come_next(link: Link, reply: asyncio.Future[Any]) -> None:
    """Wait while the server is still at a command of somebody else, whose wait is not to be ended."""
    pause = _FIRST_PAUSE
    while not (reply.done() or link.closed or link.answers_next(reply)):
        await asyncio.wait((reply,), timeout=pause)
        pause = min(pause * 2, _LONGEST_PAUSE)


def _is_owed(reply: asyncio.Future[Any], link: Link) -> bool:
    """Whether a reply with elements in it may be there, or still come, and nobody takes it."""
    if reply.done():
        return not reply.cancelled() and reply.exception() is None
    return link.client_id is not None and not link.closed


def _heard(reply: asyncio.Future[Any]) -> asyncio.Future[Any]:
    """A future of the caller's own: cancelling it does not drop the reply."""
    heard: asyncio.Future[Any] = reply.get_loop().create_future()

    def pass_on(reply: asyncio.Future[Any]) -> None:
        error = None if reply.cancelled() else reply.exception()
        if heard.done() or reply.cancelled():
            return
        if error is not None:
            heard.set_exception(error)
        else:
            heard.set_result(reply.result())

    reply.add_done_callback(pass_on)
    return heard


def _nothing() -> None:
    pass


async def _mark(link: Link, namespace: str) -> None:
    """Write something on this connection: WAIT waits for its own connection's last write, and so for all before it."""
    for name in ("SPUBLISH", "PUBLISH"):
        try:
            await send(link, (name, namespace + _MARKER, b""))
            return
        except ReplyError as error:
            older = name == "SPUBLISH" and "unknown command" in str(error).lower()
            if not older:
                error.add_note(f"WAIT needs {name} on the channel {namespace + _MARKER!r}, or a store.connect()")
                raise


# How each command's elements go back: (arguments, reply) → command.

_Pop = Callable[[Command, Any], Command]


def _pushed(side: str, key: Any, elements: Iterable[Any]) -> Command:
    # Popped one by one from an end, they return to it in reverse.
    return ("LPUSH" if side == "LEFT" else "RPUSH", key, *reversed(list(elements)))


def _added(key: Any, scored: Iterable[Any]) -> Command:
    # NX: a member that was added again meanwhile keeps its new score.
    pairs = [part for member, score in scored for part in (repr(score) if type(score) is float else score, member)]
    return ("ZADD", key, "NX", *pairs)


def _side(args: Command) -> str:
    # BLMPOP timeout numkeys key [key …] LEFT|RIGHT
    return upper(args[3 + int(args[2])])


_POPS: dict[str, _Pop] = {
    "BLPOP": lambda args, reply: _pushed("LEFT", reply[0], [reply[1]]),
    "BRPOP": lambda args, reply: _pushed("RIGHT", reply[0], [reply[1]]),
    "BLMPOP": lambda args, reply: _pushed(_side(args), reply[0], reply[1]),
    "BZPOPMIN": lambda args, reply: _added(reply[0], [reply[1:]]),
    "BZPOPMAX": lambda args, reply: _added(reply[0], [reply[1:]]),
    "BZMPOP": lambda args, reply: _added(reply[0], reply[1]),
}
