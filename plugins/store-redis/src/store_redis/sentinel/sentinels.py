"""Sentinels: who is asked where a service's servers are.

They are asked in order, the one that answered last first. One that is down, hangs, does not know the service, or
named a server that was not the primary is passed over; only when none has an answer is it an error, which says what
each of them said.
"""

from __future__ import annotations

import random
import socket
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, TypeVar

from store_core import DSN, ConnectionFailed, DSNError, StoreError
from store_core.dsn import Host
from store_core.parameters import Params
from store_redis.dial import DEFAULT_HOST, Address, Dialer
from store_redis.errors import make
from store_redis.link import Link

DEFAULT_PORT = 26379

#: Seconds that a sentinel, or a server, may take to answer where ``connect_timeout`` sets no limit.
PATIENCE = 10.0

#: Flags of a replica that sentinels do not hold for up.
_DOWN = frozenset({"s_down", "o_down"})

#: Socket options by name, where the system has them: that the host of a sentinel is gone is noticed by the kernel.
_KEEPALIVE = {"TCP_KEEPIDLE": 15, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}

AnswerT = TypeVar("AnswerT")


class _SentinelsDialer(Dialer):
    """Opens links to one sentinel; they stay open and silent for long."""

    def tune(self, sock: socket.socket) -> None:
        super().tune(sock)
        for name, value in _KEEPALIVE.items():
            if hasattr(socket, name):
                sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


class Sentinels:
    """The sentinels of a connection string, and what they say of its service.

    Args:
        dsn: The connection string.
        params: Its parameters.

    Attributes:
        service: The name under which they watch the primary.
        dialers: One for each sentinel, in the order written.
        patience: Seconds that one of them may take; the time to connect suffices for all of them and the server.
    """

    def __init__(self, dsn: DSN, params: Params) -> None:
        self.service: str = params["service"]
        hosts = dsn.hosts or (Host(DEFAULT_HOST),)
        limit = params["timeout"] if params["connect_timeout"] is None else params["connect_timeout"]
        self.patience: float = limit / (len(hosts) + 1) if limit else PATIENCE
        theirs = _params(params, self.patience)
        self.dialers: list[Dialer] = [
            _SentinelsDialer(replace(dsn, hosts=(host,)), theirs, DEFAULT_PORT) for host in hosts
        ]
        self._order = list(self.dialers)

    def __str__(self) -> str:
        return f"service {self.service!r} of {','.join(dialer.address for dialer in self.dialers)}"

    async def primary(self) -> Address:
        """Where the primary is.

        Raises:
            ConnectionFailed: No sentinel knows it.
        """
        return await self._first_answer(self._ask_primary)

    async def replicas(self) -> list[Address]:
        """Where the replicas are that sentinels hold for up; those that follow the primary come first.

        Raises:
            ConnectionFailed: No sentinel knows the service.
        """
        return await self._first_answer(self._ask_replicas)

    def prefer(self, dialer: Dialer) -> None:
        """Ask this one first from here on."""
        self._order.remove(dialer)
        self._order.insert(0, dialer)

    def pass_over(self) -> None:
        """Ask the one that answered last after all the others: what it said was wrong."""
        self._order.append(self._order.pop(0))

    @property
    def question(self) -> tuple[str, ...]:
        """The command that asks where the primary is."""
        return ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.service)

    def read_primary(self, reply: Any, link: Link) -> Address:
        """What a sentinel answered to the question.

        Raises:
            ConnectionFailed: It does not know.
        """
        if reply is None:
            raise make(ConnectionFailed, f"{link.address} knows no service {self.service!r}")
        return _address(reply, link)

    async def _ask_primary(self, link: Link) -> Address:
        return self.read_primary(await link.send(self.question), link)

    async def _ask_replicas(self, link: Link) -> list[Address]:
        replies = await link.send(("SENTINEL", "REPLICAS", self.service))
        up = [each for each in map(_fields, replies) if not _DOWN & frozenset(each.get("flags", "").split(","))]
        # Chance spreads the readers. After a failover sentinels take a moment to learn who follows the new primary.
        random.shuffle(up)
        up.sort(key=lambda each: each.get("master-link-status") != "ok")
        return [_address((each.get("ip"), each.get("port")), link) for each in up]

    async def _first_answer(self, ask: Callable[[Link], Awaitable[AnswerT]]) -> AnswerT:
        failures: list[StoreError] = []
        said: list[str] = []
        for dialer in tuple(self._order):
            try:
                link = await dialer.dial()
                try:
                    answer = await ask(link)
                finally:
                    link.close()
            except DSNError:
                raise  # a TLS file that cannot be read concerns them all
            except StoreError as error:
                failures.append(error)
                said.append(str(error) if dialer.address in str(error) else f"{dialer.address}: {error}")
            else:
                self.prefer(dialer)
                return answer
        raise make(ConnectionFailed, f"no sentinel knows {self}: {'; '.join(said)}") from failures[-1]


def _params(params: Params, patience: float) -> Params:
    """The parameters of a connection to a sentinel."""
    own = {
        "username": params["sentinel_username"],
        "password": params["sentinel_password"],
        "credentials": None,
        "db": 0,
        "namespace": "",
        "decode_responses": False,
        "timeout": patience,
        "connect_timeout": patience,
        "busy_poll": 0.0,
    }
    return Params({**params, **own}, {"password", "sentinel_password", "tls_key_password"})


def _address(reply: Any, link: Link) -> Address:
    try:
        host, port = map(_text, reply)
        return Address(host, int(port))
    except (TypeError, ValueError) as error:
        raise make(ConnectionFailed, f"{link.address} gave no address but {reply!r:.100}") from error


def _fields(reply: Any) -> dict[str, str]:
    """A replica's fields: a map, or in RESP2 a list of names and values."""
    pairs = reply.items() if isinstance(reply, dict) else zip(reply[::2], reply[1::2], strict=False)
    return {_text(name): _text(value) for name, value in pairs}


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
