"""The wire protocol, server to client: replies to bytes, in RESP2 and RESP3.

One table for each version maps the type of a reply to the function that writes it, and the server's loop does just
``ENCODERS[resp][type(reply)](reply)``. What the types mean is said in ``engine/replies.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from math import copysign
from typing import Any, Final, TypeAlias

from store_pulsards.engine.replies import (
    BLOCKED,
    NO_REPLY,
    NULL_ARRAY,
    Attributed,
    BigNumber,
    Bulks,
    Coordinate,
    ErrorReply,
    Keyed,
    Many,
    Pairs,
    Push,
    Reply,
    Sentinel,
    SetReply,
    Status,
    Verbatim,
)

_ONE_LINE: Final = bytes.maketrans(b"\r\n", b"  ")
CRLF: Final = b"\r\n"
PREFIXES: Final = [b"$%d\r\n" % n for n in range(1024)]
MANY: Final = 4  # bulk strings in an array from which on they are encoded together
SMALL: Final = range(-1, 1024)
INTEGERS: Final = {n: b":%d\r\n" % n for n in SMALL}
_EXACT: Final = float(2**62)  # whole numbers up to here are written as integers


def encode(reply: Reply, resp: int) -> bytes:
    """The bytes of a reply in RESP2 or RESP3."""
    return ENCODERS[resp][type(reply)](reply)


def format_double(value: float) -> bytes:
    """A double as Redis writes it: shortest digits, ``1e+20``, ``0.00001``, ``inf``, no point in whole numbers.

    Redis's own digits (Grisu2) are not quite the shortest in a few of 1000 doubles; these are.
    """
    if value.is_integer() and -_EXACT <= value <= _EXACT:
        return b"%d" % value if value or copysign(1.0, value) > 0 else b"-0"
    return shortest_digits(value)


def shortest_digits(value: float) -> bytes:
    """A double as Redis's fpconv writes it, whole numbers included: ``2.5e+10``."""
    text = repr(value)
    if "n" in text:  # inf, nan
        return text.encode()
    sign, text = ("-", text[1:]) if text[0] == "-" else ("", text)
    mantissa, _, power = text.partition("e")
    whole, _, fraction = mantissa.removesuffix(".0").partition(".")
    digits = (whole + fraction).lstrip("0")
    significant = digits.rstrip("0")
    if not significant:
        return b"-0" if sign else b"0"
    scale = int(power or 0) - len(fraction) + len(digits) - len(significant)
    return (sign + _place_point(significant, scale)).encode()


def _place_point(digits: str, scale: int) -> str:
    """``digits`` times ten to the ``scale``, in the form that Redis's fpconv chooses."""
    exponent = scale + len(digits) - 1
    if scale >= 0 and exponent < len(digits) + 7:
        return digits + "0" * scale
    if scale < 0 and (scale > -7 or abs(exponent) < 4):
        point = len(digits) + scale
        return digits[:point] + "." + digits[point:] if point > 0 else "0." + "0" * -point + digits
    rest = "." + digits[1:] if len(digits) > 1 else ""
    return f"{digits[0]}{rest}e{exponent:+d}"


Encoder: TypeAlias = Callable[[Any], bytes]


class Encoders(dict[type, Encoder]):
    """The encoder of each type of reply, in one version of the protocol; subclasses are found at first use."""

    def __missing__(self, kind: type) -> Encoder:
        for base in kind.__mro__[1:]:
            if base in self:
                self[kind] = self[base]
                return self[base]
        raise TypeError(f"no reply type: {kind.__name__}")


def _bulk(value: bytes) -> bytes:
    size = len(value)
    return PREFIXES[size] + value + CRLF if size < 1024 else b"$%d\r\n%b\r\n" % (size, value)


def _bulks(values: Sequence[bytes]) -> bytes:
    """Bulk strings, at least one, with the loops left to C."""
    sizes = list(map(len, values))
    if sizes.count(sizes[0]) == len(sizes):
        head = b"$%d\r\n" % sizes[0]
        return b"".join((head, (CRLF + head).join(values), CRLF))
    parts = [CRLF] * (3 * len(values))
    parts[0::3] = map((PREFIXES.__getitem__ if max(sizes) < len(PREFIXES) else b"$%d\r\n".__mod__), sizes)
    parts[1::3] = values
    return b"".join(parts)


def _integer(value: int) -> bytes:
    return INTEGERS[value] if value in SMALL else b":%d\r\n" % value


