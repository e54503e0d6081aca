"""Glob patterns as Redis matches them (``stringmatchlen``): ``*``, ``?``, ``[a-z]``, ``[^x]``, ``\\``.

A pattern is compiled once and cached. The usual shapes (``*``, plain text, ``prefix*``) need no regular expression.
In a regular expression, each part after a star is atomic: the first place where it fits is as good as any later
one, so that no pattern backtracks without end.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import TypeAlias

Matcher: TypeAlias = Callable[[bytes], bool]

_MAGIC = re.compile(rb"[*?\[\\]")


@lru_cache(maxsize=1024)
def compile_glob(pattern: bytes) -> Matcher:
    """A function that tells whether a text matches the pattern."""
    if pattern.strip(b"*") == b"" and pattern:
        return bool  # as in Redis, no star matches a text without characters
    magic = _MAGIC.search(pattern)
    if magic is None:
        return pattern.__eq__
    if magic.start() == len(pattern) - 1 and pattern.endswith(b"*"):
        prefix = pattern[:-1]
        return lambda text: text.startswith(prefix)
    expression = re.compile(_translate(pattern), re.DOTALL)
    return lambda text: expression.fullmatch(text) is not None


def plain_text(pattern: bytes) -> bool:
    """Whether the pattern can match nothing but itself."""
    return _MAGIC.search(pattern) is None


def compile_filter(pattern: bytes) -> Matcher:
    """The same, where ``*`` alone stands for no filter: KEYS, SCAN."""
    return _anything if pattern == b"*" else compile_glob(pattern)


def _anything(_: bytes) -> bool:
    return True


def _translate(pattern: bytes) -> bytes:
    """The pattern as a regular expression."""
    parts: list[bytes] = [b""]  # between stars
    index = 0
    while index < len(pattern):
        char = pattern[index : index + 1]
        index += 1
        if char == b"*":
            if parts[-1] or len(parts) == 1:
                parts.append(b"")
        elif char == b"?":
            parts[-1] += b"."
        elif char == b"[":
            members, index = _bracket(pattern, index)
            parts[-1] += members
        else:
            if char == b"\\" and index < len(pattern):
                char = pattern[index : index + 1]
                index += 1
            parts[-1] += re.escape(char)
    if len(parts) == 1:
        return parts[0]
    middle = b"".join(b"(?>.*?" + part + b")" for part in parts[1:-1])
    return parts[0] + middle + b".*" + parts[-1]


def _bracket(pattern: bytes, index: int) -> tuple[bytes, int]:
    """The character class that begins after ``[``, and where the pattern goes on; unclosed, it reaches to the end."""
    negated = pattern[index : index + 1] == b"^"
    index += negated
    members: set[int] = set()
    while index < len(pattern) and pattern[index] != ord("]"):
        left = len(pattern) - index
        if pattern[index] == ord("\\") and left >= 2:
            members.add(pattern[index + 1])
            index += 2
        elif left >= 3 and pattern[index + 1] == ord("-"):
            low, high = sorted((pattern[index], pattern[index + 2]))
            members.update(range(low, high + 1))
            index += 3
        else:
            members.add(pattern[index])
            index += 1
    if not members:
        return (b"." if negated else b"(?!)"), index + 1
    text = b"".join(re.escape(bytes([member])) for member in sorted(members))
    return b"[" + (b"^" if negated else b"") + text + b"]", index + 1
