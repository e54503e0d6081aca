"""From the arguments to the exit status: whatever goes wrong becomes one line on standard error.

Status 0: done. 1: it failed. 2: the command line is wrong. 130: Ctrl-C. No line shows a password: the library masks
its own messages, and what the user typed is masked here before it is repeated.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from typing import Any

import typer

from store_core import StoreError
from store_core.cli.app import UsageError, app

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
_AFTER_SCHEME = re.compile(r"://.*(?=['\")])|://.*", re.DOTALL)
_BEFORE_AT = re.compile(r"[^\s'\"(]+@")


def run(arguments: Sequence[str]) -> int:
    """Run one command line; returns the exit status."""
    try:
        status = _invoke(arguments)
        # What is still in the buffer may meet a reader that has gone.
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return status


def _invoke(arguments: Sequence[str]) -> int:
    try:
        status = typer.main.get_command(app).main(list(arguments), prog_name="store", standalone_mode=False)
    except UsageError as error:
        return _fail(f"{_masked(_sentence(error))} (see {_command(error)} --help)", 2)
    except StoreError as error:
        notes = "; ".join(getattr(error, "__notes__", ()))
        return _fail(f"{error} ({notes})" if notes else str(error))
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except (ModuleNotFoundError, BrokenPipeError):
        raise
    except Exception as error:  # noqa: BLE001 - a backend of somebody else's may raise anything; a traceback helps no user
        return _fail(f"unexpected {type(error).__name__}: {_masked(str(error))}")
    return status if isinstance(status, int) else 0


def _fail(message: str, status: int = 1) -> int:
    # A server's words may hold anything; a terminal obeys control characters.
    sys.stdout.flush()
    sys.stderr.write(f"store: {_CONTROL.sub(' ', message)}\n")
    return status


def _sentence(error: Any) -> str:
    """What is wrong, as the other messages say it: no capital, no full stop."""
    text = str(error.format_message()).strip().rstrip(".")
    return text[:1].lower() + text[1:] if text[1:2].islower() else text


def _command(error: Any) -> str:
    context = getattr(error, "ctx", None)
    return str(context.command_path) if context is not None else "store"


def _masked(text: str) -> str:
    """Without what stands where a connection string has its secrets."""
    return _BEFORE_AT.sub("***@", _AFTER_SCHEME.sub("://***", text))
