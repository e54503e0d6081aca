"""Dialling: open a socket, shake hands, hand over a link.

The whole handshake (``HELLO`` with authentication, ``CLIENT SETNAME``, ``CLIENT SETINFO``, ``SELECT``) is one write
and one round trip. A server that does not know ``HELLO`` (before Redis 6) is spoken to in RESP2.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Callable
from typing import Any

from store_core import DSN, ConnectionFailed, ConnectionLost, ConnectionTimeout, DSNError, ReplyError, StoreError
from store_core.dsn import MASK
from store_core.parameters import Params
from store_redis.bounded import BoundedLink
from store_redis.errors import make, reply_error
from store_redis.health import keep_alive
from store_redis.multiplexed import MultiplexedLink

DEFAULT_HOST = "127.0.0.1"
TLS_SCHEMES = frozenset({"rediss", "valkeys"})
_ALERT = r'got "\x15"'  # how hiredis quotes the first byte of a TLS alert
LIBRARY = (("LIB-NAME", "store-redis"), ("LIB-VER", "0.1.0"))


class Dialer:
    """Where the server is and who we are; ``dial`` opens one link.

    Args:
        dsn: The connection string.
        params: Its parameters.
        default_port: The port where the connection string has none.
    """

    def __init__(self, dsn: DSN, params: Params, default_port: int) -> None:
        self.params = params
        self.path = dsn.path if is_unix(dsn) else ""
        host = dsn.hosts[0] if dsn.hosts else None
        self.host = (host.name if host else "") or DEFAULT_HOST
        self.port = host.port if host and host.port is not None else default_port
        self.tls = not self.path and (dsn.scheme in TLS_SCHEMES or params["tls"])

    @property
    def address(self) -> str:
        """Where the server is, for people."""
        return self.path or (f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}")

    async def dial(self) -> MultiplexedLink:
        """Open a link and shake hands.

        Raises:
            ConnectionFailed: Nobody answers, or it is not a Redis server.
            ReplyError: The server refused the password, the database, or the connection.
            Timeout: No answer within ``timeout``.
        """
        timeout = self.params["timeout"]
        decoding = self.params["encoding"] if self.params["decode_responses"] else None
        # With one core the server could not answer while we look.
        busy_poll = self.params["busy_poll"] if cores() > 1 else 0.0
        link: MultiplexedLink | None = None
        try:
            async with asyncio.timeout(timeout or None):
                link = await self._open(lambda: self._make_link(timeout, decoding, busy_poll))
                link.address = self.address
                await self._shake_hands(link)
        except BaseException as error:
            if link is not None:
                link.close()
            translated = self._translated(error, timeout)
            if translated is error:
                raise
            raise translated from error
        return link

    def _make_link(self, timeout: float, decoding: str | None, busy_poll: float) -> MultiplexedLink:
        limit = self.params["max_in_flight"]
        if limit:
            return BoundedLink(limit, timeout, decoding, busy_poll)
        return MultiplexedLink(timeout, decoding, busy_poll)

    async def _open(self, factory: Callable[[], MultiplexedLink]) -> MultiplexedLink:
        loop = asyncio.get_running_loop()
        if self.path:
            transport, link = await loop.create_unix_connection(factory, self.path)
            link.peer = transport.get_extra_info("peername")
            return link
        context = tls_context(self.params) if self.tls else None
        name = self.params["tls_server_name"] or self.host if context else None
        transport, link = await loop.create_connection(factory, self.host, self.port, ssl=context, server_hostname=name)
        link.peer = transport.get_extra_info("peername")
        sock = transport.get_extra_info("socket")
        if sock is not None:
            # asyncio and uvloop set TCP_NODELAY themselves.
            keep_alive(sock, self.params["timeout"])
        return link

    async def _shake_hands(self, link: MultiplexedLink) -> None:
        replies = await self._ask(link, [self._greeting(), *self._introduction()])
        link.client_id = _client_id(replies[0])
        if _knows_no_hello(replies[0]) and not link.closed:
            older = [command for command in (self._auth(), self._select()) if command]
            replies = await self._ask(link, [*older, ("PING",)])
        for reply in replies:
            if isinstance(reply, Exception) and not _is_harmless(reply):
                raise self._turned_away(reply) if isinstance(reply, ReplyError) and link.closed else reply

    async def _ask(self, link: MultiplexedLink, commands: list[tuple[Any, ...]]) -> list[Any]:
        # One future for each: what a server said before it closed the connection is not lost with the rest.
        replies = await asyncio.gather(*map(link.send, commands), return_exceptions=True)
        return [self._without_password(reply) if isinstance(reply, ReplyError) else reply for reply in replies]

    def _without_password(self, reply: ReplyError) -> ReplyError:
        # A server that does not know AUTH may repeat its arguments.
        password = self.params["password"]
        return reply_error(str(reply).replace(password, MASK)) if password and password in str(reply) else reply

    def _turned_away(self, reply: ReplyError) -> ConnectionFailed:
        return make(ConnectionFailed, f"cannot connect to {self.address}: it said {str(reply)!r} and closed")

    def _greeting(self) -> tuple[Any, ...]:
        hello: tuple[Any, ...] = ("HELLO", self.params["protocol"])
        auth = self._auth()
        if auth:
            hello += ("AUTH", *(auth[1:] if len(auth) == 3 else ("default", auth[1])))
        return hello

    def _introduction(self) -> list[tuple[Any, ...]]:
        commands: list[tuple[Any, ...]] = [("CLIENT", "SETINFO", name, value) for name, value in LIBRARY]
        if self.params["client_name"]:
            commands.append(("CLIENT", "SETNAME", self.params["client_name"]))
        select = self._select()
        return [*commands, select] if select else commands

    def _auth(self) -> tuple[Any, ...]:
        username, password = self.params["username"], self.params["password"]
        if password is None and username is None:
            return ()
        return ("AUTH", username, password or "") if username else ("AUTH", password)

    def _select(self) -> tuple[Any, ...]:
        return ("SELECT", self.params["db"]) if self.params["db"] else ()

    def _translated(self, error: BaseException, timeout: float) -> BaseException:
        if isinstance(error, ReplyError):
            error.add_note(f"while connecting to {self.address}")
            return error
        if isinstance(error, TimeoutError) and not getattr(error, "errno", None):
            return make(ConnectionTimeout, f"cannot connect to {self.address} within {timeout:g} s")
        if isinstance(error, TimeoutError) and not isinstance(error, StoreError):
            return make(ConnectionTimeout, f"cannot connect to {self.address}: {error.strerror}")
        if isinstance(error, ConnectionFailed) and isinstance(error.__cause__, ConnectionLost):
            error = error.__cause__  # it broke before the handshake was sent
        if isinstance(error, ConnectionLost):
            return make(ConnectionFailed, f"cannot connect to {self.address}: {error}{self._advice(str(error))}")
        if isinstance(error, StoreError):
            return error
        if isinstance(error, ssl.SSLError):
            reason = getattr(error, "verify_message", None) or error.reason or error
            return make(ConnectionFailed, f"cannot connect to {self.address}: TLS failed ({reason})")
        if isinstance(error, OSError | UnicodeError):
            return make(ConnectionFailed, f"cannot connect to {self.address}: {_reason(error)}")
        return error

    def _advice(self, message: str) -> str:
        """What may help where the server broke the handshake off."""
        silent = "was lost" in message
        if self.tls and silent:
            return "; it may ask for a client certificate, or not accept this one (tls_cert_file, tls_key_file)"
        if not self.path and not self.tls and (silent or _ALERT in message):
            return "; if it speaks TLS, use rediss://"
        return ""


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


def _knows_no_hello(reply: Any) -> bool:
    return isinstance(reply, ReplyError) and "unknown command" in str(reply).lower()


def _is_harmless(error: Exception) -> bool:
    # CLIENT SETINFO is newer than HELLO, and an ACL may forbid it: the library's name is a courtesy.
    return isinstance(error, ReplyError) and "setinfo" in str(error).lower()
