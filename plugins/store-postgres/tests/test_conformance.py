"""The conformance kit, in SQL."""

from __future__ import annotations

import pytest

from store_core.testing import StoreTests
from store_postgres.conformance import PostgresDialect


class TestPostgres(StoreTests):
    """Every section; those of what is not declared are skipped."""

    dialect = PostgresDialect()

    @pytest.fixture
    def store_url(self, server_url: str) -> str:
        return server_url
