"""Event loops that come and go: a store follows to the next one, and refuses two at once."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading

import pytest
from tests.conftest import NETWORK, Servers

from store_core import LoopError, create_store

PROGRAM = """
import asyncio, gc
from store_core import create_store

store = create_store({url!r}, connections={connections}, timeout=30)

async def use(number):
    assert await store.execute("SET", "key", number) == b"OK"
    assert await store.execute("BLPOP", "never", 0.01) is None
    async with store.transaction(watch=["key"]) as transaction:
        transaction.execute("GET", "key")
    assert transaction.results == [b"%d" % number]
    pubsub = store.pubsub()
    await pubsub.subscribe("channel")
    assert await store.execute("PUBLISH", "channel", number) == 1
    assert (await anext(aiter(pubsub))).data == b"%d" % number
    assert await store.client().get("key") == b"%d" % number

for number in range(3):
    asyncio.run(use(number))
    gc.collect()
asyncio.run(store.close())
print("done")
"""


@pytest.fixture(params=[form for form in NETWORK if form.endswith("tcp")])
def url(request: pytest.FixtureRequest, servers: Servers) -> str:
    return servers.url(request.param)


@pytest.mark.parametrize("connections", [1, 2])
def test_a_program_may_run_one_loop_after_another_without_a_warning(url: str, connections: int) -> None:
    program = PROGRAM.format(url=url, connections=connections)
    done = subprocess.run(
        [sys.executable, "-W", "default", "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == "done\n", done.stderr
    assert done.stderr == ""


def test_a_connection_lost_between_two_loops_is_replaced(url: str) -> None:
    store = create_store(url)

    async def killed() -> None:
        number = await store.execute("CLIENT", "ID")
        async with create_store(url) as other:
            await other.execute("CLIENT", "KILL", "ID", number)

    asyncio.run(killed())
    gc.collect()

    async def again() -> None:
        assert await store.execute("ECHO", "x") == b"x"
        await store.close()

    asyncio.run(again())


def test_two_live_loops_are_an_error_that_says_so_and_harms_nobody(url: str) -> None:
    store = create_store(url)
    in_use, over = threading.Event(), threading.Event()
    errors: list[Exception] = []

    def elsewhere() -> None:
        async def attempt() -> None:
            for operation in (
                lambda: store.execute("ECHO", "y"),
                lambda: store.execute("ECHO", "y", timeout=1),
                lambda: store.execute("BLPOP", "never", 0.01),
                store.connect,
                lambda: store.pubsub().subscribe("channel"),
            ):
                try:
                    await operation()
                except LoopError as error:
                    errors.append(error)

        assert in_use.wait(30)
        asyncio.run(attempt())
        over.set()

    async def here() -> None:
        assert await store.execute("ECHO", "x") == b"x"
        in_use.set()
        await asyncio.to_thread(over.wait, 30)
        assert await store.execute("ECHO", "z") == b"z"
        await store.close()

    thread = threading.Thread(target=elsewhere)
    thread.start()
    asyncio.run(here())
    thread.join(30)
    assert len(errors) == 5
    assert "another event loop that still lives" in str(errors[0])
