"""Replies as redis-cli prints them, as they are, or as JSON. Pure: a reply goes in, text or bytes come out.

A Python reply no longer tells a status (``OK``) from a string, nor a report (``INFO``) from one, so the command's name
decides, as redis-cli itself does for reports that come over the older protocol.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

#: Commands that reply with what somebody stored or sent: there, even ``OK`` is a string.
_STORED = frozenset(
    {"BLMOVE", "BRPOPLPUSH", "ECHO", "EVAL", "EVALSHA", "EVALSHA_RO", "EVAL_RO", "FCALL", "FCALL_RO", "GET", "GETDEL"}
    | {"GETEX", "GETRANGE", "GETSET", "HGET", "HRANDFIELD", "LCS", "LINDEX", "LMOVE", "LPOP", "RANDOMKEY", "RPOP"}
    | {"RPOPLPUSH", "SPOP", "SRANDMEMBER", "SUBSTR", "ZRANDMEMBER"}
)

#: Commands whose text is a report, printed as it is; with a subcommand where they have one.
_REPORTS = frozenset(
    {
        "CLIENT INFO",
        "CLIENT LIST",
        "CLUSTER INFO",
        "CLUSTER NODES",
        "INFO",
        "LATENCY DOCTOR",
        "LATENCY GRAPH",
        "LOLWUT",
        "MEMORY DOCTOR",
        "MEMORY MALLOC-STATS",
    }
)

_ESCAPES = {ord("\n"): "\\n", ord("\r"): "\\r", ord("\t"): "\\t", ord("\a"): "\\a", ord("\b"): "\\b"}
_ESCAPES |= {ord("\\"): "\\\\", ord('"'): '\\"'}


def as_text(reply: Any, command: Sequence[str] = ()) -> str:
    """The reply as redis-cli prints it on a terminal, without the last newline."""
    name = command[0].upper() if command else ""
    if isinstance(reply, bytes | str):
        if name in _REPORTS or " ".join(command[:2]).upper() in _REPORTS:
            return _bytes(reply).decode("utf-8", "replace").rstrip("\r\n")
        if _is_status(_bytes(reply), name, command):
            return _bytes(reply).decode()
    return "\n".join(_lines(reply))


def as_raw(reply: Any) -> bytes:
    """The bytes of the reply, an item a line, without the last newline."""
    if isinstance(reply, Mapping):
        return b"\n".join(as_raw(part) for item in reply.items() for part in item)
    if _is_collection(reply):
        return b"\n".join(map(as_raw, reply))
    return b"" if reply is None else _bytes(reply)


def as_json(reply: Any) -> str:
    """The reply as JSON; bytes that are not UTF-8 are written ``\\xHH``."""
    return json.dumps(_plain(reply), allow_nan=False)


def _is_status(reply: bytes, name: str, command: Sequence[str]) -> bool:
    if name == "PING":
        return len(command) == 1
    if reply == b"OK":
        return name not in _STORED and not (name == "SET" and "GET" in map(str.upper, command[3:]))
    return name == "TYPE"


def _lines(reply: Any) -> list[str]:
    if isinstance(reply, Mapping):
        return _numbered(map(_pair, reply.items()), "#") or ["(empty hash)"]
    if isinstance(reply, AbstractSet):
        return _numbered(map(_lines, reply), "~") or ["(empty set)"]
    if _is_collection(reply):
        return _numbered(map(_lines, reply), ")") or ["(empty array)"]
    return [_scalar(reply)]


def _pair(item: tuple[Any, Any]) -> list[str]:
    key, value = _lines(item[0]), _lines(item[1])
    # A value of several lines starts on a line of its own, where its numbers can be seen to be its own.
    return [*key[:-1], f"{key[-1]} => ", *value] if len(value) > 1 else [*key[:-1], f"{key[-1]} => {value[0]}"]


def _numbered(items: Iterable[list[str]], mark: str) -> list[str]:
    blocks = list(items)
    width = len(str(len(blocks)))
    indent = " " * (width + 2)
    lines: list[str] = []
    for number, block in enumerate(blocks, 1):
        lines.append(f"{number:>{width}}{mark} {block[0]}")
        lines.extend(indent + line for line in block[1:])
    return lines


def _scalar(reply: Any) -> str:
    for kind, form in _FORMS:
        if isinstance(reply, kind):
            return form(reply)
    return f'"{_quoted(_bytes(reply))}"'


def _quoted(data: bytes) -> str:
    return "".join(_ESCAPES.get(byte) or (chr(byte) if 32 <= byte < 127 else f"\\x{byte:02x}") for byte in data)


def _number(value: float) -> str:
    return repr(value).removesuffix(".0")


# In this order: bool is an int.
_FORMS: tuple[tuple[type, Callable[[Any], str]], ...] = (
    (type(None), lambda _: "(nil)"),
    (bool, lambda value: f"({str(value).lower()})"),
    (int, lambda value: f"(integer) {value}"),
    (float, lambda value: f"(double) {_number(value)}"),
    (Exception, lambda error: f"(error) {error}"),
)


def _bytes(reply: Any) -> bytes:
    if isinstance(reply, bytes | bytearray | memoryview):
        return bytes(reply)
    if isinstance(reply, bool):
        return str(reply).lower().encode()
    return (_number(reply) if isinstance(reply, float) else str(reply)).encode("utf-8", "surrogateescape")


def _plain(reply: Any) -> Any:
    if isinstance(reply, Mapping):
        return {_key(key): _plain(value) for key, value in reply.items()}
    if _is_collection(reply):
        return [_plain(item) for item in reply]
    if reply is None or isinstance(reply, int) or (isinstance(reply, float) and math.isfinite(reply)):
        return reply
    return _bytes(reply).decode("utf-8", "backslashreplace")


def _key(key: Any) -> str:
    return as_json(key) if _is_collection(key) else _bytes(key).decode("utf-8", "backslashreplace")


def _is_collection(reply: Any) -> bool:
    return isinstance(reply, list | tuple | AbstractSet | Mapping)
