"""Both servers side by side: each step is run on both, and must have the same outcome.

The outcome is more than the reply: what other clients are sent (messages, keyspace notifications, the replies of
commands that had blocked), and in the end a digest of everything that is stored. Nothing is timed: whether a client
is blocked is asked for.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.differential.commands import Step, show
from tests.differential.comparing import Reply, patterns_in_order, same, same_kind, same_transaction
from tests.differential.raw import RawClient

BLOCKING = {b"BLPOP", b"BRPOP", b"BLMOVE", b"BRPOPLPUSH", b"BLMPOP", b"BZPOPMIN", b"BZPOPMAX", b"BZMPOP", b"XREAD",
            b"XREADGROUP"}  # fmt: skip
SCANS = {b"SCAN": 1, b"SSCAN": 2, b"HSCAN": 2, b"ZSCAN": 2}  # where the cursor stands
ENDS_MULTI = {b"EXEC", b"DISCARD", b"RESET"}
MOST_PAGES = 2000
LONGEST_LCS = 1100


class Difference(AssertionError):
    """The servers do not agree."""


@dataclass
class Side:
    """One of the servers, with the clients that it has."""

    name: str
    address: tuple[str, int]
    clients: list[RawClient] = field(default_factory=list)
    dump: bytes = b""  # the latest payload of DUMP
    late: dict[int, list[Reply]] = field(default_factory=dict)  # messages that came before the reply after a wait

    def open(self, protocols: Sequence[int], events: bool) -> None:
        """Two clients, one that looks on, and one that asks about them."""
        self.close()
        self.clients = [RawClient(self.address) for _ in range(4)]
        self.control.ask(b"FLUSHALL")
        self.control.ask(b"CONFIG", b"SET", b"notify-keyspace-events", b"KEA" if events else b"")
        for client, protocol in zip(self.clients, protocols, strict=False):
            client.ask(b"HELLO", b"%d" % protocol)
        self.observer.ask(b"HELLO", b"3")
        if events:
            self.observer.ask(b"PSUBSCRIBE", b"__key*__:*")
        self.dump = b""
        self.late = {}

    @property
    def observer(self) -> RawClient:
        return self.clients[2]

    @property
    def control(self) -> RawClient:
        return self.clients[3]

    def blocked(self, client: int) -> bool:
        """Whether a client waits; one that does not has got its reply, or is getting it."""
        about = self.control.ask(b"CLIENT", b"LIST", b"ID", self.clients[client].id)[1]
        flags: bytes = about.partition(b" flags=")[2].partition(b" ")[0]
        return b"b" in flags

    def waits(self, client: int) -> bool:
        """Whether a client is blocked, once that is settled; messages may come in meanwhile."""
        while not self.blocked(client):
            if self.clients[client].readable():
                return False
        return True

    def fill_in(self, command: Sequence[bytes]) -> list[bytes]:
        return [self.dump if word == b"@dump" else word for word in command]

    def close(self) -> None:
        for client in self.clients:
            client.close()
        self.clients = []


@dataclass
class ClientState:
    """What both servers know of a client."""

    in_multi: bool = False
    queued: list[Sequence[bytes]] = field(default_factory=list)
    subscribed: bool = False
    blocked: Sequence[bytes] | None = None


class Arena:
    """Runs steps on both servers."""

    def __init__(self, ours: tuple[str, int], theirs: tuple[str, int]) -> None:
        self.sides = (Side("ours", ours), Side("theirs", theirs))
        self.states: list[ClientState] = []
        self.commands = 0
        self._events = False
        self._tokens = itertools.count()

    def begin(self, protocols: Sequence[int], events: bool) -> None:
        """Empty servers, new clients."""
        for side in self.sides:
            side.open(protocols, events)
        self.states = [ClientState(), ClientState()]
        self._events = events

    def close(self) -> None:
        for side in self.sides:
            side.close()

    def run(self, step: Step) -> None:
        """Run a step, where it makes sense now.

        Raises:
            Difference: The servers do not agree about it.
        """
        state, name = self.states[step.client], step.command[0].upper()
        if state.blocked is not None or not self._sensible(state, step):
            return
        self.commands += 1
        try:
            self._perform(state, name, step)
        except TimeoutError:
            raise Difference(f"{step}: no reply") from None
        except ConnectionError as error:
            raise Difference(f"{step}: {error}") from None

    def _perform(self, state: ClientState, name: bytes, step: Step) -> None:
        special = SPECIAL.get(step.command[0])
        if special is not None:
            special(self, step)
        elif name in SCANS and not state.in_multi:
            self._scan(step)
        elif name.endswith(b"SUBSCRIBE") and len(name) < 13:
            self._subscribe(step)
        else:
            self._send(step)
            self._receive(step)
        self._look_around(step)

    def end(self) -> None:
        """Nobody waits any more, and the same is stored."""
        for client, state in enumerate(self.states):
            if state.blocked is not None:
                self._unblock(client)
        digests = [side.control.ask(b"DEBUG", b"DIGEST") for side in self.sides]
        if digests[0] != digests[1] and (differing := self._differing_keys()):
            raise Difference("not the same is stored: " + ", ".join(differing))

    def _sensible(self, state: ClientState, step: Step) -> bool:
        """Whether the outcome can be compared."""
        name, words = step.command[0].upper(), [word.upper() for word in step.command]
        if b"@dump" in step.command and not all(side.dump for side in self.sides):
            return False
        if name.startswith(b"@") or name.endswith(b"SUBSCRIBE") or name == b"HELLO":  # HELLO: see limits of pulsards
            return not state.in_multi
        if name == b"LCS" and len(words) > 2:
            return not state.in_multi and all(self._length(step, key) <= LONGEST_LCS for key in step.command[1:3])
        if name.startswith(b"SORT") and b"BY" in words and b"ALPHA" in words and len(words) > 5:
            return False  # elements of equal weight are in any order, and some of them chosen or stored
        if name.startswith(b"SORT") and b"BY" in words:  # elements of a set have no order of their own
            return not state.in_multi and self._peek(step, b"TYPE", step.command[1]) != b"set"
        if (b"BYLEX" in words or name.endswith(b"LEX") or name == b"ZLEXCOUNT") and len(words) > 2:
            return not state.in_multi and self._one_score(step, step.command[2 if name == b"ZRANGESTORE" else 1])
        return True

    def _one_score(self, step: Step, key: bytes) -> bool:
        """Whether members have an order of their own: Redis defines no other lexicographic ranges."""
        found = self._peek(step, b"ZRANGE", key, b"0", b"-1", b"WITHSCORES")
        return isinstance(found, bytes) or len({score for _, score in found[1::2]}) <= 1

    def _peek(self, step: Step, *command: bytes) -> Any:
        """Ask our server something by itself."""
        client, control = self.sides[0].clients[step.client], self.sides[0].control
        about = control.ask(b"CLIENT", b"LIST", b"ID", client.id)[1]
        control.ask(b"SELECT", about.partition(b" db=")[2].partition(b" ")[0])
        return control.ask(*command)[1]

    def _length(self, step: Step, key: bytes) -> int:
        found = self._peek(step, b"STRLEN", key)
        return int(found) if found.isdigit() else 0

    def _send(self, step: Step, command: Sequence[bytes] | None = None) -> None:
        for side in self.sides:
            side.clients[step.client].send(side.fill_in(command or step.command))

    def _receive(self, step: Step) -> None:
        state, name = self.states[step.client], step.command[0].upper()
        if name in BLOCKING and not state.in_multi and self._now_waits(step):
            state.blocked = step.command
            if _ends_by_itself(step.command):
                self._unblock(step.client)
            return
        ours, theirs = (self._reply(side, step.client) for side in self.sides)
        self._check(step, state, ours, theirs)
        self._follow(state, step.command, ours)
        if name == b"DUMP" and ours[0] == theirs[0] == "$" and ours[1] and theirs[1]:
            self.sides[0].dump, self.sides[1].dump = ours[1], theirs[1]

    def _check(self, step: Step, state: ClientState, ours: Reply, theirs: Reply) -> None:
        if step.command[0].upper() == b"EXEC" and state.in_multi:
            agree = same_transaction(state.queued, ours, theirs)
        else:
            agree = same(step.command, ours, theirs)
        if not agree:
            raise Difference(_tell(step, ours, theirs))

    def _now_waits(self, step: Step) -> bool:
        """Whether the client is blocked; one whose time may be over in one of the servers counts as such."""
        waits = [side.waits(step.client) for side in self.sides]
        if waits[0] != waits[1] and not _ends_by_itself(step.command):
            raise Difference(_tell(step, *self._told(step.client, waits)))
        return any(waits)

    def _told(self, client: int, waits: Sequence[bool]) -> list[Reply]:
        """The replies of those that do not wait."""
        return [None if wait else self._reply(side, client) for side, wait in zip(self.sides, waits, strict=True)]

    def _follow(self, state: ClientState, command: Sequence[bytes], reply: Reply) -> None:
        """Keep account of the client's transaction and subscriptions."""
        name = command[0].upper()
        if name in ENDS_MULTI and reply[:2] != ("-", b"ERR wrong number of arguments for '%b' command" % name.lower()):
            state.in_multi, state.queued = False, []
            if name == b"RESET":
                state.subscribed = False
        elif name == b"MULTI" and reply[0] == "+":
            state.in_multi = True
        elif reply[:2] == ("+", b"QUEUED"):
            state.queued.append(command)

    def _reply(self, side: Side, client: int) -> Reply:
        """The next reply, messages before it included."""
        connection = side.clients[client]
        pushed = []
        while (reply := connection.read())[0] == ">":
            pushed.append(reply)
        return (*reply, patterns_in_order(pushed)) if pushed else reply

    def _subscribe(self, step: Step) -> None:
        self.states[step.client].subscribed = True
        self._send(step)
        told = [self._drain(side, step.client) for side in self.sides]
        if sorted(told[0], key=repr) != sorted(told[1], key=repr) and not _without_order(step, *told):
            raise Difference(_tell(step, *told))

    def _drain(self, side: Side, client: int) -> list[Reply]:
        """All that has come in for a client that may be sent messages."""
        token = b"token%d" % next(self._tokens)
        connection = side.clients[client]
        connection.send([b"PING", token])
        found = side.late.pop(client, [])
        while token not in repr(reply := connection.read()).encode():
            found.append(reply)
        return found

    def _scan(self, step: Step) -> None:
        """A whole iteration, where the command is one."""
        found = [self._iterate(side, step) for side in self.sides]
        if found[0] != found[1]:
            raise Difference(_tell(step, *found))

    def _iterate(self, side: Side, step: Step) -> Reply:
        client = side.clients[step.client]
        command = list(step.command)
        items: list[Reply] = []
        for _ in range(MOST_PAGES):
            client.send(command)
            kind, reply = self._reply(side, step.client)[:2]
            if kind != "*" or len(reply) != 2:
                return kind, reply
            items += _elements(command, reply[1][1])
            at = SCANS[command[0].upper()]
            if step.command[at] != b"0":
                return "a page from anywhere"
            command[at] = reply[0][1]
            if reply[0][1] == b"0":
                break
        return sorted(set(map(repr, items)))

    def _look_around(self, step: Step) -> None:
        """What others were told."""
        for client, state in enumerate(self.states):
            if state.blocked is not None and client != step.client:
                self._look_after(client, state, step)
            if state.subscribed and not state.in_multi and state.blocked is None:
                self._compare_all(step, f"client {'ab'[client]} was told", client)
        if self._events:
            self._compare_all(step, "events", 2)

    def _compare_all(self, step: Step, what: str, client: int) -> None:
        ours, theirs = (patterns_in_order(self._drain(side, client)) for side in self.sides)
        if ours != theirs:
            raise Difference(f"{step}: {what}\n  ours:   {ours}\n  theirs: {theirs}")

    def _look_after(self, client: int, state: ClientState, step: Step) -> None:
        """A client that had blocked: both servers have served it, or neither."""
        waits = [side.waits(client) for side in self.sides]
        told = self._told(client, waits)
        assert state.blocked is not None
        if state.subscribed:  # where messages of what it has done itself stand: see limits of pulsards
            for side, reply in zip(self.sides, told, strict=True):
                side.late[client] = list(reply[2]) if reply is not None and len(reply) > 2 else []
            told = [reply and reply[:2] for reply in told]
        if waits[0] != waits[1] or (not waits[0] and not same(state.blocked, *told)):
            raise Difference(f"{_command(state.blocked)} after {_tell(step, *told)}")
        if not waits[0]:
            state.blocked = None

    def _unblock(self, client: int) -> None:
        """End a wait; it may have ended by itself."""
        state = self.states[client]
        told = []
        for side in self.sides:
            side.control.ask(b"CLIENT", b"UNBLOCK", side.clients[client].id)
            told.append(self._reply(side, client))
        assert state.blocked is not None
        command, state.blocked = state.blocked, None
        if told[0] != told[1]:
            raise Difference(f"{_command(command)} after its time\n  ours:   {told[0]}\n  theirs: {told[1]}")

    def _unblock_other(self, step: Step) -> None:
        """CLIENT UNBLOCK of the other client, whose number is not the same everywhere."""
        for side in self.sides:
            side.clients[step.client].send([b"CLIENT", b"UNBLOCK", side.clients[1 - step.client].id, b"ERROR"])
        ours, theirs = (self._reply(side, step.client) for side in self.sides)
        if ours != theirs:
            raise Difference(_tell(step, ours, theirs))

    def _expire(self, step: Step) -> None:
        """A key whose time comes soon; go on when it has come."""
        for side in self.sides:
            client = side.clients[step.client]
            client.send([b"PEXPIRE", step.command[1], b"3"])
            if self._reply(side, step.client)[:2] != (":", b"1"):
                continue
            while True:
                client.send([b"EXISTS", step.command[1]])
                if self._reply(side, step.client)[:2] != (":", b"1"):
                    break

    def _pop(self, step: Step) -> None:
        """Any member of a set; nothing is left of it, as the servers would not agree on what."""
        key = step.command[1]
        for command, agree in (((b"SPOP", key), same_kind), ((b"DEL", key), same)):
            self._send(step, command)
            ours, theirs = (self._reply(side, step.client) for side in self.sides)
            if not agree(command, ours, theirs):
                raise Difference(_tell(Step(step.client, command), ours, theirs))

    def _differing_keys(self) -> list[str]:
        found = []
        for database in (b"0", b"1"):
            for side in self.sides:
                side.control.ask(b"SELECT", database)
            keys = {reply[1] for side in self.sides for reply in side.control.ask(b"KEYS", b"*")[1]}
            for key in sorted(keys):
                values = [side.control.ask(b"DEBUG", b"DIGEST-VALUE", key) for side in self.sides]
                times = [side.control.ask(b"EXPIRETIME", key) for side in self.sides]
                scores = [side.control.ask(b"ZRANGE", key, b"0", b"-1", b"WITHSCORES") for side in self.sides]
                if (times[0][1] == b"-1") != (times[1][1] == b"-1") or (
                    values[0] != values[1] and not (scores[0][0] == "*" and same((b"ZRANGE",), *scores))
                ):
                    found.append(f"{show(key)} in {database.decode()}")
        return found


