"""Deployments with sentinels, shared by the tests; each test begins with a complete one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from tests.sentinel.deployment import Deployment

from store_core import Store, create_store


@pytest.fixture(scope="session")
def shared_deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """One that runs as long as the tests do."""
    yield from running(Deployment(tmp_path_factory.mktemp("sentinel")))


@pytest.fixture(scope="session")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """One whose servers and sentinels have passwords; nothing fails over in it."""
    yield from running(Deployment(tmp_path_factory.mktemp("guarded"), "data-hunter2", "sentinel-hunter2"))


def running(deployment: Deployment) -> Iterator[Deployment]:
    try:
        asyncio.run(deployment.start())
        yield deployment
    finally:
        deployment.stop()


@pytest.fixture
async def deployment(shared_deployment: Deployment) -> Deployment:
    """A complete deployment: what a test before this one killed runs again."""
    await shared_deployment.settled()
    return shared_deployment


@pytest.fixture
async def store(deployment: Deployment) -> AsyncIterator[Store]:
    """An empty store on the primary."""
    async with create_store(deployment.url) as store:
        await store.flush()
        yield store


@pytest.fixture(autouse=True)
async def no_task_is_left() -> AsyncIterator[None]:
    """Fails a test that leaves a task behind."""
    before = asyncio.all_tasks()
    yield
    for _ in range(200):
        left = {task for task in asyncio.all_tasks() - before if task is not asyncio.current_task()}
        if not left:
            return
        await asyncio.sleep(0.005)
    pytest.fail(f"tasks left behind: {left}")
