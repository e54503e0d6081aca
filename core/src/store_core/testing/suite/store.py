"""StoreTests: every section in one class."""

from __future__ import annotations

from store_core.testing.suite.execute import ExecuteTests
from store_core.testing.suite.life import LifeCycleTests
from store_core.testing.suite.pipeline import PipelineTests
from store_core.testing.suite.transactions import TransactionTests


class StoreTests(
    LifeCycleTests,
    ExecuteTests,
    PipelineTests,
    TransactionTests,
):
    """The whole kit."""
