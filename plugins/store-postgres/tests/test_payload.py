"""Payloads and channels of NOTIFY, without a server."""

from __future__ import annotations

import pytest

from store_core import ArgumentError
from store_postgres.payload import MOST_CHANNEL, MOST_PAYLOAD, channel_name, to_bytes, to_text

BYTES = [b"", b"text", "é漢".encode(), b"\x00", b"\xff\xfe", b"\\x", b"\\x41", b"\\xzz", bytes(range(256))]


@pytest.mark.parametrize("data", BYTES)
def test_bytes_come_back_as_they_went(data):
    text = to_text(data)
    assert "\0" not in text
    assert to_bytes(text) == data


def test_text_travels_as_it_is_for_other_programs():
    assert to_text("é {}".encode()) == "é {}"
    assert to_bytes("from psql") == b"from psql"


def test_the_longest_payload_goes_and_one_byte_more_is_an_error_that_says_the_limit():
    assert to_text(b"x" * MOST_PAYLOAD)
    with pytest.raises(ArgumentError, match=r"8000 bytes.*7999"):
        to_text(b"x" * (MOST_PAYLOAD + 1))
    with pytest.raises(ArgumentError, match="4000 bytes, as 8002 characters"):
        to_text(b"\xff" * 4000)


def test_long_channels_travel_as_a_hash_of_their_own():
    assert channel_name("c" * MOST_CHANNEL) == "c" * MOST_CHANNEL
    one, other = channel_name("c" * 64), channel_name("c" * 64 + "d")
    assert one != other
    assert len(one) == MOST_CHANNEL


@pytest.mark.parametrize("name", ["", "a\0b"])
def test_a_channel_has_a_name(name):
    with pytest.raises(ArgumentError):
        channel_name(name)
