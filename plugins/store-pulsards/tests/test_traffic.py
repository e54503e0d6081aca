"""What INFO tells of bytes and of clients that were not taken in, or dropped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from store_pulsards.server import Limits

PING = b"*1\r\n$4\r\nPING\r\n"


def test_bytes_are_counted_in_both_directions(server: Any) -> None:
    wire = server.connect()
    for _ in range(10):
        wire.ask(PING, b"+PONG\r\n")
    wire.ask(PING * 100, b"+PONG\r\n" * 100)
    traffic = server.engine.traffic
    assert (traffic.received, traffic.sent) == (110 * len(PING), 110 * len(b"+PONG\r\n"))


def test_messages_count_as_sent(server: Any) -> None:
    subscriber, publisher = server.connect(), server.connect()
    subscriber.ask(b"SUBSCRIBE c\r\n", b"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n")
    before = server.engine.traffic.sent
    publisher.ask(b"PUBLISH c hello\r\n", b":1\r\n")
    message = b"*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$5\r\nhello\r\n"
    subscriber.expect(message)
    assert server.engine.traffic.sent - before == len(message) + len(b":1\r\n")


def test_clients_that_are_not_taken_in_are_counted(start_server: Callable[..., Any]) -> None:
    server = start_server(limits=Limits(clients=1))
    first = server.connect()
    first.ask(PING, b"+PONG\r\n")
    server.connect().read_to_end()
    first.send(b"INFO stats\r\n")
    stats = first.read_until(b"acl_access_denied_db:0\r\n")
    assert b"rejected_connections:1\r\n" in stats
    assert b"total_connections_received:1\r\n" in stats


def test_the_count_begins_anew_when_it_is_reset(server: Any) -> None:
    wire = server.connect()
    wire.ask(b"CONFIG RESETSTAT\r\n", b"+OK\r\n")
    server.connect().ask(PING, b"+PONG\r\n")
    wire.send(b"INFO stats\r\n")
    stats = wire.read_until(b"acl_access_denied_db:0\r\n")
    assert b"total_connections_received:1\r\n" in stats
    assert b"total_net_input_bytes:%d\r\n" % len(PING + b"INFO stats\r\n") in stats


def test_clients_that_send_too_much_while_they_wait_are_counted(start_server: Callable[..., Any]) -> None:
    server = start_server(limits=Limits(query=10_000))
    wire = server.connect()
    wire.send(b"BLPOP nothing 0\r\n")
    server.wait_for(lambda: any(session.blocked for session in server.engine.sessions.values()))
    wire.send(PING * 1000)
    wire.read_to_end()
    server.wait_for(lambda: server.engine.traffic.dropped_for_input == 1)
