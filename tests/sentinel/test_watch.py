"""The watch over the sentinels: it is there, costs nothing, comes back, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import logging

import pytest
from tests.conftest import eventually
from tests.sentinel.deployment import Deployment, Process

from store_core import Store, create_store
from store_core.testing.leaks import nothing_left, sockets


async def watchers(sentinel: Process) -> int:
    """How many clients watch a sentinel."""
    clients = (await sentinel.ask("CLIENT", "LIST", "TYPE", "pubsub")).splitlines()
    return len([client for client in clients if b"lib-name=store-redis" in client and b" sub=1 " in client])


async def watched(deployment: Deployment, times: int = 1) -> None:
    """Wait until each sentinel has so many watchers."""
    for sentinel in deployment.sentinels:
        await eventually(lambda sentinel=sentinel: _are(sentinel, times))


async def _are(sentinel: Process, times: int) -> bool:
    return await watchers(sentinel) == times


async def test_every_sentinel_is_watched_by_no_task_until_the_store_is_closed(deployment: Deployment) -> None:
    await watched(deployment, 0)
    async with nothing_left(), create_store(deployment.url) as store:
        tasks = asyncio.all_tasks()
        await store.ping()
        await watched(deployment)
        assert asyncio.all_tasks() == tasks
    await watched(deployment, 0)


async def test_a_sentinel_that_was_restarted_is_watched_again(deployment: Deployment, store: Store) -> None:
    await store.ping()
    await watched(deployment)
    restarted = deployment.sentinels[1]
    restarted.kill()
    await deployment.settled()
    await watched(deployment)


async def test_a_sentinel_that_is_dead_is_told_once_and_costs_the_others_nothing(
    deployment: Deployment, caplog: pytest.LogCaptureFixture
) -> None:
    deployment.sentinels[2].kill()
    async with create_store(deployment.url) as store:
        with caplog.at_level(logging.WARNING):
            await store.ping()
            await eventually(lambda: store._watch._listeners[2]._pause > 0.3)
        assert await watchers(deployment.sentinels[0]) == 1
    (record,) = caplog.records
    assert f"cannot watch the sentinel 127.0.0.1:{deployment.sentinels[2].port} yet" in record.getMessage()


async def test_a_sentinel_that_forbids_the_watch_is_told_once_and_commands_work(
    guarded: Deployment, caplog: pytest.LogCaptureFixture
) -> None:
    password = guarded.sentinel_password
    rules = ("reset", "on", ">some-hunter2", "&*", "+@all", "-subscribe")
    for sentinel in guarded.sentinels:
        await sentinel.ask("ACL", "SETUSER", "unheard", *rules, password=password)
    own = {"sentinel_username": "unheard", "sentinel_password": "some-hunter2"}
    with caplog.at_level(logging.WARNING):
        async with create_store(guarded.url, **own) as store:
            assert await store.ping()
            await eventually(lambda: all(listener._pause > 0.3 for listener in store._watch._listeners))
    assert [record.getMessage().partition(" yet: ")[2][:6] for record in caplog.records] == ["NOPERM"] * 3
    assert "hunter2" not in caplog.text


async def test_a_store_that_is_closed_while_it_connects_leaves_nothing(deployment: Deployment) -> None:
    await watched(deployment, 0)
    for turns in range(40):
        async with nothing_left():
            store = create_store(deployment.url)
            waiting = asyncio.create_task(store.ping())
            await asyncio.sleep(turns / 2000)
            await store.close()
            await asyncio.gather(waiting, return_exceptions=True)
    await watched(deployment, 0)


def test_a_store_watches_again_on_another_event_loop(shared_deployment: Deployment) -> None:
    asyncio.run(shared_deployment.settled())
    before = sockets()
    store = create_store(shared_deployment.url)

    async def use() -> None:
        await store.ping()
        await watched(shared_deployment)

    for _ in range(3):
        asyncio.run(use())

    async def end() -> None:
        await store.close()
        await watched(shared_deployment, 0)

    asyncio.run(end())
    assert sockets() <= before
