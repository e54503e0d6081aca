from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store_pulsards.engine import hyperloglog
from store_pulsards.engine.engine import Engine
from store_pulsards.engine.hyperloglog import HEADER, REGISTERS, CorruptedError
from store_pulsards.engine.murmur import murmur64a

LIMIT = 3000
RAISED = st.lists(st.tuples(st.integers(0, REGISTERS - 1), st.integers(1, 32)), max_size=60)


@given(st.integers(0, 2**32))
@settings(max_examples=20)
def test_registers_that_were_packed_are_the_same_again(seed: int) -> None:
    registers = bytearray(Random(seed).choices(range(64), k=REGISTERS))
    assert hyperloglog.registers(hyperloglog.DENSE_HEAD + hyperloglog.pack(registers)) == registers


@given(RAISED)
@settings(max_examples=60)
def test_both_forms_have_the_same_registers_whatever_was_raised(raised: list[tuple[int, int]]) -> None:
    sparse, dense, registers = hyperloglog.new(), hyperloglog.new(), bytearray(REGISTERS)
    hyperloglog.to_dense(dense)
    for index, count in raised:
        changed = count > registers[index]
        registers[index] = max(registers[index], count)
        assert hyperloglog.raise_register(sparse, index, count, LIMIT) is changed
        assert hyperloglog.raise_register(dense, index, count, LIMIT) is changed
    assert hyperloglog.registers(sparse) == hyperloglog.registers(dense) == registers
    assert not hyperloglog.is_dense(sparse)


@given(st.binary(max_size=40))
def test_bytes_that_are_no_registers_are_refused_and_never_crash(registers: bytes) -> None:
    value = bytearray(bytes(hyperloglog.new()[:HEADER]) + registers)
    covered = sum(length for _, _, length in hyperloglog.opcodes(value))
    if covered != REGISTERS:
        with pytest.raises(CorruptedError):
            hyperloglog.registers(value)
    try:
        hyperloglog.add(value, b"a", LIMIT)
    except CorruptedError:
        assert covered != REGISTERS or registers[-1:] == b"\x7f"


def test_an_estimate_is_near_the_truth() -> None:
    value = hyperloglog.new()
    for number in range(20_000):
        hyperloglog.add(value, b"%d" % number, LIMIT)
    assert abs(hyperloglog.estimate(hyperloglog.registers(value)) - 20_000) < 20_000 * 0.03


def test_a_value_that_is_too_great_for_the_sparse_form_makes_it_dense() -> None:
    value = hyperloglog.new()
    assert hyperloglog.raise_register(value, 7, 33, LIMIT)
    assert hyperloglog.is_dense(value)
    assert hyperloglog.registers(value)[7] == 33


def test_the_hash_is_that_of_redis() -> None:
    assert murmur64a(b"", 0) == 0
    assert murmur64a(b"hello", 0) == 2191231550387646743


def test_the_self_test_passes(engine: Engine) -> None:
    assert engine.execute(engine.session(), [b"PFSELFTEST"]) == b"OK"
