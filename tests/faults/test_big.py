"""Big values and long pipelines over a line that stalls: they arrive whole, and the others' replies stay in order."""

from __future__ import annotations

import asyncio
import hashlib
import random

import pytest
from tests.faults.conftest import Through, run_on

from store_core import ConnectionLost, Store, create_store

MEGABYTE = 1_000_000
LONG = 100_000


async def stall(proxy: Through, seed: int) -> None:
    """Stop and go, either way, for some milliseconds at a time."""
    chance = random.Random(seed)
    while True:
        lines = tuple(proxy.connections)
        for line in lines:
            line.hold(to_server=chance.random() < 0.5, to_client=chance.random() < 0.5)
        await asyncio.sleep(chance.random() / 200)
        for line in lines:
            line.release()
        await asyncio.sleep(chance.random() / 500)


async def chatter(store: Store, over: asyncio.Event) -> int:
    asked = 0
    while not over.is_set():
        asked += 1
        assert await store.execute("ECHO", f"small:{asked}") == b"small:%d" % asked
    return asked


@pytest.mark.parametrize(
    ("form", "loop", "protocol", "size"),
    [
        ("valkey-tcp", "asyncio", 3, 100),
        ("valkey-tcp", "uvloop", 2, 10),
        ("pulsards-tcp", "asyncio", 2, 10),
        ("pulsards-tcp", "uvloop", 3, 10),
    ],
)
def test_a_value_of_many_megabytes_makes_the_round_trip_over_a_line_that_stalls(
    servers, form: str, loop: str, protocol: int, size: int
) -> None:
    url = servers.url(form)
    value = random.Random(size).randbytes(MEGABYTE) * size

    async def main() -> None:
        async with Through(url) as proxy, create_store(proxy.url, timeout=0, protocol=protocol) as store:
            over = asyncio.Event()
            stalling = asyncio.create_task(stall(proxy, size))
            small = [asyncio.create_task(chatter(store, over)) for _ in range(10)]
            async with asyncio.timeout(100):
                assert await store.execute("SET", "big", value) == b"OK"
                async with store.pipeline() as pipeline:
                    pipeline.execute("ECHO", "before")
                    pipeline.execute("GET", "big")
                    pipeline.execute("STRLEN", "big")
                before, read, length = pipeline.results or ()
                over.set()
                asked = await asyncio.gather(*small)
            stalling.cancel()
            await asyncio.gather(stalling, return_exceptions=True)
            assert (before, length) == (b"before", len(value))
            # Not compared as they are: a failure would print them.
            assert hashlib.sha256(read).digest() == hashlib.sha256(value).digest()
            assert sum(asked)
        async with create_store(url) as store:
            await store.execute("DEL", "big")

    run_on(loop, main)


@pytest.mark.parametrize(
    ("form", "loop", "kind"),
    [
        ("valkey-tcp", "asyncio", "pipeline"),
        ("valkey-tcp", "uvloop", "transaction"),
        ("pulsards-tcp", "uvloop", "pipeline"),
    ],
)
def test_a_hundred_thousand_commands_at_once_are_answered_in_order(servers, form: str, loop: str, kind: str) -> None:
    server_url = servers.url(form)

    async def main() -> None:
        async with Through(server_url) as proxy, create_store(proxy.url, timeout=0) as store:
            await store.ping()
            over = asyncio.Event()
            small = [asyncio.create_task(chatter(store, over)) for _ in range(10)]
            async with asyncio.timeout(100):
                async with store.pipeline() if kind == "pipeline" else store.transaction() as collected:
                    for number in range(LONG):
                        collected.execute("ECHO", number)
                over.set()
                await asyncio.gather(*small)
            assert len(collected.results) == LONG
            assert all(reply == b"%d" % number for number, reply in enumerate(collected.results))

    run_on(loop, main)


async def test_a_long_pipeline_that_is_cut_or_cancelled_leaves_the_others_their_replies(proxy: Through) -> None:
    async with create_store(proxy.url, timeout=0) as store:
        await store.ping()

        async def much() -> None:
            async with store.pipeline() as collected:
                for number in range(LONG):
                    collected.execute("ECHO", number)

        task = asyncio.create_task(much())
        behind = asyncio.create_task(_after(store))
        await asyncio.sleep(0.05)
        task.cancel()
        async with asyncio.timeout(60):
            assert await behind == b"behind"
            with pytest.raises(asyncio.CancelledError):
                await task
        proxy.connections[-1].cut_after(LONG)
        with pytest.raises(ConnectionLost):
            async with asyncio.timeout(60):
                await much()
        assert await store.execute("ECHO", "x") == b"x"


async def _after(store: Store) -> bytes:
    await asyncio.sleep(0.02)
    reply: bytes = await store.execute("ECHO", "behind")
    return reply
