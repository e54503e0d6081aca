"""Dialling the server that sentinels name.

Sentinels learn of a failover one after the other, and a demoted primary may answer for a while, so what they say is
checked: a link is used when its server says that it is the primary. Until there is one, they are asked again, as long
as the time to connect lasts.
"""

from __future__ import annotations

import asyncio
import errno
import random
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from weakref import WeakSet, ref

from store_core import DSN, ConnectionLost, ConnectionTimeout, ReplyError, StoreError
from store_core.parameters import Params
from store_redis.credentials import Login
from store_redis.dial import Address, Dialer
from store_redis.errors import make
from store_redis.multiplexed import MultiplexedLink
from store_redis.sentinel.link import BoundedSentinelLink, SentinelLink
from store_redis.sentinel.sentinels import Sentinels

#: Seconds before the sentinels are asked again, and the longest pause between two questions.
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 0.5

#: Seconds for which a link leads to the primary for want of a replica, before there is another look for one.
PRIMARY_SECONDS = 5.0

#: What a server says that it is: HELLO has one word for a replica, ROLE another.
_PRIMARY, _REPLICA = frozenset({"master"}), frozenset({"replica", "slave"})

#: Codes with which a server refuses for a while.
_NOT_YET = frozenset({"LOADING", "MASTERDOWN"})


class SentinelDialer(Dialer):
    """Opens links to the primary, or to a replica.

    Args:
        dsn: The connection string.
        params: Its parameters.

    Attributes:
        sentinels: Who is asked.
        replicas: Whether links lead to a replica, where one is up.
    """

    def __init__(self, dsn: DSN, params: Params) -> None:
        self.sentinels = Sentinels(dsn, params)
        super().__init__(dsn, params, 0)
        self.replicas: bool = params["read_from"] == "replica"
        self._links: WeakSet[SentinelLink] = WeakSet()
        # What was announced last: it may be news to a link that is being opened.
        self._announced: Address | None = None

    @property
    def address(self) -> str:
        return str(self.sentinels)

    async def where(self) -> Address:
        """Where a server is that can be used, as it says itself; for a connection that somebody else opens."""
        link = await self.dial()
        try:
            return self.place(link)
        finally:
            link.close()

    def place(self, link: MultiplexedLink) -> Address:
        """Where a link leads."""
        host, _, port = link.address.rpartition(":")
        return Address(host.strip("[]"), int(port))

    async def dial(self) -> MultiplexedLink:
        failure: BaseException | None = None
        pause = FIRST_PAUSE
        try:
            async with asyncio.timeout(self.connect_timeout or None):
                while True:
                    try:
                        return await self._dial_named()
                    except _Later as error:
                        failure = error
                        self.sentinels.pass_over()
                    await asyncio.sleep(pause * random.uniform(0.5, 1.0))
                    pause = min(pause * 2, LONGEST_PAUSE)
        except TimeoutError as error:
            if isinstance(error, StoreError):
                raise
            detail = f": {failure}" if failure is not None else ""
            message = f"no connection to {self.address} within {self.connect_timeout:g} s{detail}"
            raise make(ConnectionTimeout, message) from (failure.__cause__ if failure is not None else error)

    async def _dial_named(self) -> SentinelLink:
        if not self.replicas:
            return await self._dial_named_at(await self.sentinels.primary(), _PRIMARY)
        for place in await self.sentinels.replicas():
            try:
                return await self._dial_named_at(place, _REPLICA)
            except _Later:
                continue  # the next replica, or the primary
        link = await self._dial_named_at(await self.sentinels.primary(), _PRIMARY | _REPLICA)
        link.loop.call_later(PRIMARY_SECONDS, _look_again, ref(link))
        return link

    async def _dial_named_at(self, place: Address, roles: frozenset[str]) -> SentinelLink:
        announced = self._announced
        try:
            link = await self.dial_at(place)
        except BaseException as error:
            translated = self.translated(error, str(place))
            if _may_pass(error):
                raise _Later(str(translated)) from translated
            if translated is error:
                raise
            raise translated from error
        assert isinstance(link, SentinelLink)
        if link.role not in roles:
            link.close()
            raise _Later(f"{place} says that it is a {link.role}")
        if self._announced != announced and not self._fits(link):
            link.close()
            raise _Later(f"{place} was replaced by {self._announced} meanwhile")
        return link

    async def open(self, place: Address) -> MultiplexedLink:
        async with self._patience():
            return await super().open(place)

    async def shake_hands(self, link: MultiplexedLink, user: Login) -> Any:
        async with self._patience():
            return await super().shake_hands(link, user)

    @asynccontextmanager
    async def _patience(self) -> AsyncIterator[None]:
        """A host that is gone does not even refuse: it may not take the time in which another becomes the primary."""
        patience = self.sentinels.patience
        try:
            async with asyncio.timeout(patience):
                yield
        except TimeoutError as error:
            if error.errno:
                raise  # the system's own
            raise TimeoutError(errno.ETIMEDOUT, f"no answer within {patience:g} s") from error

    def new_link(self) -> MultiplexedLink:
        limit, options, writes = self.params["max_in_flight"], self.link_options(), not self.replicas
        if limit:
            link: SentinelLink = BoundedSentinelLink(limit, *options, writes=writes)
        else:
            link = SentinelLink(*options, writes=writes)
        self._links.add(link)
        return link

    async def welcome(self, greeting: Any, link: MultiplexedLink) -> None:
        if greeting is None:
            role = (await link.send(("ROLE",)))[0]
        else:
            pairs = greeting if isinstance(greeting, dict) else dict(zip(greeting[::2], greeting[1::2], strict=True))
            role = pairs.get(b"role", pairs.get("role"))
        assert isinstance(link, SentinelLink)
        link.role = role.decode() if isinstance(role, bytes) else str(role)

    def learn(self, primary: Address) -> None:
        """Take note of where the primary is at the beginning, before anything is announced."""
        if self._announced is None:
            self._announced = primary

    def announce(self, primary: Address, sentinel: Dialer) -> bool:
        """Close the links that lead to another primary than this one; with replicas, those to one that became it.

        Args:
            primary: Where the primary is.
            sentinel: Who says so; if it is news, it is asked first from here on, as the others may not know yet.

        Returns:
            Whether the primary is another than before.
        """
        before, self._announced = self._announced, primary
        news = before not in (None, primary)
        if news:
            self.sentinels.prefer(sentinel)
        if news or not self.replicas:
            for link in tuple(self._links):
                if link.address and not self._fits(link):
                    link.close()
        return news

    def replica_down(self, replica: Address) -> None:
        """Close the links that lead to it."""
        for link in tuple(self._links):
            if link.address == str(replica):
                link.close()

    def abandon(self) -> None:
        """Forget the links of an event loop that is gone."""
        self._links.clear()

    def _fits(self, link: MultiplexedLink) -> bool:
        return (link.address != str(self._announced)) if self.replicas else link.address == str(self._announced)


class _Later(Exception):
    """No link now, but perhaps after a pause."""


def _may_pass(error: BaseException) -> bool:
    """Whether a failover may end what went wrong; a wrong password or certificate stays wrong."""
    if isinstance(error, ConnectionLost) or (isinstance(error, ReplyError) and error.code in _NOT_YET):
        return True
    return isinstance(error, OSError) and not isinstance(error, StoreError | ssl.SSLError)


def _look_again(reference: ref[SentinelLink]) -> None:
    link = reference()
    # The next command looks for a replica. A connection of the caller's own stays, and so does a subscriber's, which
    # would miss messages.
    if link is not None and link.on_lost is not None and not link.listening:
        link.leave()
