"""The wire protocol, client to server: bytes to requests. No sockets, no event loop. Replies are in ``encoder.py``.

A request is a RESP array of bulk strings, or an inline line. These rules hold; they and the error texts are those of
Valkey 9.1, raw socket against raw socket:

- A chunk may end at any byte; what is not complete waits for the next one.
- A request that breaks the protocol ends the stream: ``parser.error`` has the text, the requests before it count.
- Nothing is allocated by what a client announces, only by what it sent.
- ``*0`` and ``*-1`` and empty lines are no requests, and no errors.
- Before authentication a request has at most 10 arguments of at most 16 KiB (``parser.restricted``).

Ways through the same grammar: :func:`split_requests` takes whole requests out of a chunk, with one ``bytes.split``
where Python runs it (as fast as hiredis with the checks that a server needs on top of it), byte by byte where it is
compiled (:func:`scan_requests`); the parser's methods read whatever that left.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, TypeAlias

from store_pulsards.engine.compiled import COMPILED

Request: TypeAlias = Sequence[bytes]

MAX_BULK: Final = 512 * 1024 * 1024
MAX_BUFFER: Final = 1024 * 1024 * 1024
MAX_ARGUMENTS: Final = 2**31 - 1
MAX_LINE: Final = 64 * 1024
UNAUTHENTICATED_ARGUMENTS: Final = 10
UNAUTHENTICATED_BULK: Final = 16 * 1024

BIG_INLINE: Final = b"too big inline request"
BIG_COUNT: Final = b"too big mbulk count string"
BIG_LENGTH: Final = b"too big bulk count string"
INVALID_COUNT: Final = b"invalid multibulk length"
INVALID_LENGTH: Final = b"invalid bulk length"
INVALID_CRLF: Final = b"invalid CRLF in request"
UNAUTHENTICATED_COUNT: Final = b"unauthenticated multibulk length"
UNAUTHENTICATED_LENGTH: Final = b"unauthenticated bulk length"
UNBALANCED_QUOTES: Final = b"unbalanced quotes in request"
CROSS_PROTOCOL: Final = b"HTTP request: a browser was made to attack this server"
BIG_REQUEST: Final = b"request too big to hold"
UNANSWERED: Final = frozenset({CROSS_PROTOCOL, BIG_REQUEST})  # the connection is closed without a word

CRLF: Final = b"\r\n"
_STAR: Final = ord("*")
_DOLLAR: Final = ord("$")
_CR: Final = ord("\r")
_LF: Final = ord("\n")
_ZERO: Final = ord("0")
LONGEST_NUMBER: Final = 10  # digits that a header is read with the fast way
_ONE_LINE: Final = bytes.maketrans(CRLF, b"  ")
_UNKNOWN: Final = -1  # the length of the next argument, while its header has not come

_LENGTHS: Final = [b"$%d" % n for n in range(1024)]
_HEADERS: Final = dict(enumerate(_LENGTHS))
ALIKE: Final = 9  # lines of a chunk from which on it may be worth looking whether its requests are alike
_SPANS: Final = {b"*%d" % n: 2 * n + 1 for n in range(1, 1024)}  # header -> lines of the whole request


# Requests, the fast way


def split_requests(data: bytes, max_bulk: int = MAX_BULK) -> tuple[list[Request], bytes]:
    """Take the well-formed requests off the head of ``data``; also return the bytes after them.

    Stops before anything else than a complete array of bulk strings, and judges nothing.
    """
    if COMPILED:
        return scan_requests(data, max_bulk)
    lines = data.split(CRLF)
    last = len(lines) - 1
    at = 0
    requests: list[Request] = []
    if last > ALIKE:
        requests = _split_alike(lines)
        at = len(requests) * (2 * len(requests[0]) + 1) if requests else 0
    while at < last:
        span = _SPANS.get(lines[at])
        if span is None or at + span > last:
            break
        args: Request = lines[at + 2 : at + span : 2]
        header = at + 1
        try:
            for arg in args:
                if lines[header] != _LENGTHS[len(arg)]:
                    break
                header += 2
            else:
                requests.append(args)
                at += span
                continue
        except IndexError:  # an argument longer than the table
            pass
        gathered = _gather(lines, at + 1, len(args), max_bulk)
        if gathered is None:
            break
        args, at = gathered
        requests.append(args)
    return requests, lines[last] if at == last else CRLF.join(lines[at:])


def _split_alike(lines: list[bytes]) -> list[Request]:
    """Take the requests of a pipeline that all have as many arguments, with the loops left to C.

    Returns none when one is not alike, or one of its arguments is long, or has a line end in it. An argument that all
    have in common, such as the name, is one object: its hash is worked out once.
    """
    span = _SPANS.get(lines[0], 0)
    if not span or 3 * span >= len(lines):
        return []
    count = (len(lines) - 1) // span
    end = count * span
    if lines[0:end:span].count(lines[0]) != count:
        return []
    columns: list[list[bytes]] = []
    for at in range(2, span, 2):
        column, headers = lines[at:end:span], lines[at - 1 : end : span]
        if headers.count(_HEADERS.get(len(column[0]), b"")) != count:
            if headers != list(map(_HEADERS.get, map(len, column))):
                return []
        elif column.count(column[0]) == count:
            column = [column[0]] * count
        elif list(map(len, column)).count(len(column[0])) != count:
            return []
        columns.append(column)
    return list(zip(*columns, strict=True))


def _gather(lines: list[bytes], at: int, count: int, max_bulk: int) -> tuple[Request, int] | None:
    """Read ``count`` arguments that are long, or contain line ends themselves."""
    last = len(lines) - 1
    args: list[bytes] = []
    for _ in range(count):
        if at >= last:
            return None
        length = _number(lines[at][1:]) if lines[at].startswith(b"$") else None
        if length is None or not 0 <= length <= max_bulk:
            return None
        first = at = at + 1
        size = len(lines[at])
        while size < length and at < last:
            at += 1
            size += 2 + len(lines[at])
        if size != length or at >= last:
            return None
        args.append(lines[at] if at == first else CRLF.join(lines[first : at + 1]))
        at += 1
    return args, at


def _number(digits: bytes) -> int | None:
    """A decimal 64-bit integer as Redis writes one: no plus, no leading zero, no blanks."""
    if not 0 < len(digits) <= 20:
        return None
    try:
        number = int(digits)
    except ValueError:
        return None
    return number if b"%d" % number == digits and -(2**63) <= number < 2**63 else None


def scan_requests(data: bytes, max_bulk: int = MAX_BULK) -> tuple[list[Request], bytes]:
    """``split_requests`` byte by byte: three times as fast where it is compiled, and as much slower where it is not."""
    requests: list[Request] = []
    size = len(data)
    begin = 0
    while True:
        count, at = _header(data, begin, _STAR)
        args: list[bytes] = []
        while len(args) < count:
            length, at = _header(data, at, _DOLLAR)
            end = at + length
            if not 0 <= length <= max_bulk or end + 1 >= size or data[end] != _CR or data[end + 1] != _LF:
                return requests, data[begin:]
            args.append(data[at:end])
            at = end + 2
        if not args:
            return requests, data[begin:]
        requests.append(args)
        begin = at


def _header(data: bytes, at: int, mark: int) -> tuple[int, int]:
    """The number in the header at ``at``, and where the header ends; -1 when it is not there as a whole, or damaged."""
    size = len(data)
    if at >= size or data[at] != mark:
        return -1, at
    at += 1
    first, number = at, 0
    while at < size:
        digit = data[at] - _ZERO
        if not 0 <= digit <= 9:
            break
        number = number * 10 + digit
        at += 1
    digits = at - first
    if not 0 < digits <= LONGEST_NUMBER or (data[first] == _ZERO and digits > 1):
        return -1, at
    if at + 1 >= size or data[at] != _CR or data[at + 1] != _LF:
        return -1, at
    return number, at + 2


# Requests, the strict way


class RequestParser:
    """Reads one client's stream.

    Attributes:
        restricted: The limits for clients that have not authenticated hold, and ``feed`` returns one request at a
            time, since each may lift them; ``feed(b"")`` goes on.
        error: What broke the protocol (``b"invalid bulk length"``). Set once; the parser takes no more.
    """

    __slots__ = (
        "_args",
        "_at",
        "_buffer",
        "_length",
        "_max_buffer",
        "_max_bulk",
        "_missing",
        "_size",
        "error",
        "restricted",
    )

    def __init__(self, *, max_bulk: int = MAX_BULK, max_buffer: int = MAX_BUFFER, restricted: bool = False) -> None:
        self.restricted = restricted
        self.error: bytes | None = None
        self._max_bulk = max_bulk
        self._max_buffer = max_buffer
        self._buffer = bytearray()  # bytes not yet understood, from _at on
        self._at = 0
        self._args: list[bytes] = []  # of the request being read
        self._size = 0  # bytes in _args
        self._missing = 0  # arguments of it still to come
        self._length = _UNKNOWN

    def limit(self, max_bulk: int, max_buffer: int) -> None:
        """Let other limits hold from now on."""
        self._max_bulk = max_bulk
        self._max_buffer = max_buffer

    @property
    def buffered(self) -> int:
        """Bytes held for a request that is not complete."""
        return len(self._buffer) + self._size

    @property
    def arguments(self) -> int:
        """Those of them that are arguments already."""
        return self._size

    def feed(self, data: bytes) -> list[Request]:
        """Take a chunk; return the requests that are complete now, in order."""
        if self._missing or self._buffer or self.restricted:
            return self._resume(data)
        if not data.startswith(b"*"):
            return split_lines(data) or self._resume(data)
        requests, rest = split_requests(data, self._max_bulk)
        if rest:
            self._buffer += rest
            self._parse(requests)
        return requests

    def _resume(self, data: bytes) -> list[Request]:
        """Finish what was begun, then take the rest of the chunk the fast way if it can go it."""
        if self.error is not None:
            return []
        requests: list[Request] = []
        self._buffer += data
        if self._missing:
            self._parse(requests, one=True)
            if self._missing or self.error is not None:
                return requests
        if not self.restricted and self._buffer.startswith(b"*"):
            rest = bytes(self._buffer)
            self._buffer.clear()
            more, rest = split_requests(rest, self._max_bulk)
            requests += more
            self._buffer += rest
        if not (requests and self.restricted):
            self._parse(requests)
        return requests

    def _parse(self, requests: list[Request], one: bool = False) -> None:
        """Append complete requests of the buffer to ``requests``, or only the first."""
        buffer = self._buffer
        while self._at < len(buffer):
            complete = self._read_array() if self._missing or buffer[self._at] == _STAR else self._read_line()
            if not complete:
                break
            args, self._args, self._size = self._args, [], 0
            if args:
                requests.append(args)
                if one or self.restricted:
                    break
        del buffer[: self._at]
        self._at = 0
        if self.buffered > self._max_buffer:
            self._fail(BIG_REQUEST)
        if self.error is not None:
            buffer.clear()

    def _read_array(self) -> bool:
        if not self._missing:
            count = self._read_number(BIG_COUNT, INVALID_COUNT)
            if count is None:
                return False
            if count > MAX_ARGUMENTS:
                return self._fail(INVALID_COUNT)
            if self.restricted and count > UNAUTHENTICATED_ARGUMENTS:
                return self._fail(UNAUTHENTICATED_COUNT)
            self._missing = max(count, 0)
        while self._missing:
            if not self._read_argument():
                return False
            self._missing -= 1
        return True

    def _read_argument(self) -> bool:
        if self._length == _UNKNOWN and not self._read_length():
            return False
        buffer, end = self._buffer, self._at + self._length
        if len(buffer) < end + 2:
            return False
        if buffer[end : end + 2] != CRLF:
            return self._fail(INVALID_CRLF)
        with memoryview(buffer) as view:  # one copy, not two
            self._args.append(bytes(view[self._at : end]))
        self._size += self._length
        self._at = end + 2
        self._length = _UNKNOWN
        return True

    def _read_length(self) -> bool:
        length = self._read_number(BIG_LENGTH, INVALID_LENGTH, expected=_DOLLAR)
        if length is None:
            return False
        if not 0 <= length <= self._max_bulk:
            return self._fail(INVALID_LENGTH)
        if self.restricted and length > UNAUTHENTICATED_BULK:
            return self._fail(UNAUTHENTICATED_LENGTH)
        self._length = length
        return True

    def _read_number(self, too_long: bytes, invalid: bytes, expected: int = _STAR) -> int | None:
        """Read a header, ``*3`` or ``$5``; None when it is not complete or broke the protocol."""
        buffer, at = self._buffer, self._at
        end = buffer.find(b"\r", at)
        if (end if end >= 0 else len(buffer)) - at > MAX_LINE:
            self._fail(too_long)
            return None
        if end < 0 or end + 1 == len(buffer):
            return None
        if buffer[at] != expected:
            self._fail(b"expected '$', got '%c'" % buffer[at])
        elif buffer[end + 1] != _LF:
            self._fail(INVALID_CRLF)
        else:
            number = _number(bytes(buffer[at + 1 : end]))
            if number is not None:
                self._at = end + 2
                return number
            self._fail(invalid)
        return None

    def _read_line(self) -> bool:
        """Read an inline request. As in Redis, a NUL hides the line's end: such a line only ever grows too big."""
        buffer, at = self._buffer, self._at
        end = buffer.find(b"\n", at)
        if end < 0 or buffer.find(b"\0", at, end) >= 0:
            return self._fail(BIG_INLINE) if len(buffer) - at > MAX_LINE else False
        if end - at > MAX_LINE:
            return self._fail(BIG_INLINE)
        args = split_line(bytes(buffer[at:end]).removesuffix(b"\r"))
        if args is None:
            return self._fail(UNBALANCED_QUOTES)
        if args and args[0].lower() in _HTTP:
            return self._fail(CROSS_PROTOCOL)
        self._args = args
        self._at = end + 1
        return True

    def _fail(self, error: bytes) -> bool:
        self.error = error
        self._missing = 1  # from here on every chunk goes the strict way, where it is dropped
        return False


