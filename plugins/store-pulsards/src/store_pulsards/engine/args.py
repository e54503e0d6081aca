"""Option parsing: what clients write after the key.

Numbers are read as Redis reads them: an integer is canonical decimal text of 64 bits (no sign but a minus, no
space, no leading zero), a float is what ``strtod`` takes, but never NaN. Whoever parses says which error is raised
where Redis has a special one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence, Set
from math import isinf, ldexp
from typing import Any, Final

from store_pulsards.engine import errors, long_double
from store_pulsards.engine.compiled import COMPILED
from store_pulsards.engine.replies import ErrorReply

MAX_INT: Final = 2**63 - 1
MIN_INT: Final = -(2**63)
LARGE: Final = 64  # exponent of 2 of a number that is out of range
SHORTEST: Final = 0.001  # seconds to wait; anything but 0 is at least a millisecond

_ZERO: Final = ord("0")
_FLOAT: Final = re.compile(rb"[+-]?(\d+\.?\d*([eE][+-]?\d+)?|\.\d+([eE][+-]?\d+)?|inf|infinity)", re.IGNORECASE)
_NOT_ZERO: Final = re.compile(rb"[+-]?[0.]*[1-9]")

Error = Callable[[], ErrorReply]


def integer(
    text: bytes,
    low: int | None = None,
    high: int | None = None,
    error: Error = errors.not_an_integer,
) -> int:
    """A whole number of 64 bits, between two bounds where they are given, both included."""
    size = len(text)
    if size < 19 and text.isdigit() and (size == 1 or text[0] != _ZERO):  # nearly every one
        number = natural(text) if COMPILED else int(text)
        if (low is not None and number < low) or (high is not None and number > high):
            raise error()
        return number
    if size > 20:
        raise error()
    try:
        number = int(text)
    except ValueError:
        raise error() from None
    if b"%d" % number != text or not (MIN_INT if low is None else low) <= number <= (MAX_INT if high is None else high):
        raise error()
    return number


def natural(digits: bytes) -> int:
    """The number that at least one digit is: ``int`` where this is compiled, in a third of the time."""
    number = 0
    at = 0
    while at < len(digits):
        number = number * 10 + digits[at] - _ZERO
        at += 1
    return number


def real(text: bytes, error: Error = errors.not_a_float) -> float:
    """A floating point number; infinite only where the text says so."""
    if not _FLOAT.fullmatch(text):
        raise error()
    number = float(text)
    if (isinf(number) and b"n" not in text.lower()) or (number == 0 and _NOT_ZERO.match(text)):
        raise error()  # too large or too small for a double: strtod's ERANGE
    return number


def timeout(text: bytes) -> float:
    """Seconds to wait; 0 is forever."""
    number = long_double.parse(text, errors.timeout_not_a_float)
    mantissa, exponent = (number, 0) if isinstance(number, float) else number
    if mantissa < 0:
        if exponent <= 0 and ldexp(mantissa, exponent) > -SHORTEST:
            return 0.0  # Valkey rounds milliseconds up
        raise errors.timeout_negative()
    if isinf(mantissa) or exponent > LARGE or ldexp(mantissa, exponent) * 1000 >= 2.0**63:
        raise errors.timeout_out_of_range()
    return max(ldexp(mantissa, exponent), SHORTEST) if mantissa else 0.0


def timeout_milliseconds(text: bytes, now: int) -> float:
    """Whole milliseconds to wait from ``now`` (ms) on, as seconds; 0 is forever."""
    milliseconds = integer(text, error=errors.timeout_not_an_integer)
    if milliseconds < 0:
        raise errors.timeout_negative()
    if milliseconds > MAX_INT - now:
        raise errors.timeout_out_of_range()
    return milliseconds / 1000


def options(
    args: Sequence[bytes],
    flags: Set[bytes] = frozenset(),
    values: Mapping[bytes, Callable[[bytes], Any]] | None = None,
) -> dict[bytes, Any]:
    """Named options, in any order and case.

    Args:
        args: What is left of the command.
        flags: Options that stand alone; each given one maps to True.
        values: Options with a value, each with what parses it. Of several equal ones, the last counts.

    Returns:
        The options that were given.

    Raises:
        ErrorReply: One is unknown, or lacks its value.
    """
    found: dict[bytes, Any] = {}
    parsers = values or {}
    index = 0
    while index < len(args):
        name = args[index].upper()
        if name in flags:
            found[name] = True
            index += 1
        elif name in parsers and index + 1 < len(args):
            found[name] = parsers[name](args[index + 1])
            index += 2
        else:
            raise errors.syntax_error()
    return found


def text(value: bytes) -> bytes:
    """The value as it is, for an option that takes any."""
    return value
