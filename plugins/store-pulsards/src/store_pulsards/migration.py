"""What MIGRATE sends to another server: one connection, one pipeline, and whatever comes back.

It blocks whoever calls, and so does MIGRATE in Redis: while keys move, nobody may change them. ``seconds`` is the
longest that one step may take (connecting, sending, each read).
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Any, cast

import hiredis

CHUNK = 65536


def exchange(host: str, port: int, seconds: float, requests: Sequence[Sequence[bytes]]) -> tuple[list[str | None], str]:
    """Send requests; return what each was answered (None is not an error), and what went wrong at last, if anything."""
    answers: list[str | None] = []
    doing = "connecting to the client"
    try:
        (family, kind, protocol, _, address), *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        doing = "writing to target instance"
        with socket.socket(family, kind, protocol) as sock:
            sock.settimeout(seconds)
            sock.connect(address)
            sock.sendall(b"".join(hiredis.pack_command(cast("tuple[Any]", tuple(request))) for request in requests))
            doing = "reading to target instance"  # these are the words
            reader = hiredis.Reader()
            while len(answers) < len(requests):
                reply = reader.gets()
                if reply is False:
                    chunk = sock.recv(CHUNK)
                    if not chunk:
                        return answers, doing
                    reader.feed(chunk)
                else:
                    answers.append(str(reply) if isinstance(reply, hiredis.ReplyError) else None)
    except (OSError, OverflowError, hiredis.ProtocolError):
        return answers, doing
    return answers, ""
