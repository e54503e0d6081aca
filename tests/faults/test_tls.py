"""TLS: verified by default, and every mismatch is an error that says so."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from tests.faults.conftest import Through, run_on

from store_core import ConnectionFailed, DSNError, Store, create_store

OPENSSL = shutil.which("openssl")
pytestmark = pytest.mark.skipif(OPENSSL is None, reason="certificates are made with the openssl binary")


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with self-signed certificates: ``server`` for 127.0.0.1 and localhost, ``client``, ``other``."""
    folder = tmp_path_factory.mktemp("tls")
    for name, alternatives in (
        ("server", "IP:127.0.0.1,DNS:localhost"),
        ("client", "DNS:client"),
        ("other", "DNS:elsewhere.example"),
    ):
        subprocess.run(
            [
                OPENSSL or "openssl",
                *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"),
                *("-keyout", str(folder / f"{name}.key"), "-out", str(folder / f"{name}.crt")),
                *("-subj", f"/CN={name}", "-addext", f"subjectAltName={alternatives}"),
            ],
            check=True,
            capture_output=True,
        )
    return folder


class Terminator:
    """Takes TLS off and passes the rest on to a plain server."""

    def __init__(self, context: ssl.SSLContext, port: int) -> None:
        self._context = context
        self._target = port
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> int:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self._context)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        plain_reader, plain_writer = await asyncio.open_connection("127.0.0.1", self._target)
        try:
            await asyncio.wait(
                [
                    asyncio.ensure_future(_pump(reader, plain_writer)),
                    asyncio.ensure_future(_pump(plain_reader, writer)),
                ],
            )
        except asyncio.CancelledError:
            pass
        finally:
            writer.close()
            plain_writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


def server_context(certificates: Path, name: str = "server") -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / f"{name}.crt", certificates / f"{name}.key")
    return context


@pytest.fixture
async def tls_port(certificates: Path, valkey_url: str) -> AsyncIterator[int]:
    """The port of a Valkey behind TLS."""
    async with Terminator(server_context(certificates), int(valkey_url.rpartition(":")[2])) as port:
        yield port


@pytest.mark.parametrize("url", ["rediss://127.0.0.1:{}", "valkeys://localhost:{}", "redis://127.0.0.1:{}?tls=true"])
async def test_a_trusted_certificate_is_enough(tls_port: int, certificates: Path, url: str) -> None:
    async with create_store(url.format(tls_port), tls_ca_file=str(certificates / "server.crt")) as store:
        value = bytes(range(256)) * 4000
        await store.execute("SET", "tls", value)
        assert await store.execute("GET", "tls") == value
        replies = await asyncio.gather(*(store.execute("ECHO", number) for number in range(1000)))
        assert replies == [b"%d" % number for number in range(1000)]
        async with store.pubsub() as pubsub:
            await pubsub.subscribe("channel")
            await store.execute("PUBLISH", "channel", "x")
            assert (await anext(aiter(pubsub))).data == b"x"


async def test_redis_pys_client_of_a_tls_store_watches_over_tls(tls_port: int, certificates: Path) -> None:
    async with create_store(f"rediss://127.0.0.1:{tls_port}", tls_ca_file=str(certificates / "server.crt")) as store:
        pipeline = store.client().pipeline()
        await pipeline.watch("tls")
        pipeline.multi()
        pipeline.set("tls", "watched")
        assert await pipeline.execute() == [True]


async def test_an_unknown_certificate_is_refused_by_default(tls_port: int) -> None:
    async with create_store(f"rediss://127.0.0.1:{tls_port}") as store:
        with pytest.raises(ConnectionFailed, match=rf"127\.0\.0\.1:{tls_port}: TLS failed \(self.signed certificate"):
            await store.ping()


async def test_a_certificate_file_of_ones_own_replaces_the_systems(certificates: Path) -> None:
    from store_redis.dial import tls_context

    store = create_store("rediss://127.0.0.1", tls_ca_file=str(certificates / "server.crt"))
    assert len(tls_context(store.params).get_ca_certs()) == 1
    assert tls_context(store.params).verify_mode is ssl.CERT_REQUIRED
    assert tls_context(create_store("rediss://127.0.0.1").params).check_hostname


async def test_a_certificate_for_another_name_is_refused(certificates: Path, valkey_url: str) -> None:
    async with Terminator(server_context(certificates, "other"), int(valkey_url.rpartition(":")[2])) as port:
        trusted = str(certificates / "other.crt")
        async with create_store(f"rediss://127.0.0.1:{port}", tls_ca_file=trusted) as store:
            with pytest.raises(ConnectionFailed, match=r"TLS failed \(.*(mismatch|not valid for)"):
                await store.ping()
        async with create_store(
            f"rediss://127.0.0.1:{port}", tls_ca_file=trusted, tls_server_name="elsewhere.example"
        ) as store:
            assert await store.ping()


async def test_the_name_that_a_certificate_must_carry_reaches_redis_py(certificates: Path, valkey_url: str) -> None:
    async with Terminator(server_context(certificates, "other"), int(valkey_url.rpartition(":")[2])) as port:
        named = {"tls_ca_file": str(certificates / "other.crt"), "tls_server_name": "elsewhere.example"}
        async with create_store(f"rediss://127.0.0.1:{port}", **named) as store:
            pipeline = store.client().pipeline()
            await pipeline.watch("tls")
            pipeline.multi()
            pipeline.echo("named")
            assert await pipeline.execute() == [b"named"]


