"""The conformance kit: tests to subclass, by which a backend proves that it fulfils the contract.

::

    import pytest
    from store_core.testing import StoreTests

    class TestAcme(StoreTests):
        @pytest.fixture
        def store_url(self):
            return "acme://127.0.0.1:1234"

Needs the extra ``[testing]``: pytest and pytest-asyncio, in strict or auto mode.
"""

from __future__ import annotations

from store_core.testing.dialect import Dialect, RedisDialect
from store_core.testing.section import Section
from store_core.testing.since import KIT_VERSION, ConformanceWarning
from store_core.testing.suite.blocking import BlockingTests
from store_core.testing.suite.channels import ChannelsTests
from store_core.testing.suite.clients import ClientTests, StartTests
from store_core.testing.suite.connection_strings import ConnectionStringTests
from store_core.testing.suite.connections import ConnectionTests
from store_core.testing.suite.errors import ErrorTests
from store_core.testing.suite.execute import ExecuteTests
from store_core.testing.suite.extensions import ExtensionTests
from store_core.testing.suite.failure import FailureTests
from store_core.testing.suite.honesty import HonestyTests
from store_core.testing.suite.life import LifeCycleTests
from store_core.testing.suite.network import NetworkFailureTests
from store_core.testing.suite.pipeline import PipelineTests
from store_core.testing.suite.places import DatabaseTests, FlushTests, NamespaceTests
from store_core.testing.suite.pubsub import PatternTests, PubSubTests, ReceiverTests, ShardedTests
from store_core.testing.suite.secrets import SecretTests
from store_core.testing.suite.store import StoreTests
from store_core.testing.suite.transactions import TransactionTests
from store_core.testing.suite.watch import WatchTests

__all__ = [
    "KIT_VERSION",
    "BlockingTests",
    "ChannelsTests",
    "ClientTests",
    "ConformanceWarning",
    "ConnectionStringTests",
    "ConnectionTests",
    "DatabaseTests",
    "Dialect",
    "ErrorTests",
    "ExecuteTests",
    "ExtensionTests",
    "FailureTests",
    "FlushTests",
    "HonestyTests",
    "LifeCycleTests",
    "NamespaceTests",
    "NetworkFailureTests",
    "PatternTests",
    "PipelineTests",
    "PubSubTests",
    "ReceiverTests",
    "RedisDialect",
    "SecretTests",
    "Section",
    "ShardedTests",
    "StartTests",
    "StoreTests",
    "TransactionTests",
    "WatchTests",
]
