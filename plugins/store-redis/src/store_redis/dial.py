"""Dialling: open a socket, shake hands, hand over a link.

The whole handshake (``HELLO`` with authentication, ``CLIENT SETNAME``, ``CLIENT SETINFO``, ``SELECT``) is one write
and one round trip. A server that does not know ``HELLO`` (before Redis 6) is spoken to in RESP2. Where the server is,
and who we are, is asked anew for each link: a primary may have moved, a password may have changed.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from typing import Any, NamedTuple

from store_core import DSN, ConnectionFailed, ConnectionLost, ConnectionTimeout, DSNError, ReplyError, StoreError
from store_core.dsn import MASK
from store_core.parameters import Params
from store_redis.bounded import BoundedLink
from store_redis.credentials import Login, check, login
from store_redis.errors import make, reply_error
from store_redis.health import keep_alive
from store_redis.multiplexed import MultiplexedLink

DEFAULT_HOST = "127.0.0.1"
TLS_SCHEMES = frozenset({"rediss", "valkeys"})
_ALERT = r'got "\x15"'  # how hiredis quotes the first byte of a TLS alert
LIBRARY = (("LIB-NAME", "store-redis"), ("LIB-VER", "0.1.0"))


class Address(NamedTuple):
    """Where a server is: a host and a port, or the path of a unix socket."""

    host: str
    port: int
    path: str = ""

    def __str__(self) -> str:
        return self.path or (f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}")


class Dialer:
    """Where the server is and who we are; ``dial`` opens one link.

    Args:
        dsn: The connection string.
        params: Its parameters.
        default_port: The port where the connection string has none.

    Attributes:
        connect_timeout: Seconds that ``dial`` may take, credentials and handshake included; 0 for ever.
    """

    def __init__(self, dsn: DSN, params: Params, default_port: int) -> None:
        check(params)
        self.params = params
        self.path = dsn.path if is_unix(dsn) else ""
        host = dsn.hosts[0] if dsn.hosts else None
        self.host = (host.name if host else "") or DEFAULT_HOST
        self.port = host.port if host and host.port is not None else default_port
        self.tls = not self.path and (dsn.scheme.partition("+")[0] in TLS_SCHEMES or params["tls"])
        patience = params["connect_timeout"]
        self.connect_timeout: float = params["timeout"] if patience is None else patience

    @property
    def address(self) -> str:
        """Where the server is, for people."""
        return str(Address(self.host, self.port, self.path))

    async def where(self) -> Address:
        """Where the next link leads."""
        return Address(self.host, self.port, self.path)

    async def dial(self) -> MultiplexedLink:
        """Open a link and shake hands.

        Raises:
            ConnectionFailed: Nobody answers, the credentials callable failed, or it is not a Redis server.
            ReplyError: The server refused the password, the database, or the connection.
            Timeout: No answer within ``connect_timeout``.
        """
        try:
            async with asyncio.timeout(self.connect_timeout or None):
                return await self.dial_at(await self.where())
        except BaseException as error:
            translated = self.translated(error, self.address)
            if translated is error:
                raise
            raise translated from error

    async def dial_at(self, place: Address) -> MultiplexedLink:
        """Open a link to one place and shake hands; without a limit of time, and with errors as they come."""
        link = await self.open(place)
        try:
            link.address = str(place)
            greeting = await self.shake_hands(link, await login(self.params, link.address))
            await self.welcome(greeting, link)
        except BaseException:
            link.close()
            raise
        return link

    def new_link(self) -> MultiplexedLink:
        """A link of the kind that the store uses, not connected yet."""
        limit = self.params["max_in_flight"]
        return BoundedLink(limit, *self.link_options()) if limit else MultiplexedLink(*self.link_options())

    def link_options(self) -> tuple[float, str | None, float]:
        """What a link is made with: timeout, encoding, busy polling."""
        decoding = self.params["encoding"] if self.params["decode_responses"] else None
        # With one core the server could not answer while we look.
        return self.params["timeout"], decoding, self.params["busy_poll"] if cores() > 1 else 0.0

    async def welcome(self, greeting: Any, link: MultiplexedLink) -> None:
        """Look at the server's reply to HELLO (None: it does not know HELLO) before the link is used."""

    async def open(self, place: Address) -> MultiplexedLink:
        """A link whose socket is open, TLS included."""
        loop = asyncio.get_running_loop()
        if place.path:
            transport, link = await loop.create_unix_connection(self.new_link, place.path)
            link.peer = transport.get_extra_info("peername")
            return link
        context = tls_context(self.params) if self.tls else None
        name = self.params["tls_server_name"] or place.host if context else None
        transport, link = await loop.create_connection(
            self.new_link, place.host, place.port, ssl=context, server_hostname=name
        )
        link.peer = transport.get_extra_info("peername")
        sock = transport.get_extra_info("socket")
        if sock is not None:
            self.tune(sock)
        return link

    def tune(self, sock: socket.socket) -> None:
        """Set the options of a TCP connection; asyncio and uvloop set TCP_NODELAY themselves."""
        keep_alive(sock, self.params["timeout"])

    async def shake_hands(self, link: MultiplexedLink, user: Login) -> Any:
        """Say who we are; returns the server's reply to HELLO, None where it does not know HELLO."""
        replies = await self._ask(link, [self._greeting(user), *self._introduction()], user)
        greeting = replies[0]
        link.client_id = _client_id(greeting)
        if _knows_no_hello(greeting) and not link.closed:
            older = [command for command in (_auth(user), self._select()) if command]
            replies = await self._ask(link, [*older, ("PING",)], user)
            greeting = None
        for reply in replies:
            if isinstance(reply, Exception) and not _is_harmless(reply):
                raise _turned_away(reply, link) if isinstance(reply, ReplyError) and link.closed else reply
        return greeting

    async def _ask(self, link: MultiplexedLink, commands: list[tuple[Any, ...]], user: Login) -> list[Any]:
        # One future for each: what a server said before it closed the connection is not lost with the rest. The time
        # to connect is what limits them, not the time to a reply.
        replies = await asyncio.gather(*map(link.send_patient, commands), return_exceptions=True)
        return [_without_password(reply, user) if isinstance(reply, ReplyError) else reply for reply in replies]

    def _greeting(self, user: Login) -> tuple[Any, ...]:
        hello: tuple[Any, ...] = ("HELLO", self.params["protocol"])
        auth = _auth(user)
        if auth:
            hello += ("AUTH", *(auth[1:] if len(auth) == 3 else ("default", auth[1])))
        return hello

    def _introduction(self) -> list[tuple[Any, ...]]:
        commands: list[tuple[Any, ...]] = [("CLIENT", "SETINFO", name, value) for name, value in LIBRARY]
        if self.params["client_name"]:
            commands.append(("CLIENT", "SETNAME", self.params["client_name"]))
        select = self._select()
        return [*commands, select] if select else commands

    def _select(self) -> tuple[Any, ...]:
        return ("SELECT", self.params["db"]) if self.params["db"] else ()

    def translated(self, error: BaseException, address: str) -> BaseException:
        """The error of the tree for what went wrong while a link to ``address`` was being opened."""
        if isinstance(error, ReplyError):
            error.add_note(f"while connecting to {address}")
            return error
        if isinstance(error, TimeoutError) and not getattr(error, "errno", None):
            if isinstance(error, StoreError):
                return error
            return make(ConnectionTimeout, f"cannot connect to {address} within {self.connect_timeout:g} s")
        if isinstance(error, TimeoutError) and not isinstance(error, StoreError):
            return make(ConnectionTimeout, f"cannot connect to {address}: {error.strerror}")
        if isinstance(error, ConnectionFailed) and isinstance(error.__cause__, ConnectionLost):
            error = error.__cause__  # it broke before the handshake was sent
        if isinstance(error, ConnectionLost):
            return make(ConnectionFailed, f"cannot connect to {address}: {error}{self._advice(str(error))}")
        if isinstance(error, StoreError):
            return error
        if isinstance(error, ssl.SSLError):
            reason = getattr(error, "verify_message", None) or error.reason or error
            return make(ConnectionFailed, f"cannot connect to {address}: TLS failed ({reason})")
        if isinstance(error, OSError | UnicodeError):
            return make(ConnectionFailed, f"cannot connect to {address}: {_reason(error)}")
        return error

    def _advice(self, message: str) -> str:
        """What may help where the server broke the handshake off."""
        silent = "was lost" in message
        if self.tls and silent:
            return "; it may ask for a client certificate, or not accept this one (tls_cert_file, tls_key_file)"
        if not self.path and not self.tls and (silent or _ALERT in message):
            return "; if it speaks TLS, use rediss://"
        return ""


