"""Calls of redis-py's methods as data: what is there before, the call, and what of its reply is no chance.

A family has calls that prepare (``given``, on an empty server) and calls to compare, each on its own preparation. A
call is compared exactly, values and types, unless it says what of the reply has no order (``unordered``), or only a
shape: ``shape`` keeps types and the keys of dictionaries, ``kind`` the outermost type.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any

Normal = Callable[[Any], Any]


@dataclass(frozen=True)
class Call:
    """One call of a method."""

    method: str
    args: tuple[Any, ...]
    options: dict[str, Any] = field(default_factory=dict)
    normal: Normal | None = None

    def __rshift__(self, normal: Normal) -> Call:
        return replace(self, normal=normal)

    def __str__(self) -> str:
        return f"{self.method}{self.args}{self.options or ''}"


def call(method: str, *args: Any, **options: Any) -> Call:
    return Call(method, args, options)


@dataclass(frozen=True)
class Family:
    """Calls that stand on the same preparation."""

    name: str
    given: list[Call]
    calls: list[Call]


def unordered(value: Any) -> Any:
    """A reply whose parts come in any order."""
    if isinstance(value, list | set | tuple):
        return type(value), sorted(map(typed, value), key=repr)
    return typed(value)


def shape(value: Any) -> Any:
    """The types within a reply, and the keys of its dictionaries."""
    if isinstance(value, dict):
        return dict, {name: shape(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value), [shape(part) for part in value]
    return type(value)


def first(value: Any) -> Any:
    """The shape of the first of several alike."""
    return type(value), shape(value[0])


def kind(value: Any) -> Any:
    """The type of a reply."""
    return type(value)


def typed(value: Any) -> Any:
    """A reply with its types, so that True is not 1 and a list is not a tuple."""
    if isinstance(value, dict):
        return dict, {name: (type(name), typed(part)) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value), [typed(part) for part in value]
    if isinstance(value, set | frozenset):
        return type(value), {(type(part), part) for part in value}
    if isinstance(value, float) and value != value:
        return float, "nan"
    if value is None or isinstance(value, bool | int | float | str | bytes | date | datetime):
        return type(value), value
    return type(value), {name: typed(part) for name, part in vars(value).items()}
