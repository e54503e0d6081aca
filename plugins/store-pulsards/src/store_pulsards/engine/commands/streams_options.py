"""What XADD and XTRIM share: which entries are to go, and what else stands before the ID of a new one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from store_pulsards.engine import args, errors, stream_ids
from store_pulsards.engine.stream import BLOCK_ENTRIES, Stream

MOST_AT_ONCE: Final = 100 * BLOCK_ENTRIES  # what approximate trimming deletes where no LIMIT is given


class WriteOptions:
    """The options of XADD and XTRIM."""

    __slots__ = ("approximate", "before", "has_sequence", "length", "limit", "makes_stream", "number")

    def __init__(self) -> None:
        self.number: int | None = None  # ID of the new entry; None for ``*``
        self.has_sequence = False  # it is whole; otherwise only its time counts
        self.makes_stream = True
        self.length: int | None = None  # MAXLEN
        self.before: int | None = None  # MINID
        self.approximate = False
        self.limit: int | None = None

    @property
    def trims(self) -> bool:
        return self.length is not None or self.before is not None

    def trim(self, stream: Stream) -> int:
        """Delete what is to go; how much that was."""
        limit = self.limit if self.limit is not None else MOST_AT_ONCE if self.approximate else 0
        if self.length is not None:
            return stream.trim_to_length(self.length, approximate=self.approximate, limit=limit)
        if self.before is not None:
            return stream.trim_before(self.before, approximate=self.approximate, limit=limit)
        return 0

    def take(self, words: Sequence[bytes], at: int) -> int:
        """Parse one option where there is one; returns where the next one stands, or ``at``."""
        name, more = words[at].upper(), len(words) - at - 1
        if name in (b"MAXLEN", b"MINID") and more:
            return self._take_trimming(name, words, at + 1)
        if name == b"LIMIT" and more:
            self.limit = args.integer(words[at + 1])
            if self.limit < 0:
                raise errors.trimming_negative("LIMIT")
            return at + 2
        return at

    def _take_trimming(self, name: bytes, words: Sequence[bytes], at: int) -> int:
        if self.trims:
            raise errors.two_trimmings()
        if words[at] in (b"~", b"=") and at + 1 < len(words):
            self.approximate = words[at] == b"~"
            at += 1
        if name == b"MINID":
            self.before = stream_ids.parse(words[at])
        else:
            self.length = args.integer(words[at])
            if self.length < 0:
                raise errors.trimming_negative("MAXLEN")
        return at + 1

    def check_limit(self) -> None:
        """Refuse a LIMIT of nothing."""
        if self.limit and not self.trims:
            raise errors.limit_without_trimming()
        if self.limit is not None and not self.approximate:
            raise errors.limit_of_exact_trimming()


def parse_xadd(words: Sequence[bytes]) -> tuple[WriteOptions, int]:
    """The options of XADD, and where the ID stands; behind the last word where there is none."""
    options = WriteOptions()
    at = 0
    while at < len(words) and words[at] != b"*":
        following = options.take(words, at)
        if following != at:
            at = following
        elif words[at].upper() == b"NOMKSTREAM":
            options.makes_stream = False
            at += 1
        else:
            options.number, options.has_sequence = stream_ids.parse_new(words[at])
            break
    options.check_limit()
    return options, at


def parse_xtrim(words: Sequence[bytes]) -> WriteOptions:
    """The options of XTRIM."""
    options = WriteOptions()
    at = 0
    while at < len(words):
        following = options.take(words, at)
        if following == at:
            raise errors.syntax_error()
        at = following
    if not options.trims and not options.limit:
        raise errors.xtrim_without_trimming()
    options.check_limit()
    return options
