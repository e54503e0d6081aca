"""The tests that ``run`` gives to pytest: the whole kit on the connection string in an environment variable."""

from __future__ import annotations

import json
import os

import pytest

from store_core.store import create_store
from store_core.testing.dialect import dialect_of
from store_core.testing.suite.store import StoreTests

#: A JSON array: the connection string, and whether the kit may flush.
VARIABLE = "STORE_CONFORMANCE"

# Taken away at once: a server that a test starts need not inherit a password.
_given = os.environ.pop(VARIABLE, None)

if _given is not None:
    _url, _may_flush = json.loads(_given)

    class TestStore(StoreTests):
        """The store that was asked for."""

        dialect = dialect_of(type(create_store(_url)))
        may_flush = _may_flush

        @pytest.fixture
        def store_url(self) -> str:
            """The connection string."""
            url: str = _url
            return url
