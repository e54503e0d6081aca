"""Large values on their way out: written in slices as the transport takes them, and not copied.

A transport copies what the socket does not take at once, and joining commands copies everything. For a few bytes
that is cheaper than anything else; for megabytes it is most of the work. So a command above ``LARGE`` goes by itself,
in slices, the next one when the transport has room again; and on a link that has carried such a value, ``parts``
packs around it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

from store_redis.encoding import plain

#: Bytes from which a command, or a value, is large.
LARGE = 64 * 1024

#: Bytes handed to the transport at a time.
SLICE = 512 * 1024


class LargeWrites:
    """Buffers that the transport has not taken yet, in order."""

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        self._waiting: deque[memoryview] = deque()

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, buffers: Iterable[bytes]) -> None:
        """Write these after all that waits already."""
        self._waiting.extend(map(memoryview, buffers))

    def next_slice(self) -> memoryview:
        """What to hand to the transport next."""
        first = self._waiting[0]
        if len(first) <= SLICE:
            return self._waiting.popleft()
        self._waiting[0] = first[SLICE:]
        return first[:SLICE]

    def clear(self) -> None:
        """Forget what was not written."""
        self._waiting.clear()


def is_large(args: tuple[Any, ...]) -> bool:
    """Whether a value among the arguments is worth packing around."""
    return any(type(value) is bytes and len(value) > LARGE for value in args)


def parts(args: tuple[Any, ...]) -> list[bytes]:
    """A command as RESP, in buffers: large values as they are, what stands between them packed.

    Raises:
        ArgumentError: An argument is of a type that cannot be sent.
    """
    buffers: list[bytes] = []
    between = [b"*%d\r\n" % len(args)]
    for index, value in enumerate(args):
        data = value if type(value) is bytes else _as_bytes(plain(args, index))
        between.append(b"$%d\r\n" % len(data))
        if len(data) > LARGE:
            buffers += (b"".join(between), data)
            between = [b"\r\n"]
        else:
            between += (data, b"\r\n")
    return [*buffers, b"".join(between)]


def _as_bytes(value: str | bytes | int | float) -> bytes:
    if isinstance(value, bytes):
        return value
    return (repr(value) if isinstance(value, float) else str(value)).encode()