def protocol_error(error: bytes) -> bytes:
    """The reply that goes out before the connection is closed."""
    return b"-ERR Protocol error: %b\r\n" % error.translate(_ONE_LINE)


# Inline requests

_BLANKS: Final = b" \t\r\n\v\f"
_ENDS: Final = b" \t\r\n"
_LEFT_OUT: Final = b"\xff"
_QUOTES: Final = b"\"'"
_PLAIN_LINES: Final = re.compile(rb"""(?:[^*\0\v\f\r\n"'\xff][^\0\v\f\r\n"'\xff]*\r\n)+""")
_SINGLE: Final = ord("'")
_HTTP: Final = frozenset({b"post", b"host:"})
_ESCAPES: Final = {ord("n"): b"\n", ord("r"): b"\r", ord("t"): b"\t", ord("b"): b"\b", ord("a"): b"\a"}
_HEX_MARK: Final = ord("x")
_HEX: Final = frozenset(b"0123456789abcdefABCDEF")
_BACKSLASH: Final = ord("\\")


def split_lines(data: bytes) -> list[Request]:
    """Take a chunk of whole and plain inline requests apart; none when one is not, which is not judged here."""
    if len(data) > MAX_LINE or not _PLAIN_LINES.fullmatch(data):
        return []
    requests: list[Request] = [args for args in map(bytes.split, data.split(CRLF)) if args]
    return [] if any(args[0].lower() in _HTTP for args in requests) else requests


