"""What ``store backends`` shows: every scheme that is offered, and what becomes of it when it is loaded."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import asdict, dataclass
from typing import Any

from store_core import (
    Backend,
    BackendConflict,
    BackendError,
    IncompatibleBackend,
    Parameter,
    Store,
    data_stores,
)
from store_core.cli.tables import print_table
from store_core.parameters import secret_names

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")


@dataclass(frozen=True, slots=True)
class Listed:
    """One row: a scheme, who offers it, and whether it can be used."""

    scheme: str
    distribution: str
    version: str
    target: str
    origin: str
    status: str
    reason: str = ""


def list_backends(as_json: bool) -> None:
    """Print every backend; one that is broken is a row like the others."""
    listed = sorted([*_offered(), *_blocked()], key=lambda row: (row.scheme, row.distribution))
    if as_json:
        _print_json([asdict(row) for row in listed])
    elif listed:
        header = ("SCHEME", "DISTRIBUTION", "VERSION", "TARGET", "ORIGIN", "STATUS")
        print_table(header, [_cells(row) for row in listed])
    else:
        sys.stderr.write("store: no backend is installed; pip install store-redis, or store-pulsards\n")


def show_backend(name: str, as_json: bool) -> None:
    """Print what one backend can do and which parameters it takes.

    Raises:
        ValueError: The name is no scheme; it is not repeated, because it may be anything.
        BackendError: No such backend, or it cannot be loaded.
    """
    scheme = name.partition("://")[0].lower()
    if not _SCHEME.fullmatch(scheme):
        raise ValueError("NAME is a scheme, as in 'redis'")
    backend = data_stores[scheme]
    kind = backend.load()
    if as_json:
        _print_json(_described(backend, kind))
        return
    source = " ".join(filter(None, (backend.distribution, backend.version))) or "registered by this program"
    facts = {
        "backend": f"{scheme}://  {_first_line(kind)}".rstrip(),
        "from": f"{source}, {backend.target} ({backend.origin})",
        "can": ", ".join(sorted(kind.capabilities)) or "nothing that it declares",
    }
    sys.stdout.write("".join(f"{title:<8} {fact}\n" for title, fact in facts.items()) + "\n")
    if kind.parameters:
        print_table(("PARAMETER", "TYPE", "DEFAULT", "SECRET", "HELP"), [_row(each, kind) for each in kind.parameters])
    else:
        sys.stdout.write("It takes no parameters.\n")


def _offered() -> list[Listed]:
    # A scheme may go between the listing and the look-up: the environment is read at each.
    return [_loaded(data_stores[scheme]) for scheme in data_stores if scheme in data_stores]


def _loaded(backend: Backend) -> Listed:
    status, reason = "loaded", ""
    try:
        backend.load()
    except BackendConflict as error:
        status, reason = "conflict", str(error)
    except IncompatibleBackend as error:
        status, reason = "incompatible", str(error)
    except BackendError as error:
        status, reason = "broken", str(error)
    return Listed(backend.scheme, backend.distribution, backend.version, backend.target, backend.origin, status, reason)


def _blocked() -> list[Listed]:
    reason = "STORE_BLOCK hides it"
    return [
        Listed(scheme, claim.distribution, claim.version, claim.value, "entry point", "blocked", reason)
        for scheme, claims in data_stores.blocked().items()
        for claim in claims
    ]


def _cells(row: Listed) -> tuple[str, ...]:
    status = f"{row.status}: {row.reason}" if row.reason else row.status
    return (row.scheme, row.distribution, row.version, row.target, row.origin, status)


def _described(backend: Backend, kind: type[Store]) -> dict[str, Any]:
    secrets = secret_names(kind.parameters)
    return {
        "scheme": backend.scheme,
        "distribution": backend.distribution,
        "version": backend.version,
        "target": backend.target,
        "origin": backend.origin,
        "capabilities": sorted(kind.capabilities),
        "parameters": [
            {
                "name": parameter.name,
                "type": parameter.type.__name__,
                "default": parameter.default,
                "help": parameter.help,
                "secret": parameter.name in secrets,
                "choices": list(parameter.choices),
                "minimum": parameter.minimum,
                "keyword_only": parameter.keyword_only,
            }
            for parameter in kind.parameters
        ],
    }


def _row(parameter: Parameter, kind: type[Store]) -> tuple[str, ...]:
    default = "" if parameter.default in (None, "") else parameter.text(parameter.default)
    secret = "yes" if parameter.name in secret_names(kind.parameters) else ""
    limits = [" or ".join(map(str, parameter.choices))] if parameter.choices else []
    limits += [f"at least {parameter.minimum:g}"] if parameter.minimum is not None else []
    limits += ["keyword only"] if parameter.keyword_only else []
    return (parameter.name, parameter.type.__name__, default, secret, ", ".join([parameter.help, *limits]))


def _first_line(kind: type[Store]) -> str:
    return (kind.__doc__ or "").strip().partition("\n")[0]


def _print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, indent=2) + "\n")
