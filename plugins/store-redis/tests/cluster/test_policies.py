"""What several replies make together."""

from __future__ import annotations

from typing import Any

import pytest

from store_core import ReplyError
from store_redis.cluster.policies import BY_POLICY, WITHOUT_TIPS


@pytest.mark.parametrize(
    ("policy", "replies", "combined"),
    [
        ("agg_sum", [1, 2, 3], 6),
        ("agg_min", [3, 1, 2], 1),
        ("agg_min", [[1, 2], [0, 3]], [0, 2]),
        ("agg_max", [3, 1, 2], 3),
        ("agg_logical_and", [[1, 1, 0], [1, 0, 0]], [1, 0, 0]),
        ("agg_logical_or", [[1, 1, 0], [1, 0, 0]], [1, 1, 0]),
        ("all_succeeded", [b"OK", b"OK"], b"OK"),
        ("one_succeeded", [b"OK", ReplyError("NOTBUSY no")], b"OK"),
        ("", [[1], [], [2, 3]], [1, 2, 3]),
        ("", [{"a": 1}, {"b": 2}], {"a": 1, "b": 2}),
        ("", [b"x", b"y"], b"x"),
    ],
)
def test_replies_are_combined_as_the_policy_says(policy: str, replies: list[Any], combined: Any) -> None:
    assert BY_POLICY[policy](replies) == combined


@pytest.mark.parametrize("policy", sorted(set(BY_POLICY) - {"one_succeeded"}))
def test_one_error_stands_for_all(policy: str) -> None:
    error = ReplyError("ERR no")
    assert BY_POLICY[policy]([1, error, 2]) is error


def test_where_nobody_succeeded_the_telling_error_counts() -> None:
    telling = ReplyError("UNKILLABLE it has written")
    assert BY_POLICY["one_succeeded"]([ReplyError("NOTBUSY no"), telling]) is telling


def test_subscribers_of_every_node_are_counted() -> None:
    _, combine = WITHOUT_TIPS["PUBSUB NUMSUB"]
    assert combine([[b"a", 1, b"b", 0], [b"a", 2, b"b", 0]]) == [b"a", 3, b"b", 0]
    assert combine([{b"a": 1}, {b"a": 2}]) == {b"a": 3}
    _, combine = WITHOUT_TIPS["PUBSUB CHANNELS"]
    assert combine([[b"a", b"b"], [b"b"]]) == [b"a", b"b"]
