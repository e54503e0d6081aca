"""Stream: the value behind every X command.

Entries are appended at the end, in blocks; nobody changes one. A block holds up to 100 entries, or about 4 KiB, and
it is cut where Valkey cuts a node of its own, byte for byte, as clients can see it: approximate trimming takes whole
blocks only. Inside a block the texts stand one after another in one run of bytes; fields that are those of the
block's first entry are not written again. An entry costs 21 bytes, 4 for each text, and the texts.

A deleted entry stays in its block, marked, until no entry of the block is left. An entry is found in O(log n): a
bisection over the blocks, and one inside a block.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator
from operator import attrgetter
from sys import getsizeof
from typing import Final, TypeAlias

from store_pulsards.engine.encodings import LISTPACK_FRAME, entry_size, number_size
from store_pulsards.engine.stream_groups import Group, Pending
from store_pulsards.engine.stream_ids import LAST, SEQUENCE, SEQUENCE_BITS

Entry: TypeAlias = tuple[int, list[bytes]]  # the ID, and fields and values in turn
Texts: TypeAlias = tuple[bytes, ...]

BLOCK_ENTRIES: Final = 100  # stream-node-max-entries
BLOCK_BYTES: Final = 4096  # stream-node-max-bytes

_SAME_FIELDS: Final = 1
_DELETED: Final = 2
_FLAGS_SIZE: Final = 2
_COUNTERS_SIZE: Final = 6  # entries, deleted entries, and the mark behind the fields


class Block:
    """Entries that follow each other."""

    __slots__ = ("_data", "_ends", "_fields", "_flags", "_ms", "_seqs", "_starts", "alive", "first", "last", "size")

    def __init__(self, first: int, fields: Texts) -> None:
        self.first = first  # ID of the first entry that was put in
        self.last = first  # and of the last one; both may have been deleted
        self.alive = 0
        self.size = LISTPACK_FRAME + _COUNTERS_SIZE + number_size(len(fields)) + sum(map(entry_size, fields))
        self._fields = fields
        self._ms: array[int] = array("Q")
        self._seqs: array[int] = array("Q")
        self._flags = bytearray()
        self._starts: array[int] = array("I")  # of each entry: its first text
        self._ends: array[int] = array("I", (0,))  # of each text: where it ends; before them, a 0
        self._data: bytes | bytearray = bytearray()

    def __len__(self) -> int:
        """How many entries there are, deleted ones included."""
        return len(self._flags)

    def __sizeof__(self) -> int:
        parts = (self._ms, self._seqs, self._flags, self._starts, self._ends, self._data)
        return object.__sizeof__(self) + sum(map(getsizeof, parts))

    def copy(self) -> Block:
        other = Block(self.first, self._fields)
        other.last, other.alive, other.size = self.last, self.alive, self.size
        other._ms, other._seqs, other._flags = self._ms[:], self._seqs[:], self._flags[:]
        other._starts, other._ends, other._data = self._starts[:], self._ends[:], self._data[:]
        return other

    def has_room(self, length: int) -> bool:
        """Whether an entry with texts of that length in all belongs here."""
        return self.size + length < BLOCK_BYTES and len(self._flags) < BLOCK_ENTRIES

    def add(self, number: int, fields: Texts, values: Texts) -> None:
        """Append an entry."""
        same = fields == self._fields
        count = len(values)
        ms, seq = number >> SEQUENCE_BITS, number & SEQUENCE
        self._ms.append(ms)
        self._seqs.append(seq)
        self._flags.append(_SAME_FIELDS if same else 0)
        self._starts.append(len(self._ends) - 1)
        texts = values if same else [text for pair in zip(fields, values, strict=True) for text in pair]
        data = self._data
        if isinstance(data, bytes):
            data = self._data = bytearray(data)
        for text in texts:
            data += text
            self._ends.append(len(data))
        self.last = number
        self.alive += 1
        self.size += (
            _FLAGS_SIZE
            + number_size(_signed(ms - (self.first >> SEQUENCE_BITS)))
            + number_size(_signed(seq - (self.first & SEQUENCE)))
            + (0 if same else number_size(count))
            + sum(map(entry_size, texts))
            + number_size(count + 3 if same else 2 * count + 4)
        )

    def close(self) -> None:
        """Another block follows: give back what was set aside for growing."""
        self._ms, self._seqs = self._ms[:], self._seqs[:]
        self._starts, self._ends, self._data = self._starts[:], self._ends[:], bytes(self._data)

    def position(self, number: int) -> int:
        """The position of the first entry at or after an ID."""
        ms, seq = number >> SEQUENCE_BITS, number & SEQUENCE
        low = bisect_left(self._ms, ms)
        if low == len(self._ms) or self._ms[low] != ms:
            return low
        return bisect_left(self._seqs, seq, low, bisect_right(self._ms, ms, low))

    def number(self, position: int) -> int:
        """The ID at a position."""
        return self._ms[position] << SEQUENCE_BITS | self._seqs[position]

    def is_alive(self, position: int) -> bool:
        return not self._flags[position] & _DELETED

    def bury(self, position: int) -> None:
        """Mark a living entry as deleted."""
        self._flags[position] |= _DELETED
        self.alive -= 1

    def bury_first(self, count: int) -> int:
        """Mark the first so many living entries as deleted."""
        left = self.alive - count
        for position in range(len(self)):
            if self.alive == left:
                break
            if self.is_alive(position):
                self.bury(position)
        return count

    def bury_before(self, number: int) -> int:
        """Mark the entries before an ID as deleted; how many there were."""
        before = self.alive
        for position in range(self.position(number)):
            if self.is_alive(position):
                self.bury(position)
        return before - self.alive

    def read(self, positions: range, most: int) -> list[Entry]:
        """The living entries at some positions, at most so many of them; on the hot path of every reader."""
        data, ends, starts, flags, fields = bytes(self._data), self._ends, self._starts, self._flags, self._fields
        ms, seqs, width = self._ms, self._seqs, len(self._fields)
        found: list[Entry] = []
        for position in positions:
            flag = flags[position]
            if flag & _DELETED:
                continue
            begin = starts[position]
            texts: list[bytes] = []
            if flag & _SAME_FIELDS:
                at = ends[begin]
                for field, end in zip(fields, ends[begin + 1 : begin + width + 1], strict=True):
                    texts.append(field)
                    texts.append(data[at:end])
                    at = end
            else:
                stop = starts[position + 1] if position + 1 < len(starts) else len(ends) - 1
                texts.extend([data[ends[at] : ends[at + 1]] for at in range(begin, stop)])
            found.append((ms[position] << SEQUENCE_BITS | seqs[position], texts))
            if len(found) == most:
                break
        return found


class Stream:
    """Entries in the order of their IDs, and the groups that consume them.

    ``added``, ``last`` and ``max_deleted`` tell what has ever been; ``first`` is the ID of the first living entry,
    0 where there is none. All may be read by anyone; entries are changed only here.
    """

    __slots__ = ("_blocks", "added", "first", "groups", "last", "length", "max_deleted")

    def __init__(self) -> None:
        self._blocks: list[Block] = []
        self.length = 0
        self.first = 0
        self.last = 0
        self.max_deleted = 0
        self.added = 0
        self.groups: dict[bytes, Group] = {}

    def __len__(self) -> int:
        return self.length

    def copy(self) -> Stream:
        other = Stream()
        other._blocks = [block.copy() for block in self._blocks]
        other.length, other.first, other.last = self.length, self.first, self.last
        other.max_deleted, other.added = self.max_deleted, self.added
        other.groups = {name: group.copy() for name, group in self.groups.items()}
        return other

    @property
    def block_count(self) -> int:
        """How many blocks the entries are in."""
        return len(self._blocks)

    def blocks(self) -> Iterator[Block]:
        """The blocks; nobody but the stream changes one."""
        return iter(self._blocks)

    def parts(self) -> Iterator[Block | Pending]:
        """What the memory of a stream goes to."""
        yield from self._blocks
        for group in self.groups.values():
            yield from group.pending.values()

    def contents(self) -> list[object]:
        """The containers that this one consists of."""
        return [self._blocks, *(group.pending for group in self.groups.values())]

    def block_ids(self) -> list[int]:
        """The ID by which each block is found."""
        return [block.first for block in self._blocks]

    def nodes(self) -> Iterator[tuple[int, list[Entry]]]:
        """Each block that has living entries: the ID by which it is found, and these."""
        for block in self._blocks:
            if block.alive:
                yield block.first, block.read(range(len(block)), 0)

    def append(self, number: int, fields: Texts, values: Texts) -> None:
        """Add an entry; its ID is greater than any before."""
        blocks = self._blocks
        length = sum(map(len, fields)) + sum(map(len, values))
        if not blocks or not blocks[-1].has_room(length):
            if blocks:
                blocks[-1].close()
            blocks.append(Block(number, fields))
        blocks[-1].add(number, fields, values)
        self.length += 1
        self.added += 1
        self.last = number
        if self.length == 1:
            self.first = number

    def entries(self, start: int = 0, end: int = LAST, count: int = 0, *, reverse: bool = False) -> list[Entry]:
        """The entries from one ID to another, both included.

        Args:
            start: The lower end.
            end: The upper end.
            count: At most so many; 0 is all.
            reverse: From the upper end down.
        """
        blocks = self._blocks
        low = max(0, bisect_right(blocks, start, key=_first) - 1)
        high = bisect_right(blocks, end, low, key=_first)
        found: list[Entry] = []
        for at in range(high - 1, low - 1, -1) if reverse else range(low, high):
            block = blocks[at]
            begin = block.position(start) if block.first < start else 0
            stop = block.position(end + 1) if block.last > end else len(block)
            positions = range(stop - 1, begin - 1, -1) if reverse else range(begin, stop)
            found += block.read(positions, count - len(found))
            if count and len(found) == count:
                break
        return found

    def get(self, number: int) -> list[bytes] | None:
        """Fields and values of one entry; None when it is not there."""
        place = self._find(number)
        if place is None:
            return None
        at, position = place
        return self._blocks[at].read(range(position, position + 1), 1)[0][1]

    def __contains__(self, number: int) -> bool:
        return self._find(number) is not None

    def last_living(self) -> int:
        """The ID of the last entry; 0 where there is none."""
        for block in reversed(self._blocks):
            for position in range(len(block) - 1, -1, -1):
                if block.is_alive(position):
                    return block.number(position)
        return 0

    def remove(self, numbers: Iterable[int]) -> int:
        """Delete entries; how many of them were there."""
        removed, first = 0, self.first
        for number in numbers:
            place = self._find(number)
            if place is not None:
                at, position = place
                self._blocks[at].bury(position)
                if not self._blocks[at].alive:
                    del self._blocks[at]
                removed += 1
                self.max_deleted = max(self.max_deleted, number)
                if number == first:
                    self.first = 0
        self.length -= removed
        if not self.first:
            self.first = self._first_living()
        return removed

    def trim_to_length(self, length: int, *, approximate: bool = False, limit: int = 0) -> int:
        """Delete the oldest entries until so many are left.

        Args:
            length: How many are to stay.
            approximate: Whole blocks only.
            limit: Delete no more than so many; 0 is no limit.

        Returns:
            How many were deleted.
        """
        removed = whole = 0
        for block in self._blocks:
            excess = self.length - removed - length
            if excess <= 0 or (limit and removed + block.alive > limit):
                break
            if block.alive > excess:
                removed += 0 if approximate else block.bury_first(excess)
                break
            removed += block.alive
            whole += 1
        return self._cut(whole, removed)

    def trim_before(self, number: int, *, approximate: bool = False, limit: int = 0) -> int:
        """Delete the entries before an ID; arguments and return value are those of ``trim_to_length``."""
        removed = whole = 0
        for block in self._blocks:
            if limit and removed + block.alive > limit:
                break
            if block.last >= number:
                removed += 0 if approximate else block.bury_before(number)
                break
            removed += block.alive
            whole += 1
        return self._cut(whole, removed)

    def _find(self, number: int) -> tuple[int, int] | None:
        """Where a living entry is: its block, and its position there."""
        at = bisect_right(self._blocks, number, key=_first) - 1
        if at < 0 or self._blocks[at].last < number:
            return None
        block = self._blocks[at]
        position = block.position(number)
        return (at, position) if block.number(position) == number and block.is_alive(position) else None

    def _cut(self, whole: int, removed: int) -> int:
        """Drop the first blocks; ``removed`` entries were deleted in all."""
        del self._blocks[:whole]
        if removed:
            self.length -= removed
            self.first = self._first_living()
        return removed

    def _first_living(self) -> int:
        """The ID of the first entry; 0 where there is none."""
        for block in self._blocks:
            for position in range(len(block)):
                if block.is_alive(position):
                    return block.number(position)
        return 0


_first: Final[Callable[[Block], int]] = attrgetter("first")


def _signed(number: int) -> int:
    """A difference of sequence numbers in 64 bits, as Valkey stores it."""
    number &= SEQUENCE
    return number - 2**64 if number >= 2**63 else number
