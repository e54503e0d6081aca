"""ClusterConnection: a connection of the caller's own to a cluster, as ``store.connect()`` returns it.

It is one connection to one node, and opens another of its own to each further node that its commands' keys need. A
command that changes the state of a connection (``SELECT``, ``MULTI``, ``WATCH``) ties it to its first node: from then
on everything goes there, and a ``MOVED`` is the caller's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from store_core import ReplyError
from store_redis.cluster.following import follow
from store_redis.cluster.node import ClusterNode
from store_redis.cluster.redirects import Patience, Verdict, verdict
from store_redis.cluster.topology import Address
from store_redis.commands import REFUSED, WAITS, route, upper
from store_redis.connection import RedisConnection, check_timeout, send, until_writable
from store_redis.link import Link

if TYPE_CHECKING:
    from store_redis.cluster.store import ClusterStore


class ClusterConnection(RedisConnection):
    """Links of one caller's own, one for each node that it needs.

    Args:
        store: The store.
        link: The first link.
        address: Where that leads.
        tied: Whether it stays there.
        undecoded: Whether its replies stay bytes whatever ``decode_responses`` says.
    """

    def __init__(
        self, store: ClusterStore, link: Link, address: Address, *, tied: bool = False, undecoded: bool = False
    ) -> None:
        super().__init__(store, link)
        self._cluster_store = store
        self._links: dict[Address, Link] = {address: link}
        self._tied = tied
        self._undecoded = undecoded
        if undecoded:
            link.leave_bytes()

    async def execute(self, *args: Any, timeout: float | None = None) -> Any:
        if not args or self.link.closed or upper(args[0]).endswith("SUBSCRIBE"):
            return await super().execute(*args, timeout=timeout)
        if self._tied or route(args) == REFUSED:
            self._tied = True
            return await self._execute_here(args, timeout)
        check_timeout(timeout)
        store = self._cluster_store
        sent = await store.prepare(args)
        slot = await store.slot_of(sent)
        if slot is None:
            return await super().execute(*args, timeout=timeout)

        async def attempt(node: ClusterNode, asking: bool) -> Any:
            link = await self._link_to(node)
            if asking:
                await until_writable(link, link.timeout)
                link.send(("ASKING",)).cancel()
            run = store.run_blocking if upper(args[0]) in WAITS else send
            try:
                return await run(link, sent, timeout)
            except ReplyError:
                patience.restart()  # a blocking command may be told of a move after any time at all
                raise

        patience = Patience(store.params["timeout"] if timeout is None else timeout)
        return store.restore(args, await follow(store.cluster, slot, attempt, patience))

    async def close(self) -> None:
        for link in self._links.values():
            link.close()

    def abandon(self) -> None:
        """Drop the links of an event loop that is gone."""
        for link in self._links.values():
            link.abandon()

    async def _execute_here(self, args: tuple[Any, ...], timeout: float | None) -> Any:
        try:
            return await super().execute(*args, timeout=timeout)
        except ReplyError as error:
            if verdict(error) in (Verdict.MOVED, Verdict.ASK):
                error.add_note(f"this connection stays with {self.link.address}; connect(key=…) opens one for a key")
            raise

    async def _link_to(self, node: ClusterNode) -> Link:
        link = self._links.get(node.address)
        if link is None or (link.closed and link is not self.link):
            link = self._links[node.address] = await node.dialer.dial()
            if self._undecoded:
                link.leave_bytes()
            if self.link.closed:
                link.close()  # closed by its owner meanwhile
        return link
