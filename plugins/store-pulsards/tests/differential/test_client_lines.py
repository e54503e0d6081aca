"""CLIENT INFO and LIST tell of a client what Valkey tells, whatever it does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

# Numbers that differ from server to server, or from time to time; their names are compared.
OF_THIS_SERVER = {
    *("id", "addr", "laddr", "fd", "age", "idle", "qbuf", "qbuf-free", "argv-mem", "multi-mem", "rbs", "rbp", "obl"),
    *("oll", "omem", "tot-mem", "redir"),
}
COUNTED_BY_EACH_COMMAND = {"tot-net-in", "tot-net-out", "tot-cmds"}

# What a client does, and how many replies come back before it is looked at.
STATES = {
    "nothing": b"PING\r\n",
    "named": b"CLIENT SETNAME me\r\nCLIENT SETINFO lib-name lib\r\nCLIENT SETINFO lib-ver 1.2\r\n",
    "another database": b"SELECT 3\r\n",
    "transaction": b"MULTI\r\nSET a 1\r\nGET a\r\n",
    "after a transaction": b"MULTI\r\nSET a 1\r\nEXEC\r\n",
    "watching": b"WATCH a b\r\n",
    "subscribed": b"SUBSCRIBE a\r\nPSUBSCRIBE b\r\nSSUBSCRIBE c\r\n",
    "resp3": b"HELLO 3\r\n",
    "blocked": b"BLPOP nothing 0\r\n",
    "monitor": b"MONITOR\r\n",
    "tracking": b"HELLO 3\r\nCLIENT TRACKING ON\r\n",
    "broadcasting": b"HELLO 3\r\nCLIENT TRACKING ON BCAST\r\n",
    "kept": b"CLIENT NO-EVICT ON\r\nCLIENT NO-TOUCH ON\r\n",
    "redirected": b"CLIENT CAPA redirect\r\n",
    "half a request": b"*2\r\n$3\r\nGET\r\n$100\r\nxxx",
    "subcommand": b"CONFIG GET maxmemory\r\n",
    "wrong command": b"NOSUCH\r\n",
    "wrong arity": b"GET\r\n",
    "read only": b"READONLY\r\n",
    "read and write": b"READONLY\r\nREADWRITE\r\n",
    "reset": b"HELLO 3\r\nMULTI\r\nREADONLY\r\nRESET\r\n",
    "dirty": b"WATCH a\r\nSET a 1\r\nMULTI\r\n",
    "unknown subcommand": b"CONFIG NOSUCH\r\n",
    "refused in a transaction": b"MULTI\r\nWATCH a\r\n",
    "silent": b"CLIENT REPLY OFF\r\n",
}


def line_of(wire: Any, number: bytes) -> dict[str, str]:
    """What CLIENT LIST tells of a client."""
    wire.send(b"CLIENT LIST ID %b\r\n" % number)
    length = int(wire.read_until(b"\r\n")[1:-2])
    line = wire.read(length + 2).decode().strip()
    return dict(field.partition("=")[::2] for field in line.split(" "))


def told(address: tuple[str, int], connect: Callable[..., Any], does: bytes) -> dict[str, str]:
    """What another client is told of one that does something."""
    subject, observer = connect(address), connect(address)
    try:
        subject.send(b"CLIENT ID\r\n")
        number = subject.read_until(b"\r\n")[1:-2]
        subject.send(does)
        end = time.monotonic() + 10
        found = line_of(observer, number)
        while found["cmd"] == "client|id" and b"$100" not in does:  # what it sent has not been executed yet
            assert time.monotonic() < end, found
            time.sleep(0.02)
            found = line_of(observer, number)
        time.sleep(0.02)
        return line_of(observer, number)
    finally:
        subject.close()
        observer.close()


@pytest.mark.parametrize("does", STATES.values(), ids=STATES)
def test_the_line_of_a_client_is_that_of_valkey(
    server: Any, valkey: tuple[str, int], connect: Callable[..., Any], does: bytes
) -> None:
    ours, theirs = (told(address, connect, does) for address in (server.address, valkey))
    assert list(ours) == [name for name in theirs if name not in COUNTED_BY_EACH_COMMAND]
    if "x" not in theirs["flags"]:
        theirs["multi"] = "-1"  # Valkey says 0 once a client has watched a key or begun a transaction, for good
    assert {name: value for name, value in ours.items() if name not in OF_THIS_SERVER} == {
        name: theirs[name] for name in ours if name not in OF_THIS_SERVER
    }


def test_what_a_connection_holds_is_measured(server: Any, connect: Callable[..., Any]) -> None:
    found = told(server.address, connect, b"*3\r\n$3\r\nSET\r\n$4\r\nname\r\n$100\r\nxxx")
    assert (found["argv-mem"], found["qbuf"]) == ("7", "3")
    found = told(server.address, connect, b"MULTI\r\nSET key value\r\n")
    assert (found["multi-mem"], found["tot-mem"]) == ("11", "11")


def test_what_a_client_does_not_read_is_measured(server: Any) -> None:
    wire, observer = server.connect(), server.connect()
    wire.send(b"CLIENT ID\r\n")
    number = wire.read_until(b"\r\n")[1:-2]
    wire.send(b"SETRANGE big 50000000 x\r\nGET big\r\n")
    wire.read_until(b"\r\n")
    found = line_of(observer, number)
    while found["cmd"] != "get":
        found = line_of(observer, number)
    assert int(found["omem"]) > 1_000_000
    assert found["events"] == "rw"
    assert int(found["tot-mem"]) >= int(found["omem"])


def test_a_client_of_a_unix_socket_is_marked(server: Any, connect: Callable[..., Any], tmp_path: Any) -> None:

    path = str(tmp_path / "s")
    asyncio.run_coroutine_threadsafe(server.server.listen_unix(path), server.loop).result(10)
    wire = connect(path)
    wire.send(b"CLIENT INFO\r\n")
    wire.read_until(b"\r\n")
    assert b" flags=U " in wire.read_until(b"\r\n")
    wire.close()
