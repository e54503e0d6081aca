"""The command line: every command, its arguments and its help. What they do is in the modules beside."""

from __future__ import annotations

import asyncio
import sys
from typing import Annotated, Any

import typer

import store_core
from store_core.cli import backends, conformance, replies, stores

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

# What typer raises for a wrong command line: its own click's since 0.26, click's before; BadParameter's base in both.
UsageError: type[Any] = typer.BadParameter.__bases__[0]

_Dsn = Annotated[
    str, typer.Argument(metavar="DSN", help="Connection string, as in redis://127.0.0.1:6379", show_default=False)
]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"store {store_core.__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def store(
    context: typer.Context,
    _: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Look at the installed backends, talk to a data store, start a server."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(2)


@app.command("backends")
def backends_(
    context: typer.Context,
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="A scheme, as in redis: show its parameters.", show_default=False)
    ] = "",
    json: _Json = False,
) -> None:
    """List the backends, or show one.

    The list has a line for each scheme, with the reason where it cannot be used: broken, blocked, or offered twice.
    With NAME, what that backend can do and the parameters of its connection strings.
    """
    if not name:
        backends.list_backends(json)
        return
    try:
        backends.show_backend(name, json)
    except ValueError as error:
        raise UsageError(str(error), context) from error


@app.command()
def ping(dsn: _Dsn) -> None:
    """Ask a store whether it answers.

    Prints PONG and the time of the round trip in milliseconds; connecting is not counted.
    """
    typer.echo(f"PONG {asyncio.run(stores.ping(dsn)) * 1000:.3f} ms")


@app.command("exec", context_settings={"allow_interspersed_args": False})
def exec_(
    context: typer.Context,
    dsn: _Dsn,
    command: Annotated[
        list[str], typer.Argument(metavar="COMMAND", help="The command and its arguments.", show_default=False)
    ],
    raw: Annotated[bool, typer.Option("--raw", help="Print the bytes of the reply as they are.")] = False,
    json: _Json = False,
) -> None:
    """Run one command on a store.

    Prints the reply as redis-cli does. Options stand before DSN: whatever follows it belongs to the command, words
    that begin with '-' too. The first word '--' after DSN is left out; write it twice to send one.

    \b
    store exec redis://127.0.0.1:6379 LRANGE list 0 -1
    store exec --json redis://127.0.0.1:6379 HGETALL user:1
    """
    words = _without_separator(command)
    if not words:
        raise UsageError("a command comes after DSN", context)
    if words[0].startswith("-"):
        raise UsageError(f"options stand before DSN, and no command is called {words[0]!r}", context)
    if raw and json:
        raise UsageError("--raw and --json exclude each other", context)
    reply = asyncio.run(stores.execute(dsn, words))
    if raw:
        sys.stdout.buffer.write(replies.as_raw(reply) + b"\n")
    else:
        typer.echo(replies.as_json(reply) if json else replies.as_text(reply, words))


@app.command()
def start(
    dsn: Annotated[
        str,
        typer.Argument(
            metavar="DSN", help="Where it is to answer, as in redis://127.0.0.1:6379; port 0 takes a free one."
        ),
    ],
) -> None:
    """Start a server.

    Prints its connection string and keeps it running until Ctrl-C or SIGTERM.
    """
    asyncio.run(stores.start(dsn, lambda line: print(line, flush=True)))  # noqa: T201 - a reader waits for the line


@app.command("conformance")
def conformance_(
    dsn: _Dsn,
    json: Annotated[
        str, typer.Option("--json", metavar="FILE", help="Write the whole result to FILE.", show_default=False)
    ] = "",
    may_flush: Annotated[
        bool, typer.Option("--may-flush", help="Also run what empties the database, or creates and deletes others.")
    ] = False,
) -> None:
    """Prove a backend by the conformance kit.

    Runs the kit on a store that is there and prints a line for each section, with the reasons for what was skipped
    and what failed. What it writes has keys of its own and is deleted again. Needs the extra [testing].
    """
    raise typer.Exit(conformance.conformance(dsn, json, may_flush))


def _without_separator(command: list[str]) -> list[str]:
    words = list(command)
    if "--" in words:
        words.remove("--")
    return words
