"""Raw bytes to pulsards and to a real Valkey: the same bytes come back, the same connections are closed."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from store_pulsards.protocol import MAX_LINE

ECHO = b"*2\r\n$4\r\nECHO\r\n$5\r\nalive\r\n"
ALIVE = b"$5\r\nalive\r\n"
AUTH = b"*2\r\n$4\r\nAUTH\r\n$6\r\nsecret\r\n"
HELLO = b"*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n"

# Each is followed by an ECHO, whose reply tells that the connection lives on.
GARBAGE = [
    b"*x\r\n",
    b"*\r\n",
    b"*01\r\n",
    b"*00\r\n",
    b"*-0\r\n",
    b"*+1\r\n",
    b"* 1\r\n",
    b"*1 \r\n",
    b"*1.0\r\n",
    b"*0x1\r\n",
    b"*1_0\r\n",
    b"*2147483648\r\n",
    b"*9223372036854775808\r\n",
    b"*99999999999999999999\r\n",
    b"*-9223372036854775809\r\n",
    b"*1\n$4\r\n",
    b"*1\rx",
    b"*x\rx",
    b"*1\r\n$4\rx",
    b"*1\r\n$x\rx",
    b"*1\r\n+4\rx",
    b"*1\r\n$4\r\nPINGxx",
    b"*1\r\n$4\r\nPING\n\r",
    b"*1\r\n$3\r\nPING\r\n",
    b"*1\r\n$4\r\nPINGPING\r\n",
    b"*1\r\n+PING\r\n",
    b"*1\r\n:1\r\n",
    b"*1\r\n-ERR\r\n",
    b"*1\r\n*1\r\n$4\r\nPING\r\n",
    b"*1\r\n_\r\n",
    b"*1\r\n#t\r\n",
    b"*1\r\n\r\n",
    b"*1\r\n\n\r\n",
    b"*1\r\n\0\r\n",
    b"*1\r\n\xff\r\n",
    b"*1\r\nPING\r\n",
    b"*1\r\n$\r\n",
    b"*1\r\n$x\r\n",
    b"*1\r\n$-1\r\n",
    b"*1\r\n$-2\r\n",
    b"*1\r\n$04\r\nPING\r\n",
    b"*1\r\n$+4\r\nPING\r\n",
    b"*1\r\n$4 \r\nPING\r\n",
    b"*1\r\n$536870913\r\n",
    b"*1\r\n$99999999999999999999\r\n",
    b"*2\r\n$4\r\nPING\r\n:1\r\n",
    b"*2\r\n$4\r\nPING\r\n$-1\r\n",
    b"*0\r\n",
    b"*-1\r\n",
    b"*-10\r\n",
    b"*-9223372036854775808\r\n",
    b"*1\r\n$0\r\n\r\n",
    b"\r\n",
    b"\n\n\r\n",
    b" \t\v\f\r\n",
    b'"\r\n',
    b"'\r\n",
    b'PING "a\r\n',
    b'PING a"b\r\n',
    b"PING \"a\"b'c'\r\n",
    b'PING "\\x41\\n\\q\\x4"\r\n',
    b'PING "a\\"\r\n',
    b"PING 'a\\'b'\r\n",
    b"PING a\vb\r\n",
    b"P\xffING \xffa\xff\xff\r\n",
    b"ECHO \xff\r\n",
    b"ECHO '\xff'\r\n",
    b'ECHO "\\xff\xff\\\xff\xfe"\r\n',
    b"\xff\r\n",
    b'"" a\r\n',
    b"%1\r\n",
    b">1\r\n$4\r\nPING\r\n",
    b"$4\r\nPING\r\n",
    b"+PING\r\n",
    b"PING a b c\r\n",
    b"ping\r\n",
    b"NOSUCH a \x01 b\r\n",
    b"POST / HTTP/1.1\r\n",
    b"Host: here\r\n",
    b"QUIT\r\n",
    b"CLIENT REPLY SKIP\r\nPING\r\n",
    b"MULTI\r\nPING\r\n*x\r\n",
    b"MULTI\r\nNOSUCH\r\nEXEC\r\n",
    b"SUBSCRIBE c\r\n*x\r\n",
    b"SUBSCRIBE c\r\nGET k\r\n",
    b"RESET\r\n",
]
UNFINISHED = [
    b"PING\0\r\n",
    b"PING",
    b"PING\r",
    b"*1\r",
    b"*1\r\n:1",
    b"*1\r\n$400\r\n",
    b"*2147483647\r\n",
    b"*1\r\n$536870912\r\n",
    b"PING\r\n*3\r\n$4\r\n",
    b"x" * MAX_LINE,
    b"*" + b"1" * MAX_LINE,
    b"*1\r\n$" + b"1" * MAX_LINE,
    b"*1\r\n" + b"x" * (MAX_LINE + 1),
    b"x" * (MAX_LINE + 1),
    b"\0" + b"x" * MAX_LINE,
]
UNAUTHENTICATED = [
    b"*10\r\n",
    b"*11\r\n",
    b"*x\r\n",
    b"*1\r\n$16384\r\n",
    b"*1\r\n$16385\r\n",
    b"PING " + b"a " * 20 + b"\r\n",
    b"PING " + b"a" * 20000 + b"\r\n",
    b"POST x\r\n",
    b"NOSUCH\r\n",
    b"QUIT\r\n",
    AUTH + b"*11\r\n" + b"$4\r\nPING\r\n" * 11,
    AUTH + b"*2\r\n$4\r\nPING\r\n$20000\r\n" + b"x" * 20000 + b"\r\n",
]


def answer(address: tuple[str, int], connect: Callable[..., Any], hello: bytes, data: bytes) -> tuple[bytes, bool]:
    """What comes back, and whether the connection was closed."""
    wire = connect(address)
    try:
        if hello:
            wire.send(hello + ECHO)
            wire.read_until(ALIVE)
        reply: tuple[bytes, bool] = wire.converse(data)
        return reply
    finally:
        wire.close()


@pytest.mark.parametrize("hello", [b"", HELLO], ids=["resp2", "resp3"])
@pytest.mark.parametrize("data", GARBAGE, ids=lambda data: repr(data[:40]))
def test_garbage_is_answered_as_by_valkey(
    valkey: tuple[str, int], server: Any, connect: Callable[..., Any], hello: bytes, data: bytes
) -> None:
    ours, theirs = (answer(address, connect, hello, data + ECHO) for address in (server.address, valkey))
    assert ours == theirs


@pytest.mark.parametrize("data", UNFINISHED, ids=lambda data: repr(data[:40]))
def test_what_is_not_complete_waits_as_long_as_in_valkey(
    valkey: tuple[str, int], server: Any, connect: Callable[..., Any], data: bytes
) -> None:
    ours, theirs = (answer(address, connect, b"", data) for address in (server.address, valkey))
    assert ours == theirs


@pytest.mark.parametrize("data", UNAUTHENTICATED, ids=lambda data: repr(data[:40]))
def test_clients_without_a_password_are_answered_as_by_valkey(
    locked_valkey: tuple[str, int], locked_server: Any, connect: Callable[..., Any], data: bytes
) -> None:
    ours, theirs = (answer(address, connect, b"", data) for address in (locked_server.address, locked_valkey))
    assert ours == theirs


TO_ONESELF = b"SUBSCRIBE c\r\nPUBLISH c m\r\nPUBLISH c n\r\nMULTI\r\nPUBLISH c o\r\nEXEC\r\nUNSUBSCRIBE\r\n"


def test_messages_to_oneself_stand_where_valkey_puts_them(
    valkey: tuple[str, int], server: Any, connect: Callable[..., Any]
) -> None:
    ours, theirs = (answer(address, connect, HELLO, TO_ONESELF) for address in (server.address, valkey))
    assert ours == theirs


def test_where_a_chunk_ends_makes_no_difference(
    valkey: tuple[str, int], server: Any, connect: Callable[..., Any]
) -> None:
    data = b"*2\r\n$4\r\nPING\r\n$2\r\na\n\r\n*0\r\nPING b\r\n*1\r\n$4\r\nPINGxx"
    expected = answer(valkey, connect, b"", data)
    assert expected[1]
    # Not before the very last byte: the server has refused by then, and what is sent to a closed socket resets it,
    # which may take the reply away before it is read.
    for cut in range(1, len(data) - 1):
        wire = connect(server.address)
        wire.send(data[:cut])
        assert wire.converse(data[cut:]) == expected
        wire.close()


def test_every_pair_of_garbage_leaves_the_next_client_unharmed(server: Any, connect: Callable[..., Any]) -> None:
    for first, second in itertools.pairwise(GARBAGE):
        wire = connect(server.address)
        wire.converse(first + second + ECHO)
        wire.close()
    wire = connect(server.address)
    wire.ask(ECHO, ALIVE)
    wire.close()
