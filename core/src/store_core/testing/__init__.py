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
from store_core.testing.suite.execute import ExecuteTests
from store_core.testing.suite.life import LifeCycleTests
from store_core.testing.suite.pipeline import PipelineTests
from store_core.testing.suite.store import StoreTests
from store_core.testing.suite.transactions import TransactionTests

__all__ = [
    "KIT_VERSION",
    "ConformanceWarning",
    "Dialect",
    "ExecuteTests",
    "LifeCycleTests",
    "PipelineTests",
    "RedisDialect",
    "Section",
    "StoreTests",
    "TransactionTests",
]
