"""Starting a real server, for ``start_store("postgres://127.0.0.1:0")``.

The binaries are those on PATH, or where packages put them, the newest first. The server runs under a small supervisor
process that holds our end of a pipe: when this program ends, even by ``kill -9``, the pipe closes, the supervisor stops
the server and removes what was temporary. PostgreSQL refuses to run as root, so root's servers run as another user:
the owner of the data directory, or ``postgres``, or ``nobody``. Who connects needs the password: where the
connection string has none, one is made up, since anybody on this machine can reach the port.
"""

from __future__ import annotations

import asyncio
import json
import os
import pwd
import secrets
import shutil
import socket
import sys
import tempfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from store_core import DSN, ConnectionFailed, DSNError, ReplyError, Unsupported
from store_core.dsn import Host
from store_core.errors import Timeout
from store_core.parameters import Params, resolve
from store_postgres.dial import DEFAULT_PORT, Dialer
from store_postgres.parameters import PARAMETERS
from store_postgres.statements import quoted

#: Seconds until a started server must answer; making its data takes one or two of them.
START_SECONDS = 60.0
#: Seconds that a server has to stop by itself: the supervisor's three steps, and some.
STOP_SECONDS = 20.0

#: Where packages put the binaries that are not on PATH: Debian, Red Hat, Homebrew, the installers of EDB.
PLACES = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
    "/Library/PostgreSQL/*/bin",
)
REMEDY = "install PostgreSQL (Debian: apt-get install postgresql), or put initdb and postgres on PATH"


class PostgresServer:
    """A server that ``start_store`` started.

    Attributes:
        dsn: Where it answers.
        process: The supervisor, whose standard input is our pipe.
    """

    def __init__(self, dsn: DSN, process: asyncio.subprocess.Process, temporary: Path) -> None:
        self.dsn = dsn
        self.process = process
        self.temporary = temporary

    async def stop(self) -> None:
        """Stop it and wait until it is gone; stopping twice is harmless."""
        process = self.process
        if process.stdin is not None:
            process.stdin.close()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
        finally:
            shutil.rmtree(self.temporary, ignore_errors=True)


def find_binaries() -> Path:
    """The directory that has ``initdb`` and ``postgres``.

    Raises:
        Unsupported: There is none.
    """
    on_path = shutil.which("initdb")
    found = [Path(on_path).resolve().parent] if on_path else []
    for place in PLACES:
        found += sorted(Path("/").glob(place.lstrip("/")), key=_version, reverse=True)
    for folder in found:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise Unsupported("postgres", "start", REMEDY)


async def start_postgres(dsn: DSN, params: Params) -> PostgresServer:
    """Start a server that answers at the connection string; port 0 means a free one.

    Raises:
        Unsupported: There are no binaries, or the connection string wants what a started server does not have.
        ConnectionFailed: The server did not start; its own last words are in the message.
    """
    if params["sslmode"] not in ("disable", "allow", "prefer") or len(dsn.hosts) > 1:
        raise Unsupported("start_store", "TLS or several hosts", "start the server by hand")
    if params["data"] and not params["password"]:
        raise DSNError("postgres: 'data' needs a password: one that start_store makes up is gone when this program is")
    binaries = find_binaries()
    host = dsn.hosts[0] if dsn.hosts else Host("127.0.0.1", DEFAULT_PORT)
    # Between our look for a free port and the server's bind somebody else may take it.
    for last in (False, False, True):
        try:
            return await _Start(binaries, dsn, params, host).start()
        except ConnectionFailed:
            if last or host.port != 0:
                raise
    raise AssertionError


