"""Stream against a plain list of (ID, fields and values)."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from store_pulsards.engine.stream import BLOCK_ENTRIES, Entry, Stream
from store_pulsards.engine.stream_ids import LAST, make

TEXTS = st.sampled_from([b"", b"f", b"1", b"-70000", b"value", b"x" * 70, b"y" * 1500])
PAIRS = st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=3)
#: Distances between IDs: within a time, to another time, over the limits of 64 bits.
STEPS = st.sampled_from([1, 2, 1000, make(1, 0), make(1, 0) - 1, make(5, 3), make(2**62, 0)])
CHOICES = st.integers(0, 200)

ACTIONS = st.one_of(
    st.tuples(st.just("add"), st.tuples(st.integers(1, 40), STEPS, PAIRS)),
    st.tuples(st.just("remove"), st.lists(CHOICES, max_size=30)),
    st.tuples(st.just("length"), st.tuples(CHOICES, st.booleans(), st.sampled_from([0, 1, 50, 150]))),
    st.tuples(st.just("before"), st.tuples(CHOICES, st.booleans(), st.sampled_from([0, 1, 50, 150]))),
)


class Model:
    """What a stream is to hold."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.last = 0
        self.added = 0
        self.max_deleted = 0

    def number(self, choice: int) -> int:
        """An ID of the stream, or one beside it."""
        if not self.entries:
            return choice
        return self.entries[choice // 2 % len(self.entries)][0] + choice % 2


def apply(stream: Stream, model: Model, action: str, details: Any) -> None:
    if action == "add":
        count, step, pairs = details
        fields, values = tuple(field for field, _ in pairs), tuple(value for _, value in pairs)
        for _ in range(count):
            if model.last + step <= LAST:
                model.last += step
                model.added += 1
                model.entries.append((model.last, [text for pair in pairs for text in pair]))
                stream.append(model.last, fields, values)
    elif action == "remove":
        numbers = [model.number(choice) for choice in details]
        there = {number for number, _ in model.entries} & set(numbers)
        assert stream.remove(numbers) == len(there)
        model.entries = [entry for entry in model.entries if entry[0] not in there]
        model.max_deleted = max(model.max_deleted, *there, 0) if there else model.max_deleted
    else:
        trim(stream, model, action, *details)


def trim(stream: Stream, model: Model, action: str, choice: int, approximate: bool, limit: int) -> None:
    before = len(model.entries)
    if action == "length":
        removed = stream.trim_to_length(choice, approximate=approximate, limit=limit if approximate else 0)
        most = max(0, before - choice)
    else:
        number = model.number(choice)
        removed = stream.trim_before(number, approximate=approximate, limit=limit if approximate else 0)
        most = sum(each < number for each, _ in model.entries)
    if not approximate:
        assert removed == most
    assert removed <= most
    assert not (approximate and limit) or removed <= limit
    del model.entries[:removed]


def check(stream: Stream, model: Model) -> None:
    assert stream.entries() == model.entries
    assert stream.entries(reverse=True) == model.entries[::-1]
    assert len(stream) == stream.length == len(model.entries)
    assert (stream.last, stream.added, stream.max_deleted) == (model.last, model.added, model.max_deleted)
    assert stream.first == (model.entries[0][0] if model.entries else 0)
    assert stream.last_living() == (model.entries[-1][0] if model.entries else 0)
    assert stream.block_ids() == sorted(set(stream.block_ids()))


@settings(deadline=None)
@given(st.lists(ACTIONS, max_size=12), CHOICES, CHOICES, st.integers(0, 5))
def test_a_stream_holds_what_a_list_would(actions: list[tuple[str, Any]], one: int, other: int, count: int) -> None:
    stream, model = Stream(), Model()
    for action, details in actions:
        apply(stream, model, action, details)
        check(stream, model)
    start, end = model.number(one), model.number(other)
    inside = [entry for entry in model.entries if start <= entry[0] <= end]
    assert stream.entries(start, end, count) == (inside[:count] if count else inside)
    assert stream.entries(start, end, count, reverse=True) == (inside[::-1][:count] if count else inside[::-1])
    texts = dict(model.entries)
    for number in {start, end, start - 1, end + 1}:
        assert stream.get(number) == texts.get(number)
        assert (number in stream) is (number in texts)


@settings(deadline=None)
@given(st.lists(ACTIONS, max_size=6), st.lists(ACTIONS, max_size=6))
def test_a_copy_is_its_own(before: list[tuple[str, Any]], after: list[tuple[str, Any]]) -> None:
    stream, model = Stream(), Model()
    for action, details in before:
        apply(stream, model, action, details)
    copy = stream.copy()
    held = Model()
    held.entries, held.last, held.added = list(model.entries), model.last, model.added
    held.max_deleted = model.max_deleted
    for action, details in after:
        apply(stream, model, action, details)
    check(stream, model)
    check(copy, held)
    for action, details in after:
        apply(copy, held, action, details)
    assert copy.entries() == stream.entries()


def filled(count: int, step: int = 1) -> Stream:
    stream = Stream()
    for number in range(1, count + 1):
        stream.append(number * step, (b"f",), (b"v",))
    return stream


def test_approximate_trimming_takes_whole_blocks() -> None:
    stream = filled(3 * BLOCK_ENTRIES)
    assert stream.trim_to_length(2 * BLOCK_ENTRIES + 1, approximate=True) == 0
    assert stream.trim_to_length(2 * BLOCK_ENTRIES - 1, approximate=True) == BLOCK_ENTRIES
    assert stream.trim_before(stream.last, approximate=True, limit=BLOCK_ENTRIES - 1) == 0
    assert stream.trim_before(stream.last, approximate=True, limit=BLOCK_ENTRIES) == BLOCK_ENTRIES
    assert stream.first == 2 * BLOCK_ENTRIES + 1


def test_a_block_goes_with_its_last_entry() -> None:
    stream = filled(2 * BLOCK_ENTRIES)
    assert stream.remove(range(2, BLOCK_ENTRIES + 1)) == BLOCK_ENTRIES - 1
    assert len(stream.block_ids()) == 2
    assert stream.remove([1, 1]) == 1
    assert stream.block_ids() == [BLOCK_ENTRIES + 1]
    assert stream.first == BLOCK_ENTRIES + 1


def test_an_entry_is_added_to_a_block_that_had_been_closed() -> None:
    stream = Stream()
    stream.append(1, (b"f",), (b"v",))
    stream.append(2, (b"f",), (b"x" * 5000,))
    assert stream.block_ids() == [1, 2]
    stream.remove([2])
    stream.append(3, (b"f",), (b"w",))
    assert stream.block_ids() == [1]
    assert stream.entries() == [(1, [b"f", b"v"]), (3, [b"f", b"w"])]