def _status(value: bytes) -> bytes:
    return b"+%b\r\n" % value


def _error(value: ErrorReply) -> bytes:
    return b"-%b\r\n" % value.message.encode("utf-8", "surrogateescape").translate(_ONE_LINE)


def _double2(value: float) -> bytes:
    return _bulk(format_double(value))


def _double3(value: float) -> bytes:
    return b",%b\r\n" % format_double(value)


def _digits(value: float) -> bytes:
    """A double with up to 17 digits after the point, as Redis prints its ``long double``."""
    text = (b"%.17f" % value).rstrip(b"0").rstrip(b".")
    return b"0" if text == b"-0" else text


def _coordinate2(value: float) -> bytes:
    return _bulk(_digits(value))


def _coordinate3(value: float) -> bytes:
    return b",%b\r\n" % _digits(value)


def _verbatim3(value: bytes) -> bytes:
    return b"=%d\r\ntxt:%b\r\n" % (len(value) + 4, value)


def _big_number3(value: bytes) -> bytes:
    return b"(%b\r\n" % value


def _constant(reply: bytes) -> Encoder:
    return lambda _: reply


def _truth(yes: bytes, no: bytes) -> Encoder:
    return lambda value: yes if value else no


def _sentinel(null: bytes) -> Encoder:
    replies = {id(NULL_ARRAY): null, id(BLOCKED): b"", id(NO_REPLY): b""}
    return lambda value: replies[id(value)]


def _encoders(resp: int) -> Encoders:
    table = Encoders()

    def items(values: Sequence[Any]) -> bytes:
        if len(values) > MANY and list(map(type, values)).count(bytes) == len(values):
            return _bulks(values)
        return b"".join([table[type(value)](value) for value in values])

    def flat(pairs: Iterable[tuple[Any, Any]]) -> bytes:
        return items(list(chain.from_iterable(pairs)))

    def sized(mark: bytes) -> Encoder:
        head, empty = mark + b"%d\r\n", mark + b"0\r\n"
        return lambda values: head % len(values) + items(values) if values else empty

    def bulks(values: Bulks) -> bytes:
        return b"*%d\r\n" % len(values) + (_bulks(values) if values else b"")

    def flat_pairs(pairs: list[tuple[Any, Any]]) -> bytes:
        return b"*%d\r\n" % (2 * len(pairs)) + flat(pairs)

    def nested_pairs(pairs: list[tuple[Any, Any]]) -> bytes:
        return b"*%d\r\n" % len(pairs) + b"".join([b"*2\r\n" + items(pair) for pair in pairs])

    def keyed_map(pairs: list[tuple[Any, Any]]) -> bytes:
        return b"%%%d\r\n" % len(pairs) + flat(pairs)

    def flat_map(value: dict[Any, Any]) -> bytes:
        return b"*%d\r\n" % (2 * len(value)) + flat(value.items())

    def true_map(value: dict[Any, Any]) -> bytes:
        return b"%%%d\r\n" % len(value) + flat(value.items())

    def attributed(value: Attributed) -> bytes:
        head = b"|%d\r\n%b" % (len(value.attributes), flat(value.attributes.items())) if new else b""
        return head + table[type(value.reply)](value.reply)

    new = resp >= 3
    null = b"_\r\n" if new else b"$-1\r\n"
    table[bytes] = _bulk
    table[int] = _integer
    table[type(None)] = _constant(null)
    table[Status] = _status
    table[ErrorReply] = _error
    table[bool] = _truth(b"#t\r\n", b"#f\r\n") if new else _truth(b":1\r\n", b":0\r\n")
    table[float] = _double3 if new else _double2
    table[Coordinate] = _coordinate3 if new else _coordinate2
    table[Verbatim] = _verbatim3 if new else _bulk
    table[list] = table[tuple] = sized(b"*")
    table[Bulks] = bulks
    table[BigNumber] = _big_number3 if new else _bulk
    table[Attributed] = attributed
    table[dict] = true_map if new else flat_map
    table[SetReply] = sized(b"~" if new else b"*")
    table[Pairs] = nested_pairs if new else flat_pairs
    table[Keyed] = keyed_map if new else nested_pairs
    table[Push] = sized(b">" if new else b"*")
    table[Many] = items
    table[Sentinel] = _sentinel(b"_\r\n" if new else b"*-1\r\n")
    return table


ENCODERS: Final = {2: _encoders(2), 3: _encoders(3)}
