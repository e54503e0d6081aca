"""LCS: the longest common subsequence of two strings."""

from __future__ import annotations

from array import array
from typing import Final, TypeAlias

from store_pulsards.engine import args, errors
from store_pulsards.engine.context import Context
from store_pulsards.engine.replies import Reply
from store_pulsards.engine.table import FIRST_TWO, READONLY, family

command = family("string")

Match: TypeAlias = tuple[int, int, int]  # where it begins in the first string, in the second, and how long it is

_FLAGS: Final = frozenset({b"LEN", b"IDX", b"WITHMATCHLEN"})


@command("LCS", arity=-3, flags=READONLY, keys=FIRST_TWO, since="7.0.0")
def lcs(ctx: Context, one: bytes, other: bytes, *options: bytes) -> Reply:
    """Finds the longest common substring."""
    values = [ctx.lookup_any(key) for key in (one, other)]
    if any(value is not None and type(value) is not bytes for value in values):
        raise errors.lcs_types()
    given = args.options(options, _FLAGS, {b"MINMATCHLEN": args.integer})
    if b"LEN" in given and b"IDX" in given:
        raise errors.lcs_len_and_idx()
    first, second = (value or b"" for value in values)
    lengths = _lengths(first, second)
    if b"LEN" in given:
        return lengths[-1][-1]
    matches = _matches(first, second, lengths)
    if b"IDX" not in given:
        return b"".join(first[start : start + size] for start, _, size in reversed(matches))
    least = given.get(b"MINMATCHLEN", 0)
    shown = [_show(match, with_length=b"WITHMATCHLEN" in given) for match in matches if match[2] >= least]
    return {b"matches": shown, b"len": lengths[-1][-1]}


def _lengths(first: bytes, second: bytes) -> list[array[int]]:
    """The length of the LCS of every two prefixes."""
    rows = [array("I", bytes(4 * (len(second) + 1)))]
    for char in first:
        above = rows[-1]
        row = array("I", [0])
        left = 0
        for index, other in enumerate(second):
            if char == other:
                left = above[index] + 1
            elif above[index + 1] > left:
                left = above[index + 1]
            row.append(left)
        rows.append(row)
    return rows


def _matches(first: bytes, second: bytes, lengths: list[array[int]]) -> list[Match]:
    """Runs of equal bytes, from the end of the strings to their beginning."""
    found: list[Match] = []
    i, j = len(first), len(second)
    while i and j:
        if first[i - 1] == second[j - 1]:
            i, j = i - 1, j - 1
            if found and found[-1][:2] == (i + 1, j + 1):
                found[-1] = (i, j, found[-1][2] + 1)
            else:
                found.append((i, j, 1))
        elif lengths[i - 1][j] > lengths[i][j - 1]:
            i -= 1
        else:
            j -= 1
    return found


def _show(match: Match, *, with_length: bool) -> list[object]:
    start, other, size = match
    shown: list[object] = [[start, start + size - 1], [other, other + size - 1]]
    return [*shown, size] if with_length else shown
