"""The embedded link: whose turn it is, and what is left of a caller that has gone."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from store_core import ConnectionFailed, ConnectionLost, Store, create_store
from store_pulsards import EmbeddedStore
from store_pulsards.session import Session

Operation = Callable[[Store], Awaitable[Any]]


async def transaction(store: Store) -> None:
    async with store.transaction() as block:
        block.execute("INCR", "n")


async def watched_transaction(store: Store) -> None:
    async with store.transaction(watch="key") as block:
        block.execute("INCR", "n")


async def pipeline(store: Store) -> None:
    async with store.pipeline() as block:
        block.execute("INCR", "n")


async def own_connection(store: Store) -> None:
    async with await store.connect() as connection:
        await connection.execute("INCR", "n")


async def blocking_pop(store: Store) -> None:
    await store.execute("BRPOPLPUSH", "queue", "queue", 0)


OPERATIONS: dict[str, Operation] = {
    "execute": lambda store: store.execute("INCR", "n"),
    "with a timeout": lambda store: store.execute("INCR", "n", timeout=5),
    "an error": lambda store: asyncio.gather(store.execute("INCR", "queue"), return_exceptions=True),
    "redis-py": lambda store: store.client().incr("n"),
    "transaction": transaction,
    "watched transaction": watched_transaction,
    "pipeline": pipeline,
    "own connection": own_connection,
    "blocking pop": blocking_pop,
}


@pytest.mark.parametrize("url", ["pulsards://", "pulsards://?namespace=a.", "pulsards://?connections=2"])
@pytest.mark.parametrize("operation", OPERATIONS)
async def test_a_caller_that_never_waits_does_not_starve_the_others(url: str, operation: str) -> None:
    run = OPERATIONS[operation]
    async with create_store(url) as store:
        await store.execute("RPUSH", "queue", "element")
        turns = 0

        async def other() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        task = asyncio.create_task(other())
        await run(store)
        await asyncio.sleep(0)
        turns = 0
        for _ in range(512):
            await run(store)
        task.cancel()
        assert turns >= 3


async def test_a_pop_that_waits_behind_another_command_is_not_made_for_a_caller_that_has_gone(store: Store) -> None:
    await store.execute("RPUSH", "full", "element")
    async with await store.connect() as connection:
        first = asyncio.create_task(connection.execute("BLPOP", "empty", 0))
        await asyncio.sleep(0)
        second = asyncio.create_task(connection.execute("BLPOP", "full", 0))
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)
        await store.execute("RPUSH", "empty", "served")
        assert await first == ["empty", "served"]
        assert await connection.execute("LLEN", "full") == 1


async def test_no_pop_is_lost_whenever_its_caller_is_cancelled(store: Store) -> None:
    popped = []
    for turns in range(600):  # many of them are called when a turn is due
        await store.execute("RPUSH", "queue", turns)
        task = asyncio.create_task(store.execute("BLPOP", "queue", 0))
        for _ in range(turns % 5):
            await asyncio.sleep(0)
        task.cancel()
        done = await asyncio.gather(task, return_exceptions=True)
        popped += [int(reply[1]) for reply in done if isinstance(reply, list)]
    async with asyncio.timeout(10):  # what was popped for nobody goes back in the background
        while len(popped) + await store.execute("LLEN", "queue") < 600:
            await asyncio.sleep(0.001)
    left = [int(element) for element in await store.execute("LRANGE", "queue", 0, -1)]
    assert sorted(popped + left) == list(range(600))


async def test_a_batch_that_is_held_up_when_its_connection_goes_is_lost_and_one_behind_it_was_not_run(
    store: EmbeddedStore,
) -> None:
    async with await store.connect() as administrator, await store.connect() as connection:
        await administrator.execute("CLIENT", "PAUSE", 60_000, "WRITE")
        link = connection.link
        batches = [link.send_batch([("PING",), ("SET", name, 1), ("PING",)]) for name in "ab"]
        link.close()
        await administrator.execute("CLIENT", "UNPAUSE")
        with pytest.raises(ConnectionLost):
            await batches[0]
        with pytest.raises(ConnectionFailed, match="was not run") as caught:
            await batches[1]
        assert not isinstance(caught.value, ConnectionLost)


async def test_what_a_pause_held_up_comes_before_what_is_called_when_it_has_ended(store: EmbeddedStore) -> None:
    async with await store.connect() as administrator:
        await administrator.execute("CLIENT", "PAUSE", 60_000, "WRITE")
        waiting = [asyncio.create_task(store.execute("RPUSH", "list", number)) for number in (1, 2, 3)]
        await asyncio.sleep(0)
        await administrator.execute("CLIENT", "UNPAUSE")
        await store.execute("RPUSH", "list", 4)
        await asyncio.gather(*waiting)
    assert await store.execute("LRANGE", "list", 0, -1) == ["1", "2", "3", "4"]


async def test_a_subscription_that_is_held_up_when_its_connection_is_killed_comes_about_on_another(
    store: EmbeddedStore, until: Any
) -> None:
    async with store.pubsub() as pubsub, await store.connect() as administrator:
        await pubsub.subscribe("first")
        await administrator.execute("CLIENT", "PAUSE", 100)
        subscribing = asyncio.create_task(pubsub.subscribe("second"))
        await until(lambda: any(session.blocked is not None for session in store.engine.sessions.values()))
        for session in tuple(store.engine.sessions.values()):
            if session.subscribed:
                store.engine.kill(session)
        await subscribing
        await until(lambda: sum(len(session.channels) for session in store.engine.sessions.values()) == 2)
        await store.execute("PUBLISH", "second", "message")
        assert (await anext(aiter(pubsub))).data == "message"


async def test_what_a_cancelled_batch_left_to_do_is_done(store: EmbeddedStore) -> None:
    async with await store.connect() as administrator, await store.connect() as connection:
        await administrator.execute("CLIENT", "PAUSE", 60_000, "WRITE")
        batch = connection.link.send_batch([("MULTI",), ("SET", "a", 1), ("SET", "b", 1), ("EXEC",)])
        after = connection.link.send(("DBSIZE",))
        batch.cancel()
        await administrator.execute("CLIENT", "UNPAUSE")
        assert await after == 2


async def test_callers_that_are_cancelled_leave_no_session(store: EmbeddedStore) -> None:
    for _ in range(20):
        tasks = [asyncio.create_task(store.execute("BLPOP", "queue", 0)) for _ in range(50)]
        tasks += [asyncio.create_task(store.execute("XREAD", "BLOCK", 0, "STREAMS", "s", "$")) for _ in range(10)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert not store.engine.keyspace.databases[0].waiters
    assert not store.engine.keyspace.observers
    alive = len(store.engine.sessions)
    assert alive <= 65  # one that is shared, and the most that are kept for blocking commands
    tasks.clear()
    del task
    await asyncio.sleep(0)  # the loop forgets the futures that it woke
    gc.collect()
    assert sum(isinstance(each, Session) and each.context.engine is store.engine for each in gc.get_objects()) == alive
