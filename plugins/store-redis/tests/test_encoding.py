"""Arguments on the wire."""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store_core import ArgumentError, DSNError, create_store
from store_redis.encoding import encoded, pack


class Color(StrEnum):
    RED = "red"


class Number(IntEnum):
    ONE = 1


class Ratio(float):
    """What numpy.float64 is: a subclass."""


class Token(bytes):
    pass


@given(st.lists(st.one_of(st.text(st.characters(exclude_categories=["Cs"])), st.binary(), st.integers()), min_size=1))
def test_what_is_packed_is_an_array_of_bulk_strings(arguments: list[Any]) -> None:
    texts = [arg if isinstance(arg, bytes) else str(arg).encode() for arg in arguments]
    expected = b"*%d\r\n" % len(texts) + b"".join(b"$%d\r\n%b\r\n" % (len(text), text) for text in texts)
    assert pack(tuple(arguments)) == expected


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Color.RED, b"red"),
        (Number.ONE, b"1"),
        (Ratio(1.5), b"1.5"),
        (Token(b"ab"), b"ab"),
        (bytearray(b"ab"), b"ab"),
        (memoryview(b"ab"), b"ab"),
        (1.5, b"1.5"),
        (float("inf"), b"inf"),
        (-(2**70), b"-1180591620717411303424"),
    ],
)
def test_kin_of_text_and_bytes_are_sent_as_what_they_hold(value: Any, text: bytes) -> None:
    end = b"$%d\r\n%b\r\n" % (len(text), text)
    assert pack(("SET", "k", value)).endswith(end)
    assert pack(("SET", bytearray(b"k"), value)).endswith(end), "beside an argument that hiredis refuses"


@pytest.mark.parametrize("value", [None, True, False, [], {}, (), object()])
def test_other_types_are_refused_by_position(value: Any) -> None:
    with pytest.raises(ArgumentError, match=f"SET: argument 2 is {type(value).__name__}"):
        pack(("SET", "k", value))


def test_text_of_another_encoding_is_encoded_and_the_rest_left() -> None:
    assert encoded(("SET", "é", b"\xff", 5), "latin-1") == (b"SET", b"\xe9", b"\xff", 5)


def test_text_that_cannot_be_encoded_is_not_repeated() -> None:
    with pytest.raises(ArgumentError, match="argument 1 cannot be encoded as latin-1") as caught:
        encoded(("SET", "secret€"), "latin-1")
    assert "secret" not in repr(caught.value)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("encoding", ["utf-16", "no-such", "cp037"])
def test_an_encoding_that_changes_the_protocols_own_words_is_refused(encoding: str) -> None:
    with pytest.raises(DSNError, match=f"'{encoding}'"):
        create_store("redis://127.0.0.1", encoding=encoding)
