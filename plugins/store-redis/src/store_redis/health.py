"""Health checks: a connection whose other end has gone without a word is noticed, also when nobody sends.

A machine that loses its power or its network closes no connection. Rules: a connection on which nothing came for
``health_check`` seconds is asked ``PING``; one that does not answer within ``timeout`` is closed with
``ConnectionLost``, and whoever needs a connection opens another. One that owes a reply to nobody who still waits, and
has said nothing for so long, is closed at once. One that owes a reply to a caller who has all the time (a blocking
command, a long script) is left to TCP: its keep-alive finds the other machine gone within about a minute.

A connection that is used is not asked. The check is one timer for each connection.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from store_redis.multiplexed import MultiplexedLink

#: TCP keep-alive: seconds of silence before the first probe, between two, and probes without an answer.
KEEP_IDLE, KEEP_INTERVAL, KEEP_COUNT = 30, 10, 3

#: Least seconds for which data may stay without acknowledgement before the system gives the connection up.
UNACKNOWLEDGED = 60.0

#: Seconds after the time is up: a loop that was held up looks at its sockets before it judges the other end.
GRACE = 0.1

_IDLE = ("TCP_KEEPIDLE", "TCP_KEEPALIVE")  # Linux and the BSDs, macOS


class HealthCheck:
    """Checks one link.

    Args:
        link: The link.
        interval: Seconds of silence before it is asked.
        fail: Closes the link, for a reason.
    """

    def __init__(self, link: MultiplexedLink, interval: float, fail: Callable[[str], None]) -> None:
        self._link = link
        self._interval = interval
        self._fail = fail
        self._heard_before = link.heard()
        self._timer = link.loop.call_later(interval, self._check)

    def stop(self) -> None:
        """Check no more."""
        self._timer.cancel()

    def _check(self) -> None:
        link = self._link
        heard = link.heard()
        silent, self._heard_before = heard == self._heard_before, heard
        if silent and link.writable is None and not link.load():
            self._ask()
        elif silent and link.load() and not link.somebody_waits():
            self._fail(f"{link.address} has said nothing for {self._interval:g} s, though replies were due")
        else:
            self._again()

    def _again(self) -> None:
        self._timer = self._link.loop.call_later(self._interval, self._check)

    def _ask(self) -> None:
        link = self._link
        self._timer = link.loop.call_later(link.timeout or self._interval, self._judge)
        if link.listening:
            self._ask_listening()
        else:
            link.send_patient(("PING",)).add_done_callback(self._answered)

    def _ask_listening(self) -> None:
        # On a subscriber's link replies are messages among messages: the answer is looked for there.
        link, deliver = self._link, self._link.on_push

        def look(message: Any) -> None:
            if _is_pong(message):
                link.on_push = deliver
                self._alive()
                return
            if deliver is not None:
                deliver(message)

        link.on_push = look
        link.post(("PING",))

    def _answered(self, reply: asyncio.Future[Any]) -> None:
        # An error is an answer too; a link that broke has told whoever it concerns.
        if not reply.cancelled():
            reply.exception()
        if not self._link.closed:
            self._alive()

    def _judge(self) -> None:
        self._heard_before = self._link.heard()
        self._timer = self._link.loop.call_later(GRACE, self._unanswered)

    def _alive(self) -> None:
        self._timer.cancel()
        self._heard_before = self._link.heard()
        self._again()

    def _unanswered(self) -> None:
        if self._link.heard() != self._heard_before:
            self._judge()  # messages come: the answer is behind them
            return
        seconds = self._link.timeout or self._interval
        self._fail(f"{self._link.address} did not answer a health check within {seconds:g} s")


def _is_pong(message: Any) -> bool:
    return message in (b"PONG", "PONG") or (isinstance(message, list) and bool(message) and message[0] == b"pong")


def keep_alive(sock: Any, timeout: float) -> None:
    """Make the system notice within about a minute that the other machine has gone.

    Args:
        sock: A TCP socket.
        timeout: The store's timeout; with none, data may stay without acknowledgement for as long as TCP allows.
    """
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    options = [("TCP_KEEPINTVL", KEEP_INTERVAL), ("TCP_KEEPCNT", KEEP_COUNT)]
    options += [(name, KEEP_IDLE) for name in _IDLE if hasattr(socket, name)][:1]
    if timeout:
        options.append(("TCP_USER_TIMEOUT", int(max(UNACKNOWLEDGED, 2 * timeout) * 1000)))
    for name, value in options:
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
