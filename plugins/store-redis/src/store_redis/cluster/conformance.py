"""How the conformance kit speaks to a cluster."""

from __future__ import annotations

from store_core.store import Store
from store_core.testing import Dialect


class ClusterDialect(Dialect):
    """Redis's commands; the keys of one test share a hash tag, since a transaction's are in one slot."""

    def key(self, name: str, together: str) -> str:
        return f"{{{together}}}{name}"

    def address(self, store: Store) -> tuple[str, int] | None:
        """None: a cluster's nodes are dialled at the addresses that they announce, past any proxy."""
        return None
