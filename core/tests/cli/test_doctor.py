"""``store doctor``: whatever is installed, however broken, is a line of the report and costs the others nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

FINE = """
from store_core import Capability, Store
class Fine(Store):
    '''Fine as it is.'''
    store_spec = (1, 0)
    capabilities = frozenset({Capability.EXECUTE})
    async def execute(self, *args, **options):
        return args
"""
EXTENSION = """
from store_core import hookimpl
class Counter:
    @hookimpl
    def store_execute(self, operation):
        return operation
    @hookimpl
    def store_created(self, store):
        pass
"""
HANG = "import time\nwhile True: time.sleep(1)\n"


@pytest.fixture
def install(tmp_path: Path) -> Callable[..., str]:
    """Install a distribution with one entry point; returns the folder for PYTHONPATH."""

    def install(name: str, source: str, point: str = "fine", attribute: str = "Fine", group: str = "backends") -> str:
        module = name.replace("-", "_")
        info = tmp_path / f"{module}-2.5.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 2.5\n")
        (info / "entry_points.txt").write_text(f"[store_core.{group}]\n{point} = {module}:{attribute}\n")
        (tmp_path / f"{module}.py").write_text(source)
        return str(tmp_path)

    return install


@pytest.fixture
def doctor(run, tmp_path: Path) -> Callable[..., tuple[int, dict]]:
    """The status and the report over what the test has installed."""

    def doctor(*arguments: str, **variables: str) -> tuple[int, dict]:
        result = run("doctor", "--json", *arguments, PYTHONPATH=str(tmp_path), **variables)
        assert result.stderr == ""
        return result.returncode, json.loads(result.stdout)

    return doctor


def rows(report: dict, kind: str = "backends") -> dict[tuple[str, str], dict]:
    return {(row["name"], row["distribution"]): row for row in report[kind]}


def test_what_is_fine_is_told_with_everything_that_was_found(doctor, install):
    install("fine-store", FINE)
    status, report = doctor()
    row = rows(report)["fine", "fine-store"]
    assert row.pop("import_ms") > 0
    assert row == {
        "kind": "backend",
        "name": "fine",
        "distribution": "fine-store",
        "version": "2.5",
        "target": "fine_store:Fine",
        "status": "ok",
        "pinned": False,
        "spec": [1, 0],
        "capabilities": ["execute"],
        "hooks": [],
        "problem": "",
        "remedy": "",
    }
    assert (status, report["ok"], report["hook_spec"], report["settings"]) == (0, True, [1, 0], [])


def test_the_own_backends_are_fine(doctor):
    _, report = doctor()
    found = {row["name"]: row["status"] for row in report["backends"] if row["distribution"] == "store-redis"}
    assert {"redis", "rediss", "unix", "valkey", "valkeys", "redis+sentinel"} <= found.keys()
    assert set(found.values()) == {"ok"}


BROKEN = {
    "hangs": (HANG, "hangs", "importing it took longer than 3 s", "STORE_BLOCK=bad-store"),
    "ends the process": ("import os; os._exit(7)", "crashes", "with status 7", "reinstall or remove bad-store"),
    "ends it with status 0": ("import os; os._exit(0)", "crashes", "with status 0", "STORE_BLOCK=bad-store"),
    "is killed": ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "crashes", "by SIGSEGV", "STORE_BLOCK="),
    "crashes in C": ("import ctypes; ctypes.string_at(0)", "crashes", "by SIGSEGV", "STORE_BLOCK=bad-store"),
    "dies with words": (
        "import os, sys; sys.stderr.write('out of\\ncheese\\n'); sys.stderr.flush(); os.abort()",
        "crashes",
        "by SIGABRT: cheese",
        "STORE_BLOCK=bad-store",
    ),
    "exits": ("raise SystemExit(3)", "broken", "(SystemExit: 3)", "reinstall or remove bad-store"),
    "interrupts": ("raise KeyboardInterrupt", "broken", "KeyboardInterrupt", "STORE_BLOCK=bad-store"),
    "raises": ("1 / 0", "broken", "ZeroDivisionError", "reinstall or remove bad-store"),
    "lacks a library": ("import no_such_library", "broken", "No module named 'no_such_library'", "reinstall"),
    "has no class": ("", "broken", "AttributeError", "reinstall or remove bad-store"),
    "is no Store": ("class Fine: pass", "broken", "not a subclass of store_core.Store", "report it to its author"),
    "is for the future": (FINE.replace("(1, 0)", "(9, 0)"), "incompatible", "hook spec 9.0", "upgrade store-core"),
    "is for the past": (FINE.replace("(1, 0)", "(0, 9)"), "incompatible", "hook spec 0.9", "upgrade bad-store"),
    "declares what it has not": (
        FINE.replace("{Capability.EXECUTE}", "{Capability.EXECUTE, Capability.WATCH}"),
        "broken",
        "declares watch and has no watch() of its own",
        "report it to its author",
    ),
}


@pytest.mark.parametrize(("source", "status", "problem", "remedy"), BROKEN.values(), ids=BROKEN)
def test_what_is_broken_is_a_row_with_its_remedy_beside_the_others(doctor, install, source, status, problem, remedy):
    install("bad-store", source, "bad")
    install("fine-store", FINE)
    exit_status, report = doctor("--limit", "3")
    bad = rows(report)["bad", "bad-store"]
    assert (bad["status"], exit_status, report["ok"]) == (status, 1, False)
    assert problem in bad["problem"]
    assert remedy in bad["remedy"]
    assert rows(report)["fine", "fine-store"]["status"] == "ok"


def test_a_backend_that_talks_and_leaves_a_thread_and_a_child_is_ended(doctor, install, tmp_path):
    pid = tmp_path / "pid"
    child = tmp_path / "child.py"
    child.write_text(
        f"import os, pathlib, time\npathlib.Path({str(pid)!r}).write_text(str(os.getpid()))\ntime.sleep(600)"
    )
    noise = f"""
