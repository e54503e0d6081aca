"""Topology: who serves which slots, as one node of the cluster tells it.

redis-py reads the reply of ``CLUSTER SLOTS`` (``redis.cluster.parse_cluster_slots``). Its ``NodesManager`` does not
fit: it opens a pool of connections to each node, where we have one multiplexed connection.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, NamedTuple

from store_core import DSN, DSNError
from store_core.dsn import Host
from store_redis.cluster.slots import SLOTS

#: What a node that does not know its own name puts in place of it.
_UNKNOWN_HOST = "?"


class Address(NamedTuple):
    """Where one server of the cluster listens."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str, host: str = "") -> Address:
        """An address as servers write it, ``host:port``; IPv6 has no brackets, and no host means ``host``.

        Raises:
            DSNError: It has no port.
        """
        name, colon, port = text.rpartition(":")
        if not colon or not port.isdecimal():
            raise DSNError(f"{text!r} is no address; it is written host:port")
        name = name.removeprefix("[").removesuffix("]")
        return cls(host if name in ("", _UNKNOWN_HOST) else name, int(port))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Shard(NamedTuple):
    """A primary and its replicas."""

    primary: Address
    replicas: tuple[Address, ...]


class Topology:
    """Slots and their shards.

    Args:
        ranges: First slot, last slot, and who serves them.
    """

    def __init__(self, ranges: Iterable[tuple[int, int, Shard]]) -> None:
        self.ranges = sorted(ranges)
        self.shards: dict[Address, Shard] = {}
        #: The lowest slot of each primary.
        self.first_slots: dict[Address, int] = {}
        for first, _, shard in self.ranges:
            known = self.shards.get(shard.primary, Shard(shard.primary, ()))
            replicas = tuple(dict.fromkeys((*known.replicas, *shard.replicas)))
            self.shards[shard.primary] = Shard(shard.primary, replicas)
            self.first_slots.setdefault(shard.primary, first)

    def covered(self) -> int:
        """How many slots somebody serves."""
        return sum(last - first + 1 for first, last, _ in self.ranges)

    def complete(self) -> bool:
        """Whether every slot is served."""
        return self.covered() == SLOTS

    def addresses(self) -> list[Address]:
        """Every server, primaries first."""
        replicas = (replica for shard in self.shards.values() for replica in shard.replicas)
        return list(dict.fromkeys((*self.shards, *replicas)))


def node_dsn(dsn: DSN, address: Address) -> DSN:
    """The connection string of one server of a cluster."""
    return replace(dsn, scheme=dsn.scheme.removesuffix("+cluster"), hosts=(Host(*address),), path="", query=())


def read_topology(reply: list[Any], asked: Address) -> Topology:
    """The reply of ``CLUSTER SLOTS``; a server that does not know its own address has the one that was asked."""
    from redis.cluster import parse_cluster_slots  # redis-py takes 0.2 s to import

    parsed = parse_cluster_slots(reply, current_host=asked.host)
    return Topology(
        (int(first), int(last), Shard(_address(served["primary"], asked), _known(served["replicas"])))
        for (first, last), served in parsed.items()
    )


def _address(server: tuple[str, Any], asked: Address) -> Address:
    host, port = server
    return Address(asked.host if host == _UNKNOWN_HOST else host, int(port))


def _known(servers: Iterable[tuple[str, Any]]) -> tuple[Address, ...]:
    return tuple(Address(host, int(port)) for host, port in servers if host != _UNKNOWN_HOST)
