"""SORT: elements of a list, a set or a sorted set, in the order of themselves or of other keys.

In a pattern, ``*`` stands for the element: ``weight_*`` is a key, ``object_*->field`` a field of a hash, ``#`` the
element itself. A BY pattern with no ``*`` means: do not sort.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

from store_pulsards.engine import args, errors
from store_pulsards.engine.context import Context
from store_pulsards.engine.keyspace import TYPES
from store_pulsards.engine.replies import Reply
from store_pulsards.engine.table import DENYOOM, FIRST, READONLY, WRITE, Keys, family

command = family("generic")

SORTABLE: Final = {b"list", b"set", b"zset"}

ACL: Final = ("set", "sortedset", "list", "dangerous")
FROM_CONTENT: Final = Keys(
    unknown=True,
    note="For the optional BY/GET keyword. It is marked 'unknown' because the key names derive from the content of the "
    "key we sort",
)
DESTINATION: Final = Keys(
    unknown=True,
    note="For the optional STORE keyword. It is marked 'unknown' because the keyword can appear anywhere in the "
    "argument array",
)


class Request:
    """What one SORT asks for."""

    __slots__ = ("alpha", "by", "count", "descending", "gets", "start", "store")

    def __init__(self, options: Sequence[bytes], *, may_store: bool) -> None:
        self.by: bytes | None = None
        self.gets: list[bytes] = []
        self.start, self.count = 0, -1
        self.alpha = self.descending = False
        self.store: bytes | None = None
        left = list(options)
        while left:
            option = left.pop(0).upper()
            if option in (b"ASC", b"DESC"):
                self.descending = option == b"DESC"
            elif option == b"ALPHA":
                self.alpha = True
            elif option == b"LIMIT" and len(left) >= 2:
                self.start, self.count = args.integer(left.pop(0)), args.integer(left.pop(0))
            elif option == b"BY" and left:
                self.by = left.pop(0)
            elif option == b"GET" and left:
                self.gets.append(left.pop(0))
            elif option == b"STORE" and left and may_store:
                self.store = left.pop(0)
            else:
                raise errors.syntax_error()

    @property
    def sorts(self) -> bool:
        return self.by is None or b"*" in self.by


@command(
    "SORT",
    arity=-2,
    flags=WRITE | DENYOOM,
    keys=(FIRST, FROM_CONTENT, DESTINATION),
    access=("RO access", "RO access", "OW update"),
    acl=ACL,
)
def sort(ctx: Context, key: bytes, *options: bytes) -> Reply:
    """Sorts the elements in a list, a set, or a sorted set, optionally storing the result."""
    request = Request(options, may_store=True)
    found = _sorted(ctx, key, request)
    if request.store is None:
        return found
    if found:
        ctx.set(request.store, deque(b"" if item is None else item for item in found))
        ctx.notify("sortstore", request.store)
    elif ctx.delete(request.store):
        ctx.notify("del", request.store)
    return len(found)


@command(
    "SORT_RO",
    arity=-2,
    flags=READONLY,
    keys=(FIRST, FROM_CONTENT),
    access=("RO access", "RO access"),
    since="7.0.0",
    acl=ACL,
)
def sort_ro(ctx: Context, key: bytes, *options: bytes) -> Reply:
    """Returns the sorted elements of a list, a set, or a sorted set."""
    return _sorted(ctx, key, Request(options, may_store=False))


def _sorted(ctx: Context, key: bytes, request: Request) -> list[bytes | None]:
    value = ctx.lookup_any(key)
    if value is None:
        return []
    kind = TYPES[type(value)]
    if kind.name not in SORTABLE:
        raise errors.wrong_type()
    elements = [member for _, member in value] if kind.name == b"zset" else list(kind.elements(value))
    if request.sorts:
        elements = _in_order(ctx, elements, request)
    elif kind.name == b"zset" and request.descending:
        elements.reverse()
    start = max(0, request.start)
    elements = elements[start:] if request.count < 0 else elements[start : start + request.count]
    if not request.gets:
        return list(elements)
    return [_follow(ctx, pattern, element) for element in elements for pattern in request.gets]


def _in_order(ctx: Context, elements: list[bytes], request: Request) -> list[bytes]:
    """Sorted by weight, equal weights by the element."""
    by = request.by
    weights = elements if by is None else [_follow(ctx, by, element) for element in elements]
    order = sorted(
        (_text_rank(weight) if request.alpha else _number(weight), element)
        for weight, element in zip(weights, elements, strict=True)
    )
    if request.descending:
        order.reverse()
    return [element for _, element in order]


def _text_rank(weight: bytes | None) -> tuple[bool, bytes]:
    """A weight that is not there comes first."""
    return weight is not None, weight or b""


def _number(weight: bytes | None) -> float:
    return 0.0 if weight is None else args.real(weight, errors.sort_score)


def _follow(ctx: Context, pattern: bytes, element: bytes) -> bytes | None:
    """What a pattern leads to, for one element."""
    if pattern == b"#":
        return element
    before, star, after = pattern.partition(b"*")
    if not star:
        return None
    name, arrow, field = after.partition(b"->")
    if not (arrow and field):
        name, field = after, b""
    key = before + element + name
    value = ctx.lookup_any(key)
    if not field:
        return value if type(value) is bytes else None
    if value is None or TYPES[type(value)].name != b"hash":
        return None
    fields = ctx.lookup(key, dict)
    return None if fields is None else fields.get(field)
