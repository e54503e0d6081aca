r"""Payloads and channels of NOTIFY: bytes in, text on the wire, the same bytes out. Pure.

NOTIFY carries text without NUL characters. Text goes as it is, so that psql and other programs read and write the same
messages. Other bytes go in PostgreSQL's own form for them, ``\x`` and hexadecimal digits, and so does text that
begins with ``\x``, so that nothing can be taken for what it is not.

A channel is a name of at most 63 bytes. A longer one travels as its hash; whoever listens knows the name it asked for.
"""

from __future__ import annotations

import re
from hashlib import sha256

from store_core import ArgumentError

#: Most bytes of a payload, and of a channel's name on the wire.
MOST_PAYLOAD, MOST_CHANNEL = 7999, 63

_HEX = re.compile(r"\\x((?:[0-9a-f]{2})*)")


def to_text(data: bytes) -> str:
    """The payload as NOTIFY carries it.

    Raises:
        ArgumentError: It is too long.
    """
    text = _as_text(data)
    size = len(text.encode())
    if size > MOST_PAYLOAD:
        more = f", as {size} characters" if text.startswith("\\x") else ""
        raise ArgumentError(
            f"a message of {len(data)} bytes{more}: NOTIFY carries at most {MOST_PAYLOAD}; "
            "put it in a table and publish its key"
        )
    return text


def to_bytes(text: str) -> bytes:
    """The bytes that were published."""
    found = _HEX.fullmatch(text)
    return bytes.fromhex(found[1]) if found else text.encode()


def channel_name(name: str) -> str:
    """The name of a channel on the wire.

    Raises:
        ArgumentError: It is empty, or has a NUL character.
    """
    if not name or "\0" in name:
        raise ArgumentError(f"{name!r} is no channel: its name is empty, or has a NUL character")
    encoded = name.encode()
    return name if len(encoded) <= MOST_CHANNEL else "sha256:" + sha256(encoded).hexdigest()[: MOST_CHANNEL - 7]


def _as_text(data: bytes) -> str:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return "\\x" + data.hex()
    return "\\x" + data.hex() if "\0" in text or text.startswith("\\x") else text
