from __future__ import annotations

import pytest

from store_pulsards.engine import args
from store_pulsards.engine.replies import ErrorReply


@pytest.mark.parametrize(
    "text", [b"", b"+1", b" 1", b"1 ", b"01", b"-0", b"1_0", b"1.0", b"0x1", b"9223372036854775808", b"\xb2"]
)
def test_only_canonical_integers_of_64_bits_are_taken(text: bytes) -> None:
    with pytest.raises(ErrorReply, match="not an integer"):
        args.integer(text)


@pytest.mark.parametrize("number", [0, -1, 7, args.MAX_INT, args.MIN_INT])
def test_every_integer_of_64_bits_is_taken(number: int) -> None:
    assert args.integer(b"%d" % number) == number
    assert number < 0 or args.natural(b"%d" % number) == number


@pytest.mark.parametrize("text", [b"", b" 1", b"1 ", b"nan", b"1_0", b"x", b"1e400", b"--1", b"."])
def test_what_strtod_refuses_is_no_float(text: bytes) -> None:
    with pytest.raises(ErrorReply, match="not a valid float"):
        args.real(text)


@pytest.mark.parametrize("text", [b"1", b"+1.5", b"-.5", b"1.", b"1e3", b"inf", b"-INFINITY"])
def test_what_strtod_takes_is_a_float(text: bytes) -> None:
    assert args.real(text) == float(text)


def test_options_come_in_any_order_and_case() -> None:
    given = args.options([b"count", b"5", b"Nx"], frozenset({b"NX", b"XX"}), {b"COUNT": int})
    assert given == {b"COUNT": 5, b"NX": True}


@pytest.mark.parametrize("options", [[b"COUNT"], [b"ZZ"], [b"NX", b"5"]])
def test_an_option_that_is_unknown_or_lacks_its_value_is_a_syntax_error(options: list[bytes]) -> None:
    with pytest.raises(ErrorReply, match="syntax error"):
        args.options(options, frozenset({b"NX"}), {b"COUNT": int})


@pytest.mark.parametrize(("text", "message"), [(b"x", "not a float"), (b"-1", "negative"), (b"1e30", "out of range")])
def test_a_timeout_is_checked(text: bytes, message: str) -> None:
    with pytest.raises(ErrorReply, match=message):
        args.timeout(text)
