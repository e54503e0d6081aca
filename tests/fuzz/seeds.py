"""Where fuzzing begins: what is right, so that a change or two is nearly right."""

from __future__ import annotations

from store_pulsards.engine.engine import Engine

MAKING: list[list[str]] = [
    ["SET k abc"],
    ["SET k 12345"],
    ["SET k " + "x" * 300],
    ["RPUSH k a b 1 -70000 9223372036854775807 " + "x" * 70],
    ["RPUSH k " + "y" * 9000],
    ["SADD k 1 2 3"],
    ["SADD k 1 -9223372036854775808"],
    ["SADD k a b " + "c" * 64],
    ["SADD k " + "c" * 65],
    ["HSET k a 1 b 2"],
    ["HSET k a 1 b " + "x" * 65],
    ["HSET k a 1 b 2", "HPEXPIREAT k 33177117420123 FIELDS 1 a"],
    ["ZADD k 1 a -2.5 b inf c"],
    ["ZADD k 1 a 2 " + "x" * 65],
    ["PFADD k a b c"],
    ["XADD k 1-1 a 1", "XADD k 2-1 a 2 b 3", "XADD k 3-1 a 4", "XDEL k 2-1"],
    ["XADD k 1-1 a 1", "XGROUP CREATE k g 0", "XREADGROUP GROUP g c STREAMS k >", "XGROUP CREATECONSUMER k g d"],
    ["XGROUP CREATE k g $ MKSTREAM"],
]
COMPRESSED = b"\x00\xc3\x06\x0e\x01ab\xe0\x03\x01"  # a string, by LZF
OLDER = [
    b"\x01\x02\x01a\x01b",  # a list, a set, sorted sets and a hash without listpacks
    b"\x02\x02\x01a\x01b",
    b"\x03\x02\x01a\x011\x01b\xfe",
    b"\x05\x01\x01a" + bytes(8),
    b"\x04\x01\x01a\x01b",
]


def payloads() -> list[bytes]:
    """Values of every kind as RESTORE takes them, without version and checksum."""
    found = []
    for lines in MAKING:
        engine = Engine()
        session = engine.session()
        for line in lines:
            engine.execute(session, [word.encode() for word in line.split()])
        dumped = engine.execute(session, [b"DUMP", b"k"])
        assert isinstance(dumped, bytes), lines
        found.append(dumped[:-10])
    return [*found, COMPRESSED, *OLDER]


REQUESTS = [
    b"*1\r\n$4\r\nPING\r\n",
    b"*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$8\r\nx\r\n$1\r\ny\r\n",
    b"*2\r\n$3\r\nGET\r\n$0\r\n\r\n*-1\r\n*0\r\n",
    b"PING hello\r\n\r\nSET \"a \\x41\" 'c'\n",
    b"*1\r\n$400\r\n",
    b"*2147483647\r\n$536870912\r\n",
    b"POST / HTTP/1.1\r\nHost: here\r\n",
]
GLOBS = [b"*\nabc", b"a*c\nabbc", b"[a-c]?[^x]\\*\nabc*", b"**[\\]]*\na]", b"\n", b"[\nx", b"a*b*c*d\nabcabcabd"]


def of(target: str) -> list[bytes]:
    """The seeds of a target."""
    if target == "payloads":
        return payloads()
    return [bytes(4) + request for request in REQUESTS] if target == "requests" else GLOBS
