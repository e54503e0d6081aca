"""Streams in RDB.

Entries are in nodes, each with the ID of its first entry and a listpack: how many entries are alive and how many
deleted, the fields of the first one, and the entries as differences from these. Behind the nodes stand the numbers of
the stream, and its groups with what is pending.

Nodes are those in which the stream keeps its entries. Deleted entries are not written.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from store_pulsards.engine.rdb import listpack
from store_pulsards.engine.rdb.codec import Reader, write_length, write_string
from store_pulsards.engine.rdb.errors import RdbError
from store_pulsards.engine.stream import Entry, Stream, Texts
from store_pulsards.engine.stream_groups import Consumer, Group
from store_pulsards.engine.stream_ids import SEQUENCE, SEQUENCE_BITS, make

KIND: Final = 21  # with the times of consumers
DELETED: Final = 1
SAME_FIELDS: Final = 2
ID_BYTES: Final = 16


def write(out: bytearray, stream: Stream) -> None:
    """Append a stream, with its kind."""
    out.append(KIND)
    nodes = list(stream.nodes())
    write_length(out, len(nodes))
    for first, entries in nodes:
        _write_blob(out, first.to_bytes(ID_BYTES, "big"))
        _write_blob(out, listpack.encode(_node(first, entries)))
    write_length(out, stream.length)
    for number in (stream.last, stream.first, stream.max_deleted):
        _write_id(out, number)
    write_length(out, stream.added)
    write_length(out, len(stream.groups))
    for name, group in stream.groups.items():
        write_string(out, name)
        _write_group(out, group)


def _write_blob(out: bytearray, blob: bytes) -> None:
    write_length(out, len(blob))
    out += blob


def _write_id(out: bytearray, number: int) -> None:
    write_length(out, number >> SEQUENCE_BITS)
    write_length(out, number & SEQUENCE)


def _node(first: int, entries: list[Entry]) -> Iterator[bytes]:
    """What is in the listpack of a node."""
    master = entries[0][1][::2]
    yield b"%d" % len(entries)
    yield b"0"
    yield b"%d" % len(master)
    yield from master
    yield b"0"
    for number, texts in entries:
        fields = texts[::2]
        same = fields == master
        yield b"%d" % (SAME_FIELDS if same else 0)
        yield b"%d" % _signed((number >> SEQUENCE_BITS) - (first >> SEQUENCE_BITS))
        yield b"%d" % _signed((number & SEQUENCE) - (first & SEQUENCE))
        if same:
            yield from texts[1::2]
            yield b"%d" % (len(fields) + 3)
        else:
            yield b"%d" % len(fields)
            yield from texts
            yield b"%d" % (len(texts) + 4)


def _signed(number: int) -> int:
    number &= SEQUENCE
    return number - 2**64 if number >= 2**63 else number


def _write_group(out: bytearray, group: Group) -> None:
    _write_id(out, group.last)
    write_length(out, group.entries_read & SEQUENCE)
    write_length(out, len(group.pending))
    for number, pending in group.pending.items():
        out += number.to_bytes(ID_BYTES, "big")
        out += pending.delivered.to_bytes(8, "little", signed=True)
        write_length(out, pending.count)
    write_length(out, len(group.consumers))
    for consumer in group.consumers.values():
        _write_consumer(out, consumer)


def _write_consumer(out: bytearray, consumer: Consumer) -> None:
    write_string(out, consumer.name)
    out += consumer.seen.to_bytes(8, "little", signed=True)
    out += consumer.active.to_bytes(8, "little", signed=True)
    write_length(out, len(consumer.pending))
    for number in consumer.pending:
        out += number.to_bytes(ID_BYTES, "big")


def read(reader: Reader) -> Stream:
    """A stream."""
    stream = Stream()
    for _ in range(reader.length()):
        first = int.from_bytes(reader.string(), "big")
        for number, fields, values in _entries(first, listpack.decode(reader.string())):
            if number <= stream.last:
                raise RdbError("entries of a stream are out of order")
            stream.append(number, fields, values)
    length = reader.length()
    last, _, stream.max_deleted = _read_id(reader), _read_id(reader), _read_id(reader)
    stream.added = reader.length()
    if length != stream.length or last < stream.last:
        raise RdbError("a stream tells of other entries than it has")
    stream.last = last
    for _ in range(reader.length()):
        name = reader.string()
        if name in stream.groups:
            raise RdbError("a group of a stream twice")
        stream.groups[name] = _read_group(reader)
    return stream


def _read_id(reader: Reader) -> int:
    return make(_half(reader), _half(reader))


def _half(reader: Reader) -> int:
    return reader.length() & SEQUENCE


def _entries(first: int, texts: list[bytes]) -> Iterator[tuple[int, Texts, Texts]]:
    """The living entries of a node."""
    cursor = _Cursor(texts)
    left = cursor.number() + cursor.number()
    master = cursor.take(cursor.number())
    cursor.number()
    for _ in range(left):
        flags = cursor.number()
        ms, seq = cursor.number(), cursor.number()
        number = make((first >> SEQUENCE_BITS) + ms & SEQUENCE, (first & SEQUENCE) + seq & SEQUENCE)
        if flags & SAME_FIELDS:
            fields, values = master, cursor.take(len(master))
        else:
            pairs = cursor.take(2 * cursor.number())
            fields, values = pairs[::2], pairs[1::2]
        cursor.number()
        if not flags & DELETED:
            yield number, fields, values


class _Cursor:
    """Goes through the elements of a listpack."""

    __slots__ = ("_at", "_texts")

    def __init__(self, texts: list[bytes]) -> None:
        self._texts = texts
        self._at = 0

    def take(self, count: int) -> Texts:
        end = self._at + count
        if count < 0 or end > len(self._texts):
            raise RdbError("a node of a stream breaks off")
        found = tuple(self._texts[self._at : end])
        self._at = end
        return found

    def number(self) -> int:
        try:
            return int(self.take(1)[0])
        except ValueError:
            raise RdbError("a node of a stream has a text for a number") from None


def _read_group(reader: Reader) -> Group:
    last = _read_id(reader)
    group = Group(last, _signed(reader.length()))
    delivered: dict[int, tuple[int, int]] = {}
    for _ in range(reader.length()):
        number = int.from_bytes(reader.take(ID_BYTES), "big")
        delivered[number] = reader.number(8, signed=True), reader.length()
    for _ in range(reader.length()):
        consumer = group.add_consumer(reader.string(), reader.number(8, signed=True))
        consumer.active = reader.number(8, signed=True)
        for _ in range(reader.length()):
            number = int.from_bytes(reader.take(ID_BYTES), "big")
            if number not in delivered:
                raise RdbError("an entry is pending for a consumer, but not in its group")
            group.assign(number, consumer, *delivered[number])
    if len(group.pending) != len(delivered):
        raise RdbError("an entry is pending for nobody")
    return group
