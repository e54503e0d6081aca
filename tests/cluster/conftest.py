"""Fixtures of the tests against a real cluster."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from tests.cluster.servers import ClusterServers

from store_core import create_store
from store_redis.cluster import ClusterStore


@pytest.fixture
def cluster(running_cluster: ClusterServers) -> ClusterServers:
    """The same, whole at the beginning of the test."""
    for server in running_cluster.servers:
        if not server.answers():
            server.start()
    running_cluster.settle()
    return running_cluster


@pytest.fixture
async def store(cluster: ClusterServers) -> AsyncIterator[ClusterStore]:
    """An empty cluster behind a store."""
    async with create_store(cluster.url) as store:
        assert isinstance(store, ClusterStore)
        await store.flush()
        yield store
