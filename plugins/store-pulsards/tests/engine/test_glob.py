from __future__ import annotations

import time

import pytest

from store_pulsards.engine.glob import compile_filter, compile_glob, plain_text


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        (b"*", b"", False),
        (b"**", b"abc", True),
        (b"", b"", True),
        (b"", b"a", False),
        (b"abc", b"abc", True),
        (b"abc", b"abcd", False),
        (b"ab*", b"ab", True),
        (b"ab*", b"a", False),
        (b"*c", b"abc", True),
        (b"a*c*e", b"abcde", True),
        (b"a*c*e", b"abcd", False),
        (b"*b*b", b"ab", False),
        (b"?", b"", False),
        (b"?", b"\n", True),
        (b"a?c", b"abc", True),
        (b"[abc]", b"b", True),
        (b"[^abc]", b"b", False),
        (b"[^abc]", b"d", True),
        (b"[a-c]x", b"bx", True),
        (b"[c-a]x", b"bx", True),
        (b"[]", b"", False),
        (b"[]", b"a", False),
        (b"[^]", b"a", True),
        (b"[a", b"a", True),
        (b"[", b"[", False),
        (b"[\\]]", b"]", True),
        (b"[a\\-c]", b"-", True),
        (b"[a-", b"-", True),
        (b"\\*", b"*", True),
        (b"\\*", b"a", False),
        (b"a\\", b"a\\", True),
        (b"\xff*", b"\xff\x00", True),
        (b"a.c", b"abc", False),
    ],
)
def test_patterns_match_as_in_redis(pattern: bytes, text: bytes, matches: bool) -> None:
    assert compile_glob(pattern)(text) is matches


def test_one_star_is_no_filter() -> None:
    assert compile_filter(b"*")(b"")
    assert not compile_filter(b"**")(b"")


def test_no_pattern_backtracks_without_end() -> None:
    began = time.perf_counter()
    assert not compile_glob(b"a*" * 40 + b"b")(b"a" * 500)
    assert time.perf_counter() - began < 0.5


def test_a_pattern_with_no_magic_is_plain_text() -> None:
    assert plain_text(b"abc]")
    assert not any(map(plain_text, (b"a*", b"a?", b"a[", b"a\\")))