SPECIAL: dict[bytes, Callable[[Arena, Step], None]] = {
    b"@unblock": Arena._unblock_other,
    b"@expire": Arena._expire,
    b"@pop": Arena._pop,
}


def _elements(command: Sequence[bytes], page: list[Reply]) -> list[Reply]:
    """Elements with their values; scores as numbers."""
    name, options = command[0].upper(), _upper(command)
    if name not in (b"HSCAN", b"ZSCAN") or b"NOVALUES" in options or b"NOSCORES" in options:
        return page
    values = [float(score) for _, score in page[1::2]] if name == b"ZSCAN" else page[1::2]
    return list(zip(page[::2], values, strict=True))


def _upper(command: Sequence[bytes]) -> list[bytes]:
    return [word.upper() for word in command]


def _ends_by_itself(command: Sequence[bytes]) -> bool:
    """Whether a command that blocks has a deadline."""
    upper = _upper(command)
    if b"BLOCK" in upper:
        text = command[upper.index(b"BLOCK") + 1]
    else:
        text = command[1] if upper[0].endswith(b"MPOP") else command[-1]
    return any(digit in text.lower().partition(b"e")[0] for digit in b"123456789")


def _without_order(step: Step, ours: list[Reply], theirs: list[Reply]) -> bool:
    """Whether these are the confirmations that everything was left, which comes in any order."""
    if len(step.command) > 1 or len(ours) != len(theirs):
        return False
    return [sorted(reply[1][index][1] or b"" for reply in ours) for index in range(3)] == [
        sorted(reply[1][index][1] or b"" for reply in theirs) for index in range(3)
    ]


def _command(command: Sequence[bytes]) -> str:
    return " ".join(map(show, command))


def _tell(step: Step, ours: Reply, theirs: Reply) -> str:
    return f"{step}\n  ours:   {str(ours)[:600]}\n  theirs: {str(theirs)[:600]}"
