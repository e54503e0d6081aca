"""Replies on the wire, in both versions, read back by the parser that clients use."""

from __future__ import annotations

from typing import Any

import hiredis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from store_pulsards.encoder import encode, format_double
from store_pulsards.engine.replies import (
    BLOCKED,
    NO_REPLY,
    NULL_ARRAY,
    OK,
    ErrorReply,
    Keyed,
    Many,
    Pairs,
    Push,
    SetReply,
    Verbatim,
)

CASES: list[tuple[Any, bytes, bytes]] = [
    (b"ab", b"$2\r\nab\r\n", b"$2\r\nab\r\n"),
    (b"", b"$0\r\n\r\n", b"$0\r\n\r\n"),
    (b"x" * 2000, b"$2000\r\n%b\r\n" % (b"x" * 2000), b"$2000\r\n%b\r\n" % (b"x" * 2000)),
    (0, b":0\r\n", b":0\r\n"),
    (-(2**63), b":-9223372036854775808\r\n", b":-9223372036854775808\r\n"),
    (None, b"$-1\r\n", b"_\r\n"),
    (NULL_ARRAY, b"*-1\r\n", b"_\r\n"),
    (BLOCKED, b"", b""),
    (NO_REPLY, b"", b""),
    (OK, b"+OK\r\n", b"+OK\r\n"),
    (True, b":1\r\n", b"#t\r\n"),
    (False, b":0\r\n", b"#f\r\n"),
    (1.5, b"$3\r\n1.5\r\n", b",1.5\r\n"),
    (float("-inf"), b"$4\r\n-inf\r\n", b",-inf\r\n"),
    ([], b"*0\r\n", b"*0\r\n"),
    ([b"a", [1, None]], b"*2\r\n$1\r\na\r\n*2\r\n:1\r\n$-1\r\n", b"*2\r\n$1\r\na\r\n*2\r\n:1\r\n_\r\n"),
    ({b"a": 1}, b"*2\r\n$1\r\na\r\n:1\r\n", b"%1\r\n$1\r\na\r\n:1\r\n"),
    (SetReply([b"a"]), b"*1\r\n$1\r\na\r\n", b"~1\r\n$1\r\na\r\n"),
    (Pairs([(b"a", 1.0)]), b"*2\r\n$1\r\na\r\n$1\r\n1\r\n", b"*1\r\n*2\r\n$1\r\na\r\n,1\r\n"),
    (
        Keyed([(b"k", [1]), (b"k", [2])]),
        b"*2\r\n*2\r\n$1\r\nk\r\n*1\r\n:1\r\n*2\r\n$1\r\nk\r\n*1\r\n:2\r\n",
        b"%2\r\n$1\r\nk\r\n*1\r\n:1\r\n$1\r\nk\r\n*1\r\n:2\r\n",
    ),
    (Push([b"m", 1]), b"*2\r\n$1\r\nm\r\n:1\r\n", b">2\r\n$1\r\nm\r\n:1\r\n"),
    (Verbatim(b"hi"), b"$2\r\nhi\r\n", b"=6\r\ntxt:hi\r\n"),
    (Many([Push([b"a"]), 1]), b"*1\r\n$1\r\na\r\n:1\r\n", b">1\r\n$1\r\na\r\n:1\r\n"),
    (ErrorReply("ERR no"), b"-ERR no\r\n", b"-ERR no\r\n"),
    (ErrorReply("ERR a\r\nb"), b"-ERR a  b\r\n", b"-ERR a  b\r\n"),
    (ErrorReply("ERR '\udcff'"), b"-ERR '\xff'\r\n", b"-ERR '\xff'\r\n"),
]


@pytest.mark.parametrize(("reply", "resp2", "resp3"), CASES, ids=lambda case: repr(case)[:30])
def test_each_type_of_reply_has_its_form_in_each_version(reply: Any, resp2: bytes, resp3: bytes) -> None:
    assert (encode(reply, 2), encode(reply, 3)) == (resp2, resp3)


def test_a_value_of_no_reply_type_is_refused() -> None:
    with pytest.raises(TypeError, match="no reply type: object"):
        encode(object(), 2)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.binary(max_size=30) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.binary(max_size=9), inner, max_size=3),
    max_leaves=20,
)


@given(VALUES)
def test_clients_read_what_the_server_wrote_in_resp3(value: Any) -> None:
    reader = hiredis.Reader()
    reader.feed(encode(value, 3))
    assert reader.gets() == value


@given(VALUES)
def test_resp2_has_no_types_of_resp3(value: Any) -> None:
    def plain(value: Any) -> Any:
        if isinstance(value, bool):
            return int(value)
        if isinstance(value, float):
            return format_double(value)
        if isinstance(value, dict):
            return [plain(part) for pair in value.items() for part in pair]
        return [plain(part) for part in value] if isinstance(value, list) else value

    reader = hiredis.Reader()
    reader.feed(encode(value, 2))
    assert reader.gets() == plain(value)


# Doubles, as a Valkey 9.1 printed them

DOUBLES = {
    3.14: b"3.14",
    0.1: b"0.1",
    -2.5: b"-2.5",
    100.0: b"100",
    40522.700000000004: b"4.0522700000000004e+4",
    1234567.5: b"1234567.5",
    1e15: b"1000000000000000",
    123456789012345680.0: b"123456789012345680",
    4611686018427387904.0: b"4611686018427387904",
    9.3e18: b"9.3e+18",
    1e20: b"1e+20",
    1.5e300: b"1.5e+300",
    1.7976931348623157e308: b"1.7976931348623157e+308",
    5e-324: b"5e-324",
    1e-5: b"0.00001",
    1e-7: b"1e-7",
    1.234e-5: b"1.234e-5",
    1.23e-8: b"1.23e-8",
    -1.25e-9: b"-1.25e-9",
    0.12345678901234568: b"0.12345678901234568",
    float("inf"): b"inf",
}


@pytest.mark.parametrize("value", DOUBLES)
def test_doubles_are_written_as_redis_writes_them(value: float) -> None:
    assert format_double(value) == DOUBLES[value]


@given(st.floats(allow_nan=False))
def test_doubles_lose_nothing(value: float) -> None:
    assert float(format_double(value)) == value
