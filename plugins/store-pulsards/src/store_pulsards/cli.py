"""``pulsards``: the server from a shell.

The options are those of redis-server, as far as they change something here; any other is an error, so that nobody
relies on a setting that does nothing. Once it listens, the server prints one line on its standard output::

    pulsards ready host=127.0.0.1 port=41235 unixsocket=/run/pulsards.sock

A program that starts a server reads that line, and keeps a pipe to the server's standard input open: with
``--exit-on-stdin-eof`` the server stops when the pipe closes, however the program ended, ``kill -9`` included.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import difflib
import gc
import importlib
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Final, NoReturn

from store_pulsards.engine.config import POLICIES, memory_size
from store_pulsards.engine.engine import Engine
from store_pulsards.engine.replies import ErrorReply
from store_pulsards.server import Limits, Server

log: Final = logging.getLogger("store_pulsards")

DEFAULT_PORT: Final = 6410
PASSWORD_VARIABLE: Final = "PULSARDS_REQUIREPASS"  # noqa: S105 - the name of a variable
EVERYWHERE: Final = "0.0.0.0"  # noqa: S104 - what --bind "*" asks for
SPARE_FILES: Final = 32  # descriptors beside those of the clients, as redis-server keeps them
LOG_LEVELS: Final = {
    "debug": logging.DEBUG,
    "verbose": logging.INFO,
    "notice": logging.WARNING - 5,
    "warning": logging.WARNING,
    "nothing": logging.CRITICAL + 1,
}
NOTICE: Final = LOG_LEVELS["notice"]


class Refused(Exception):
    """The server cannot start; the text is for the person who started it."""


# The options


class Parser(argparse.ArgumentParser):
    """One line for each error, and the option that was meant."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")

    def refuse_unknown(self, given: Sequence[str]) -> NoReturn:
        option = given[0].partition("=")[0]
        if not option.startswith("-"):
            self.error(f"unexpected argument {given[0]!r}")
        near = difflib.get_close_matches(option, self._option_string_actions, n=2)
        self.error(f"unknown option {option!r}" + (f"; did you mean {' or '.join(near)}?" if near else ""))


def _number(least: int, most: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"must be a number from {least} to {most}, not {text!r}")
        return int(text)

    return number


def _permissions(text: str) -> int:
    try:
        mode = int(text, 8)
    except ValueError:
        mode = -1
    if not 0 <= mode <= 0o777:
        raise argparse.ArgumentTypeError(f"must be octal permissions such as 700, not {text!r}")
    return mode


def _memory(text: str) -> bytes:
    try:
        memory_size(b"maxmemory", os.fsencode(text))
    except ErrorReply:
        raise argparse.ArgumentTypeError(f"must be a number of bytes such as 100mb, not {text!r}") from None
    return os.fsencode(text)


def make_parser() -> Parser:
    parser = Parser(prog="pulsards", description="A Redis-compatible server.", allow_abbrev=False)
    add = parser.add_argument
    count = _number(0, 2**31 - 1)
    add(
        "--port",
        type=_number(0, 65535),
        default=DEFAULT_PORT,
        help="TCP port; 0 takes a free one (default: %(default)s)",
    )
    add(
        "--bind",
        nargs="+",
        default=["127.0.0.1"],
        metavar="ADDRESS",
        help="addresses to listen on; '' for no TCP at all",
    )
    add("--unixsocket", metavar="PATH", help="listen on a unix socket, too")
    add("--unixsocketperm", type=_permissions, metavar="MODE", help="permissions of the unix socket, in octal")
    add("--tcp-backlog", type=_number(1, 65535), default=511, metavar="N", help="connections waiting to be accepted")
    add("--tcp-keepalive", type=count, default=300, metavar="SECONDS", help="probe silent peers after that; 0 never")
    add("--protected-mode", choices=["yes", "no"], default="yes", help="without a password, serve this machine only")
    add(
        "--requirepass",
        metavar="PASSWORD",
        help=f"better in the environment, as {PASSWORD_VARIABLE}: arguments can be seen",
    )
    add("--maxclients", type=_number(1, 2**31 - 1), default=10_000, metavar="N", help="clients at a time")
    add("--timeout", type=count, default=0, metavar="SECONDS", help="drop clients idle for so long; 0 never")
    add(
        "--databases",
        type=_number(1, 65536),
        default=16,
        metavar="N",
        help="number of databases (default: %(default)s)",
    )
    add("--maxmemory", type=_memory, default=b"0", metavar="SIZE", help="memory of the data, as in 100mb; 0 for any")
    add(
        "--maxmemory-policy",
        choices=[policy.decode() for policy in POLICIES],
        default="noeviction",
        help="which keys go when there is no room (default: %(default)s)",
    )
    add("--dir", metavar="PATH", help="working directory")
    add("--pidfile", metavar="PATH", help="file that has the process id while the server runs")
    add("--loglevel", choices=list(LOG_LEVELS), default="notice", help="what is logged (default: %(default)s)")
    add("--logfile", default="", metavar="PATH", help="where to; standard error if not given")
    add("--exit-on-stdin-eof", action="store_true", help="stop when standard input, a pipe, closes")
    return parser


