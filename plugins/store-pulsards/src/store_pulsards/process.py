"""Starting a pulsards server in a process of its own, for ``start_store("pulsards://127.0.0.1:0")``.

The server holds our end of a pipe as its standard input and stops when that closes: when the store is closed, or
when this program is gone, however it went. The password travels in the environment, never on the command line.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
from contextlib import suppress
from dataclasses import replace

from store_core import DSN, ConnectionFailed, Unsupported
from store_core.dsn import Host
from store_core.parameters import Params
from store_pulsards.cli import DEFAULT_PORT, PASSWORD_VARIABLE
from store_redis.dial import Dialer, is_unix
from store_redis.process import ServerProcess

#: Seconds until a started server must be ready.
START_SECONDS = 20.0

_READY = re.compile(rb"pulsards ready (?:host=\S+ port=(\d+))?")


async def start_pulsards(dsn: DSN, params: Params) -> ServerProcess:
    """Start a server that answers at the connection string; port 0 means a free one.

    Raises:
        Unsupported: The connection string wants what a pulsards server does not have.
        ConnectionFailed: The server did not start; its own last words are in the message.
    """
    dialer = Dialer(dsn, params, DEFAULT_PORT)
    if dialer.tls:
        raise Unsupported("start_store", "TLS", "a pulsards server does not speak it")
    if params["username"] not in (None, "default"):
        raise Unsupported("start_store", "ACL users", "a pulsards server has one password and no users")
    if params["credentials"] is not None:
        raise Unsupported("start_store", "credentials", "start the server by hand")
    where = ["--bind", "", "--unixsocket", dialer.path] if dialer.path else ["--bind", dialer.host]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "store_pulsards", "--exit-on-stdin-eof", "--loglevel", "warning"),
        *("--port", str(dialer.port), "--databases", str(max(16, params["db"] + 1)), *where),
        *("--maxmemory", params["maxmemory"], "--maxmemory-policy", params["maxmemory_policy"]),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=_environment(params),
    )
    server = ServerProcess(dsn, process)
    try:
        port = await _ready(process, dialer.address)
    except BaseException:
        await server.stop()
        raise
    if not is_unix(dsn):
        server.dsn = replace(dsn, hosts=(Host(dialer.host, port),))
    return server


def _environment(params: Params) -> dict[str, str]:
    environment = {name: value for name, value in os.environ.items() if name != PASSWORD_VARIABLE}
    if params["password"]:
        environment[PASSWORD_VARIABLE] = params["password"]
    return environment


async def _ready(process: asyncio.subprocess.Process, address: str) -> int:
    assert process.stdout is not None
    assert process.stderr is not None
    line = b""
    with suppress(TimeoutError):
        async with asyncio.timeout(START_SECONDS):
            line = await process.stdout.readline()
    ready = _READY.match(line)
    if ready:
        return int(ready[1] or 0)
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.kill()
    words = (await process.stderr.read()).decode(errors="replace").strip().splitlines()
    raise ConnectionFailed(f"the pulsards server did not start at {address}: {words[-1] if words else 'no word of it'}")
