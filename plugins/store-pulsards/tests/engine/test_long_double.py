"""C's long double arithmetic. That its results are Valkey's is in the differential scripts."""

from __future__ import annotations

import pytest

from store_pulsards.engine import long_double
from store_pulsards.engine.errors import not_a_float
from store_pulsards.engine.replies import ErrorReply


def add(one: bytes, other: bytes) -> bytes:
    total = long_double.add(long_double.parse(one, not_a_float), long_double.parse(other, not_a_float))
    assert not isinstance(total, float)
    return long_double.show(total)


def test_tenths_add_up() -> None:
    assert add(b"0.1", b"0.2") == b"0.3"
    assert add(b"3.0", b"1.1") == b"4.1"


def test_sixty_four_bits_are_kept_and_no_more() -> None:
    assert add(b"18446744073709551615", b"0") == b"18446744073709551615"
    assert add(b"18446744073709551616", b"1") == b"18446744073709551616"


def test_too_large_a_sum_is_an_infinity() -> None:
    huge = long_double.parse(b"1.1e4932", not_a_float)
    assert long_double.add(huge, huge) == float("inf")


def test_minus_nothing_is_zero() -> None:
    assert add(b"-0.0", b"0") == b"0"
    assert add(b"-1e-20", b"0") == b"0"


def test_the_largest_numbers_have_all_their_digits() -> None:
    for power in (3900, 3950, 4000, 4215, 4300, 4931):
        shown = add(b"1.5e%d" % power, b"0")
        assert len(shown) == power + 1
        assert shown.startswith((b"1500000000000000000", b"1499999999999999999"))


@pytest.mark.parametrize("text", [b"", b".", b"e5", b"1e", b" 1", b"1 ", b"nan", b"1e5000", b"1e-5000", b"0x", b"1_0"])
def test_other_texts_are_refused(text: bytes) -> None:
    with pytest.raises(ErrorReply):
        long_double.parse(text, not_a_float)


@pytest.mark.parametrize("text", [b"1e" + b"9" * 100, b"1" * 5000, b"0." + b"0" * 4990 + b"1", b"0x1p" + b"9" * 100])
def test_no_number_takes_long(text: bytes) -> None:
    with pytest.raises(ErrorReply):
        long_double.parse(text, not_a_float)
