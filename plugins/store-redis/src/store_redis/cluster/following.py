"""Following: a command goes to the node of its slot, and again where the cluster sends it, until it has an outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from store_core import ConnectionFailed, ConnectionLost, ReplyError, StoreError, Timeout
from store_redis.cluster.cluster import Cluster
from store_redis.cluster.node import ClusterNode
from store_redis.cluster.redirects import Patience, Verdict, destination, verdict
from store_redis.cluster.routing import Piece
from store_redis.connection import until_writable
from store_redis.link import Link

T = TypeVar("T")

#: Does something on a node; the second argument says that ``ASKING`` goes before it.
Attempt = Callable[[ClusterNode, bool], Awaitable[T]]

#: The outcome of a piece that was for a node which the cluster no longer has.
GONE = object()


async def follow(cluster: Cluster, slot: int | None, attempt: Attempt[T], patience: Patience, read: bool = False) -> T:
    """Do something on the node of a slot, and again wherever its errors point.

    Raises:
        ReplyError: The server's refusal, or a redirection when patience has ended.
        ConnectionFailed: No node answers.
        ConnectionLost: The connection broke after something was sent.
    """
    if cluster.topology is None:
        await cluster.known()
    node, asking = cluster.place(slot, read), False
    while True:
        try:
            return await attempt(node, asking)
        except ConnectionLost:
            raise
        except (ReplyError, ConnectionFailed) as error:
            kind = verdict(error)
            if kind is Verdict.FINAL:
                raise
            failure: ReplyError | ConnectionFailed = error
        except Timeout:
            cluster.read_soon()
            raise
        asking = False
        if isinstance(failure, ReplyError) and kind in (Verdict.MOVED, Verdict.ASK):
            if not await patience.redirected(failure):
                raise failure
            asking = kind is Verdict.ASK
            node, read = _pointed(cluster, node, failure, asking), False
            continue
        if node.readonly:
            node.avoid()
            read = False  # no replica answers: the primary does
        elif not await patience.pause(failure):
            raise failure
        elif kind is Verdict.REFRESH:
            await cluster.read()
        node = cluster.place(slot, read)


async def send_asking(link: Link, args: tuple[Any, ...], timeout: float | None = None) -> Any:
    """Send a command with ASKING just before it, nobody's between; a timeout of its own is the caller's to watch."""
    await until_writable(link, link.timeout if timeout is None else 0)
    link.send(("ASKING",)).cancel()
    return await (link.send(args) if timeout is None else link.send_patient(args))


def _pointed(cluster: Cluster, asked: ClusterNode, error: ReplyError, once: bool) -> ClusterNode:
    slot, address = destination(error, asked.address)
    return cluster.node(address) if once else cluster.moved(slot, address)


class Errand:
    """A piece on its way."""

    __slots__ = ("asking", "index", "node", "outcome", "piece", "read")

    def __init__(self, index: int, piece: Piece) -> None:
        self.index = index
        self.piece = piece
        self.node: ClusterNode | None = None
        self.asking = False
        self.read = piece.read
        self.outcome: Any = None


async def run_pieces(cluster: Cluster, pieces: list[Piece], patience: Patience, timeout: float | None) -> list[Any]:
    """Send pieces to their nodes, one batch for each, all at once; again those that the cluster sends elsewhere.

    Args:
        cluster: The cluster.
        pieces: What to send; those for one node go in this order.
        patience: For all of them together.
        timeout: None for the link's own; else the caller has a time of its own.

    Returns:
        Their replies in order, error replies in place; ``GONE`` for a pinned one whose node has left.

    Raises:
        StoreError: A connection broke, or none could be made, or a reply came too late.
    """
    await cluster.known()
    errands = [Errand(index, piece) for index, piece in enumerate(pieces)]
    pending = errands
    while pending:
        batches: dict[ClusterNode, list[Errand]] = {}
        for errand in pending:
            batches.setdefault(_node_of(cluster, errand), []).append(errand)
        await asyncio.gather(*(_send(node, batch, timeout) for node, batch in batches.items()))
        lost = next((each.outcome for each in pending if _is_loss(each.outcome)), None)
        if lost is not None:
            cluster.read_soon()
            raise lost
        pending = await _again(cluster, batches, patience)
    return [errand.outcome for errand in errands]


def _node_of(cluster: Cluster, errand: Errand) -> ClusterNode:
    if errand.piece.pinned is not None:
        return cluster.node(errand.piece.pinned)
    return errand.node or cluster.place(errand.piece.slot, errand.read)


async def _send(node: ClusterNode, errands: list[Errand], timeout: float | None) -> None:
    """One batch to one node; every errand gets an outcome, an error where there was no reply."""
    outcomes: list[Any]
    try:
        link = await node.shared()
        await until_writable(link, link.timeout if timeout is None else 0)
        outcomes = await (_batch(link, errands) if timeout is None else _patiently(link, errands))
    except (StoreError, UnicodeDecodeError) as error:
        outcomes = [error] * len(errands)
    for errand, outcome in zip(errands, outcomes, strict=True):
        errand.outcome = outcome


async def _batch(link: Link, errands: list[Errand]) -> list[Any]:
    commands: list[tuple[Any, ...]] = []
    for errand in errands:
        if errand.asking:
            commands.append(("ASKING",))
        commands.append(errand.piece.args)
    replies = iter(await link.send_batch(commands))
    outcomes = []
    for errand in errands:
        if errand.asking:
            next(replies)
        outcomes.append(next(replies))
    return outcomes


async def _patiently(link: Link, errands: list[Errand]) -> list[Any]:
    waiting = []
    for errand in errands:
        if errand.asking:
            link.send(("ASKING",)).cancel()
        waiting.append(link.send_patient(errand.piece.args))
    return await asyncio.gather(*waiting, return_exceptions=True)


def _is_loss(outcome: Any) -> bool:
    return isinstance(outcome, Exception) and not isinstance(outcome, ReplyError) and verdict(outcome) is Verdict.FINAL


async def _again(cluster: Cluster, batches: dict[ClusterNode, list[Errand]], patience: Patience) -> list[Errand]:
    """The errands that have to go again, each pointed to where; after a pause, if the cluster needs one."""
    again: list[Errand] = []
    failure: Exception | None = None
    redirection: ReplyError | None = None
    refresh = False
    for node, errands in batches.items():
        for errand in errands:
            kind, errand.node, errand.asking = verdict(errand.outcome), None, False
            if kind is Verdict.FINAL:
                continue
            again.append(errand)
            if kind in (Verdict.MOVED, Verdict.ASK):
                redirection, errand.read = errand.outcome, False
                errand.asking = kind is Verdict.ASK
                errand.node = _pointed(cluster, node, errand.outcome, errand.asking)
            elif node.readonly:
                node.avoid()
                errand.read = False
            else:
                failure = errand.outcome
                refresh = refresh or kind is Verdict.REFRESH
    if redirection is not None and not await patience.redirected(redirection):
        return _given_up(again)
    if failure is not None:
        if not await patience.pause(failure):
            return _given_up(again)
        if refresh:
            await cluster.read()
    again = [errand for errand in again if not _left(cluster, errand)]
    again.sort(key=lambda errand: errand.index)
    return again


def _given_up(errands: list[Errand]) -> list[Errand]:
    for errand in errands:
        if not isinstance(errand.outcome, ReplyError):
            raise errand.outcome
    return []


def _left(cluster: Cluster, errand: Errand) -> bool:
    if errand.piece.pinned is None or cluster.has(errand.piece.pinned):
        return False
    errand.outcome = GONE
    return True
