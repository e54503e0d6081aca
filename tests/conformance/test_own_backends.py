"""The kit on every form of every backend of this repository, each a real server or a real engine."""

from __future__ import annotations

import pytest
from tests.cluster.servers import ClusterServers
from tests.conftest import Servers

from store_core.testing import StoreTests
from store_redis.cluster.conformance import ClusterDialect


class TestEmbedded(StoreTests):
    @pytest.fixture
    def store_url(self) -> str:
        return "pulsards://"


class TestPulsardsTcp(StoreTests):
    @pytest.fixture
    def store_url(self, servers: Servers) -> str:
        return servers.url("pulsards-tcp")


class TestPulsardsUnix(StoreTests):
    @pytest.fixture
    def store_url(self, servers: Servers) -> str:
        return servers.url("pulsards-unix")


class TestRedisTcp(StoreTests):
    @pytest.fixture
    def store_url(self, servers: Servers) -> str:
        return servers.url("valkey-tcp")


class TestRedisUnix(StoreTests):
    @pytest.fixture
    def store_url(self, servers: Servers) -> str:
        return servers.url("valkey-unix")


class TestRedisCluster(StoreTests):
    dialect = ClusterDialect()

    @pytest.fixture
    def store_url(self, running_cluster: ClusterServers) -> str:
        return running_cluster.url
