"""The wire protocol without sockets: where chunks end does not matter, garbage is named and never crashes."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

import hiredis
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from store_pulsards.protocol import (
    CROSS_PROTOCOL,
    RequestParser,
    protocol_error,
    scan_requests,
    split_line,
    split_requests,
)

MIXED = (
    b"*1\r\n$4\r\nPING\r\n"
    b"*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$8\r\nx\r\n$1\r\ny\r\n"
    b"PING hello\r\n"
    b"*0\r\n*-1\r\n\r\n\n"
    b"SET \"a b\" 'c'\n"
    b"*2\r\n$3\r\nGET\r\n$0\r\n\r\n"
    b"*2\r\n$4\r\nECHO\r\n$1500\r\n" + b"*\r\n" * 500 + b"\r\n"
)
MIXED_REQUESTS = [
    [b"PING"],
    [b"SET", b"key", b"x\r\n$1\r\ny"],
    [b"PING", b"hello"],
    [b"SET", b"a b", b"c"],
    [b"GET", b""],
    [b"ECHO", b"*\r\n" * 500],
]


def pack(*args: bytes) -> bytes:
    return b"*%d\r\n" % len(args) + b"".join(b"$%d\r\n%b\r\n" % (len(arg), arg) for arg in args)


def parse(chunks: Iterable[bytes]) -> tuple[list[list[bytes]], bytes | None]:
    parser = RequestParser()
    return [list(request) for chunk in chunks for request in parser.feed(chunk)], parser.error


def pieces(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(places)]


# Where chunks end


def test_a_chunk_may_end_at_any_byte() -> None:
    for cut in range(len(MIXED) + 1):
        assert parse([MIXED[:cut], MIXED[cut:]]) == (MIXED_REQUESTS, None), cut


def test_requests_may_come_byte_by_byte() -> None:
    assert parse(MIXED[i : i + 1] for i in range(len(MIXED))) == (MIXED_REQUESTS, None)


@given(
    st.lists(st.lists(st.binary(max_size=40), min_size=1, max_size=6), max_size=8), st.lists(st.integers(0), max_size=6)
)
def test_requests_come_out_as_they_were_packed(requests: list[list[bytes]], cuts: list[int]) -> None:
    data = b"".join(pack(*request) for request in requests)
    assert parse(pieces(data, cuts)) == (requests, None)


@given(st.lists(st.sampled_from([b"\r\n", b"$1", b"*1", b"\r", b"\n", b"a", b"$3\r\nabc\r\n"]), max_size=30))
def test_arguments_may_contain_the_protocol_itself(parts: list[bytes]) -> None:
    value = b"".join(parts)
    request = [b"SET", value, b"k"]
    requests, rest = split_requests(pack(*request) * 3)
    assert ([list(each) for each in requests], rest) == ([request] * 3, b"")
    assert scan_requests(pack(*request) * 3) == ([request] * 3, b"")


@pytest.mark.parametrize("values", [[b"abc"] * 4, [b"abc", b"xyz", b"abc", b"xyz"], [b"a", b"bc", b"def", b""]])
def test_a_damaged_byte_in_a_pipeline_of_like_requests_is_found_wherever_it_is(values: list[bytes]) -> None:
    data = b"".join(pack(b"SET", b"key", value) for value in values)
    for at in range(len(data)):
        for byte in b"$*+5\r\nx":
            damaged = data[:at] + bytes([byte]) + data[at + 1 :]
            # In pieces, no request is ever read the fast way.
            requests, error = parse(damaged[i : i + 2] for i in range(0, len(damaged), 2))
            assert parse([damaged]) == (requests, error), (at, byte)
            found, rest = scan_requests(damaged)
            assert [*map(list, found), *parse([rest])[0]] == requests, (at, byte)


def test_a_request_may_have_many_arguments() -> None:
    request = [b"MSET", *(b"%d" % n for n in range(5000))]
    assert parse([pack(*request) * 2]) == ([request] * 2, None)


def test_a_large_argument_may_come_in_many_chunks() -> None:
    request = [b"SET", b"k", bytes(range(256)) * 4096]
    data = pack(*request) + pack(b"PING")
    assert parse(data[i : i + 65536] for i in range(0, len(data), 65536)) == ([request, [b"PING"]], None)


# The fast way and the strict way

FRAGMENTS = st.sampled_from(
    b"*0\r\n|*1\r\n|*2\r\n|*-1\r\n|*|$|$4\r\n|$-1\r\n|$01\r\n|+OK\r\n|:1\r\n|PING\r\n|PING\n|\r|\n|\0|\"|'|"
    b"*1\r\n$4\r\nPING\r\n|*2\r\n$1\r\na\r\n$2\r\nxy\r\n".split(b"|")
)


@settings(max_examples=500)
@given(st.lists(FRAGMENTS, max_size=14).map(b"".join), st.lists(st.integers(0), max_size=4))
@example(b"*2\r\n$3\r\nGETxx+foo\r\n", [])
@example(b"*1\r\n$4\r\nPING\n\r*1\r\n$4\r\nPING\r\n", [])
def test_garbage_means_the_same_however_it_is_cut(data: bytes, cuts: list[int]) -> None:
    assert parse(pieces(data, cuts)) == parse(data[i : i + 1] for i in range(len(data)))


@settings(max_examples=500)
@given(st.binary(max_size=200), st.booleans())
def test_random_bytes_never_crash_the_parser(data: bytes, restricted: bool) -> None:
    parser = RequestParser(restricted=restricted)
    while parser.feed(data):
        data = b""
    assert all(request for request in parser.feed(b""))


# What is no request, and what breaks the protocol


@pytest.mark.parametrize("data", [b"\r\n", b"\n", b"  \t\r\n", b"*0\r\n", b"*-1\r\n", b"*-10\r\n"])
def test_requests_without_arguments_are_ignored(data: bytes) -> None:
    assert parse([data + b"PING\r\n"]) == ([[b"PING"]], None)


ERRORS = {
    b"*x\r\n": b"invalid multibulk length",
    b"*\r\n": b"invalid multibulk length",
    b"*01\r\n": b"invalid multibulk length",
    b"*+1\r\n": b"invalid multibulk length",
    b"* 1\r\n": b"invalid multibulk length",
    b"*1_0\r\n": b"invalid multibulk length",
    b"*2147483648\r\n": b"invalid multibulk length",
    b"*99999999999999999999\r\n": b"invalid multibulk length",
    b"*1\n$4\r\n": b"invalid multibulk length",
    b"*1\rx": b"invalid CRLF in request",
    b"*1\r\n$4\rx": b"invalid CRLF in request",
    b"*1\r\n$4\r\nPINGxx": b"invalid CRLF in request",
    b"*1\r\n+PING\r\n": b"expected '$', got '+'",
    b"*1\r\n*1\r\n": b"expected '$', got '*'",
    b"*1\r\n\r\n": b"expected '$', got '\r'",
    b"*1\r\n$x\r\n": b"invalid bulk length",
    b"*1\r\n$-1\r\n": b"invalid bulk length",
    b"*1\r\n$536870913\r\n": b"invalid bulk length",
    b"*" + b"1" * 65537: b"too big mbulk count string",
    b"*1\r\n$" + b"1" * 65537: b"too big bulk count string",
    b"a" * 65537: b"too big inline request",
    b"a" * 65537 + b"\n": b"too big inline request",
    b'PING "\r\n': b"unbalanced quotes in request",
}


@pytest.mark.parametrize("data", ERRORS, ids=lambda data: repr(data[:24]))
def test_what_breaks_the_protocol_is_named(data: bytes) -> None:
    assert parse([pack(b"PING") + data + pack(b"LOST")]) == ([[b"PING"]], ERRORS[data])


def test_nothing_is_parsed_after_an_error() -> None:
    parser = RequestParser()
    parser.feed(b"*x\r\n")
    assert parser.feed(pack(b"PING")) == []
    assert parser.buffered == 0


def test_an_error_is_written_on_one_line() -> None:
    assert protocol_error(b"expected '$', got '\r'") == b"-ERR Protocol error: expected '$', got ' '\r\n"


def test_announced_sizes_allocate_nothing() -> None:
    parser = RequestParser()
    assert parser.feed(b"*2147483647\r\n$536870912\r\n") == []
    assert parser.error is None
    assert parser.buffered == 0


def test_a_request_too_big_to_hold_is_an_error() -> None:
    parser = RequestParser(max_buffer=1000)
    parser.feed(b"*3\r\n$900\r\n" + b"x" * 900 + b"\r\n$90\r\n")
    assert parser.error is None
    parser.feed(b"x" * 90 + b"\r\n$90\r\n" + b"x" * 80)
    assert parser.error == b"request too big to hold"


def test_a_web_page_cannot_smuggle_commands_in() -> None:
    assert parse([b"POST / HTTP/1.1\r\nFLUSHALL\r\n"]) == ([], CROSS_PROTOCOL)
    assert parse([b"GET / HTTP/1.1\r\nhost: localhost\r\nFLUSHALL\r\n"]) == (
        [[b"GET", b"/", b"HTTP/1.1"]],
        CROSS_PROTOCOL,
    )


# Before authentication


def test_an_unauthenticated_client_is_kept_to_small_requests() -> None:
    for data, error in {
        b"*11\r\n": b"unauthenticated multibulk length",
        b"*1\r\n$16385\r\n": b"unauthenticated bulk length",
    }.items():
        parser = RequestParser(restricted=True)
        assert parser.feed(data) == []
        assert parser.error == error


def test_the_limits_fall_between_two_requests_of_one_chunk() -> None:
    parser = RequestParser(restricted=True)
    large = [b"SET", b"k", b"x" * 20000]
    assert parser.feed(pack(b"AUTH", b"secret") + pack(*large) + pack(b"PING")) == [[b"AUTH", b"secret"]]
    parser.restricted = False
    assert parser.feed(b"") == [large, [b"PING"]]


# Inline requests

LINES = {
    b"": [],
    b" \t\v\f ": [],
    b"SET a b": [b"SET", b"a", b"b"],
    b"  SET\ta  b ": [b"SET", b"a", b"b"],
    b'ECHO ""': [b"ECHO", b""],
    b"ECHO ''": [b"ECHO", b""],
    b"ECHO \"a b\" 'c d'": [b"ECHO", b"a b", b"c d"],
    b'"a"b': [b"ab"],
    b"a'b'\"c\"": [b"abc"],
    b'"\\n\\r\\t\\b\\a\\q\\"\\\\ "': [b'\n\r\t\b\aq"\\ '],
    b'"\\x41\\xfF\\x4\\xzz"': [b"A\xffx4xzz"],
    b"'a\\n\\'b'": [b"a\\n'b"],
    b"a\\nb": [b"a\\nb"],
    b"a\vb\fc d": [b"a\vb\fc", b"d"],
    b'"a\\"': [b"a\\"],
    b"\xff\xfe": [b"\xfe"],
    b'"': None,
    b"'a": None,
    b'a"b': None,
    b'"a\\': None,
}


@pytest.mark.parametrize("line", LINES)
def test_inline_requests_are_split_as_by_redis(line: bytes) -> None:
    assert split_line(line) == LINES[line]


@given(st.binary())
def test_any_bytes_can_be_written_in_quotes(value: bytes) -> None:
    quoted = b'"' + b"".join(b"\\x%02x" % byte for byte in value) + b'"'
    assert split_line(b"ECHO " + quoted + b" end") == [b"ECHO", value, b"end"]


def test_a_nul_hides_the_end_of_a_line_as_in_redis() -> None:
    parser = RequestParser()
    assert parser.feed(b"PING\0\r\nPING\r\n") == []
    assert parser.error is None
    parser.feed(b"x" * 65537)
    assert parser.error == b"too big inline request"


def test_clients_pack_what_the_parser_reads() -> None:
    assert parse([hiredis.pack_command((b"SET",))]) == ([[b"SET"]], None)


@pytest.mark.parametrize("line", [b"PING\r\n", b"GET key\r\n", b" SET  a\tb \r\n", b"POST x\r\n", b"host: x\r\n"])
def test_a_damaged_byte_in_a_pipeline_of_inline_requests_is_found_wherever_it_is(line: bytes) -> None:
    data = line * 3
    for at in range(len(data)):
        for byte in b"$*'\"\0\v\f\r\nx \xff":
            damaged = data[:at] + bytes([byte]) + data[at + 1 :]
            # In pieces, no request is ever read the fast way.
            assert parse([damaged]) == parse(damaged[i : i + 1] for i in range(len(damaged))), (at, byte)


def test_inline_requests_may_be_followed_by_others() -> None:
    assert parse([b"PING\r\n" + pack(b"GET", b"a")]) == ([[b"PING"], [b"GET", b"a"]], None)
    assert parse([b"\r\nPING\r\n\r\nGET a\r\nGE", b"T b\r\n"]) == ([[b"PING"], [b"GET", b"a"], [b"GET", b"b"]], None)
