"""What an error means, and how long a caller goes on."""

from __future__ import annotations

import pytest

from store_core import ConnectionFailed, ConnectionLost, ConnectionTimeout, ReplyError, StoreError, Timeout
from store_redis.cluster.redirects import AT_ONCE, REDIRECTIONS, Patience, Verdict, destination, verdict
from store_redis.cluster.topology import Address


@pytest.mark.parametrize(
    ("outcome", "wanted"),
    [
        (b"OK", Verdict.FINAL),
        (ReplyError("ERR no"), Verdict.FINAL),
        (ReplyError("MOVED 1 a:1"), Verdict.MOVED),
        (ReplyError("ASK 1 a:1"), Verdict.ASK),
        (ReplyError("TRYAGAIN later"), Verdict.WAIT),
        (ReplyError("CLUSTERDOWN down"), Verdict.REFRESH),
        (ReplyError("READONLY replica"), Verdict.REFRESH),
        (ReplyError("LOADING"), Verdict.REFRESH),
        (ReplyError("UNBLOCKED force unblock from blocking operation, instance state changed"), Verdict.REFRESH),
        (ReplyError("UNBLOCKED client unblocked via CLIENT UNBLOCK"), Verdict.FINAL),
        (ConnectionFailed("refused"), Verdict.REFRESH),
        (ConnectionTimeout("slow"), Verdict.REFRESH),
        (ConnectionLost("gone"), Verdict.FINAL),
        (Timeout("late"), Verdict.FINAL),
        (StoreError("else"), Verdict.FINAL),
    ],
)
def test_only_what_was_certainly_not_run_goes_again(outcome: object, wanted: Verdict) -> None:
    assert verdict(outcome) is wanted


def test_a_redirection_without_a_host_means_the_same_host() -> None:
    assert destination(ReplyError("MOVED 3999 10.0.0.9:6381"), Address("a", 1)) == (3999, Address("10.0.0.9", 6381))
    assert destination(ReplyError("ASK 3999 :6381"), Address("a", 1)) == (3999, Address("a", 6381))
    assert destination(ReplyError("MOVED 1 db:7 hint"), Address("a", 1)) == (1, Address("db", 7))


async def test_redirections_have_an_end_and_pauses_the_callers_time() -> None:
    patience, followed = Patience(0.2), 0
    while await patience.redirected(ReplyError("MOVED 1 a:1")):
        followed += 1
    assert AT_ONCE < followed < REDIRECTIONS
    patience, pauses = Patience(0.2), 0
    while await patience.pause(ReplyError("TRYAGAIN")):
        pauses += 1
    assert 1 < pauses < 20


async def test_after_a_loss_the_next_attempt_is_made_at_once() -> None:
    patience = Patience(0.001)
    assert await patience.pause(ConnectionFailed("lost")) is True
    assert await patience.pause(ConnectionFailed("refused")) is False
