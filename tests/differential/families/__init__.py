"""The syntax of every command, a family a file."""

from __future__ import annotations

from tests.differential.families import conversations, hashes, keys, lists, sets, sorted_sets, streams, strings


def _lines(text: str) -> tuple[str, ...]:
    """A line that is indented goes on with the one before."""
    return tuple(line for line in text.replace("\n ", " ").splitlines() if line)


FAMILIES: dict[str, tuple[str, ...]] = {
    "strings": _lines(strings.LINES),
    "bits": _lines(strings.BITS),
    "keys": _lines(keys.LINES),
    "lists": _lines(lists.LINES),
    "hashes": _lines(hashes.LINES),
    "sets": _lines(sets.LINES),
    "sorted sets": _lines(sorted_sets.LINES),
    "places": _lines(sorted_sets.PLACES),
    "streams": _lines(streams.LINES),
    "conversations": _lines(conversations.LINES),
}
