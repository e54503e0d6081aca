"""Dialling: where to, and what is said first."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from hiredis import Reader, pack_command

from store_core import ConnectionFailed, ReplyError, Timeout, create_store
from store_redis.dial import tls_context

OK = b"+OK\r\n"


class Listener:
    """A server that keeps what it is told and answers by the command's name."""

    def __init__(self, answers: dict[str, bytes]) -> None:
        self.answers = answers
        self.heard: list[list[bytes]] = []
        self.port = 0

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests = Reader()
        while data := await reader.read(65536):
            requests.feed(data)
            while (request := requests.gets()) is not False:
                self.heard.append(request)
                writer.write(self.answers.get(request[0].decode(), OK))
        writer.close()


StartListener = Callable[..., Awaitable[Listener]]


@pytest.fixture
async def listener() -> AsyncIterator[StartListener]:
    servers: list[asyncio.Server] = []

    async def start(**answers: bytes) -> Listener:
        made = Listener(answers)
        servers.append(await asyncio.start_server(made.accept, "127.0.0.1", 0))
        made.port = servers[-1].sockets[0].getsockname()[1]
        return made

    yield start
    for server in servers:
        server.close()
    await asyncio.sleep(0)


async def greeted(start: StartListener, url: str, **params: Any) -> list[list[bytes]]:
    """What a server hears when a store connects."""
    listening = await start()
    async with create_store(url.format(listening.port), **params) as store:
        await store.execute("LAST")
    await asyncio.sleep(0.01)
    return listening.heard


@pytest.mark.parametrize(
    ("url", "hello"),
    [
        ("redis://127.0.0.1:{}", [b"HELLO", b"3"]),
        ("redis://127.0.0.1:{}?protocol=2", [b"HELLO", b"2"]),
        ("redis://:pw@127.0.0.1:{}", [b"HELLO", b"3", b"AUTH", b"default", b"pw"]),
        ("redis://me:p%40w@127.0.0.1:{}", [b"HELLO", b"3", b"AUTH", b"me", b"p@w"]),
        ("redis://me@127.0.0.1:{}", [b"HELLO", b"3", b"AUTH", b"me", b""]),
        ("redis://127.0.0.1:{}?password=pw", [b"HELLO", b"3", b"AUTH", b"default", b"pw"]),
    ],
)
async def test_the_greeting_carries_the_protocol_and_the_user(
    listener: StartListener, url: str, hello: list[bytes]
) -> None:
    assert (await greeted(listener, url))[0] == hello


async def test_the_introduction_names_the_library_the_client_and_the_database(listener: StartListener) -> None:
    heard = await greeted(listener, "redis://127.0.0.1:{}/3?client_name=me")
    assert heard[1][:4] == [b"CLIENT", b"SETINFO", b"LIB-NAME", b"store-redis"]
    assert heard[2][:3] == [b"CLIENT", b"SETINFO", b"LIB-VER"]
    assert heard[3] == [b"CLIENT", b"SETNAME", b"me"]
    assert heard[4] == [b"SELECT", b"3"]
    assert heard[-1] == [b"LAST"]


async def test_database_0_is_not_selected(listener: StartListener) -> None:
    assert [b"SELECT", b"0"] not in await greeted(listener, "redis://127.0.0.1:{}/0")


@pytest.mark.parametrize(
    ("url", "auth"),
    [
        ("redis://127.0.0.1:{}", None),
        ("redis://:pw@127.0.0.1:{}", [b"AUTH", b"pw"]),
        ("redis://me:pw@127.0.0.1:{}", [b"AUTH", b"me", b"pw"]),
    ],
)
async def test_a_server_that_does_not_know_hello_is_spoken_to_in_resp2(
    listener: StartListener, url: str, auth: list[bytes] | None
) -> None:
    unknown = b"-ERR unknown command `HELLO`, with args beginning with: `3`\r\n"
    listening = await listener(HELLO=unknown, CLIENT=b"-ERR Unknown subcommand 'SETINFO'\r\n", PING=b"+PONG\r\n")
    async with create_store(url.format(listening.port), db=2) as store:
        assert await store.ping()
    after = listening.heard[listening.heard.index([b"SELECT", b"2"]) + 1 :]
    assert (auth in after) is (auth is not None)
    assert [b"SELECT", b"2"] in after


@pytest.mark.parametrize(
    ("command", "reply", "code"),
    [
        ("HELLO", b"-WRONGPASS invalid username-password pair or user is disabled.\r\n", "WRONGPASS"),
        ("HELLO", b"-NOAUTH HELLO must be called with the client already authenticated\r\n", "NOAUTH"),
        ("HELLO", b"-NOPROTO unsupported protocol version\r\n", "NOPROTO"),
        ("SELECT", b"-ERR DB index is out of range\r\n", "ERR"),
        ("SELECT", b"-LOADING the dataset\r\n", "LOADING"),
    ],
)
async def test_a_refusal_is_the_servers_own_with_a_note_of_the_address(
    listener: StartListener, command: str, reply: bytes, code: str
) -> None:
    listening = await listener(**{command: reply})
    async with create_store(f"redis://127.0.0.1:{listening.port}/1") as store:
        with pytest.raises(ReplyError) as caught:
            await store.ping()
    assert caught.value.code == code
    assert caught.value.__notes__ == [f"while connecting to 127.0.0.1:{listening.port}"]


@pytest.mark.parametrize(
    "refusal",
    [
        b"-ERR unknown subcommand 'SETINFO'. Try CLIENT HELP.\r\n",
        b"-NOPERM User default has no permissions to run the 'client|setinfo' command\r\n",
    ],
)
async def test_a_server_that_does_not_want_the_librarys_name_is_fine(listener: StartListener, refusal: bytes) -> None:
    listening = await listener(CLIENT=refusal, PING=b"+PONG\r\n")
    async with create_store(f"redis://127.0.0.1:{listening.port}") as store:
        assert await store.ping()


async def test_a_handshake_without_an_end_times_out(listener: StartListener) -> None:
    listening = await listener(SELECT=b"")
    async with create_store(f"redis://127.0.0.1:{listening.port}/1?timeout=0.1") as store:
        with pytest.raises(Timeout, match=r"cannot connect to 127\.0\.0\.1:\d+ within 0\.1 s") as caught:
            await store.ping()
    assert isinstance(caught.value, ConnectionFailed)


@pytest.mark.parametrize(
    ("url", "address", "tls"),
    [
        ("redis://", "127.0.0.1:6379", False),
        ("redis://example.org", "example.org:6379", False),
        ("redis://[::1]:7", "[::1]:7", False),
        ("rediss://h:1", "h:1", True),
        ("valkeys://h:1", "h:1", True),
        ("valkey://h:1?tls=true", "h:1", True),
        ("unix:///tmp/a.sock", "/tmp/a.sock", False),
    ],
)
def test_the_address_and_tls_come_from_the_connection_string(url: str, address: str, tls: bool) -> None:
    dialer = create_store(url).dialer
    assert (dialer.address, dialer.tls) == (address, tls)


def test_tls_verifies_unless_it_is_told_not_to() -> None:
    context = tls_context(create_store("rediss://h").params)
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    context = tls_context(create_store("rediss://h?tls_verify=false").params)
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_NONE, False)


def test_the_listener_of_these_tests_reads_what_hiredis_packs() -> None:
    requests = Reader()
    requests.feed(pack_command(("PING", "x")))
    assert requests.gets() == [b"PING", b"x"]
