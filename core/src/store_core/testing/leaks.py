"""What a store may leave behind: nothing. Tasks of this event loop, and sockets of this process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from store_core.testing.section import eventually

_DESCRIPTORS = Path("/proc/self/fd")


def sockets() -> set[str]:
    """The sockets that this process holds; none where the system does not tell."""
    found = set()
    for descriptor in _DESCRIPTORS.iterdir() if _DESCRIPTORS.exists() else ():
        try:
            target = str(descriptor.readlink())
        except OSError:  # closed in the meantime, as the listing's own is
            continue
        if target.startswith("socket:"):
            found.add(target)
    return found


@asynccontextmanager
async def nothing_left() -> AsyncIterator[None]:
    """A block after which there are no more tasks and sockets than before; the test's patience ends the wait."""
    tasks, held = asyncio.all_tasks(), sockets()
    yield
    # Closing a transport takes a turn of the event loop.
    await eventually(lambda: asyncio.all_tasks() <= tasks and sockets() <= held)
