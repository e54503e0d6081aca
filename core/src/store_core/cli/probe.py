"""The other side of ``store doctor``: a process that loads one backend or extension and says what it found.

It prints one JSON object and ends at once: a thread that the import started keeps nobody waiting. Whatever the
imported code prints goes to standard error.
"""

from __future__ import annotations

import json
import os
import sys
from time import perf_counter
from typing import Any

#: What starts the process: the search path of who asks, before anything is imported.
PROGRAM = """
import json, sys
request = json.loads(sys.argv[1])
sys.path[:] = request["path"]
from store_core.cli.probe import answer
answer(request["kind"], request["claim"])
"""

#: Capability to the methods of which a Store class that declares it has its own.
METHODS = {
    "connect": ("connect",),
    "execute": ("execute",),
    "pipeline": ("execute_pipeline",),
    "transactions": ("execute_transaction",),
    "watch": ("watch",),
    "pubsub": ("pubsub",),
    "flush": ("flush",),
    "databases": ("create_database", "delete_database"),
    "client": ("client",),
    "start": ("start_server",),
}


def answer(kind: str, claim: list[str]) -> None:
    """Print what was found, and end the process."""
    out = os.dup(1)
    os.dup2(2, 1)
    # Imported before the clock starts: what is measured is the backend's own.
    import store_core.extensions
    import store_core.store

    found: dict[str, Any] = {}
    start = perf_counter()
    try:
        _EXAMINE[kind](claim, found)
    except BaseException as error:  # noqa: BLE001 - a backend may raise anything, KeyboardInterrupt too
        found["error"] = type(error).__name__
        found["problem"] = (
            str(error) if isinstance(error, store_core.StoreError) else f"{type(error).__name__}: {error}"
        )
        found["remedy"] = getattr(error, "remedy", "")
    found.setdefault("import_ms", round((perf_counter() - start) * 1000, 3))
    with os.fdopen(out, "w") as stream:
        json.dump(found, stream)
    sys.stderr.flush()
    os._exit(0)


def _examine_backend(claim: list[str], found: dict[str, Any]) -> None:
    from store_core.registry import Backend
    from store_core.store import Store

    scheme, target, distribution, version = claim
    start = perf_counter()
    kind = Backend(scheme, target, distribution, version).load()
    found["import_ms"] = round((perf_counter() - start) * 1000, 3)
    found["spec"] = list(kind.store_spec)
    found["capabilities"] = sorted(map(str, kind.capabilities))
    found["warnings"] = _undeclared_spec(kind, Store) + _unknown(found["capabilities"])
    found["problem"] = "; ".join(_hollow(kind, Store, found["capabilities"]))
    found["remedy"] = "report it to its author" if found["problem"] else ""


def _examine_extension(claim: list[str], found: dict[str, Any]) -> None:
    from store_core.extensions import hooks_of
    from store_core.installed import Claim

    name, target, distribution, version = claim
    found["hooks"] = hooks_of(Claim(name, target, distribution, version))


_EXAMINE = {"backend": _examine_backend, "extension": _examine_extension}


def _hollow(kind: type[Any], base: type[Any], capabilities: list[str]) -> list[str]:
    """What is declared, and not there."""
    return [
        f"it declares {capability} and has no {method}() of its own"
        for capability in capabilities
        for method in METHODS.get(capability, ())
        if _function(kind, method) is _function(base, method)
    ]


def _function(kind: type[Any], name: str) -> Any:
    found = getattr(kind, name)
    return getattr(found, "__func__", found)


def _undeclared_spec(kind: type[Any], base: type[Any]) -> list[str]:
    if any("store_spec" in vars(each) for each in kind.__mro__ if each is not base):
        return []
    return ["it does not say which hook spec it was written for: store_spec = (major, minor)"]


def _unknown(capabilities: list[str]) -> list[str]:
    from store_core.capabilities import Capability

    known = set(map(str, Capability))
    return [f"it declares {each!r}, which is no capability" for each in capabilities if each not in known]
