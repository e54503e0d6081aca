from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from store_pulsards.engine.engine import Engine


def ask(engine: Engine, *words: bytes | int) -> Any:
    return engine.execute(engine.session(), [b"%d" % word if isinstance(word, int) else word for word in words])


def bits_of(value: bytes) -> str:
    return "".join(f"{byte:08b}" for byte in value)


@given(value=st.binary(max_size=6), bit=st.sampled_from([0, 1]), start=st.integers(-60, 60), end=st.integers(-60, 60))
def test_bitpos_finds_the_first_such_bit_of_a_range(value: bytes, bit: int, start: int, end: int) -> None:
    engine = Engine()
    ask(engine, b"SET", b"a", value)
    size = len(value) * 8
    first = max(0, start + size if start < 0 else start)
    last = min(size - 1, max(0, end + size if end < 0 else end))
    found = -1 if first > last else bits_of(value).find(str(bit), first, last + 1)
    assert ask(engine, b"BITPOS", b"a", bit, start, end, b"BIT") == found


@given(values=st.lists(st.binary(max_size=5), min_size=1, max_size=4), name=st.sampled_from([b"AND", b"OR", b"XOR"]))
def test_bitop_combines_strings_as_if_all_were_as_long_as_the_longest(values: list[bytes], name: bytes) -> None:
    engine = Engine()
    for index, value in enumerate(values):
        ask(engine, b"SET", b"%d" % index, value)
    size = max(map(len, values))
    numbers = [int.from_bytes(value.ljust(size, b"\0"), "big") for value in values]
    result = numbers[0]
    for number in numbers[1:]:
        result = {b"AND": result & number, b"OR": result | number, b"XOR": result ^ number}[name]
    assert ask(engine, b"BITOP", name, b"to", *[b"%d" % index for index in range(len(values))]) == size
    assert (ask(engine, b"GET", b"to") or b"") == result.to_bytes(size, "big")


@given(
    before=st.binary(max_size=12),
    bits=st.integers(1, 63),
    offset=st.integers(0, 90),
    number=st.integers(0, 2**63 - 1),
    signed=st.booleans(),
)
def test_a_field_that_was_set_is_read_again_and_its_neighbours_are_as_before(
    before: bytes, bits: int, offset: int, number: int, signed: bool
) -> None:
    engine = Engine()
    ask(engine, b"SET", b"a", before)
    kind = b"%c%d" % (b"ui"[signed], bits)
    number &= (1 << bits - signed) - 1
    _, read = ask(engine, b"BITFIELD", b"a", b"SET", kind, offset, number, b"GET", kind, offset)
    assert read == number
    after = bits_of(ask(engine, b"GET", b"a"))
    padded = bits_of(before).ljust(len(after), "0")
    assert after[:offset] == padded[:offset]
    assert after[offset + bits :] == padded[offset + bits :]
    assert int(after[offset : offset + bits], 2) == number


def test_a_string_of_megabytes_is_handled_whole(engine: Engine) -> None:
    size = 8 * 1024 * 1024
    ask(engine, b"SETBIT", b"a", size * 8 - 1, 1)
    assert ask(engine, b"BITPOS", b"a", 1) == size * 8 - 1
    assert ask(engine, b"BITCOUNT", b"a") == 1
    assert ask(engine, b"BITOP", b"NOT", b"b", b"a") == size
    assert ask(engine, b"BITCOUNT", b"b") == size * 8 - 1
    assert ask(engine, b"BITPOS", b"b", 0) == size * 8 - 1
    assert ask(engine, b"BITOP", b"OR", b"c", b"a", b"b") == size
    assert ask(engine, b"BITPOS", b"c", 0) == size * 8
