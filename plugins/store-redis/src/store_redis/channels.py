"""Channels in a namespace: the prefix before their names, and where it goes in the server's own channels.

A channel ``c`` is ``shop.c`` on the wire. The server tells what happens to a key ``shop.k`` on a channel of its own,
``__keyspace@0__:shop.k``: there the prefix stands before the key. Its ``__keyevent@0__:…`` channels name keys in their
messages, those of everybody, so a store with a namespace cannot have them.
"""

from __future__ import annotations

import re

from store_core import Unsupported

_KEYSPACE = re.compile(r"__keyspace@[^:]*__:")


def escaped(text: str) -> str:
    """A text as a glob pattern that matches nothing else."""
    return "".join(f"\\{character}" if character in "*?[]\\^" else character for character in text)


def add_to_channel(name: str, prefix: str, *, pattern: bool = False) -> str:
    """A channel or a pattern of channels with the prefix where it belongs.

    Raises:
        Unsupported: It is a channel of the server's that tells of keys outside the namespace.
    """
    head = _head(name)
    if not head and (name.startswith("__keyevent@") or (pattern and name.startswith("__key"))):
        raise Unsupported(
            "a store with a namespace", name, "it tells of every key; subscribe to __keyspace@<db>__:<pattern of keys>"
        )
    return head + (escaped(prefix) if pattern else prefix) + name[len(head) :]


def remove_from_channel(name: str, prefix: str, *, pattern: bool = False) -> str:
    """A channel or a pattern of channels without the prefix."""
    head = _head(name)
    return head + name[len(head) :].removeprefix(escaped(prefix) if pattern else prefix)


def _head(name: str) -> str:
    found = _KEYSPACE.match(name)
    return found.group() if found else ""
