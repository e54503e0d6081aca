from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store_pulsards.engine import scan
from store_pulsards.engine.replies import ErrorReply


@given(st.sets(st.binary(max_size=4)), st.integers(1, 20), st.data())
def test_what_stays_from_the_first_page_to_the_last_is_seen(keys: set[bytes], size: int, data: st.DataObject) -> None:
    scans = scan.Scans()
    collection = dict.fromkeys(keys)
    staying = data.draw(st.sets(st.sampled_from(sorted(keys)))) if keys else set()
    going = [key for key in keys if key not in staying]
    seen: set[bytes] = set()
    cursor, turn = 0, 0
    while True:
        cursor, page = scans.page(collection, cursor, size)
        seen.update(page)
        if not cursor:
            break
        turn += 1
        collection[b"new key %d" % turn] = None
        if going:
            collection.pop(going.pop(), None)
        if turn % 3 == 0:
            scans.page(collection, 0, size)  # another client begins meanwhile
    assert staying <= seen


def test_a_collection_that_is_not_changed_is_seen_once() -> None:
    scans = scan.Scans()
    collection = {b"%d" % number for number in range(1000)}
    seen: list[bytes] = []
    cursor = 0
    while True:
        cursor, page = scans.page(collection, cursor, 10)
        seen += page
        if not cursor:
            break
    assert len(seen) == 1000
    assert set(seen) == collection


def test_scans_that_nobody_finishes_are_forgotten() -> None:
    scans = scan.Scans()
    for _ in range(10 * scan.KEPT):
        scans.page({b"%d" % number for number in range(100)}, 0, 10)
    assert len(scans._buckets) <= scan.KEPT


@pytest.mark.parametrize("text", [b"", b"x", b"-1", b"1.5", b"18446744073709551616", b"\xb2"])
def test_a_wrong_cursor_is_refused(text: bytes) -> None:
    with pytest.raises(ErrorReply, match="invalid cursor"):
        scan.cursor(text)


@given(st.integers(0, 2**64 - 1))
def test_any_cursor_is_survived(cursor: int) -> None:
    following, page = scan.Scans().page({b"a", b"b"}, cursor, 10)
    assert following == 0
    assert set(page) <= {b"a", b"b"}