class _Start:
    """One attempt to start a server."""

    def __init__(self, binaries: Path, dsn: DSN, params: Params, host: Host) -> None:
        self.binaries = binaries
        self.params = params
        self.socket_directory: str | None = params["host"]
        name = host.name or "127.0.0.1"
        port = _free_port(name) if host.port == 0 else host.port or DEFAULT_PORT
        self.listen = "" if self.socket_directory else name
        self.port = DEFAULT_PORT if self.socket_directory else port
        self.username: str = params["username"] or "postgres"
        self.password: str = params["password"] or secrets.token_urlsafe(24)
        query = {"username": None, "password": None}
        hosts = () if self.socket_directory else (Host(name, self.port),)
        self.dsn = replace(dsn, hosts=hosts, username=self.username, password=self.password).with_query(query)
        self.temporary = Path(tempfile.mkdtemp(prefix="store-postgres-"))
        self.data = Path(params["data"] or self.temporary / "data").absolute()
        self.log = self.temporary / "log"

    async def start(self) -> PostgresServer:
        try:
            request = json.dumps(self._request()).encode() + b"\n"
            supervisor = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "store_postgres.supervisor"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
            )
        except BaseException:
            shutil.rmtree(self.temporary, ignore_errors=True)
            raise
        server = PostgresServer(self.dsn, supervisor, self.temporary)
        try:
            assert supervisor.stdin is not None
            supervisor.stdin.write(request)
            await supervisor.stdin.drain()
            await self._answers(server)
        except BaseException:
            await server.stop()
            raise
        return server

    def _request(self) -> dict[str, Any]:
        owner = self._owner()
        there_already = (self.data / "PG_VERSION").exists()
        self.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        if owner is not None:
            os.chown(self.temporary, owner.pw_uid, owner.pw_gid)
            os.chown(self.data, owner.pw_uid, owner.pw_gid)
        return {
            "initdb": [] if there_already else self._initdb(),
            "server": self._server(),
            "password": self.password,
            "password_file": str(self.temporary / "password"),
            "user": None if owner is None else owner.pw_uid,
            "group": None if owner is None else owner.pw_gid,
            "log": str(self.log),
            "temporary": str(self.temporary),
        }

    def _owner(self) -> pwd.struct_passwd | None:
        """Who runs the server; None is whoever runs this program."""
        if os.geteuid() != 0:
            return None
        if self.data.exists() and self.data.stat().st_uid != 0:
            return pwd.getpwuid(self.data.stat().st_uid)
        for name in ("postgres", "nobody"):
            with suppress(KeyError):
                return pwd.getpwnam(name)
        raise Unsupported("start_store", "root", "PostgreSQL does not run as root, and there is no user 'postgres'")

    def _initdb(self) -> list[str]:
        return [
            str(self.binaries / "initdb"),
            f"--pgdata={self.data}",
            f"--username={self.username}",
            f"--pwfile={self.temporary / 'password'}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
        ]

    def _server(self) -> list[str]:
        settings = {
            "port": self.port,
            "listen_addresses": self.listen,
            "unix_socket_directories": self.socket_directory or "",
        }
        if not self.params["data"]:
            # What is thrown away in the end need not outlive a power cut.
            settings.update(fsync="off", synchronous_commit="off", full_page_writes="off")
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [str(self.binaries / "postgres"), "-D", str(self.data), *options]

    async def _answers(self, server: PostgresServer) -> None:
        given = {**self.params, "username": self.username, "password": self.password, "db": "postgres", "namespace": ""}
        dialer = Dialer(self.dsn, resolve(PARAMETERS, given, "postgres"))
        with suppress(TimeoutError):
            async with asyncio.timeout(START_SECONDS):
                while server.process.returncode is None:
                    if await self._is_ready(dialer):
                        return
                    await asyncio.sleep(0.02)
        where = self.socket_directory or f"{self.listen}:{self.port}"
        raise ConnectionFailed(f"the server did not start at {where}: {self._last_words()}")

    async def _is_ready(self, dialer: Dialer) -> bool:
        """Whether our server answers, and not somebody else's that was quicker to take the port; makes the database."""
        try:
            connection = await dialer.dial()
        except (ConnectionFailed, Timeout, ReplyError):  # not listening yet, or starting up, or not ours
            return False
        try:
            if Path(await connection.fetchval("SHOW data_directory")) != self.data:
                return False
            wanted = self.params["db"] or self.username
            if not await connection.fetchval("SELECT count(*) FROM pg_database WHERE datname = $1", wanted):
                await connection.execute(f"CREATE DATABASE {quoted(wanted)}")
        finally:
            await connection.close()
        return True

    def _last_words(self) -> str:
        with suppress(OSError):
            lines = [line.strip() for line in self.log.read_text(errors="replace").splitlines() if line.strip()]
            if lines:
                return " / ".join(lines[-3:])
        return "it said nothing"


def _free_port(host: str) -> int:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def _version(folder: Path) -> tuple[int, ...]:
    # '/usr/lib/postgresql/15/bin', '/usr/pgsql-16/bin'
    return tuple(int(part) for part in "".join(c if c.isdigit() else " " for c in str(folder)).split())
