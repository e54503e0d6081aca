"""One async ``Store`` API over many data stores.

``create_store("redis://…")`` makes a store; ``data_stores`` lists the backends that are installed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from store_core.capabilities import Capability
from store_core.channels import Channels
from store_core.command import CUSTOM, DELETE, INSERT, UPDATE, Action, Command, Pipeline, Transaction
from store_core.connection import Connection
from store_core.dsn import DSN
from store_core.errors import (
    ArgumentError,
    BackendBlocked,
    BackendConflict,
    BackendError,
    BackendLoadError,
    ConnectionFailed,
    ConnectionLost,
    ConnectionTimeout,
    DSNError,
    ExtensionError,
    IncompatibleBackend,
    LoopError,
    ReplyError,
    StoreClosed,
    StoreError,
    Timeout,
    TransactionAborted,
    UnknownBackend,
    Unsupported,
)
from store_core.parameters import Parameter
from store_core.pubsub import Message, PubSub
from store_core.registry import Backend, data_stores, register_store
from store_core.store import Store, create_store, start_store

if TYPE_CHECKING:
    from store_core.hookspecs import hookimpl

__version__ = "0.1.0"

__all__ = [
    "CUSTOM",
    "DELETE",
    "DSN",
    "INSERT",
    "UPDATE",
    "Action",
    "ArgumentError",
    "Backend",
    "BackendBlocked",
    "BackendConflict",
    "BackendError",
    "BackendLoadError",
    "Capability",
    "Channels",
    "Command",
    "Connection",
    "ConnectionFailed",
    "ConnectionLost",
    "ConnectionTimeout",
    "DSNError",
    "ExtensionError",
    "IncompatibleBackend",
    "LoopError",
    "Message",
    "Parameter",
    "Pipeline",
    "PubSub",
    "ReplyError",
    "Store",
    "StoreClosed",
    "StoreError",
    "Timeout",
    "Transaction",
    "TransactionAborted",
    "UnknownBackend",
    "Unsupported",
    "create_store",
    "data_stores",
    "hookimpl",
    "register_store",
    "start_store",
]


def __getattr__(name: str) -> Any:
    # hookimpl needs pluggy, which costs more to import than everything else here together.
    if name == "hookimpl":
        from store_core.hookspecs import hookimpl

        return hookimpl
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
