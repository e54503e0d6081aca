from __future__ import annotations

from collections import deque
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store_pulsards.engine.members import Members
from store_pulsards.engine.rdb import listpack, lzf, payload, values
from store_pulsards.engine.rdb.codec import Reader, write_length, write_string
from store_pulsards.engine.rdb.crc64 import crc64
from store_pulsards.engine.rdb.errors import PayloadError, RdbError
from store_pulsards.engine.sorted_set import SortedSet
from store_pulsards.engine.stream import Stream
from store_pulsards.engine.stream_groups import Group
from store_pulsards.engine.volatile_hash import VolatileHash

INTEGERS = st.integers(-(2**63), 2**63 - 1).map(lambda number: b"%d" % number)
SMALL_INTEGERS = st.integers(-9000, 9000).map(lambda number: b"%d" % number)
TEXTS = st.one_of(st.binary(max_size=80), INTEGERS, SMALL_INTEGERS, st.sampled_from([b"-0", b"007", b"-", b"1.5"]))
LONG = st.one_of(TEXTS, st.binary(min_size=1, max_size=3).map(lambda piece: piece * 5000))
SCORES = st.floats(allow_nan=False)


@pytest.mark.parametrize("length", [0, 63, 64, 16383, 16384, 2**32 - 1, 2**32, 2**40])
def test_a_length_is_read_as_it_was_written(length: int) -> None:
    out = bytearray()
    write_length(out, length)
    reader = Reader(bytes(out))
    assert reader.length() == length
    assert reader.at == len(out)


@given(LONG)
def test_a_string_is_read_as_it_was_written(text: bytes) -> None:
    out = bytearray()
    write_string(out, text)
    assert Reader(bytes(out)).string() == text


def test_short_integers_take_few_bytes() -> None:
    sizes = {b"-128": 2, b"127": 2, b"128": 3, b"-32769": 5, b"2147483647": 5, b"2147483648": 11, b"007": 4}
    for text, size in sizes.items():
        out = bytearray()
        write_string(out, text)
        assert len(out) == size, text


@given(st.lists(LONG, max_size=20))
def test_a_listpack_has_the_strings_that_were_packed(elements: list[bytes]) -> None:
    assert listpack.decode(listpack.encode(elements)) == elements


@pytest.mark.parametrize("size", [63, 64, 125, 126, 4095, 4096, 16379, 16380, 16381, 2_097_145, 2_097_150])
def test_elements_at_the_bounds_of_sizes_are_packed(size: int) -> None:
    elements = [b"x" * size, b"end"]
    assert listpack.decode(listpack.encode(elements)) == elements


@given(st.binary(max_size=40))
def test_no_listpack_crashes_whatever_its_bytes(body: bytes) -> None:
    data = (len(body) + 6).to_bytes(4, "little") + b"\xff\xff" + body
    with suppress(RdbError):
        assert len(listpack.decode(data)) <= len(body)


@given(st.binary(max_size=40), st.integers(0, 100))
def test_no_compressed_string_crashes_whatever_its_bytes(data: bytes, size: int) -> None:
    with suppress(RdbError):
        assert len(lzf.decompress(data, size)) == size


def test_a_compressed_string_may_go_on_with_what_is_just_being_written() -> None:
    assert lzf.decompress(b"\x01ab\xe0\x03\x01", 14) == b"ab" * 7


VALUES = st.one_of(
    LONG,
    st.lists(LONG, min_size=1, max_size=30).map(deque),
    st.sets(TEXTS, min_size=1, max_size=200).map(Members),
    st.sets(INTEGERS, min_size=1).map(Members),
    st.dictionaries(TEXTS, LONG, min_size=1),
    st.dictionaries(TEXTS, SCORES, min_size=1, max_size=200).map(SortedSet),
)


@st.composite
def streams(draw: st.DrawFn) -> Stream:
    """Streams with deleted entries, and a group in which some are pending."""
    stream = Stream()
    numbers = sorted(draw(st.sets(st.integers(1, 2**128 - 1) | st.integers(1, 500), max_size=150)))
    for number in numbers:
        fields = tuple(draw(st.lists(st.sampled_from([b"a", b"b", b"7"]), min_size=1, max_size=3)))
        stream.append(number, fields, (b"x",) * len(fields))
    stream.remove(numbers[:: draw(st.integers(1, 5))])
    group = stream.groups[b"g"] = Group(draw(st.integers(0, 2**128 - 1)), draw(st.integers(-1, 9)))
    consumers = [group.add_consumer(name, 5) for name in (b"one", b"two")]
    for number in numbers[::3]:
        group.assign(number, draw(st.sampled_from(consumers)), draw(st.integers(0, 2**60)), draw(st.integers(1, 9)))
    return stream


def of_group(group: Group) -> Any:
    pending = [(number, each.consumer.name, each.delivered, each.count) for number, each in group.pending.items()]
    consumers = [(each.name, each.seen, each.active, list(each.pending)) for each in group.in_order()]
    return group.last, group.entries_read, pending, consumers


@given(streams())
@settings(max_examples=50)
def test_a_stream_is_loaded_as_it_was_dumped(stream: Stream) -> None:
    loaded = payload.load(payload.dump(stream))
    assert loaded.entries() == stream.entries()
    for name in ("length", "first", "last", "max_deleted", "added"):
        assert getattr(loaded, name) == getattr(stream, name), name
    assert of_group(loaded.groups[b"g"]) == of_group(stream.groups[b"g"])


def same(one: Any, other: Any) -> bool:
    if isinstance(one, SortedSet):
        return isinstance(other, SortedSet) and list(one) == list(other)
    return type(one) is type(other) and bool(one == other)


@given(VALUES)
def test_a_value_is_loaded_as_it_was_dumped(value: Any) -> None:
    assert same(payload.load(payload.dump(value)), value)


@given(st.dictionaries(TEXTS, st.tuples(TEXTS, st.none() | st.integers(0, 2**62)), min_size=1))
def test_a_hash_is_loaded_with_the_times_of_its_fields(fields: dict[bytes, tuple[bytes, int | None]]) -> None:
    value = VolatileHash({field: text for field, (text, _) in fields.items()})
    for field, (_, when) in fields.items():
        if when is not None:
            value.expire_at(field, when)
    loaded = payload.load(payload.dump(value))
    assert loaded == value
    assert getattr(loaded, "expires", {}) == value.expires


@given(VALUES, st.data())
def test_a_damaged_payload_is_refused(value: Any, data: st.DataObject) -> None:
    dumped = bytearray(payload.dump(value))
    dumped[data.draw(st.integers(0, len(dumped) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(PayloadError):
        payload.load(bytes(dumped))


@given(st.sampled_from(sorted(values.LOADERS)), st.binary(max_size=60))
def test_no_value_crashes_whatever_its_bytes(kind: int, body: bytes) -> None:
    with suppress(RdbError):
        assert values.read(Reader(bytes((kind,)) + body)) is not None


def test_a_number_of_elements_that_cannot_be_there_takes_no_memory() -> None:
    with pytest.raises(RdbError):
        values.read(Reader(b"\x02\x81" + (2**60).to_bytes(8, "big") + b"\x01a"))


def test_the_checksum_is_that_of_redis() -> None:
    assert crc64(b"123456789") == 0xE9C6D914C4B8D9CA
    assert crc64(b"56789", crc64(b"1234")) == 0xE9C6D914C4B8D9CA
