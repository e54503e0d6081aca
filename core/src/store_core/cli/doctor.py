"""``store doctor``: what is installed, what is wrong with it, and what to do.

Every backend and extension is loaded in a process of its own, a few at a time, each with a time limit and in a session
of its own: one that hangs, crashes, or leaves children behind is reported and ended. What is blocked is not loaded.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import IO, Any

import store_core
from store_core import data_stores
from store_core.cli.probe import PROGRAM
from store_core.cli.tables import print_table
from store_core.installed import Claim, normalized
from store_core.registry import SPEC, is_allowed, is_scheme, pin_variable

#: Processes at a time.
AT_ONCE = min(4, os.cpu_count() or 1)
#: How much of what a process wrote before it died is shown.
_TAIL = 300

_BROKEN = "broken"
_STATUS = {"IncompatibleBackend": "incompatible"}
#: Statuses with which nothing is wrong.
_FINE = frozenset({"ok", "warning", "blocked", "not pinned"})


@dataclass(slots=True)
class Finding:
    """One row: an entry point, and what became of it."""

    kind: str
    name: str
    distribution: str
    version: str
    target: str
    status: str = "ok"
    pinned: bool = False
    import_ms: float | None = None
    spec: list[int] | None = None
    capabilities: list[str] = field(default_factory=list)
    hooks: list[str] = field(default_factory=list)
    problem: str = ""
    remedy: str = ""

    @property
    def fine(self) -> bool:
        """Whether nothing has to be done about it."""
        return self.status in _FINE

    def fails(self, status: str, problem: str, remedy: str = "") -> None:
        """Note what is wrong, and what mends it."""
        self.status, self.problem, self.remedy = status, problem, remedy


def examine(as_json: bool, limit: float) -> bool:
    """Print the report; returns whether all is well."""
    findings = asyncio.run(examined(limit))
    pins = wrong_settings()
    well = not pins and all(finding.fine for finding in findings)
    if as_json:
        report = {
            "store_core": store_core.__version__,
            "hook_spec": list(SPEC),
            "ok": well,
            "backends": [asdict(each) for each in findings if each.kind == "backend"],
            "extensions": [asdict(each) for each in findings if each.kind == "extension"],
            "settings": pins,
        }
        sys.stdout.write(json.dumps(report, indent=2) + "\n")
    else:
        _print(findings, pins, well)
    return well


async def examined(limit: float) -> list[Finding]:
    """Every installed entry point, loaded and judged.

    Args:
        limit: Seconds that each process may take.
    """
    turns = asyncio.Semaphore(AT_ONCE)
    findings = [_finding("backend", scheme, claim) for scheme, found in data_stores.claims().items() for claim in found]
    findings += [_finding("extension", claim.name, claim) for claim in data_stores.extension_claims()]
    findings.sort(key=lambda finding: (finding.kind, finding.name, finding.distribution, finding.target))
    groups: dict[tuple[str, str, str], list[Finding]] = {}
    for finding in findings:
        if finding.status != "blocked":
            # One class often serves several schemes: it is loaded once.
            groups.setdefault((finding.kind, finding.distribution, finding.target), []).append(finding)
    async with asyncio.TaskGroup() as tasks:
        for group in groups.values():
            tasks.create_task(_probe(group, turns, limit))
    _judge_claims(findings)
    return findings


def wrong_settings() -> list[dict[str, str]]:
    """Environment variables of this library that name what is not there, with the remedy."""
    backends = [claim for found in data_stores.claims().values() for claim in found]
    known = {normalized(claim.distribution) for claim in (*backends, *data_stores.extension_claims())}
    pinned = {pin_variable(scheme) for scheme in data_stores.claims()}
    wrong = [
        (f"STORE_BLOCK={name}", "no installed distribution of that name offers a backend or an extension")
        for name in filter(None, map(str.strip, os.environ.get("STORE_BLOCK", "").split(",")))
        if normalized(name) not in known
    ]
    wrong += [
        (f"{name}={value}", "no installed distribution offers that scheme")
        for name, value in sorted(os.environ.items())
        if name.startswith("STORE_BACKEND_") and value and name not in pinned
    ]
    return [{"setting": name, "problem": problem, "remedy": "correct it, or take it away"} for name, problem in wrong]


def _finding(kind: str, name: str, claim: Claim) -> Finding:
    finding = Finding(kind, name, claim.distribution, claim.version, claim.value)
    if not is_allowed(claim):
        finding.fails("blocked", "STORE_BLOCK hides it", f"take {claim.distribution} out of STORE_BLOCK to use it")
    return finding


async def _probe(group: Sequence[Finding], turns: asyncio.Semaphore, limit: float) -> None:
    """Load what the findings have in common, and note what was found in each."""
    first = group[0]
    claim = [first.name, first.target, first.distribution, first.version]
    request = json.dumps({"path": sys.path, "kind": first.kind, "claim": claim})
    async with turns:
        with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
            # Files, not pipes: a child that the backend leaves behind could keep a pipe open for ever.
            status = await _run([sys.executable, "-P", "-c", PROGRAM, request], output, errors, limit)
            found = _answer(output)
            last_words = _tail(errors)
    for finding in group:
        if found is not None:
            _note(finding, found)
        elif status is None:
            remedy = f"report it to its author, remove {finding.distribution}, or hide it with {_block(finding)}"
            finding.fails("hangs", f"importing it took longer than {limit:g} s", remedy)
        else:
            remedy = f"reinstall or remove {finding.distribution}, or hide it with {_block(finding)}"
            finding.fails("crashes", f"importing it ended the process, {_ending(status)}{last_words}", remedy)


async def _run(command: Sequence[str], output: IO[bytes], errors: IO[bytes], limit: float) -> int | None:
    """The exit status of a process; None when its time was up."""
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=errors, start_new_session=True
    )
    try:
        async with asyncio.timeout(limit):
            return await process.wait()
    except TimeoutError:
        return None
    finally:
        _end(process)
        await process.wait()


def _end(process: asyncio.subprocess.Process) -> None:
    """End a process and whatever it started."""
    with suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()


def _answer(output: IO[bytes]) -> dict[str, Any] | None:
    output.seek(0)
    try:
        found = json.loads(output.read())
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _tail(errors: IO[bytes]) -> str:
    size = errors.seek(0, os.SEEK_END)
    errors.seek(max(0, size - _TAIL))
    lines = errors.read().decode("utf-8", "replace").split("\n")
    said = [line.strip() for line in lines if line.strip()]
    return f": {said[-1]}" if said else ""


def _ending(status: int) -> str:
    if status >= 0:
        return f"with status {status}"
    try:
        return f"by {signal.Signals(-status).name}"
    except ValueError:
        return f"by signal {-status}"


def _note(finding: Finding, found: dict[str, Any]) -> None:
    finding.import_ms = found.get("import_ms")
    finding.spec = found.get("spec")
    finding.capabilities = found.get("capabilities", [])
    finding.hooks = found.get("hooks", [])
    if found.get("problem"):
        status = _STATUS.get(found.get("error", ""), _BROKEN)
        finding.fails(status, found["problem"], found["remedy"] or f"hide it with {_block(finding)}")
    elif found.get("warnings"):
        finding.fails("warning", "; ".join(found["warnings"]), "tell its author")


def _judge_claims(findings: Iterable[Finding]) -> None:
    """Which of several entry points of one scheme is used, or why none is."""
    schemes: dict[str, list[Finding]] = {}
    for finding in findings:
        if finding.kind == "backend" and finding.status != "blocked":
            schemes.setdefault(finding.name, []).append(finding)
    for scheme, rivals in schemes.items():
        backend = data_stores[scheme]
        for finding in rivals:
            chosen = (finding.distribution, finding.target) == (backend.distribution, backend.target)
            finding.pinned = backend.origin == "pin" and chosen and not backend.conflict
            if not finding.fine:
                continue
            if not is_scheme(scheme):
                finding.fails(_BROKEN, f"no connection string can begin with {scheme!r}", "report it to its author")
            elif backend.conflict:
                problem, _, remedy = backend.conflict.rpartition("; ")
                finding.fails("conflict", problem, remedy)
            elif not chosen:
                finding.fails("not pinned", f"{pin_variable(scheme)} chooses {backend.distribution}")


def _block(finding: Finding) -> str:
    return f"STORE_BLOCK={finding.distribution}"


def _print(findings: Sequence[Finding], settings: Sequence[dict[str, str]], well: bool) -> None:
    if findings:
        print_table(
            ("KIND", "NAME", "DISTRIBUTION", "VERSION", "SPEC", "IMPORT", "STATUS", "TARGET", "CAN"),
            [_cells(finding) for finding in findings],
        )
    told: dict[str, list[str]] = {}
    for each in findings:
        if each.problem:
            said = f"of {each.distribution} {each.version}: {each.status}: {_told(each)}"
            told.setdefault(said, [each.kind]).append(each.name)
    wrong = [f"{kind} {', '.join(names)} {said}" for said, (kind, *names) in told.items()]
    wrong += [f"{each['setting']}: {each['problem']}; {each['remedy']}" for each in settings]
    sys.stdout.write("".join(f"\n{' '.join(line.split())}\n" for line in wrong))
    verdict = "nothing is wrong" if well else "something is wrong"
    spec = ".".join(map(str, SPEC))
    counts = f"{_count(findings, 'backend')}, {_count(findings, 'extension')}"
    sys.stdout.write(f"\nstore-core {store_core.__version__}, hook spec {spec}, {counts}: {verdict}\n")


def _told(finding: Finding) -> str:
    said = not finding.remedy or finding.problem.endswith(finding.remedy)
    return finding.problem if said else f"{finding.problem}; {finding.remedy}"


def _count(findings: Iterable[Finding], kind: str) -> str:
    number = sum(each.kind == kind for each in findings)
    return f"{number} {kind}{'' if number == 1 else 's'}"


def _cells(finding: Finding) -> tuple[str, ...]:
    spec = ".".join(map(str, finding.spec)) if finding.spec else ""
    took = "" if finding.import_ms is None else f"{finding.import_ms:.1f} ms"
    status = f"{finding.status} (pinned)" if finding.pinned else finding.status
    can = ", ".join(finding.capabilities or finding.hooks)
    whose = (finding.kind, finding.name, finding.distribution, finding.version)
    return (*whose, spec, took, status, finding.target, can)