def parse_options(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = make_parser()
    options, unknown = parser.parse_known_args(argv)
    if unknown:
        parser.refuse_unknown(unknown)
    options.bind = [EVERYWHERE if host == "*" else host for host in options.bind if host]
    if not options.bind and not options.unixsocket:
        parser.error("nowhere to listen: no address and no --unixsocket")
    if options.unixsocketperm is not None and not options.unixsocket:
        parser.error("--unixsocketperm needs --unixsocket")
    if options.requirepass is None:
        options.requirepass = os.environ.get(PASSWORD_VARIABLE)
    return options


# The process


def main(argv: Sequence[str] | None = None) -> int:
    """Run a server until it is told to stop; return the exit status."""
    options = parse_options(argv)
    try:
        factory = _loop_factory()
        with _process(options), asyncio.Runner(loop_factory=factory) as runner:
            if factory is not None:  # asyncio's own transports are freed by the garbage collector only
                _spare_old_objects()
            runner.run(serve(options))
    except Refused as error:
        sys.stderr.write(f"pulsards: {error}\n")
        return 1
    return 0


def _spare_old_objects() -> None:
    """Keep the garbage collector off the keyspace: it would look at every list and hash again and again.

    Nothing of the server lives in cycles when it has grown old, and a connection leaves none; young objects, those
    of exceptions say, are collected as ever. CPython 3.14 has no third threshold, and collects in small steps.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(5000, 10, 1_000_000)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop where it is installed."""
    try:
        factory: Callable[[], asyncio.AbstractEventLoop] = importlib.import_module("uvloop").new_event_loop
    except ImportError:
        return None
    return factory


@contextlib.contextmanager
def _process(options: argparse.Namespace) -> Iterator[None]:
    """What surrounds a server: working directory, log, process id."""
    with _refusing("--dir", options.dir):
        if options.dir:
            os.chdir(options.dir)
    logging.addLevelName(NOTICE, "NOTICE")
    with _refusing("--logfile", options.logfile):
        logging.basicConfig(
            filename=options.logfile or None,
            level=LOG_LEVELS[options.loglevel],
            format="%(process)d %(asctime)s %(levelname)s %(message)s",
        )
    pidfile = Path(options.pidfile) if options.pidfile else None
    with _refusing("--pidfile", options.pidfile):
        if pidfile is not None:
            pidfile.write_text(f"{os.getpid()}\n")
    try:
        yield
    finally:
        if pidfile is not None:
            pidfile.unlink(missing_ok=True)


@contextlib.contextmanager
def _refusing(what: str, value: object) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        # The system's words, not asyncio's longer ones; a name that does not resolve has a number of another kind.
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        raise Refused(f"{what} {value}: {reason or error}") from error


async def serve(options: argparse.Namespace) -> None:
    """Listen, say so, and wait for the end."""
    limits = Limits(clients=_clients(options.maxclients), idle=options.timeout)
    engine = Engine(databases=options.databases, password=options.requirepass)
    engine.config.set([(b"maxmemory", options.maxmemory), (b"maxmemory-policy", options.maxmemory_policy.encode())])
    server = Server(
        engine,
        limits=limits,
        backlog=options.tcp_backlog,
        keepalive=options.tcp_keepalive,
        protected=options.protected_mode == "yes",
    )
    stop = _stop_signal(options.exit_on_stdin_eof)
    server.engine.shut_down = partial(_tell, stop, "SHUTDOWN")
    try:
        place = await _listen(server, options)
        log.log(NOTICE, "ready: %s", place)
        with contextlib.suppress(BrokenPipeError):
            sys.stdout.write(f"pulsards ready {place}\n")
            sys.stdout.flush()
        log.log(NOTICE, "stopping: %s", await stop)
    finally:
        await server.close()


async def _listen(server: Server, options: argparse.Namespace) -> str:
    """Open every listener; return where they are, in the words of the ready line."""
    place: list[str] = []
    port = options.port
    for host in options.bind:
        with _refusing("cannot listen on", f"{host}:{port}"):
            bound, port = await server.listen_tcp(host, port)
        place = place or [f"host={bound} port={port}"]
    if options.unixsocket:
        with _refusing("cannot listen on", options.unixsocket):
            place.append(f"unixsocket={await server.listen_unix(options.unixsocket, options.unixsocketperm)}")
    return " ".join(place)


def _stop_signal(at_eof: bool) -> asyncio.Future[str]:
    """A future that has the reason when the server is to stop."""
    loop = asyncio.get_running_loop()
    stop: asyncio.Future[str] = loop.create_future()
    tell = partial(_tell, stop)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, tell, number.name)
    if at_eof:
        try:
            loop.add_reader(sys.stdin.fileno(), _watch_stdin, tell)
        except (OSError, ValueError) as error:  # not something that can be waited for: a file, /dev/null, closed
            raise Refused("--exit-on-stdin-eof needs a pipe as standard input") from error
    return stop


def _tell(stop: asyncio.Future[str], reason: str) -> None:
    if not stop.done():
        stop.set_result(reason)


def _watch_stdin(tell: Callable[[str], None]) -> None:
    fd = sys.stdin.fileno()
    if not os.read(fd, 4096):
        asyncio.get_running_loop().remove_reader(fd)
        tell("standard input was closed")


def _clients(wanted: int) -> int:
    """As many clients as asked for, or as descriptors can be had for."""
    try:
        import resource
    except ImportError:  # not on Windows, which knows no such limit
        return wanted
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + SPARE_FILES
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        if soft < needed:
            log.warning("only %d clients: the limit of open files is %d", soft - SPARE_FILES, soft)
            return soft - SPARE_FILES
    return wanted