async def test_verification_can_be_turned_off(tls_port: int) -> None:
    async with create_store(f"rediss://127.0.0.1:{tls_port}?tls_verify=false") as store:
        assert await store.ping()


async def test_a_client_certificate_is_shown(certificates: Path, valkey_url: str) -> None:
    context = server_context(certificates)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(certificates / "client.crt")
    async with Terminator(context, int(valkey_url.rpartition(":")[2])) as port:
        url, trusted = f"rediss://127.0.0.1:{port}", str(certificates / "server.crt")
        mine = {"tls_cert_file": str(certificates / "client.crt"), "tls_key_file": str(certificates / "client.key")}
        async with create_store(url, tls_ca_file=trusted, **mine) as store:
            assert await store.ping()
        foreign = {"tls_cert_file": str(certificates / "other.crt"), "tls_key_file": str(certificates / "other.key")}
        for shown in ({}, foreign):
            async with create_store(url, tls_ca_file=trusted, **shown) as store:
                with pytest.raises(ConnectionFailed, match="certificate") as caught:
                    await store.ping()
                assert f"127.0.0.1:{port}" in str(caught.value)


@pytest.mark.parametrize("parameter", ["tls_ca_file", "tls_cert_file"])
@pytest.mark.parametrize("there", [True, False])
async def test_a_file_that_is_no_certificate_is_said(tmp_path: Path, parameter: str, there: bool) -> None:
    file = tmp_path / "not.pem"
    if there:
        file.write_text("nothing")
    async with create_store("rediss://127.0.0.1:1", **{parameter: str(file)}) as store:
        with pytest.raises(DSNError, match="a TLS file cannot be used"):
            await store.ping()


async def test_tls_to_a_plain_port_is_connection_failed(proxy: Through) -> None:
    async with create_store(f"redis://127.0.0.1:{proxy.port}?tls=true&timeout=1") as store:
        with pytest.raises(ConnectionFailed, match=f"127.0.0.1:{proxy.port}"):
            await store.ping()


async def test_tls_to_a_server_that_answers_in_plain_text_says_that_tls_failed(fake_server: Any) -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"-ERR Protocol error: unbalanced quotes in request\r\n")
        await writer.drain()

    port = await fake_server(plain)
    async with create_store(f"rediss://127.0.0.1:{port}") as store:
        with pytest.raises(ConnectionFailed, match=rf"127\.0\.0\.1:{port}: TLS failed \(WRONG_VERSION_NUMBER\)"):
            await store.ping()


async def test_plain_to_a_tls_port_is_connection_failed(tls_port: int) -> None:
    async with create_store(f"redis://127.0.0.1:{tls_port}?timeout=5") as store:
        with pytest.raises(ConnectionFailed, match=f"127.0.0.1:{tls_port}: .*if it speaks TLS, use rediss://"):
            await store.ping()


async def test_plain_to_a_tls_port_that_answers_with_an_alert_is_told_to_use_tls(fake_server: Any) -> None:
    async def alert(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"\x15\x03\x01\x00\x02\x02\x46")
        await writer.drain()

    port = await fake_server(alert)
    async with create_store(f"redis://127.0.0.1:{port}") as store:
        with pytest.raises(ConnectionFailed, match=f"127.0.0.1:{port}: .*RESP.*if it speaks TLS, use rediss://"):
            await store.ping()


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("words", [b"220 mail.example ESMTP\r\n", b"-ERR max number of clients reached\r\n"])
def test_words_that_come_together_with_the_end_of_the_tls_handshake_are_heard(
    certificates: Path, loop: str, words: bytes
) -> None:
    """The connection is over before anything was sent on it: nobody may wait for a reply."""
    context = server_context(certificates)
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # in which the server has the last word

    async def speak_first(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_side=True)
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                writer.write(outgoing.read())
                incoming.write(await reader.read(65536))
        tls.write(words)
        writer.write(outgoing.read())
        with suppress(OSError):
            await writer.drain()
            await reader.read(1)
        writer.close()

    async def main() -> None:
        server = await asyncio.start_server(speak_first, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        trusted = str(certificates / "server.crt")
        async with create_store(f"rediss://127.0.0.1:{port}?timeout=0", tls_ca_file=trusted) as store:
            with pytest.raises(ConnectionFailed, match=rf"127\.0\.0\.1:{port}: .*(RESP|max number of clients)"):
                async with asyncio.timeout(30):
                    await store.ping()
        server.close()

    run_on(loop, main)


async def test_a_tls_connection_that_breaks_is_replaced(tls_port: int, certificates: Path) -> None:
    async with create_store(f"rediss://127.0.0.1:{tls_port}", tls_ca_file=str(certificates / "server.crt")) as store:
        await _killed(store)
        assert await store.ping()


async def _killed(store: Store) -> None:
    number = await store.execute("CLIENT", "ID")
    async with await store.connect() as other:
        await other.execute("CLIENT", "KILL", "ID", number)
    async with asyncio.timeout(30):
        while store._node.links:
            await asyncio.sleep(0.005)
