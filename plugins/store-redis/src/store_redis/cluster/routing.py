"""Routing: which node, or nodes, a command is for.

A command with keys goes to the node that serves the slot of its first key; whether the others are in the same slot
the server checks itself, and says ``CROSSSLOT``. Six commands whose keys are independent of each other are split by
slot. A command without keys goes where the server's tips say: to one node, to every primary, to every node.

``positions`` is for the hot path: a name in it has its first key at that position, and needs no further look.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from store_redis.cluster.policies import BEFORE_TIPS, BY_POLICY, WITHOUT_TIPS, Combine
from store_redis.cluster.slots import slot_at
from store_redis.cluster.topology import Address
from store_redis.commands import SHARED, route, upper
from store_redis.keyspecs import CommandKeys

#: Commands that are split by slot, and how many arguments stand with each key.
SPLIT: dict[str, int] = {"DEL": 1, "EXISTS": 1, "MGET": 1, "MSET": 2, "TOUCH": 1, "UNLINK": 1}

#: Commands that this package sends itself, in a way of their own.
OWN_WAY = frozenset({"RANDOMKEY", "SCAN"})

# Names kept for the hot path, as they were written. Bounded: a caller who makes up names costs time, never memory.
_POSITIONS_KEPT = 4096


class Piece(NamedTuple):
    """A command for one node, or the part of a command that is.

    Attributes:
        args: As they go on the wire.
        slot: Whoever serves it; None for any node.
        pinned: This node and no other.
        read: Whether a replica may answer.
    """

    args: tuple[Any, ...]
    slot: int | None = None
    pinned: Address | None = None
    read: bool = False


class Plan(NamedTuple):
    """Pieces of a command, and what makes one reply of theirs; ``combine`` None: there is one piece, and its reply."""

    pieces: list[Piece]
    combine: Combine | None = None


class Router:
    """Routes commands by the server's command table.

    Args:
        table: The server's commands.
        replicas_read: Whether commands that only read may go to replicas.
    """

    def __init__(self, table: Mapping[str, CommandKeys], replicas_read: bool) -> None:
        self.positions: dict[Any, int] = {}
        self._table = table
        self._replicas_read = replicas_read

    def spec(self, args: tuple[Any, ...]) -> CommandKeys | None:
        """The command, or its subcommand, in the server's table."""
        spec = self._table.get(upper(args[0]))
        if spec is not None and spec.subcommands and len(args) > 1:
            return spec.subcommands.get(upper(args[1]), spec)
        return spec

    def keys_known(self, args: tuple[Any, ...]) -> bool:
        """Whether the table tells where the command's keys are, or that it has none."""
        spec = self.spec(args)
        return spec is not None and (spec.find is not None or spec.first > 0)

    def slot(self, args: tuple[Any, ...]) -> int | None:
        """The slot of a command whose keys are known: that of its first key; None where it has none.

        Raises:
            ArgumentError: The key is of a type that cannot be sent.
        """
        position = self._first_key(args)
        return None if position is None else slot_at(args, position)

    def reads(self, args: tuple[Any, ...]) -> bool:
        """Whether a replica may answer the command."""
        if not self._replicas_read:
            return False
        spec = self.spec(args)
        return spec is not None and "readonly" in spec.flags

    def split(self, args: tuple[Any, ...]) -> Plan | None:
        """The plan of a command whose keys are in several slots and may be; else None."""
        step = SPLIT.get(upper(args[0]))
        if step is None or len(args) <= 1 + step or (len(args) - 1) % step:
            return None
        places: dict[int, list[int]] = {}
        for position in range(1, len(args), step):
            places.setdefault(slot_at(args, position), []).append(position)
        if len(places) == 1:
            return None
        read = self.reads(args)
        pieces = [
            Piece((args[0], *(args[at + offset] for at in found for offset in range(step))), slot, read=read)
            for slot, found in places.items()
        ]
        if upper(args[0]) == "MGET":
            return Plan(pieces, _in_order_of(list(places.values()), len(args) - 1))
        return Plan(pieces, BY_POLICY["all_succeeded" if step == 2 else "agg_sum"])

    def spread(
        self, args: tuple[Any, ...], primaries: Callable[[], list[int]], replicas: Callable[[], list[Address]]
    ) -> Plan | None:
        """The plan of a command that several nodes are asked; else None.

        Args:
            args: A command without keys.
            primaries: Gives a slot of each primary.
            replicas: Gives the replicas.
        """
        request, combine = self._policies(args)
        if combine is None or request not in ("all_nodes", "all_shards"):
            return None
        pieces = [Piece(args, slot) for slot in primaries()]
        if request == "all_nodes":
            pieces += [Piece(args, pinned=address) for address in replicas()]
        return Plan(pieces, combine)

    def remember(self, args: tuple[Any, ...]) -> None:
        """Note the command's name for the hot path, if all that matters about it is its first key."""
        name = args[0]
        if not isinstance(name, str | bytes) or name in self.positions or route(args) != SHARED:
            return
        if len(self.positions) >= _POSITIONS_KEPT:
            return
        plain = upper(name)
        spec = self._table.get(plain)
        if plain == "PUBLISH":
            self.positions[name] = 1
        elif spec is not None and spec.first and not (spec.subcommands or plain in _NOT_DIRECT or self.reads(args)):
            self.positions[name] = spec.first

    def _first_key(self, args: tuple[Any, ...]) -> int | None:
        name = upper(args[0])
        if name == "PUBLISH":
            # Any node would do; this way those of one channel go one way, and stay in order.
            return 1 if len(args) > 1 else None
        spec = self.spec(args)
        if spec is None:
            return None
        if name == "MIGRATE" and len(args) > 3 and args[3] in ("", b""):
            return _first_of_migrate(args)
        if spec.first:
            return spec.first if spec.first < len(args) else None
        return None if spec.find is None else next((at for at in spec.find(args) if at < len(args)), None)

    def _policies(self, args: tuple[Any, ...]) -> tuple[str, Combine | None]:
        name, spec = upper(args[0]), self.spec(args)
        full = f"{name} {upper(args[1])}" if len(args) > 1 else name
        for known in (full, name):
            if known in WITHOUT_TIPS:
                return WITHOUT_TIPS[known]
        tips = dict(tip.partition(":")[::2] for tip in spec.tips) if spec is not None else {}
        if not tips:
            request, response = BEFORE_TIPS.get(full) or BEFORE_TIPS.get(name) or ("", "")
        else:
            request, response = tips.get("request_policy", ""), tips.get("response_policy", "")
        # No policy that we know ("special"): there is no one reply of several, and one node's is as good as another's.
        return request, BY_POLICY.get(response)


_NOT_DIRECT = frozenset({*SPLIT, *OWN_WAY, "MIGRATE"})


def _first_of_migrate(args: tuple[Any, ...]) -> int | None:
    # MIGRATE host port "" database timeout … KEYS key key …
    at = next((at for at in range(6, len(args) - 1) if upper(args[at]) == "KEYS"), None)
    return None if at is None else at + 1


def _in_order_of(places: Iterable[list[int]], size: int) -> Combine:
    """Puts the values of several MGETs where their keys stood."""

    def combined(replies: list[Any]) -> Any:
        values: list[Any] = [None] * size
        for found, reply in zip(places, replies, strict=True):
            if isinstance(reply, Exception):
                return reply
            for position, value in zip(found, reply, strict=True):
                values[position - 1] = value
        return values

    return combined