def split_line(line: bytes) -> list[bytes] | None:
    """Split an inline request into arguments; None when a quote is not closed.

    ``"…"`` takes ``\\n \\r \\t \\b \\a \\xHH \\"``, ``'…'`` only ``\\'``; quoted and bare parts join as in a shell.
    A byte 0xFF, where it stands as such, is left out as in Valkey.
    """
    plain = b'"' not in line and b"'" not in line and b"\v" not in line and b"\f" not in line
    if plain and _LEFT_OUT not in line:
        return line.split()
    args: list[bytes] = []
    at, end = 0, len(line)
    while True:
        while at < end and line[at] in _BLANKS:
            at += 1
        if at == end:
            return args
        arg = bytearray()
        while at < end and line[at] not in _ENDS:
            if line[at] in _QUOTES:
                closed = _unquote(line, at, arg)
                if closed is None:
                    return None
                at = closed
            else:
                arg += line[at : at + 1].strip(_LEFT_OUT)
                at += 1
        args.append(bytes(arg))


def _unquote(line: bytes, at: int, into: bytearray) -> int | None:
    """Append the quoted part that begins at ``at``; return where it ends, None when it does not."""
    quote, at, end = line[at], at + 1, len(line)
    while at < end:
        byte = line[at]
        at += 1
        if byte == quote:
            return at
        # As in Valkey, a backslash before the last byte of the line is only a backslash.
        if byte != _BACKSLASH or at + 1 >= end or (quote == _SINGLE and line[at] != quote):
            into += line[at - 1 : at].strip(_LEFT_OUT)
        elif line[at] == _HEX_MARK:
            at = _unhex(line, at, into)
        else:
            into += _ESCAPES.get(line[at], line[at : at + 1].strip(_LEFT_OUT))
            at += 1
    return None


def _unhex(line: bytes, at: int, into: bytearray) -> int:
    """Append the byte of ``xHH`` at ``at``, or the ``x`` alone."""
    digits = line[at + 1 : at + 3]
    if len(digits) == 2 and _HEX.issuperset(digits):
        into.append(int(digits, 16))
        return at + 3
    into.append(line[at])
    return at + 1
