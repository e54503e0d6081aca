"""Values in RDB: a byte that says how a value is written, and the value.

A collection is written in the form that Valkey would keep it in (OBJECT ENCODING tells), so that a server that loads
it keeps it as small. Every form that Valkey 9 writes is read, and the older plain ones.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from math import isnan
from struct import pack
from typing import Any, Final

from store_pulsards.encoder import format_double
from store_pulsards.engine import encodings
from store_pulsards.engine.members import Members
from store_pulsards.engine.rdb import listpack, streams
from store_pulsards.engine.rdb.codec import Reader, write_length, write_string
from store_pulsards.engine.rdb.errors import RdbError
from store_pulsards.engine.sorted_set import SortedSet
from store_pulsards.engine.stream import Stream
from store_pulsards.engine.volatile_hash import VolatileHash

STRING: Final = 0
LIST: Final = 1
SET: Final = 2
SORTED_SET_TEXT: Final = 3
HASH: Final = 4
SORTED_SET: Final = 5
SET_INTSET: Final = 11
HASH_LISTPACK: Final = 16
SORTED_SET_LISTPACK: Final = 17
LIST_NODES: Final = 18
SET_LISTPACK: Final = 20
HASH_VOLATILE: Final = 22

PLAIN_NODE: Final = 1  # one long element
PACKED_NODE: Final = 2  # a listpack
NODE_BYTES: Final = 8192  # list-max-listpack-size -2
ENTRY_OVERHEAD: Final = 8  # of an element, as Valkey estimates it

INTSET_WIDTHS: Final = (2, 4, 8)

Writer = Callable[[bytearray, Any], None]
Loader = Callable[[Reader], Any]


def write(out: bytearray, value: Any) -> None:
    """Append a value, with the byte that says how it is written."""
    WRITERS[type(value)](out, value)


def read(reader: Reader) -> Any:
    """A value.

    Raises:
        RdbError: There is none, or it is empty or has the same element twice, which never was a value.
    """
    kind = reader.byte()
    if kind not in LOADERS:
        raise RdbError(f"unknown kind of value {kind}")
    return LOADERS[kind](reader)


def _write_bytes(out: bytearray, value: bytes) -> None:
    out.append(STRING)
    write_string(out, value)


def _write_list(out: bytearray, value: deque[bytes]) -> None:
    nodes = list(_nodes(value))
    out.append(LIST_NODES)
    write_length(out, len(nodes))
    for node in nodes:
        if len(node) == 1 and len(node[0]) > NODE_BYTES:
            out.append(PLAIN_NODE)
            _write_blob(out, node[0])
        else:
            out.append(PACKED_NODE)
            _write_blob(out, listpack.encode(node))


def _nodes(value: Iterable[bytes]) -> Iterable[list[bytes]]:
    """A list in pieces of at most 8 kilobytes; a longer element is one by itself."""
    node: list[bytes] = []
    size = encodings.LISTPACK_FRAME
    for element in value:
        if node and size + len(element) + ENTRY_OVERHEAD > NODE_BYTES:
            yield node
            node, size = [], encodings.LISTPACK_FRAME
        node.append(element)
        size += len(listpack.entry(element)) if len(element) <= NODE_BYTES else len(element)
    if node:
        yield node


def _write_blob(out: bytearray, blob: bytes) -> None:
    """A string that is never taken for an integer."""
    write_length(out, len(blob))
    out += blob


def _write_set(out: bytearray, value: Members) -> None:
    encoding = encodings.of_set(value)
    if encoding == b"intset":
        out.append(SET_INTSET)
        _write_blob(out, _intset(sorted(map(int, value))))
    elif encoding == b"listpack":
        out.append(SET_LISTPACK)
        _write_blob(out, listpack.encode(value))
    else:
        out.append(SET)
        _write_strings(out, value, len(value))


def _intset(numbers: Sequence[int]) -> bytes:
    limit = max(numbers[-1], ~numbers[0])
    width = next(width for width in INTSET_WIDTHS if limit < 1 << 8 * width - 1)
    head = width.to_bytes(4, "little") + len(numbers).to_bytes(4, "little")
    return head + b"".join([number.to_bytes(width, "little", signed=True) for number in numbers])


def _write_strings(out: bytearray, strings: Iterable[bytes], count: int) -> None:
    write_length(out, count)
    for text in strings:
        write_string(out, text)


def _write_hash(out: bytearray, value: dict[bytes, bytes]) -> None:
    words = (word for pair in value.items() for word in pair)
    if encodings.of_hash(value) == b"listpack":
        out.append(HASH_LISTPACK)
        _write_blob(out, listpack.encode(words))
    else:
        out.append(HASH)
        _write_strings(out, words, len(value))


def _write_volatile(out: bytearray, value: VolatileHash) -> None:
    if not value.expires:
        _write_hash(out, value)
        return
    out.append(HASH_VOLATILE)
    write_length(out, len(value))
    for field, text in value.items():
        write_string(out, field)
        write_string(out, text)
        out += pack("<q", value.expires.get(field, -1))


def _write_sorted_set(out: bytearray, value: SortedSet) -> None:
    if encodings.of_sorted_set(value) == b"listpack":
        out.append(SORTED_SET_LISTPACK)
        words = (word for score, member in value for word in (member, format_double(score)))
        _write_blob(out, listpack.encode(words))
        return
    out.append(SORTED_SET)
    write_length(out, len(value))
    for score, member in reversed(value.entries(0, len(value))):
        write_string(out, member)
        out += pack("<d", score)


def _read_list(reader: Reader) -> deque[bytes]:
    return deque(_strings(reader, _some(reader.length())))


def _read_nodes(reader: Reader) -> deque[bytes]:
    found: deque[bytes] = deque()
    for _ in range(_some(reader.length())):
        container = reader.length()
        blob = reader.string()
        if container == PLAIN_NODE:
            found.append(blob)
        elif container == PACKED_NODE:
            found.extend(listpack.decode(blob))
        else:
            raise RdbError(f"unknown node of a list {container}")
    _some(len(found))
    return found


def _strings(reader: Reader, count: int) -> list[bytes]:
    return [reader.string() for _ in range(count)]


def _some(count: int) -> int:
    if not count:
        raise RdbError("an empty collection")
    return count


def _read_set(reader: Reader) -> Members:
    return _members(_strings(reader, _some(reader.length())))


def _members(found: Sequence[bytes]) -> Members:
    members = Members(found)
    if len(members) != _some(len(found)):
        raise RdbError("a member twice")
    return members


def _read_intset(reader: Reader) -> Members:
    blob = Reader(reader.string())
    width, count = blob.number(4), blob.number(4)
    if width not in INTSET_WIDTHS or len(blob.data) != 8 + width * count:
        raise RdbError("an intset has another length")
    return _members([b"%d" % blob.number(width, signed=True) for _ in range(count)])


def _pairs(words: Sequence[bytes]) -> dict[bytes, bytes]:
    found = dict(zip(words[::2], words[1::2], strict=False))
    if 2 * len(found) != _some(len(words)):
        raise RdbError("a field twice, or without a value")
    return found


def _read_hash(reader: Reader) -> dict[bytes, bytes]:
    return _pairs(_strings(reader, 2 * _some(reader.length())))


def _read_volatile(reader: Reader) -> VolatileHash:
    count = _some(reader.length())
    found = VolatileHash({})
    for _ in range(count):
        field = reader.string()
        found[field] = reader.string()
        when = reader.number(8, signed=True)
        if when >= 0:
            found.expire_at(field, when)
    if len(found) != count:
        raise RdbError("a field twice")
    return found


def _read_sorted_set(reader: Reader) -> SortedSet:
    count = _some(reader.length())
    return _sorted_set([(reader.string(), reader.double()) for _ in range(count)])


def _read_sorted_set_text(reader: Reader) -> SortedSet:
    count = _some(reader.length())
    return _sorted_set([(reader.string(), _score_text(reader)) for _ in range(count)])


def _score_text(reader: Reader) -> float:
    size = reader.byte()
    special = {253: b"nan", 254: b"inf", 255: b"-inf"}
    return _score(special[size] if size in special else reader.take(size))


def _read_sorted_set_listpack(reader: Reader) -> SortedSet:
    pairs = _pairs(listpack.decode(reader.string()))
    return _sorted_set([(member, _score(text)) for member, text in pairs.items()])


def _score(text: bytes) -> float:
    try:
        return float(text)
    except ValueError:
        raise RdbError("a score is no number") from None


def _sorted_set(pairs: Sequence[tuple[bytes, float]]) -> SortedSet:
    scores = dict(pairs)
    if len(scores) != len(pairs) or any(map(isnan, scores.values())):
        raise RdbError("a member twice, or a score that is no number")
    return SortedSet(scores)


WRITERS: Final[dict[type, Writer]] = {
    bytes: _write_bytes,
    deque: _write_list,
    Members: _write_set,
    dict: _write_hash,
    VolatileHash: _write_volatile,
    SortedSet: _write_sorted_set,
    Stream: streams.write,
}

LOADERS: Final[dict[int, Loader]] = {
    STRING: Reader.string,
    LIST: _read_list,
    SET: _read_set,
    SORTED_SET_TEXT: _read_sorted_set_text,
    HASH: _read_hash,
    SORTED_SET: _read_sorted_set,
    SET_INTSET: _read_intset,
    HASH_LISTPACK: lambda reader: _pairs(listpack.decode(reader.string())),
    SORTED_SET_LISTPACK: _read_sorted_set_listpack,
    LIST_NODES: _read_nodes,
    SET_LISTPACK: lambda reader: _members(listpack.decode(reader.string())),
    streams.KIND: streams.read,
    HASH_VOLATILE: _read_volatile,
}
