"""The hook spec: what an extension may implement (pluggy project name ``store_core``).

Four operations reach a data store, and an extension can wrap each of them. A hook gets the store and the operation
as built so far and returns what takes its place, or None to leave it. Hooks are asked once, when a store is created,
in pluggy's order: the one called first is nearest to the data store, the one called last meets the caller first. A
command never passes through pluggy. ``wrapper=True`` and ``hookwrapper=True`` have no meaning here and are refused.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from pluggy import HookimplMarker, HookspecMarker

if TYPE_CHECKING:
    from store_core.connection import Connection
    from store_core.pubsub import PubSub
    from store_core.store import Store

PROJECT = "store_core"

hookspec = HookspecMarker(PROJECT)
hookimpl = HookimplMarker(PROJECT)

Connect = Callable[[], Awaitable["Connection"]]
Execute = Callable[..., Awaitable[Any]]
ExecuteTransaction = Callable[..., Awaitable[list[Any]]]
OpenPubSub = Callable[..., "PubSub"]


class HookSpecs:
    """The specification, in pluggy's form."""

    @hookspec
    def store_connect(self, store: Store, operation: Connect) -> Connect | None:
        """Wrap ``connect() -> Connection``: called for every connection that the store opens, its own included."""

    @hookspec
    def store_execute(self, store: Store, operation: Execute) -> Execute | None:
        """Wrap ``execute(*args, **options) -> reply``: single commands, and the commands of a pipeline."""

    @hookspec
    def store_transaction(self, store: Store, operation: ExecuteTransaction) -> ExecuteTransaction | None:
        """Wrap ``execute_transaction(commands, watch=None) -> replies``: one call for each transaction."""

    @hookspec
    def store_pubsub(self, store: Store, operation: OpenPubSub) -> OpenPubSub | None:
        """Wrap ``pubsub(protocol=None, *, limit=…) -> PubSub``: called whenever a PubSub is opened."""

    @hookspec
    def store_created(self, store: Store) -> None:
        """Tell that a store was created; nothing has been connected yet."""

    @hookspec
    def store_closed(self, store: Store) -> None:
        """Tell that a store was closed by its owner; told once."""
