"""The kit on a primary that real sentinels watch."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from tests.sentinel.deployment import Deployment

from store_core.testing import StoreTests


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    deployed = Deployment(tmp_path_factory.mktemp("sentinel"), "hunter2", "hunter3")
    try:
        asyncio.run(deployed.start())
        yield deployed
    finally:
        deployed.stop()


class TestRedisSentinel(StoreTests):
    @pytest.fixture
    def store_url(self, deployment: Deployment) -> str:
        return f"{deployment.url}?sentinel_password={deployment.sentinel_password}"
