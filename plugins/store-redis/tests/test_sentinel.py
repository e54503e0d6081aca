"""Connection strings of sentinels: what they mean, before anybody is asked."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from store_core import Capability, DSNError, Unsupported, create_store, start_store


@pytest.mark.parametrize("scheme", ["redis+sentinel", "rediss+sentinel", "valkey+sentinel", "valkeys+sentinel"])
@pytest.mark.parametrize("rest", ["a:1,b:2", "a:1/", ""])
def test_a_string_without_a_service_says_so(scheme: str, rest: str) -> None:
    with pytest.raises(
        DSNError, match=f"^{scheme}://… names no service; write {scheme}://host:26379/service".replace("+", r"\+")
    ):
        create_store(f"{scheme}://{rest}")


@pytest.mark.parametrize(
    ("url", "sentinels"),
    [
        ("redis+sentinel://a:1,b:2/main", ["a:1", "b:2"]),
        ("redis+sentinel://a,[::1]/main", ["a:26379", "[::1]:26379"]),
        ("redis+sentinel:///main", ["127.0.0.1:26379"]),
        ("redis+sentinel://a?service=main", ["a:26379"]),
    ],
)
def test_the_hosts_are_the_sentinels_and_the_path_is_the_service(url: str, sentinels: list[str]) -> None:
    store: Any = create_store(url)
    assert [each.address for each in store.dialer.sentinels.dialers] == sentinels
    assert (store.params["service"], store.database) == ("main", "0")
    assert store.dialer.address == f"service 'main' of {','.join(sentinels)}"
    assert create_store(store.dsn).params == store.params


def test_a_keyword_names_another_service() -> None:
    store = create_store("redis+sentinel://a/main", service="other", db=3)
    assert (store.params["service"], store.database) == ("other", "3")
    assert create_store(store.dsn).params == store.params


def test_the_user_is_the_servers_and_the_sentinels_have_their_own() -> None:
    store: Any = create_store("redis+sentinel://me:hunter1@a/main?sentinel_username=you&sentinel_password=hunter2")
    (sentinel,) = store.dialer.sentinels.dialers
    assert (store.params["username"], store.params["password"]) == ("me", "hunter1")
    assert (sentinel.params["username"], sentinel.params["password"]) == ("you", "hunter2")
    shown = repr((store, store.params, sentinel.params))
    assert "hunter" not in shown + pickle.dumps((store, store.params, sentinel.params)).decode("latin-1")


@pytest.mark.parametrize(
    "url", ["rediss+sentinel://a/main", "valkeys+sentinel://a/main", "redis+sentinel://a/main?tls=1"]
)
def test_tls_is_for_servers_and_sentinels(url: str) -> None:
    store: Any = create_store(url)
    assert store.dialer.tls
    assert all(sentinel.tls for sentinel in store.dialer.sentinels.dialers)
    assert not create_store("valkey+sentinel://a/main").dialer.tls


def test_all_sentinels_can_be_asked_within_the_time_to_connect() -> None:
    store: Any = create_store("redis+sentinel://a,b,c/main?connect_timeout=2")
    assert [each.connect_timeout for each in store.dialer.sentinels.dialers] == [0.5, 0.5, 0.5]


def test_links_lead_to_the_primary_or_a_replica_and_nowhere_else() -> None:
    assert create_store("redis+sentinel://a/main").params["read_from"] == "primary"
    with pytest.raises(DSNError, match="'read_from' is 'nearest', which is not one of primary, replica"):
        create_store("redis+sentinel://a/main?read_from=nearest")


async def test_what_sentinels_watch_is_not_started() -> None:
    assert Capability.START not in create_store("redis+sentinel://a/main").capabilities
    with pytest.raises(Unsupported, match="by hand"):
        await start_store("redis+sentinel://127.0.0.1:0/main")
