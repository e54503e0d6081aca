"""The log of who was denied (ACL LOG): clients that gave a wrong password or an unknown user.

There are no rules that could deny a command, a key or a channel. What the same client tries again within a minute
is counted in the entry that it has, as in Valkey.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from store_pulsards.engine.replies import Reply

TOGETHER: Final = 60_000  # milliseconds in which denials that are alike are one entry
SEARCHED: Final = 10  # newest entries that are looked through for one that is alike


class Denial:
    """One entry."""

    __slots__ = ("client", "command", "context", "count", "created", "number", "updated", "user")

    def __init__(self, number: int, context: bytes, command: bytes, user: bytes, now: int) -> None:
        self.number = number
        self.context = context
        self.command = command
        self.user = user
        self.count = 0
        self.created = self.updated = now
        self.client = b""

    def is_like(self, context: bytes, command: bytes, user: bytes, now: int) -> bool:
        same = self.context == context and self.command == command and self.user == user
        return same and now - self.updated <= TOGETHER

    def shown(self, now: int) -> Reply:
        return {
            b"count": self.count,
            b"reason": b"auth",
            b"context": self.context,
            b"object": self.command,
            b"username": self.user,
            b"age-seconds": (now - self.created) / 1000,
            b"client-info": self.client,
            b"entry-id": self.number,
            b"timestamp-created": self.created,
            b"timestamp-last-updated": self.updated,
        }


class AclLog:
    """The newest denials, the newest first."""

    __slots__ = ("denied", "entries", "next_number")

    def __init__(self) -> None:
        self.entries: deque[Denial] = deque()
        self.next_number = 0
        self.denied = 0  # INFO's acl_access_denied_auth

    def add(self, context: bytes, command: bytes, user: bytes, client: bytes, now: int, limit: int) -> None:
        """A client was denied; ``limit`` entries are kept."""
        self.denied += 1
        recent = list(self.entries)[:SEARCHED]
        entry = next((each for each in recent if each.is_like(context, command, user, now)), None)
        if entry is None:
            entry = Denial(self.next_number, context, command, user, now)
            self.next_number += 1
        else:
            self.entries.remove(entry)
        entry.count += 1
        entry.updated, entry.client = now, client
        self.entries.appendleft(entry)
        while len(self.entries) > limit:
            self.entries.pop()
