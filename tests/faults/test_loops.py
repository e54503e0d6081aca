"""Event loops that come and go: a store follows to the next one, and refuses two at once."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading

import pytest
from tests.conftest import NETWORK, Servers, eventually
from tests.faults.conftest import LOOPS, run_on

from store_core import LoopError, Store, create_store

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


LEFT_OPEN = """
import asyncio, contextlib, gc, importlib, os, stat
from store_core import create_store

new_event_loop = importlib.import_module({loop!r}).new_event_loop
store = create_store({url!r}, connections=2, timeout=0)

async def ask(number):
    return await store.execute("ECHO", number)

async def leave():
    await store.execute("PING")
    pubsub = store.pubsub()
    await pubsub.subscribe("channel")
    # Nobody waits for these, and nobody cancels them: the loop ends under them.
    left = [asyncio.ensure_future(store.execute("BLPOP", "never", 0)) for _ in range(3)]
    while not {dialling} and (await store.execute("CLIENT", "LIST")).count(b"cmd=blpop") < 3:
        await asyncio.sleep(0.005)
    left += [asyncio.ensure_future(ask(number)) for number in range(100)]
    left.append(asyncio.ensure_future(anext(aiter(pubsub))))
    for _ in range({turns}):
        await asyncio.sleep(0)
    return left

for turns in range(3):
    loop = new_event_loop()
    left = loop.run_until_complete(leave())
    loop.close()
    for task in left:
        task._log_destroy_pending = False  # that they were left is what is tested
    del left, task, loop
    gc.collect()

async def again():
    assert await asyncio.gather(*map(ask, range(1000))) == [b"%d" % number for number in range(1000)]
    assert await store.execute("BLPOP", "never", 0.01) is None
    pubsub = store.pubsub()
    await pubsub.subscribe("channel")
    assert await store.execute("PUBLISH", "channel", "x") == 1
    await store.close()

with asyncio.Runner(loop_factory=new_event_loop) as runner:
    runner.run(asyncio.wait_for(again(), 30))
gc.collect()
places = "/proc/self/fd"
left = []
for name in os.listdir(places) if os.path.exists(places) else []:
    with contextlib.suppress(OSError):
        if int(name) > 2 and stat.S_ISSOCK(os.stat(places + "/" + name).st_mode):
            left.append(name)
print("done", left)
"""


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("turns", [0, 1, 3])
@pytest.mark.parametrize("dialling", [False, True])
def test_a_loop_that_is_closed_under_callers_leaves_a_store_that_works_on_the_next(
    servers: Servers, loop: str, turns: int, dialling: bool
) -> None:
    pytest.importorskip(loop)
    url = servers.url("valkey-tcp")
    with asyncio.Runner() as runner:
        runner.run(_nobody_listens(url))
        program = LEFT_OPEN.format(url=url, loop=loop, turns=turns, dialling=dialling)
        done = subprocess.run(
            [sys.executable, "-W", "default", "-c", program],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.stdout == "done []\n", done.stderr
    # uvloop closes what a closed loop leaves open, and says so; a task destroyed as it connects has its say too.
    said = [
        line for line in done.stderr.splitlines() if loop != "uvloop" or "ResourceWarning: unclosed res" not in line
    ]
    assert dialling or said == []


async def _nobody_listens(url: str) -> None:
    async with create_store(url) as store:
        await eventually(lambda: _count(store, 0))


async def _count(store: Store, number: int) -> bool:
    return await store.pubsub().count("channel") == {"channel": number}


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


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_second_live_loop_is_refused_each_time_while_the_first_is_busy(servers: Servers, loop: str) -> None:
    pytest.importorskip(loop)
    store = create_store(servers.url("valkey-tcp"))
    in_use, over = threading.Event(), threading.Event()
    refused: list[BaseException] = []

    async def intrude() -> None:
        while not over.is_set():
            refused.extend(
                await asyncio.gather(*(store.execute("ECHO", "intruder") for _ in range(10)), return_exceptions=True)
            )
            await asyncio.sleep(0)

    def elsewhere() -> None:
        assert in_use.wait(30)
        with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
            runner.run(intrude())

    async def here() -> None:
        await store.ping()
        in_use.set()
        async with asyncio.timeout(60):
            while len(refused) < 1000:
                numbers = range(500)
                replies = await asyncio.gather(*(store.execute("ECHO", number) for number in numbers))
                assert replies == [b"%d" % number for number in numbers]
        over.set()
        await asyncio.to_thread(thread.join)
        await store.close()

    thread = threading.Thread(target=elsewhere)
    thread.start()
    try:
        run_on(loop, here)
    finally:
        over.set()
        in_use.set()
        thread.join()
    assert {type(error) for error in refused} == {LoopError}