import os, subprocess, sys, threading, time
print("hello")
subprocess.Popen([sys.executable, {str(child)!r}])
while not os.path.exists({str(pid)!r}) or not os.path.getsize({str(pid)!r}): time.sleep(0.01)
threading.Thread(target=time.sleep, args=(600,)).start()
"""
    install("fine-store", noise + FINE)
    status, report = doctor()
    assert (status, rows(report)["fine", "fine-store"]["status"]) == (0, "ok")
    assert wait_until_gone(int(pid.read_text()))


def wait_until_gone(pid: int) -> bool:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        try:
            # A child whose parent has ended is a zombie until somebody takes its status.
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
            os.kill(pid, 0)
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.02)
    return False


def test_a_warning_is_told_and_nothing_is_wrong(doctor, install):
    install("fine-store", FINE.replace("    store_spec = (1, 0)\n", "").replace("Capability.EXECUTE", "'fly'"))
    status, report = doctor()
    row = rows(report)["fine", "fine-store"]
    assert (row["status"], status) == ("warning", 0)
    assert "does not say which hook spec" in row["problem"]
    assert "declares 'fly', which is no capability" in row["problem"]


def test_a_conflict_names_the_rivals_and_the_pin_that_ends_it(doctor, install):
    install("fine-store", FINE)
    install("rival-store", FINE)
    status, report = doctor()
    for name in ("fine-store", "rival-store"):
        row = rows(report)["fine", name]
        assert (row["status"], row["spec"]) == ("conflict", [1, 0])
        assert "fine-store and rival-store" in row["problem"]
        assert row["remedy"] == "pin one with STORE_BACKEND_FINE=fine-store"
    assert status == 1
    status, report = doctor(STORE_BACKEND_FINE="rival-store")
    assert [(row["status"], row["pinned"]) for row in report["backends"] if row["name"] == "fine"] == [
        ("not pinned", False),
        ("ok", True),
    ]
    assert status == 0


def test_a_pin_that_names_nobody_is_a_conflict(doctor, install):
    install("fine-store", FINE)
    status, report = doctor(STORE_BACKEND_FINE="store-nobody")
    row = rows(report)["fine", "fine-store"]
    assert (row["status"], status) == ("conflict", 1)
    assert row["remedy"] == "set STORE_BACKEND_FINE to one of: fine-store"


def test_what_is_blocked_is_listed_and_not_loaded(doctor, install, tmp_path):
    touch = f"open({str(tmp_path / 'loaded')!r}, 'w').close()\n"
    install("bad-store", touch + HANG, "bad")
    install("bad-extension", touch + HANG, "loud", group="extensions")
    status, report = doctor("--limit", "3", STORE_BLOCK="bad-store,bad_extension")
    blocked = [rows(report)["bad", "bad-store"], rows(report, "extensions")["loud", "bad-extension"]]
    assert [(row["status"], row["import_ms"]) for row in blocked] == [("blocked", None)] * 2
    assert status == 0
    assert not (tmp_path / "loaded").exists()


def test_settings_that_name_what_is_not_there_are_wrong(doctor):
    status, report = doctor(STORE_BLOCK="store-nobody", STORE_BACKEND_NOTHING="store-redis")
    assert [each["setting"] for each in report["settings"]] == [
        "STORE_BLOCK=store-nobody",
        "STORE_BACKEND_NOTHING=store-redis",
    ]
    assert (status, report["ok"]) == (1, False)


def test_a_scheme_that_no_connection_string_can_have_is_wrong(doctor, install):
    install("fine-store", FINE, "under_score")
    status, report = doctor()
    assert (rows(report)["under_score", "fine-store"]["status"], status) == ("broken", 1)


def test_an_extension_is_told_with_its_hooks(doctor, install):
    install("count-extension", EXTENSION, "count", "Counter", "extensions")
    status, report = doctor()
    row = rows(report, "extensions")["count", "count-extension"]
    assert (row["status"], row["hooks"], status) == ("ok", ["store_created", "store_execute"], 0)


@pytest.mark.parametrize(
    ("source", "status", "problem"),
    [
        ("1 / 0", "broken", "ZeroDivisionError"),
        (HANG, "hangs", "longer than 3 s"),
        ("class Counter: pass", "broken", "implements no hook"),
        (EXTENSION.replace("store_created", "store_crated"), "broken", "store_crated"),
    ],
)
def test_an_extension_that_is_broken_says_how_to_hide_it(doctor, install, source, status, problem):
    install("count-extension", source, "count", "Counter", "extensions")
    exit_status, report = doctor("--limit", "3")
    row = rows(report, "extensions")["count", "count-extension"]
    assert (row["status"], exit_status) == (status, 1)
    assert problem in row["problem"]
    assert row["remedy"].endswith("STORE_BLOCK=count-extension")


def test_several_that_hang_are_waited_for_together(doctor, install, tmp_path):
    # Each ends only when it has seen another one start: alone, it would hang.
    meet = f"""
