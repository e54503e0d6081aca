"""Capabilities: what a backend may declare, and a caller may ask before it relies on it."""

from __future__ import annotations

from enum import StrEnum


class Capability(StrEnum):
    """One thing that a store can do; ``Capability.WATCH in store.capabilities`` asks for it."""

    EXECUTE = "execute"  #: commands in the data store's own language
    CONNECT = "connect"  #: ``store.connect()``: a connection of one's own
    PIPELINE = "pipeline"  #: several commands in one round trip
    TRANSACTIONS = "transactions"  #: all or nothing
    WATCH = "watch"  #: optimistic transactions
    PUBSUB = "pubsub"  #: publish and subscribe by channel
    PATTERNS = "patterns"  #: subscribe by glob pattern
    SHARDED = "sharded"  #: shard channels: channels that belong to one shard of a cluster
    RECEIVERS = "receivers"  #: who listens: what ``publish`` returns, ``count`` and ``channels`` of a PubSub
    BLOCKING = "blocking"  #: commands that wait for data
    NAMESPACE = "namespace"  #: a part of the database of one's own: a prefix before every key, a schema
    FLUSH = "flush"  #: delete everything in the database (or namespace)
    DATABASES = "databases"  #: several databases behind one address
    CLIENT = "client"  #: a rich client of the backend's own
    START = "start"  #: ``start_store`` can start a server
    RECORDS = "records"  #: records, queries and unique constraints, for a data mapper


Capabilities = frozenset[Capability]
