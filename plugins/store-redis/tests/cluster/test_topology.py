"""Slots, addresses, and what a node tells of the cluster."""

from __future__ import annotations

import random

import pytest
import redis.crc

from store_core import DSNError
from store_redis.cluster.slots import SLOTS, slot_at, tagged_slot
from store_redis.cluster.topology import Address, read_topology

ASKED = Address("asked", 7000)


def test_slots_are_those_of_redis_py() -> None:
    keys = [b"", b"{}", b"{a}b", b"a{b}c{d}", b"{{a}}", b"a{b", b"}a{b}", b"{}a{b}", "ä{ö}".encode()]
    generator = random.Random(7)
    keys += [bytes(generator.choices(b"ab{}\xff", k=generator.randrange(12))) for _ in range(2000)]
    assert [tagged_slot(key) for key in keys] == [redis.crc.key_slot(key) for key in keys]


@pytest.mark.parametrize(("key", "wire"), [("ä", "ä".encode()), (7, b"7"), (1.5, b"1.5"), (bytearray(b"x"), b"x")])
def test_the_slot_of_a_key_is_that_of_its_form_on_the_wire(key: object, wire: bytes) -> None:
    assert slot_at(("GET", key), 1) == redis.crc.key_slot(wire)


def test_a_topology_has_shards_replicas_and_how_much_is_covered() -> None:
    reply = [
        [100, SLOTS - 1, [b"10.0.0.2", 7001, b"id"], [b"10.0.0.3", 7002, b"id", []]],
        [0, 49, [b"10.0.0.1", 7000, b"id", {}]],
        [50, 98, [b"10.0.0.2", 7001, b"id"]],
    ]
    topology = read_topology(reply, ASKED)
    assert not topology.complete()
    assert topology.covered() == SLOTS - 1
    second = Address("10.0.0.2", 7001)
    assert topology.first_slots == {Address("10.0.0.1", 7000): 0, second: 50}
    assert topology.shards[second].replicas == (Address("10.0.0.3", 7002),)
    assert topology.addresses() == [Address("10.0.0.1", 7000), second, Address("10.0.0.3", 7002)]


@pytest.mark.parametrize("host", [b"", "", None, b"?"])
def test_a_node_that_does_not_know_its_own_name_has_the_one_that_was_asked(host: object) -> None:
    topology = read_topology([[0, SLOTS - 1, [host, 7005, b"id"], [b"?", 7006, b"id"]]], ASKED)
    assert topology.complete()
    assert topology.addresses() == [Address("asked", 7005)]


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("10.0.0.1:7000", Address("10.0.0.1", 7000)),
        ("::1:7000", Address("::1", 7000)),
        ("[::1]:7000", Address("::1", 7000)),
        (":7000", Address("asked", 7000)),
        ("?:7000", Address("asked", 7000)),
        ("db.example:1", Address("db.example", 1)),
    ],
)
def test_an_address_is_read_as_servers_write_it(text: str, address: Address) -> None:
    assert Address.parse(text, "asked") == address
    assert Address.parse(str(address)) == address


@pytest.mark.parametrize("text", ["", "host", "host:", "host:port"])
def test_an_address_without_a_port_is_refused(text: str) -> None:
    with pytest.raises(DSNError, match="host:port"):
        Address.parse(text)
