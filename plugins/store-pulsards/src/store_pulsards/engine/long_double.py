"""Arithmetic of INCRBYFLOAT and HINCRBYFLOAT: C's ``long double``, as on x86-64.

Redis adds these numbers with 64 bits of mantissa and prints 17 digits after the point, so that 0.1 and 0.2 make
0.3. Python's floats have 53 bits; here a number is (mantissa, exponent of 2), rounded to 64 bits wherever C rounds.
An infinity is a Python float: it may be parsed, and a sum may overflow to it, but nothing is ever stored from it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from math import inf
from typing import Final, TypeAlias

from store_pulsards.engine.replies import ErrorReply

Number: TypeAlias = tuple[int, int]
LongDouble: TypeAlias = Number | float

ZERO: Final = (0, 0)
MANTISSA_BITS: Final = 64
MAX_EXPONENT: Final = 16384  # numbers are less than 2 to its power
MIN_EXPONENT: Final = -16445  # smaller ones are 0
DECIMAL_EXPONENT: Final = 5000  # beyond, a number is surely too large or too small
MAX_TEXT: Final = 5 * 1024
DIGITS: Final = 17  # after the point
UNIT: Final = 10**DIGITS

_DECIMAL: Final = re.compile(rb"([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d+))?")
_HEXADECIMAL: Final = re.compile(rb"([+-]?)0[xX]([0-9a-fA-F]*)(?:\.([0-9a-fA-F]*))?(?:[pP]([+-]?\d+))?")
_INFINITY: Final = re.compile(rb"([+-]?)inf(?:inity)?", re.IGNORECASE)


def parse(text: bytes, error: Callable[[], ErrorReply]) -> LongDouble:
    """What ``strtold`` makes of the whole text; ``error`` where it makes nothing of it, or NaN."""
    if len(text) < MAX_TEXT:
        if match := _DECIMAL.fullmatch(text):
            number = _decimal(match)
        elif match := _HEXADECIMAL.fullmatch(text):
            number = _hexadecimal(match)
        elif match := _INFINITY.fullmatch(text):
            return -inf if match[1] == b"-" else inf
        else:
            number = None
        # What is too large or too small for a long double is an error too.
        if number is not None and not isinstance(number, float):
            return number
    raise error()


def add(one: LongDouble, other: LongDouble) -> LongDouble:
    """The sum, rounded; an infinity when it is too large, or a summand is one."""
    if isinstance(one, float) or isinstance(other, float):
        return inf
    exponent = min(one[1], other[1])
    return _round((one[0] << one[1] - exponent) + (other[0] << other[1] - exponent), 1, exponent) or ZERO


def show(number: Number) -> bytes:
    """The number as ``%.17Lf`` writes it, without the zeros at the end."""
    mantissa, exponent = number
    scaled = abs(mantissa) * UNIT
    if exponent >= 0:
        scaled <<= exponent
    else:
        scaled = _halve(scaled, -exponent)
    whole, fraction = divmod(scaled, UNIT)
    digits = _to_decimal(whole) + (b".%017d" % fraction).rstrip(b"0").rstrip(b".")
    return b"-" + digits if mantissa < 0 and scaled else digits


def _decimal(match: re.Match[bytes]) -> LongDouble | None:
    sign, whole, fraction, power = match.groups()
    digits = (whole + (fraction or b"")).lstrip(b"0")
    if not digits:
        return ZERO if whole or fraction else None
    exponent = _exponent(power) - len(fraction or b"")
    if abs(exponent + len(digits)) > DECIMAL_EXPONENT:
        return None
    value = _from_decimal(sign + digits)
    return _round(value * 10**exponent, 1, 0) if exponent >= 0 else _round(value, 10**-exponent, 0)


def _hexadecimal(match: re.Match[bytes]) -> LongDouble | None:
    sign, whole, fraction, power = match.groups()
    digits = whole + (fraction or b"")
    if not digits:
        return None
    value = int(sign + digits, 16)
    return _round(value, 1, _exponent(power) - 4 * len(fraction or b"")) if value else ZERO


def _exponent(text: bytes | None) -> int:
    return int(text[:20]) if text else 0


def _from_decimal(digits: bytes) -> int:
    # Python refuses to convert more than 4300 digits at once.
    if len(digits) < 4000:
        return int(digits)
    high, low = int(digits[:-3000]), int(digits[-3000:])
    return high * 10**3000 + (low if high >= 0 else -low)


def _to_decimal(number: int) -> bytes:
    if number.bit_length() < 14_000:  # 4215 digits
        return b"%d" % number
    high, low = divmod(number, 10**4000)
    return b"%d%04000d" % (high, low)


def _round(numerator: int, denominator: int, exponent: int) -> LongDouble | None:
    """``numerator / denominator * 2**exponent`` to 64 bits; None where it is too small to be told from 0."""
    value = abs(numerator)
    if denominator == 1 and value.bit_length() <= MANTISSA_BITS:
        mantissa = value
    else:
        # Two bits more than needed, and one that tells whether anything is left behind them.
        shift = MANTISSA_BITS + 2 - (value.bit_length() - denominator.bit_length())
        mantissa, rest = divmod(value << max(shift, 0), denominator << max(-shift, 0))
        mantissa = mantissa << 1 | (rest != 0)
        excess = mantissa.bit_length() - MANTISSA_BITS
        mantissa = _halve(mantissa, excess)
        exponent += excess - shift - 1
    magnitude = mantissa.bit_length() + exponent
    if magnitude > MAX_EXPONENT:
        return inf if numerator > 0 else -inf
    if magnitude < MIN_EXPONENT:
        return None
    return (mantissa if numerator > 0 else -mantissa), exponent


def _halve(value: int, times: int) -> int:
    """``value / 2**times``, ties to even."""
    quotient, rest = value >> times, value & (1 << times) - 1
    half = 1 << times - 1
    return quotient + (rest > half or (rest == half and quotient & 1))
