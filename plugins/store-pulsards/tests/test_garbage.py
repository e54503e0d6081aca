"""The server's process has no full garbage collections, so nothing of a client may need one."""

from __future__ import annotations

import asyncio
import gc
import importlib

import pytest

from store_pulsards.connection import Connection
from store_pulsards.engine.engine import Engine
from store_pulsards.server import Server
from store_pulsards.session import Session


@pytest.mark.parametrize("request_", [b"PING\r\n", b"GET\r\n", b"MULTI\r\n", b"SUBSCRIBE c\r\n", b"WATCH k\r\n"])
def test_a_client_that_has_gone_leaves_no_cycle(request_: bytes) -> None:
    uvloop = pytest.importorskip("uvloop")

    async def come_and_go() -> None:
        server = Server(Engine())
        host, port = await server.listen_tcp()
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(request_)
        await reader.readline()
        writer.close()
        await writer.wait_closed()
        while server.engine.sessions:
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not [each for each in gc.get_objects() if isinstance(each, (Connection, Session))]
        await server.close()

    gc.collect()
    gc.disable()
    try:
        with asyncio.Runner(loop_factory=importlib.import_module(uvloop.__name__).new_event_loop) as runner:
            runner.run(come_and_go())
    finally:
        gc.enable()
