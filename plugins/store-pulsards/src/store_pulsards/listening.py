"""Sockets to listen on: bound, not yet listening, and nobody else's.

They are made here rather than by the event loop, so that whoever made them can close them when the loop has gone.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from pathlib import Path
from typing import Final

#: Why one address of a name that has several may be left out: this machine does not have it.
ABSENT: Final = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})


async def bind_tcp(host: str, port: int) -> list[socket.socket]:
    """A socket for each address of a host (two for ``localhost``), on the same port; for 0 a free one.

    Raises:
        OSError: The address is in use, or not one of this machine.
    """
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    bound: list[socket.socket] = []
    absent: OSError | None = None
    try:
        for family, _, _, _, address in dict.fromkeys(found):
            try:
                bound.append(_bind(family, (address[0], port, *address[2:])))
            except OSError as error:
                if error.errno not in ABSENT:
                    raise
                absent = error
            else:
                port = bound[-1].getsockname()[1]
    except BaseException:
        for sock in bound:
            sock.close()
        raise
    if absent is not None and not bound:
        raise absent
    return bound


def _bind(family: int, address: tuple[object, ...]) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":  # elsewhere it would let two servers have one port
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.setblocking(False)
        sock.bind(address)
    except BaseException:
        sock.close()
        raise
    return sock


def keep_alive(sock: socket.socket, seconds: int) -> None:
    """Have the kernel find out about peers that vanished, as Redis does: a probe, then 3 at a third of that.

    What is set on a socket that listens, the kernel sets on each that it accepts.
    """
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, seconds > 0)
    if not seconds:
        return
    for option, value in (("TCP_KEEPIDLE", seconds), ("TCP_KEEPINTVL", max(1, seconds // 3)), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, option):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


def bind_unix(place: Path, mode: int | None) -> tuple[socket.socket, int]:
    """A socket to listen on, and the inode of its path.

    Raises:
        OSError: Somebody listens there, or the path is something else than a socket.
    """
    _remove_stale(place)
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.bind(str(place))
        if mode is not None:
            place.chmod(mode)  # nobody can connect before listen()
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock, place.stat().st_ino


def _remove_stale(place: Path) -> None:
    if not place.exists():
        return
    if not place.is_socket():
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(place))
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(place))
        except ConnectionRefusedError:
            place.unlink()
        else:
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE), str(place))
