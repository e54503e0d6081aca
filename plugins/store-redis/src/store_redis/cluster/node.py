"""One server of a cluster, with the links to it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from store_redis.cluster.topology import Address
from store_redis.dial import Dialer
from store_redis.link import Link
from store_redis.node import Node

#: Seconds for which a replica that did not answer is passed over.
AVOIDED = 1.0

#: How often a node that left the cluster is looked at, until nobody waits for it any more.
_LOOK = 0.05


class ClusterNode(Node):
    """The links to one server of a cluster.

    Args:
        address: Where it is.
        dialer: Opens connections to it.
        open_link: Opens a link to a node.
        connections: How many links all callers share.
        dedicated: Most links for one caller at a time.
        readonly: Whether it is read from as a replica.
        on_lost: Called when a shared link was lost.

    Attributes:
        direct: Its shared link where there is exactly one; else None.
        readonly: Whether it is read from as a replica.
        retired: Whether it has left the cluster; no link is opened any more.
        avoid_until: The loop's time until which readers prefer another node.
    """

    direct: Link | None = None

    def __init__(
        self,
        address: Address,
        dialer: Dialer,
        open_link: Callable[[ClusterNode], Awaitable[Link]],
        *,
        connections: int,
        dedicated: int,
        readonly: bool = False,
        on_lost: Callable[[], None],
    ) -> None:
        self.address = address
        self.dialer = dialer
        self.retired = False
        self.avoid_until = 0.0
        self.readonly = readonly
        self._had = 0
        self._tell_lost = on_lost
        super().__init__(partial(open_link, self), connections, dedicated, self._links_changed)

    def avoid(self) -> None:
        """Let readers go elsewhere for a moment."""
        self.avoid_until = asyncio.get_running_loop().time() + AVOIDED

    async def retire(self, seconds: float) -> None:
        """Close it once nobody waits for a reply any more, at the latest in so many seconds."""
        self.retired = True
        self.direct = None
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while loop.time() < until and self._busy():  # noqa: ASYNC110 - a link tells nobody that its last reply came
            await asyncio.sleep(_LOOK)
        await self.close()

    def _busy(self) -> bool:
        return self.dedicated.lent() > 0 or any(link.load() for link in self.links)

    def _links_changed(self) -> None:
        lost = len(self.links) < self._had
        self._had = len(self.links)
        self.direct = self.links[0] if self._connections == 1 and self.links and not self.retired else None
        if lost and not self.retired:
            self._tell_lost()
