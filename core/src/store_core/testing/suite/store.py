"""StoreTests: every section in one class."""

from __future__ import annotations

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
from store_core.testing.suite.transactions import TransactionTests
from store_core.testing.suite.watch import WatchTests


# pytest runs the tests of the last base first.
class StoreTests(
    HonestyTests,
    ExtensionTests,
    NetworkFailureTests,
    FailureTests,
    SecretTests,
    ErrorTests,
    StartTests,
    ClientTests,
    DatabaseTests,
    FlushTests,
    NamespaceTests,
    BlockingTests,
    ChannelsTests,
    PatternTests,
    ShardedTests,
    ReceiverTests,
    PubSubTests,
    WatchTests,
    TransactionTests,
    PipelineTests,
    ExecuteTests,
    ConnectionTests,
    ConnectionStringTests,
    LifeCycleTests,
):
    """The whole kit."""
