"""Results: what the kit says of a store, as data. ``--conformance-json`` writes it, tables are made from it.

::

    {"kit": "0.1.0", "spec": "1.0", "python": "3.11.8",
     "stores": [{"store": "redis", "form": "redis:// RedisStore", "distribution": "store-redis", "version": "0.1.0",
                 "target": "store_redis:RedisStore", "capabilities": ["blocking", …], "suite": "TestRedis",
                 "sections": {"execute": {"passed": 12, "failed": {}, "skipped": {}, "expected_failures": {},
                                          "warnings": {}}, …}}]}

``failed``, ``skipped``, ``expected_failures`` and ``warnings`` map a test's name to the reason, in one line that
carries no secret.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from store_core.dsn import DSN, MASK
from store_core.errors import BackendError
from store_core.parameters import secret_names
from store_core.registry import SPEC, data_stores
from store_core.store import Store
from store_core.testing.since import KIT_VERSION

#: What a test's item is marked with: whose test it is, and (section, secrets that no result may repeat).
STORE = pytest.StashKey[dict[str, Any]]()
TEST = pytest.StashKey[tuple[str, frozenset[str]]]()

#: Outcomes that carry a reason.
REASONED = ("failed", "skipped", "expected_failures", "warnings")


def describe(store: Store) -> dict[str, Any]:
    """Who a store is: what of a result is the same for all of its tests."""
    scheme = DSN.parse(store.dsn).scheme
    form = f"{scheme}:// {type(store).__name__}"
    return {"store": store.name, "form": form, **_offered(scheme), "capabilities": sorted(store.capabilities)}


def unknown(url: str) -> dict[str, Any]:
    """What is known of a store that cannot even be created."""
    scheme = url.partition("://")[0]
    return {"store": scheme, "form": f"{scheme}://", **_offered(scheme), "capabilities": []}


def _offered(scheme: str) -> dict[str, str]:
    try:
        backend = data_stores[scheme]
    except BackendError:  # a store that the author's fixture made without the registry
        return {"distribution": "", "version": "", "target": ""}
    return {"distribution": backend.distribution, "version": backend.version, "target": backend.target}


def secrets_of(store: Store) -> frozenset[str]:
    """The secrets in a store's connection string, as typed and as written."""
    dsn = DSN.parse(store.dsn)
    values = [dsn.password, *(store.params[name] for name in secret_names(store.parameters) if name in store.params)]
    texts = {str(value) for value in values if value}
    from urllib.parse import quote

    return frozenset(texts | {quote(text, safe="") for text in texts})


class Results:
    """Gathers outcomes by store; ``as_data`` is what the module's docstring draws."""

    def __init__(self) -> None:
        self._stores: dict[str, dict[str, Any]] = {}

    def add(self, suite: str, store: Mapping[str, Any], section: str, test: str, outcome: str, reason: str) -> None:
        """Note one test's outcome: ``passed``, or one of ``REASONED``."""
        found = self._stores.setdefault(json.dumps([suite, store]), {**store, "suite": suite, "sections": {}})
        counts = found["sections"].setdefault(section, {"passed": 0, **{name: {} for name in REASONED}})
        if outcome == "passed":
            counts["passed"] += 1
        else:
            counts[outcome][test] = reason

    def as_data(self) -> dict[str, Any]:
        """The whole result, JSON's types only."""
        return {
            "kit": KIT_VERSION,
            "spec": ".".join(map(str, SPEC)),
            "python": platform.python_version(),
            "stores": list(self._stores.values()),
        }


def write(path: Path, data: Mapping[str, Any]) -> None:
    """Write a result as JSON."""
    path.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")


def one_line(text: str, secrets: Iterable[str] = ()) -> str:
    """The first line of a message, without secrets."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    for secret in secrets:
        line = line.replace(secret, MASK)
    return line