def _auth(user: Login) -> tuple[Any, ...]:
    if user.password is None and user.username is None:
        return ()
    return ("AUTH", user.username, user.password or "") if user.username else ("AUTH", user.password)


def _without_password(reply: ReplyError, user: Login) -> ReplyError:
    # A server that does not know AUTH may repeat its arguments.
    password = user.password
    return reply_error(str(reply).replace(password, MASK)) if password and password in str(reply) else reply


def _turned_away(reply: ReplyError, link: MultiplexedLink) -> ConnectionFailed:
    return make(ConnectionFailed, f"cannot connect to {link.address}: it said {str(reply)!r} and closed")


def _reason(error: OSError | UnicodeError) -> str:
    """The system's own words; asyncio's repeat the address."""
    number = getattr(error, "errno", None)
    # A name that does not resolve has a number of another kind (gaierror), below zero.
    return os.strerror(number) if number and number > 0 else getattr(error, "strerror", None) or str(error)


def cores() -> int:
    """How many cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def is_unix(dsn: DSN) -> bool:
    """Whether the connection string names a unix socket."""
    return dsn.scheme == "unix" or dsn.scheme.endswith("+unix")


def tls_context(params: Params) -> ssl.SSLContext:
    """The TLS context of the ``tls_*`` parameters.

    Raises:
        DSNError: A file cannot be read, or is no certificate or key.
    """
    try:
        context = ssl.create_default_context(cafile=params["tls_ca_file"])
        if not params["tls_verify"]:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if params["tls_cert_file"]:
            # A callable, so that OpenSSL never asks for a password on the terminal.
            context.load_cert_chain(
                params["tls_cert_file"], params["tls_key_file"], lambda: params["tls_key_password"] or ""
            )
    except (OSError, ValueError) as error:
        raise DSNError(f"a TLS file cannot be used: {getattr(error, 'strerror', None) or error}") from error
    return context


def _knows_no_hello(reply: Any) -> bool:
    return isinstance(reply, ReplyError) and "unknown command" in str(reply).lower()


def _is_harmless(error: Exception) -> bool:
    # CLIENT SETINFO is newer than HELLO, and an ACL may forbid it: the library's name is a courtesy.
    return isinstance(error, ReplyError) and "setinfo" in str(error).lower()


def _client_id(hello: Any) -> int | None:
    """The ``id`` in HELLO's reply: a mapping in RESP3, names and values in turn in RESP2."""
    pairs = (
        hello.items()
        if isinstance(hello, dict)
        else zip(hello[::2], hello[1::2], strict=False)
        if isinstance(hello, list)
        else ()
    )
    return next((number for name, number in pairs if name in (b"id", "id")), None)
