"""Servers that are not there, do not answer, turn a client away, or are something else."""

from __future__ import annotations

import asyncio
import http.server
import socket
import threading
import traceback
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial

import pytest
from tests.conftest import eventually
from tests.faults.conftest import Handler, Through, run_on
from tests.faults.proxy import Fault

from store_core import ConnectionFailed, ConnectionLost, ReplyError, StoreError, Timeout, create_store, start_store

FakeServer = Callable[[Handler], Awaitable[int]]
SECRET = "correct-horse-battery"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port


async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


def saying(words: bytes, *, after_a_request: bool = True) -> Handler:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if after_a_request:
            await reader.read(1024)
        writer.write(words)
        await writer.drain()

    return handle


@pytest.mark.parametrize("scheme", ["redis", "valkey", "pulsards"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_nobody_there_is_connection_failed_naming_host_and_port(scheme: str, host: str) -> None:
    port = free_port()
    async with create_store(f"{scheme}://{host}:{port}") as store:
        with pytest.raises(ConnectionFailed, match=f"{host}:{port}") as caught:
            await store.execute("GET", "key")
        assert not isinstance(caught.value, Timeout | ConnectionLost)
        assert isinstance(caught.value.__cause__, OSError)


async def test_an_ipv6_address_is_named_in_brackets() -> None:
    async with create_store(f"redis://[::1]:{free_port()}") as store:
        with pytest.raises(ConnectionFailed, match=r"\[::1\]:\d+"):
            await store.ping()


async def test_a_host_that_does_not_exist_is_connection_failed() -> None:
    async with create_store("redis://nobody.invalid:6379") as store:
        with pytest.raises(ConnectionFailed, match=r"nobody\.invalid:6379"):
            await store.ping()


async def test_a_unix_socket_that_does_not_exist_is_connection_failed(tmp_path) -> None:
    async with create_store(f"unix://{tmp_path}/none.sock") as store:
        with pytest.raises(ConnectionFailed, match=r"none\.sock"):
            await store.ping()


@pytest.mark.parametrize("what", ["execute", "pipeline", "transaction", "watch", "connect", "subscribe", "BLPOP"])
async def test_each_operation_says_so(what: str) -> None:
    async with create_store(f"redis://127.0.0.1:{free_port()}") as store:
        with pytest.raises(ConnectionFailed):
            match what:
                case "execute":
                    await store.execute("GET", "key")
                case "pipeline":
                    async with store.pipeline() as pipeline:
                        pipeline.execute("GET", "key")
                case "transaction":
                    async with store.transaction() as transaction:
                        transaction.execute("GET", "key")
                case "watch":
                    async with store.transaction(watch=["key"]):
                        pytest.fail("nothing can be watched")
                case "connect":
                    await store.connect()
                case "subscribe":
                    await store.pubsub().subscribe("channel")
                case "BLPOP":
                    await store.execute("BLPOP", "key", 0)


async def test_a_server_that_comes_back_is_used_again(proxy: Through) -> None:
    proxy.deafen()
    async with create_store(proxy.url) as store:
        with pytest.raises(ConnectionFailed):
            await store.ping()
        await proxy.listen()
        assert await store.ping()


async def test_a_server_that_accepts_and_never_answers_is_both_a_timeout_and_no_connection(
    fake_server: FakeServer,
) -> None:
    port = await fake_server(silence)
    async with create_store(f"redis://127.0.0.1:{port}?timeout=0.1") as store:
        with pytest.raises(Timeout, match=f"127.0.0.1:{port} within 0.1 s") as caught:
            await store.execute("GET", "key")
        assert isinstance(caught.value, ConnectionFailed)
        assert not isinstance(caught.value, ConnectionLost)


async def test_a_half_open_connection_does_not_hold_up_the_next_one(proxy: Through) -> None:
    proxy.next(Fault(hold=True))
    async with create_store(proxy.url, timeout=0.3) as store:
        with pytest.raises(ConnectionFailed):
            await store.ping()
    async with create_store(proxy.url) as store:
        assert await store.ping()


@pytest.mark.parametrize(
    "garbage",
    [
        b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"\x15\x03\x03\x00\x02\x02\x16",
        b"\r\n\r\n",
        b"\x00" * 100,
        b"*-7\r\n",
        b"$-5\r\n",
        b"<html>",
    ],
)
async def test_another_kind_of_server_is_connection_failed(fake_server: FakeServer, garbage: bytes) -> None:
    port = await fake_server(saying(garbage))
    async with create_store(f"redis://127.0.0.1:{port}") as store:
        with pytest.raises(ConnectionFailed, match=f"cannot connect to 127.0.0.1:{port}: .*RESP") as caught:
            await store.execute("GET", "key")
        assert not isinstance(caught.value, ConnectionLost)


BANNERS = {
    "SMTP": b"220 mail.example ESMTP ready\r\n",
    "SSH": b"SSH-2.0-OpenSSH_9.6\r\n",
    "MySQL": b"J\x00\x00\x00\x0a8.0.36\x00",
    "telnet": b"\xff\xfd\x18\xff\xfd ",
}


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("timeout", [5, 0])
def test_a_server_that_speaks_first_is_connection_failed_at_once(loop: str, timeout: float) -> None:
    async def speak(words: bytes) -> None:
        async def banner(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(words)
            with suppress(OSError):
                await reader.read()  # it would listen for ever
            writer.close()

        server = await asyncio.start_server(banner, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with create_store(f"redis://127.0.0.1:{port}", timeout=timeout, password=SECRET) as store:
            for _ in range(3):
                with pytest.raises(ConnectionFailed, match=f"cannot connect to 127.0.0.1:{port}: .*RESP") as caught:
                    async with asyncio.timeout(30):
                        await store.ping()
                assert not isinstance(caught.value, ConnectionLost | Timeout)
                assert SECRET not in whole_text(caught.value)
        server.close()

    for words in BANNERS.values():
        run_on(loop, partial(speak, words))


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("reset", [False, True])
def test_a_server_that_closes_at_once_is_connection_failed(valkey_url: str, loop: str, reset: bool) -> None:
    async def main() -> None:
        async with Through(valkey_url) as proxy, create_store(proxy.url, timeout=0, connections=2) as store:
            proxy.default = Fault(refuse=True, reset=reset)
            async with asyncio.timeout(30):
                outcomes = await asyncio.gather(
                    *(store.execute("ECHO", number) for number in range(20)),
                    store.execute("BLPOP", "never", 0),
                    store.pubsub().subscribe("channel"),
                    return_exceptions=True,
                )
            for outcome in outcomes:
                assert type(outcome).__name__ == "ConnectionFailed", outcome
                assert f"cannot connect to 127.0.0.1:{proxy.port}: " in str(outcome)
            proxy.default = Fault()
            assert await store.ping()

    run_on(loop, main)


async def test_a_web_server_is_connection_failed() -> None:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            address = f"127.0.0.1:{server.server_address[1]}"
            async with create_store(f"redis://:{SECRET}@{address}") as store:
                with pytest.raises(ConnectionFailed, match=f"cannot connect to {address}: .*RESP") as caught:
                    await store.execute("GET", "key")
                assert SECRET not in whole_text(caught.value)
            async with create_store(f"rediss://{address}") as store:
                with pytest.raises(ConnectionFailed, match=rf"cannot connect to {address}: TLS failed"):
                    await store.execute("GET", "key")
        finally:
            await asyncio.to_thread(server.shutdown)
            thread.join()


async def test_start_store_does_not_take_another_kind_of_server_for_its_own(fake_server: FakeServer) -> None:
    port = await fake_server(saying(b"HTTP/1.1 400 Bad Request\r\n\r\n"))
    with pytest.raises(ConnectionFailed, match=str(port)):
        async with asyncio.timeout(60):
            await start_store(f"redis://127.0.0.1:{port}")


@pytest.mark.parametrize("after_a_request", [True, False])
@pytest.mark.parametrize(
    "words",
    [
        b"-ERR max number of clients reached\r\n",
        b"-DENIED Redis is running in protected mode because protected mode is enabled\r\n",
    ],
)
async def test_a_server_that_turns_clients_away_is_connection_failed_in_its_own_words(
    fake_server: FakeServer, words: bytes, after_a_request: bool
) -> None:
    port = await fake_server(saying(words, after_a_request=after_a_request))
    async with create_store(f"redis://127.0.0.1:{port}") as store:
        with pytest.raises(ConnectionFailed, match=words[1:20].decode()) as caught:
            await store.execute("GET", "key")
        assert not isinstance(caught.value, ReplyError)


async def test_a_full_valkey_is_connection_failed_and_not_for_those_who_are_in(valkey_url: str) -> None:
    async with create_store(valkey_url) as first:
        before = (await first.execute("CONFIG", "GET", "maxclients"))[b"maxclients"]
        connected = await first.execute("CLIENT", "LIST")
        await first.execute("CONFIG", "SET", "maxclients", len(connected.splitlines()))
        try:
            async with create_store(valkey_url) as second:
                with pytest.raises(ConnectionFailed, match="max number of clients reached"):
                    await second.ping()
            assert await first.ping()
        finally:
            await first.execute("CONFIG", "SET", "maxclients", before)


async def test_garbage_in_the_middle_of_a_stream_is_connection_lost_for_all_that_wait(proxy: Through) -> None:
    async with create_store(proxy.url) as store:
        assert await store.ping()
        connection = proxy.connections[-1]
        connection.hold()
        waiting = [asyncio.create_task(store.execute("ECHO", number)) for number in range(20)]
        await asyncio.sleep(0.01)
        connection.inject(b"nonsense\r\n")
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        assert all(isinstance(outcome, ConnectionLost) and "RESP" in str(outcome) for outcome in outcomes)
        assert await store.ping()


async def test_a_reply_that_nobody_asked_for_ends_the_connection(proxy: Through) -> None:
    async with create_store(proxy.url) as store:
        assert await store.ping()
        proxy.connections[-1].inject(b"+surprise\r\n")
        await eventually(lambda: not store._node.links)
        assert await store.execute("ECHO", "x") == b"x"


@pytest.mark.parametrize("form", ["valkey-tcp", "pulsards-tcp"])
@pytest.mark.parametrize("username", ["", "nobody"])
async def test_a_wrong_password_is_said_without_the_password(
    servers, tmp_path, form: str, username: str, caplog: pytest.LogCaptureFixture
) -> None:
    scheme = "redis" if form == "valkey-tcp" else "pulsards"
    async with await start_store(f"{scheme}://:right@127.0.0.1:0") as started:
        port = started.dsn.rpartition(":")[2]
        async with create_store(f"{scheme}://{username}:{SECRET}@127.0.0.1:{port}") as store:
            for operation in (store.ping, store.connect, lambda: store.pubsub().subscribe("channel")):
                with pytest.raises(ReplyError) as caught:
                    await operation()
                assert caught.value.code == "WRONGPASS"
                assert f"127.0.0.1:{port}" in whole_text(caught.value)
                assert SECRET not in whole_text(caught.value)
        async with create_store(f"{scheme}://127.0.0.1:{port}") as store:
            with pytest.raises(ReplyError, match="NOAUTH"):
                await store.ping()
    assert SECRET not in caplog.text


@pytest.mark.parametrize("closes", [True, False])
async def test_a_server_that_repeats_the_password_is_not_quoted(fake_server: FakeServer, closes: bool) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(4096):
            words = data.replace(b"\r\n", b" ")
            for _ in range(data.count(b"*")):
                writer.write(b"-ERR unknown command, with args beginning with: " + words + b"\r\n")
            await writer.drain()
            if closes:
                return

    port = await fake_server(handle)
    async with create_store(f"redis://:{SECRET}@127.0.0.1:{port}") as store:
        with pytest.raises(StoreError) as caught:
            await store.ping()
        assert SECRET not in whole_text(caught.value)


async def test_a_database_that_does_not_exist_is_the_servers_error_with_the_address(server_url: str) -> None:
    async with create_store(server_url, db=9999) as store:
        with pytest.raises(ReplyError, match="DB index is out of range") as caught:
            await store.ping()
        assert any("while connecting to 127.0.0.1" in note for note in caught.value.__notes__)


def whole_text(error: BaseException) -> str:
    """All that a log would show of an error: message, notes, causes, traceback."""
    return "".join(traceback.format_exception(error)) + repr(error)
