"""What is given arbitrary bytes, and what must hold whatever they are.

A target takes bytes and raises only when something is wrong. ``harness.py`` lets atheris choose the bytes by what they
reach in the code; ``test_targets.py`` lets hypothesis do so.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

from store_pulsards.encoder import encode
from store_pulsards.engine.engine import Engine
from store_pulsards.engine.glob import compile_glob
from store_pulsards.engine.rdb.crc64 import crc64
from store_pulsards.engine.rdb.payload import VERSION
from store_pulsards.engine.replies import OK, ErrorReply
from store_pulsards.protocol import RequestParser, split_requests

MAX_BULK = 100
MAX_BUFFER = 10_000
MOST_STEPS = 100_000  # of the plain matcher, which may go back and forth without end

READING: dict[bytes, list[list[bytes]]] = {
    b"string": [[b"GET", b"k"], [b"STRLEN", b"k"], [b"BITCOUNT", b"k"], [b"PFCOUNT", b"k"], [b"INCR", b"k"]],
    b"list": [[b"LRANGE", b"k", b"0", b"-1"], [b"LINDEX", b"k", b"-1"], [b"LPOP", b"k"], [b"RPUSH", b"k", b"x"]],
    b"set": [[b"SMEMBERS", b"k"], [b"SRANDMEMBER", b"k"], [b"SADD", b"k", b"x"], [b"SPOP", b"k"]],
    b"hash": [[b"HGETALL", b"k"], [b"HTTL", b"k", b"FIELDS", b"1", b"a"], [b"HSET", b"k", b"x", b"y"],
              [b"HRANDFIELD", b"k", b"3"]],
    b"zset": [[b"ZRANGE", b"k", b"0", b"-1", b"WITHSCORES"], [b"ZRANGE", b"k", b"-inf", b"inf", b"BYSCORE"],
              [b"ZADD", b"k", b"1", b"x"], [b"ZPOPMIN", b"k"], [b"GEOPOS", b"k", b"a"]],
    b"stream": [[b"XRANGE", b"k", b"-", b"+"], [b"XINFO", b"STREAM", b"k", b"FULL"], [b"XREVRANGE", b"k", b"+", b"-"],
                [b"XINFO", b"GROUPS", b"k"], [b"XTRIM", b"k", b"MAXLEN", b"~", b"1"], [b"XADD", b"k", b"*", b"a", b"b"],
                [b"XREADGROUP", b"GROUP", b"g", b"c", b"STREAMS", b"k", b">"], [b"XPENDING", b"k", b"g"],
                [b"XAUTOCLAIM", b"k", b"g", b"c", b"0", b"0"], [b"XDEL", b"k", b"1-1"]],
}  # fmt: skip


# Requests


def requests(data: bytes) -> None:
    """Where chunks end makes no difference, nothing is held beyond the limits, and errors end the stream."""
    head, body = data[:4], data[4:]
    restricted = bool(head[:1] and head[0] & 1)
    cuts = sorted(cut % (len(body) + 1) for cut in head[1:])
    places = [0, *cuts, len(body)]
    pieces = [body[a:b] for a, b in itertools.pairwise(places)]
    whole = _parse(pieces, restricted)
    assert whole == _parse([body[at : at + 1] for at in range(len(body))], restricted)
    found, rest = split_requests(body, MAX_BULK)
    assert all(found)
    assert body.endswith(rest)
    assert restricted or whole[0][: len(found)] == found


def _parse(pieces: Sequence[bytes], restricted: bool) -> tuple[list[list[bytes]], bytes | None]:
    parser = RequestParser(max_bulk=MAX_BULK, max_buffer=MAX_BUFFER, restricted=restricted)
    found: list[list[bytes]] = []
    for piece in pieces:
        more = parser.feed(piece)
        while more:
            found += more
            more = parser.feed(b"")
        assert parser.buffered <= MAX_BUFFER + len(piece)
    assert all(isinstance(word, bytes) for request in found for word in request)
    return found, parser.error


# Payloads


def signed(body: bytes) -> bytes:
    """A payload that RESTORE looks into: with version and checksum."""
    versioned = body + VERSION.to_bytes(2, "little")
    return versioned + crc64(versioned).to_bytes(8, "little")


def payloads(data: bytes) -> None:
    """A payload is restored or refused; what was restored is a value that every command can work with."""
    engine = Engine(clock=lambda: 1_700_000_000.0)
    session = engine.session()

    def run(*command: bytes) -> Any:
        reply = engine.execute(session, list(command))
        encode(reply, 2)
        encode(reply, 3)
        return reply

    if run(b"RESTORE", b"k", b"0", signed(data)) != OK:
        return
    kind: bytes = run(b"TYPE", b"k")
    again = run(b"DUMP", b"k")
    if isinstance(again, bytes):
        assert run(b"RESTORE", b"again", b"0", again) == OK, again
        assert run(b"DEBUG", b"DIGEST-VALUE", b"k") == run(b"DEBUG", b"DIGEST-VALUE", b"again")
    run(b"OBJECT", b"ENCODING", b"k")
    run(b"COPY", b"k", b"other")
    for command in READING[bytes(kind)]:
        run(*command)
    engine.tend(10.0)
    for key in (b"k", b"again", b"other"):
        assert not isinstance(run(b"DEL", key), ErrorReply)


# Patterns


def globs(data: bytes) -> None:
    """A pattern matches what Redis's own way of matching says."""
    pattern, _, text = data.partition(b"\n")
    steps = itertools.count()
    try:
        expected = _matches(pattern, text, steps)
    except TimeoutError:
        compile_glob(pattern)(text)  # the plain way takes too long, ours must not
        return
    assert compile_glob(pattern)(text) == expected, (pattern, text)


def _matches(pattern: bytes, text: bytes, steps: itertools.count[int]) -> bool:
    """Glob patterns by their definition, one character after another."""
    if next(steps) > MOST_STEPS:
        raise TimeoutError
    while pattern and text:
        char = pattern[:1]
        if char == b"*":
            pattern = pattern.lstrip(b"*")
            return not pattern or any(_matches(pattern, text[at:], steps) for at in range(len(text)))
        if char == b"[":
            found, pattern = _class_has(pattern[1:], text[0])
            if not found:
                return False
        elif char == b"\\" and len(pattern) > 1:
            if pattern[1] != text[0]:
                return False
            pattern = pattern[2:]
        elif char in (b"?", text[:1]):
            pattern = pattern[1:]
        else:
            return False
        text = text[1:]
        if not text:
            pattern = pattern.lstrip(b"*")
    return not pattern and not text


def _class_has(members: bytes, char: int) -> tuple[bool, bytes]:
    """Whether a class, from behind its bracket on, has a character; and what is behind the class."""
    negated = members[:1] == b"^"
    at, found = int(negated), False
    while at < len(members) and members[at] != ord("]"):
        if members[at] == ord("\\") and len(members) - at >= 2:
            found |= members[at + 1] == char
            at += 2
        elif len(members) - at >= 3 and members[at + 1] == ord("-"):
            low, high = sorted((members[at], members[at + 2]))
            found |= low <= char <= high
            at += 3
        else:
            found |= members[at] == char
            at += 1
    return found != negated, members[at + 1 :]


TARGETS: dict[str, Callable[[bytes], None]] = {"requests": requests, "payloads": payloads, "globs": globs}