import os, time
open({str(tmp_path)!r} + '/here-' + __name__, 'w').close()
while len([name for name in os.listdir({str(tmp_path)!r}) if name.startswith('here-')]) < 2: time.sleep(0.01)
"""
    if (os.cpu_count() or 1) < 2:
        pytest.skip("one processor loads one at a time")
    install("fine-store", meet + FINE)
    install("other-store", meet + FINE, "other")
    status, _ = doctor()
    assert status == 0


def test_the_report_for_people_has_a_row_for_each_and_a_line_for_each_problem(run, install):
    install("bad-store", "raise ValueError('two\\nlines')", "bad")
    path = install("fine-store", FINE)
    result = run("doctor", PYTHONPATH=path)
    table, *problems, verdict = result.stdout.rstrip("\n").split("\n\n")
    header, *lines = table.splitlines()
    assert header.split() == ["KIND", "NAME", "DISTRIBUTION", "VERSION", "SPEC", "IMPORT", "STATUS", "TARGET", "CAN"]
    cells = {line.split()[1]: line.split() for line in lines}
    assert cells["fine"][2:5] == ["fine-store", "2.5", "1.0"]
    assert cells["fine"][5:] == [cells["fine"][5], "ms", "ok", "fine_store:Fine", "execute"]
    assert "broken" in cells["bad"]
    (problem,) = problems
    assert problem.startswith("backend bad of bad-store 2.5: broken: the backend bad_store:Fine")
    assert "two lines" in problem
    assert problem.endswith("STORE_BLOCK=bad-store")
    assert verdict.endswith(": something is wrong")
    assert result.returncode == 1


@pytest.fixture
def interrupted(command, install, tmp_path) -> Iterator[subprocess.Popen[str]]:
    """A doctor that has reached a backend which hangs."""
    note = f"import os\nopen({str(tmp_path / 'new')!r}, 'w').write(str(os.getpid()))\n"
    note += f"os.rename({str(tmp_path / 'new')!r}, {str(tmp_path / 'pid')!r})\n"
    path = install("bad-store", note + HANG, "bad")
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    clean = {name: value for name, value in os.environ.items() if not name.startswith("STORE_")}
    process = subprocess.Popen(
        [*command, "doctor", "--limit", "600"],
        env={**clean, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not (tmp_path / "pid").exists():
        assert process.poll() is None
        time.sleep(0.01)
    yield process
    process.kill()
    process.communicate()
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_ends_the_processes_too(interrupted, tmp_path):
    interrupted.send_signal(signal.SIGINT)
    _, errors = interrupted.communicate(timeout=30)
    assert (interrupted.returncode, errors) == (130, "")
    assert wait_until_gone(int((tmp_path / "pid").read_text()))
