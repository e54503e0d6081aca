"""MIGRATE, between a pulsards server and a real Valkey, in both directions."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from store_core import ReplyError, create_store


@pytest.fixture
def here(server: Any) -> Iterator[Any]:
    with redis.Redis(*server.address) as client:
        yield client


@pytest.fixture
def there(valkey: tuple[str, int]) -> Iterator[Any]:
    with redis.Redis(*valkey) as client:
        client.flushall()
        yield client
        client.flushall()


def target(client: Any) -> tuple[str, int]:
    options = client.connection_pool.connection_kwargs
    return options["host"], options["port"]


def test_a_key_goes_with_its_time_to_live(here: Any, there: Any) -> None:
    for source, other in ((here, there), (there, here)):
        source.flushall()
        source.set("k", "v", ex=100)
        source.rpush("l", *range(500))
        assert source.execute_command("MIGRATE", *target(other), "k", 3, 5000) == b"OK"
        assert source.exists("k") == 0
        other.execute_command("SELECT", 3)
        assert other.get("k") == b"v"
        assert 90_000 < other.pttl("k") <= 100_000
        assert other.ttl("k") > 90
        other.execute_command("SELECT", 0)


def test_several_keys_go_at_once_and_those_that_are_not_there_do_not_matter(here: Any, there: Any) -> None:
    here.mset({"a": 1, "b": 2})
    here.sadd("s", 1, 2)
    assert here.migrate(*target(there), ["a", "nosuch", "b", "s"], 0, 5000) == b"OK"
    assert here.dbsize() == 0
    assert there.mget("a", "b") == [b"1", b"2"]
    assert there.smembers("s") == {b"1", b"2"}


def test_a_copy_stays(here: Any, there: Any) -> None:
    here.set("k", "v")
    assert here.migrate(*target(there), "k", 0, 5000, copy=True) == b"OK"
    assert here.get("k") == there.get("k") == b"v"


def test_what_is_there_already_is_replaced_only_when_asked_to(here: Any, there: Any) -> None:
    here.mset({"a": "new", "b": "new"})
    there.set("a", "old")
    with pytest.raises(redis.ResponseError, match="Target instance replied with error: BUSYKEY"):
        here.migrate(*target(there), ["a", "b"], 0, 5000)
    assert (here.get("a"), here.get("b"), there.get("a"), there.get("b")) == (b"new", None, b"old", b"new")
    assert here.migrate(*target(there), "a", 0, 5000, replace=True) == b"OK"
    assert there.get("a") == b"new"


def test_a_password_is_given_and_a_wrong_one_moves_nothing(here: Any, locked_valkey: tuple[str, int]) -> None:
    here.set("k", "v")
    with pytest.raises(redis.ResponseError, match="error: NOAUTH"):
        here.migrate(*locked_valkey, "k", 0, 5000)
    with pytest.raises(redis.ResponseError, match="error: WRONGPASS"):
        here.migrate(*locked_valkey, "k", 0, 5000, auth="wrong")
    assert here.get("k") == b"v"
    assert here.migrate(*locked_valkey, "k", 0, 5000, auth="secret", replace=True) == b"OK"
    assert here.exists("k") == 0


def test_a_database_that_is_not_there_keeps_the_keys_here(here: Any, there: Any) -> None:
    here.set("k", "v")
    with pytest.raises(redis.ResponseError, match="DB index is out of range"):
        here.migrate(*target(there), "k", 99, 5000)
    assert here.get("k") == b"v"


def test_a_target_that_is_silent_is_given_up_and_the_key_stays(here: Any) -> None:
    here.set("k", "v")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        with pytest.raises(redis.ResponseError, match="IOERR error or timeout reading to target instance"):
            here.migrate(*listener.getsockname(), "k", 0, 50)
        connection, _ = listener.accept()
        connection.close()
    assert here.get("k") == b"v"


def test_what_the_target_has_acknowledged_is_gone_here_even_if_it_hangs_up_then(here: Any, server: Any) -> None:
    here.mset({"a": 1, "b": 2})
    watcher = server.connect()
    watcher.ask(b"WATCH a\r\nMULTI\r\n", b"+OK\r\n+OK\r\n")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        wire = server.connect()
        words = [b"MIGRATE", b"127.0.0.1", b"%d" % listener.getsockname()[1], b"", b"0", b"5000", b"KEYS", b"a", b"b"]
        wire.send(b"*9\r\n" + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words))
        connection, _ = listener.accept()
        with connection:
            connection.sendall(b"+OK\r\n+OK\r\n")
            connection.recv(65536)
            connection.shutdown(socket.SHUT_WR)
            wire.expect(b"-IOERR error or timeout reading to target instance\r\n")
    assert (here.exists("a"), here.get("b")) == (0, b"2")
    watcher.ask(b"EXEC\r\n", b"*-1\r\n")


def test_a_target_that_cannot_be_reached_is_told(here: Any) -> None:
    here.set("k", "v")
    with pytest.raises(redis.ResponseError, match="IOERR"):
        here.migrate("no such host", 1, "k", 0, 50)
    with pytest.raises(redis.ResponseError, match="IOERR"):
        here.migrate("127.0.0.1", 99999, "k", 0, 50)
    assert here.get("k") == b"v"


def test_monitor_hides_the_password(server: Any, connect: Callable[..., Any]) -> None:
    monitor, wire = server.connect(), server.connect()
    monitor.ask(b"MONITOR\r\n", b"+OK\r\n")
    wire.send(b"MIGRATE 127.0.0.1 1 k 0 10 AUTH2 joe hidden COPY\r\nECHO end\r\n")
    seen = monitor.read_until(b'"end"')
    assert b"hidden" not in seen
    assert b"COPY" in seen


async def test_clients_of_a_port_onto_a_program_cannot_hold_it_up(valkey: tuple[str, int]) -> None:
    async with create_store("pulsards://", listen="127.0.0.1:0") as store:
        await store.execute("SET", "k", "v")
        port = int((await store.execute("CONFIG", "GET", "port"))[b"port"])
        async with create_store(f"pulsards://127.0.0.1:{port}") as client:
            with pytest.raises(ReplyError, match="MIGRATE not allowed"):
                await client.execute("MIGRATE", *valkey, "k", 0, 5000)
        assert await store.execute("EXISTS", "k") == 1


async def test_an_embedded_store_sends_its_keys_too(valkey: tuple[str, int], there: Any) -> None:
    async with create_store("pulsards://") as store:
        await store.execute("SET", "k", "v")
        assert await store.execute("MIGRATE", *valkey, "k", 0, 5000) == b"OK"
        assert await store.execute("EXISTS", "k") == 0
    assert there.get("k") == b"v"
