"""Starting a cluster of this machine's own, for ``start_store("redis+cluster://127.0.0.1:0")``.

Each host of the connection string becomes a primary, and they share the slots; there are no replicas. The servers
live as those of ``store_redis.server`` do: none outlives this program.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from store_core import DSN, ConnectionFailed, ReplyError, Unsupported
from store_core.dsn import Host
from store_core.parameters import Params
from store_redis.cluster.slots import SLOTS
from store_redis.cluster.topology import Address, node_dsn
from store_redis.dial import DEFAULT_HOST, Dialer
from store_redis.link import Link
from store_redis.process import ServerProcess
from store_redis.server import START_SECONDS, find_binary, free_port, start

_DEFAULT_PORT = 6379


class ClusterProcesses:
    """The servers of a cluster that ``start_store`` started."""

    def __init__(self, dsn: DSN, servers: Sequence[ServerProcess]) -> None:
        self.dsn = dsn
        self._servers = servers

    async def stop(self) -> None:
        """Stop all and wait until they are gone; stopping twice is harmless."""
        await asyncio.gather(*(server.stop() for server in self._servers))


async def start_cluster(dsn: DSN, params: Params) -> ClusterProcesses:
    """Start a primary for each host of the connection string; port 0 means a free one.

    Raises:
        Unsupported: There is no binary, or the connection string wants what a started server does not have.
        ConnectionFailed: A server did not start, or they did not become a cluster.
    """
    if dsn.scheme.startswith(("rediss", "valkeys")) or params["tls"]:
        raise Unsupported("start_store", "TLS", "start the cluster by hand")
    if params["username"] not in (None, "default"):
        raise Unsupported("start_store", "ACL users", "start the cluster by hand")
    binary = find_binary()
    more: dict[str, object] = {"cluster-enabled": "yes"}
    if await _has_databases(binary):
        more["cluster-databases"] = max(16, params["db"] + 1)
    servers: list[ServerProcess] = []
    try:
        addresses = []
        for host in dsn.hosts or (Host(DEFAULT_HOST),):
            name = host.name or DEFAULT_HOST
            port = free_port(name) if host.port == 0 else host.port or _DEFAULT_PORT
            addresses.append(Address(name, port))
            settings = {**more, "cluster-port": free_port(name)}
            # A node of a cluster has one database at first, and the name of another must not stop its start.
            plain = Params({**params, "db": 0})
            servers.append(await start(binary, node_dsn(dsn, addresses[-1]), plain, name, port, settings))
        await _join(dsn, params, addresses)
    except BaseException:
        await asyncio.gather(*(server.stop() for server in servers))
        raise
    return ClusterProcesses(replace(dsn, hosts=tuple(Host(*address) for address in addresses)), servers)


async def _has_databases(binary: str) -> bool:
    """Whether the server has numbered databases in a cluster (Valkey 9)."""
    process = await asyncio.create_subprocess_exec(binary, "--version", stdout=asyncio.subprocess.PIPE)
    said, _ = await process.communicate()
    # "Valkey server v=9.1.2 sha=…"; Redis's versions count otherwise.
    name, _, version = said.decode(errors="replace").partition(" server v=")
    major = version.partition(".")[0]
    return "valkey" in Path(name.lower()).name and major.isdecimal() and int(major) >= 9


async def _join(dsn: DSN, params: Params, addresses: Sequence[Address]) -> None:
    links = [
        await Dialer(node_dsn(dsn, address), Params({**params, "db": 0}), address.port).dial() for address in addresses
    ]
    try:
        for index, link in enumerate(links):
            first, end = (SLOTS * each // len(links) for each in (index, index + 1))
            await link.send(("CLUSTER", "SET-CONFIG-EPOCH", index + 1))
            await link.send(("CLUSTER", "ADDSLOTSRANGE", first, end - 1))
        bus = [await _bus_port(link) for link in links]
        for address, port in list(zip(addresses, bus, strict=True))[1:]:
            await links[0].send(("CLUSTER", "MEET", *address, port))
        async with asyncio.timeout(START_SECONDS):
            while not all([await _agrees(link, len(links)) for link in links]):  # noqa: ASYNC110 - servers tell nobody
                await asyncio.sleep(0.02)
    except (TimeoutError, ReplyError) as error:
        raise ConnectionFailed(f"the servers did not become a cluster: {error or 'not in time'}") from error
    finally:
        for link in links:
            link.close()


async def _bus_port(link: Link) -> int:
    answer = await link.send(("CONFIG", "GET", "cluster-port"))
    values = list(answer.values()) if isinstance(answer, dict) else answer[1:]
    return int(values[0])


async def _agrees(link: Link, size: int) -> bool:
    info = await link.send(("CLUSTER", "INFO"))
    text = info if isinstance(info, str) else info.decode()
    return "cluster_state:ok" in text and f"cluster_size:{size}" in text
