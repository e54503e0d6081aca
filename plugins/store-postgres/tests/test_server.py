"""start_store: a real server, started, stopped, and never left behind."""

from __future__ import annotations

import asyncio
import os
import pwd
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from store_core import DSN, ConnectionFailed, DSNError, ReplyError, Unsupported, create_store, start_store
from store_core.testing.section import eventually
from store_postgres import server as server_module
from store_postgres.server import find_binaries

OWNER = """
import asyncio
from store_core import start_store

async def main():
    store = await start_store("postgres://127.0.0.1:0")
    row = await store.execute("SELECT pg_backend_pid() AS pid, current_setting('data_directory') AS data")
    print(store._server.process.pid, row[0]["data"], flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""

ONCE = """
import asyncio
from store_core import start_store

async def main():
    async with await start_store("postgres://127.0.0.1:0") as store:
        print(await store.execute("SELECT 1 AS one"))

asyncio.run(main())
"""


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"


async def test_a_started_server_answers_at_the_stores_dsn_and_goes_with_it(binaries):
    async with await start_store("postgres://127.0.0.1:0/shop") as store:
        assert (store.database, DSN.parse(store.dsn).username) == ("shop", "postgres")
        async with create_store(store.dsn) as second:
            assert await second.ping() is True
        data = Path((await store.execute("SHOW data_directory"))[0]["data_directory"])
        url = store.dsn
    assert not data.exists()
    async with create_store(url) as gone:
        with pytest.raises(ConnectionFailed):
            await gone.ping()


async def test_nobody_gets_in_without_the_password_and_no_repr_has_it(binaries):
    async with await start_store("postgres://127.0.0.1:0") as store:
        password = DSN.parse(store.dsn).password
        assert password
        assert password not in repr(store)
        commands = subprocess.run(["ps", "axww", "-o", "args"], capture_output=True, text=True, check=True).stdout
        assert password not in commands
        async with create_store(store.dsn, password="hunter2") as stranger:
            with pytest.raises(ReplyError):
                await stranger.ping()


async def test_start_store_with_a_server_that_runs_starts_none(server_url):
    async with await start_store(server_url) as store:
        assert store._server is None


async def test_data_in_a_directory_of_ones_own_is_there_the_next_time(own_server, folder):
    async with create_store(own_server.url) as store:
        await store.execute("CREATE TABLE kept (n int)")
    await own_server.stop()
    assert (folder / "data" / "PG_VERSION").exists()
    await own_server.start()
    async with create_store(own_server.url) as store:
        assert await store.execute("SELECT * FROM kept") == []


async def test_a_server_on_a_unix_socket(binaries, folder):
    place = folder / "s"
    place.mkdir()
    place.chmod(0o777)
    async with await start_store("postgres:///shop", host=str(place)) as store:
        assert await store.ping() is True
        assert (place / ".s.PGSQL.5432").exists()
        assert store.dialer.address == str(place)
        async with create_store(store.dsn) as second:
            assert second.database == "shop"
            assert await second.ping() is True


@pytest.mark.parametrize(
    ("url", "params", "error"),
    [
        ("postgres://127.0.0.1:0", {"data": "/tmp/x"}, DSNError),
        ("postgres://127.0.0.1:0", {"sslmode": "require"}, Unsupported),
        ("postgres://192.0.2.1:0", {}, DSNError),
    ],
)
async def test_what_cannot_be_started_says_why(binaries, url, params, error):
    with pytest.raises(error):
        await start_store(url, **params)


async def test_a_server_that_does_not_start_says_its_last_words(binaries, folder):
    (folder / "data").mkdir()
    (folder / "data" / "PG_VERSION").write_text("1\n")
    with pytest.raises(ConnectionFailed, match="did not start at 127"):
        await start_store("postgres://a:b@127.0.0.1:0", data=str(folder / "data"))
    if os.geteuid() != 0:
        return
    # The directory of root's server belongs to whom it runs as.
    assert pwd.getpwuid((folder / "data").stat().st_uid).pw_name != "root"


def test_without_binaries_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(server_module, "PLACES", ())
    with pytest.raises(Unsupported, match="apt-get install postgresql"):
        find_binaries()


def test_the_newest_version_is_taken(monkeypatch, tmp_path):
    for version in ("9.6", "15", "17"):
        folder = tmp_path / version / "bin"
        folder.mkdir(parents=True)
        for name in ("initdb", "postgres"):
            (folder / name).touch()
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(server_module, "PLACES", (f"{tmp_path}/*/bin",))
    assert find_binaries() == tmp_path / "17" / "bin"


async def test_a_server_goes_when_its_program_is_killed(binaries):
    owner = await asyncio.create_subprocess_exec(sys.executable, "-c", OWNER, stdout=subprocess.PIPE)
    supervisor, data = (await owner.stdout.readline()).decode().split()
    postmaster = int((Path(data) / "postmaster.pid").read_text().splitlines()[0])
    assert alive(postmaster)
    owner.send_signal(signal.SIGKILL)
    await owner.wait()
    await eventually(lambda: not alive(postmaster) and not alive(int(supervisor)))
    await eventually(lambda: not Path(data).parent.exists())


async def test_a_start_that_is_cancelled_leaves_nothing(binaries, monkeypatch, tmp_path):
    monkeypatch.setattr(server_module.tempfile, "mkdtemp", lambda prefix: _made(tmp_path / prefix))
    starting = asyncio.create_task(start_store("postgres://127.0.0.1:0"))
    await eventually(lambda: list(tmp_path.glob("store-postgres-*/log")))
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert list(tmp_path.iterdir()) == []


def _made(path: Path) -> str:
    path.mkdir(mode=0o700)
    return str(path)


def test_a_user_who_is_not_root_can_start_one(binaries):
    if os.geteuid() != 0:
        pytest.skip("every other test here is that user's")
    nobody = pwd.getpwnam("nobody")
    as_nobody = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": [], "cwd": "/"}
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "HOME": "/"}

    def run(python: str, program: str) -> subprocess.CompletedProcess[str]:
        command = [python, "-B", "-c", program]
        return subprocess.run(command, **as_nobody, env=environment, capture_output=True, text=True, check=False)

    for python in (sys.executable, f"/usr/bin/python3.{sys.version_info.minor}"):
        try:
            if run(python, "import store_postgres").returncode == 0:
                break
        except OSError:  # not there, or closed to others
            continue
    else:
        pytest.skip("no Python of this version that 'nobody' may run, with the modules of these tests")
    done = run(python, ONCE)
    assert (done.stdout, done.stderr) == ("[{'one': 1}]\n", "")
