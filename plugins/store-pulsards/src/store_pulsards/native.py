"""Replies for callers in this process: the Python values that a client would have read off the wire.

In RESP3, the usual case, most replies are those values already; in RESP2 the reply takes the way over the wire's
own encoder and parser, so that both forms agree by construction.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from hiredis import Reader

from store_pulsards.encoder import encode
from store_pulsards.engine.replies import (
    NULL_ARRAY,
    Attributed,
    BigNumber,
    Coordinate,
    ErrorReply,
    Keyed,
    Pairs,
    Reply,
    Status,
    Verbatim,
)
from store_redis.errors import reply_error

#: Types that are their own Python value when nothing is decoded.
PLAIN: Final = frozenset({bytes, int, type(None), Status})

#: The same when text is decoded.
PLAIN_DECODED: Final = frozenset({int, type(None)})


def native(reply: Reply, resp: int, encoding: str | None) -> Any:
    """The Python value of a reply; an error is returned, not raised.

    Args:
        reply: What the engine returned.
        resp: The protocol's version, 2 or 3.
        encoding: Decode text with it; None leaves bytes.
    """
    if resp == 3:
        return _native(reply, encoding)
    reader = Reader(replyError=reply_error, encoding=encoding)
    reader.feed(encode(reply, resp))
    return reader.gets()


def _native(reply: Reply, encoding: str | None) -> Any:
    convert = _CONVERTERS.get(type(reply))
    if convert is not None:
        return convert(reply, encoding)
    if isinstance(reply, bytes):
        return _text(reply, encoding)
    if isinstance(reply, dict):
        return {_native(key, encoding): _native(value, encoding) for key, value in reply.items()}
    if encoding is None and PLAIN.issuperset(map(type, reply)):
        return list(reply)
    return [_native(item, encoding) for item in reply]


def _text(reply: bytes, encoding: str | None) -> Any:
    return reply if encoding is None else reply.decode(encoding)


def _pairs(reply: Pairs, encoding: str | None) -> Any:
    return [[_native(member, encoding), _native(score, encoding)] for member, score in reply]


def _keyed(reply: Keyed, encoding: str | None) -> Any:
    return {_native(key, encoding): _native(value, encoding) for key, value in reply}


def _itself(reply: Reply, encoding: str | None) -> Any:
    return reply


def _float(reply: Coordinate, encoding: str | None) -> float:
    return float(reply)


def _error(reply: ErrorReply, encoding: str | None) -> Any:
    return reply_error(reply.message)


def _attributed(reply: Attributed, encoding: str | None) -> Any:
    return _native(reply.reply, encoding)


def _big_number(reply: BigNumber, encoding: str | None) -> int:
    return int(reply)


def _nothing(reply: Reply, encoding: str | None) -> None:
    return None


_CONVERTERS: Final[dict[type, Callable[[Any, str | None], Any]]] = {
    bytes: _text,
    Status: _text,
    Verbatim: _text,
    int: _itself,
    float: _itself,
    bool: _itself,
    type(None): _itself,
    Coordinate: _float,
    Pairs: _pairs,
    Keyed: _keyed,
    ErrorReply: _error,
    Attributed: _attributed,
    BigNumber: _big_number,
    type(NULL_ARRAY): _nothing,
}
