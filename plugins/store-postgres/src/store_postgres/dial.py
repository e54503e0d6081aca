"""Dialling: from a connection string to one asyncpg connection."""

from __future__ import annotations

import asyncio
import getpass
import os
import socket
import ssl
from contextlib import suppress
from typing import Any

import asyncpg

from store_core import DSN, DSNError
from store_core.parameters import Params
from store_postgres.errors import LIBRARY, ConnectionTimeout, while_connecting
from store_postgres.statements import quoted

DEFAULT_PORT = 5432

#: Most bytes of a name; the server would cut a longer one off, and another's name may begin alike.
MOST_NAME = 63

_VERIFIED = ("verify-ca", "verify-full")


class Dialer:
    """Where the server is and who we are; ``dial`` opens one connection.

    Args:
        dsn: The connection string.
        params: Its parameters.

    Raises:
        DSNError: Parameters contradict each other.
    """

    def __init__(self, dsn: DSN, params: Params) -> None:
        self.params = params
        self.socket_directory: str | None = params["host"]
        if self.socket_directory and (dsn.hosts or not self.socket_directory.startswith("/")):
            raise DSNError("postgres: 'host' is the directory of a unix socket; a host's name stands behind the '//'")
        for name in ("namespace", "db"):
            if len((params[name] or "").encode()) > MOST_NAME:
                raise DSNError(f"postgres: '{name}' has more than {MOST_NAME} bytes, which PostgreSQL would cut off")
        if params["pool_min"] > params["pool_max"]:
            raise DSNError("postgres: 'pool_min' is greater than 'pool_max'")
        #: The database, by libpq's rules where the connection string names none.
        self.database: str = params["db"] or os.environ.get("PGDATABASE") or params["username"] or _own_name()
        self._has_schema = not params["namespace"]
        self._hosts = [(host.name or "127.0.0.1", host.port or DEFAULT_PORT) for host in dsn.hosts]
        _check_tls(params)

    @property
    def address(self) -> str:
        """Where the server is, for people."""
        if self._hosts:
            return ",".join(f"[{name}]:{port}" if ":" in name else f"{name}:{port}" for name, port in self._hosts)
        return self.socket_directory or "the local server"

    async def dial(self) -> asyncpg.Connection:
        """Open a connection.

        Raises:
            ConnectionFailed: Nobody answers, or it takes nobody now.
            ReplyError: The server refused the password or the database.
            Timeout: No answer within ``timeout``.
        """
        timeout = self.params["timeout"]
        arguments = self._arguments()
        try:
            async with asyncio.timeout(timeout or None):
                return await self._open(arguments)
        except TimeoutError as error:
            reason = error.strerror or f"no answer within {timeout:g} s"
            raise ConnectionTimeout(f"cannot connect to {self.address}: {reason}") from error
        except asyncpg.ClientConfigurationError as error:
            raise DSNError(f"postgres: {error}") from error
        except LIBRARY as error:
            raise while_connecting(error, self.address) from error

    async def _open(self, arguments: dict[str, Any]) -> asyncpg.Connection:
        connection: asyncpg.Connection = await asyncpg.connect(**arguments)
        try:
            _keep_alive(connection)
            if not self._has_schema:
                await _make_schema(connection, self.params["namespace"])
                self._has_schema = True
        except BaseException:
            connection.terminate()
            raise
        return connection

    def _arguments(self) -> dict[str, Any]:
        params = self.params
        arguments: dict[str, Any] = {
            "user": params["username"],
            "password": params["password"],
            "database": self.database,
            "ssl": _tls(params),
            "statement_cache_size": params["statement_cache"],
            "target_session_attrs": params["target_session_attrs"],
            "server_settings": self._settings(),
            # The caller's own clock ends it, and says which part of the time was over.
            "timeout": None,
        }
        if self._hosts:
            arguments["host"] = [name for name, _ in self._hosts]
            arguments["port"] = [port for _, port in self._hosts]
        elif self.socket_directory:
            arguments.update(host=self.socket_directory, port=DEFAULT_PORT)
        return arguments

    def _settings(self) -> dict[str, str]:
        settings: dict[str, str] = {}
        if self.params["application_name"]:
            settings["application_name"] = self.params["application_name"]
        if self.params["namespace"]:
            settings["search_path"] = quoted(self.params["namespace"])
        return settings


def transport_of(connection: asyncpg.Connection) -> asyncio.Transport | None:
    """The transport beneath a connection: asyncpg has no public way to it, and may have none at all one day."""
    return getattr(connection, "_transport", None)


def abandon(connection: asyncpg.Connection) -> None:
    """Close the socket of a connection whose event loop is gone."""
    # The pool of a loop that is gone must not be told: it would start tasks there.
    with suppress(AttributeError):
        connection._pool_holder = None  # type: ignore[attr-defined]
    # The loop runs nothing any more, so every public close would fail and the socket stay open until it is collected;
    # what the loop would have called is called here. uvloop closes its sockets with the loop.
    close = getattr(transport_of(connection), "_call_connection_lost", None)
    if close is not None:
        with suppress(RuntimeError):  # a caller of that loop still waits, and can no longer be told
            close(None)


async def _make_schema(connection: asyncpg.Connection, name: str) -> None:
    # Asked for first: a role that may not create schemas, or a standby, can still use one.
    if await connection.fetchval("SELECT 1 FROM pg_namespace WHERE nspname = $1", name) is None:
        # Another store may make it at this moment.
        with suppress(asyncpg.DuplicateSchemaError, asyncpg.UniqueViolationError):
            await connection.execute(f"CREATE SCHEMA {quoted(name)}")


def _own_name() -> str:
    return os.environ.get("PGUSER") or getpass.getuser()


def _keep_alive(connection: asyncpg.Connection) -> None:
    # A connection that only listens would never notice that the other side is gone.
    transport = transport_of(connection)
    sock = transport.get_extra_info("socket") if transport is not None else None
    if sock is not None and sock.family != getattr(socket, "AF_UNIX", None):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)


def _check_tls(params: Params) -> None:
    if params["sslmode"] in ("disable", "allow", "prefer") and (params["sslrootcert"] or params["sslcert"]):
        raise DSNError("postgres: 'sslrootcert' and 'sslcert' need sslmode=require, verify-ca or verify-full")
    if params["sslkey"] and not params["sslcert"]:
        raise DSNError("postgres: 'sslkey' needs 'sslcert'")


def _tls(params: Params) -> str | ssl.SSLContext:
    mode: str = params["sslmode"]
    if mode not in _VERIFIED and not (params["sslrootcert"] or params["sslcert"]):
        return mode
    try:
        context = ssl.create_default_context(cafile=params["sslrootcert"])
        context.check_hostname = mode == "verify-full"
        # As in libpq, sslmode=require verifies the certificate where it was told whom to trust.
        if mode not in _VERIFIED and not params["sslrootcert"]:
            context.verify_mode = ssl.CERT_NONE
        if params["sslcert"]:
            # A callable, so that OpenSSL never asks for a password on the terminal.
            context.load_cert_chain(params["sslcert"], params["sslkey"], lambda: params["sslpassword"] or "")
    except (OSError, ValueError) as error:
        raise DSNError(f"a TLS file cannot be used: {getattr(error, 'strerror', None) or error}") from error
    return context
