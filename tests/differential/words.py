"""What stands in the slots of the families' lines: few keys, so that commands meet, and values at the borders.

Most keys hold what their name says; one in eight is somebody else's, so that types are wrong now and then.
Times are far away or long ago: nothing expires while a test looks, unless the test waits for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from tests.differential.grammar import Slot

KEYS: dict[str, list[bytes]] = {
    "s": [b"s1", b"s2", b"10"],
    "b": [b"b1", b"b2"],
    "l": [b"l1", b"l2"],
    "h": [b"h1", b"h2"],
    "e": [b"e1", b"e2", b"e3"],
    "z": [b"z1", b"z2", b"z3"],
    "g": [b"g1", b"g2"],
    "x": [b"x1", b"x2"],
    "p": [b"p1", b"p2"],
}
OTHER_KEYS = [b"", b"none", b"\xff\x00\r\n", b"{a}*[b]"]
ANY_KEY = [key for keys in KEYS.values() for key in keys] + OTHER_KEYS

BORDERS = [
    b"%d" % number
    for number in (2**31 - 1, 2**31, -(2**31), 2**32, 2**53, 2**62, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 2**64)
]
SMALL = [b"0", b"1", b"-1", b"2", b"3", b"5", b"-3", b"10", b"100"]
NO_INTEGERS = [b"", b"-0", b"+1", b"01", b" 1", b"1 ", b"1.5", b"abc", b"0x10", b"1e3", b"9" * 25, b"1\x00"]
FLOATS = [b"0", b"1", b"-1", b"0.5", b"-0", b"-0.0", b"3.14159", b"1e3", b"1e-7", b"2.5e10", b"1e15", b"-7.25", b".5"]
FINITE = [text for text in FLOATS if not text.startswith(b"-0")]
ODD_FLOATS = [
    b"inf", b"-inf", b"+inf", b"Infinity", b"nan", b"-nan", b"1e308", b"1e400", b"1e-400", b"1e-310", b"0x1p3", b"5.",
    b"1.7976931348623157e308", b"0.1", b"", b" 1", b"1 ", b"1e", b"--1", b"1_0", b"4.9e-324", b"1" * 30, b"nan(1)",
]  # fmt: skip
TEXTS = [
    b"", b"a", b"b", b"abc", b"0", b"-0", b"1", b"42", b"-7", b"007", b"hello world", b"\x00\xff\r\n", b"nan", b"inf",
    b"x" * 44, b"x" * 45, b"y" * 64, b"z" * 65, b"w" * 512, b"\xc3\xa4", b"3.0", b"1e2", *BORDERS,
]  # fmt: skip
MEMBERS = [b"a", b"b", b"c", b"d", b"1", b"2", b"3", b"-5", b"", b"aa", b"m\x00", b"1000000", b"w" * 65]
FAR = [b"100000000", b"200000000", b"100000001"]  # seconds or milliseconds from now: at least a day
WHEN = [b"33177117420123", b"33177117421", b"99999999999", b"1", b"0", b"-1", b"100", b"99999999999999"]
PATTERNS = [b"*", b"?1", b"[a-l]*", b"s*", b"*1", b"", b"[^e]?", b"\\*", b"[", b"h[12]", b"{a}\\*\\[b\\]", b"**a", b"a"]
OPTIONS = b"NX XX GT LT CH INCR GET KEEPTTL COUNT LIMIT WITHSCORES REPLACE FIELDS MATCH BY EX STORE ANY REV".split()
STREAM_IDS = [
    b"0", b"0-0", b"0-1", b"1", b"1-0", b"1-1", b"2-0", b"5", b"5-3", b"7-1", b"1000-5", b"18446744073709551615",
    b"18446744073709551615-18446744073709551615", b"0-18446744073709551615",
]  # fmt: skip
ODD_IDS = [b"-", b"+", b"$", b">", b"(1", b"(5-3", b"(-", b"x", b"1-x", b"-1", b"1-", b"1-1-1", b"", b"1-*", b"2 -1"]


def _one(usual: Sequence[bytes], odd: Sequence[bytes], odds: float = 0.1) -> Slot:
    """A slot of one word; with some odds, of those that are hardly ever right."""
    return lambda chance: [chance.choice(odd if odd and chance.random() < odds else usual)]


def key(kind: str) -> Slot:
    return _one(KEYS[kind], ANY_KEY, 0.12)


def counted(slot: Slot, most: int = 3) -> Slot:
    """A number, and as many words; sometimes the number is another."""

    def draw(chance: Random) -> list[bytes]:
        words = [slot(chance)[0] for _ in range(chance.randint(1, most))]
        wrong = chance.random() < 0.08
        return [chance.choice(SMALL + NO_INTEGERS) if wrong else b"%d" % len(words), *words]

    return draw


def many(make: Sequence[bytes], sizes: Sequence[int]) -> Slot:
    """A crowd of words that crosses a limit of encodings: the prefix of each, numbered."""

    def draw(chance: Random) -> list[bytes]:
        prefix, start = chance.choice(make), chance.choice([0, 0, 50])
        return [b"%s%d" % (prefix, start + number) for number in range(chance.choice(sizes))]

    return draw


def paired(words: Slot, values: Slot, value_first: bool = False) -> Slot:
    """Each word with a value."""

    def draw(chance: Random) -> list[bytes]:
        pairs = [(word, values(chance)[0]) for word in words(chance)]
        return [word for pair in pairs for word in (pair[::-1] if value_first else pair)]

    return draw


def _range_of_ids(chance: Random) -> list[bytes]:
    def end(usual: bytes) -> bytes:
        if chance.random() < 0.4:
            return usual
        number = chance.choice(STREAM_IDS if chance.random() < 0.9 else ODD_IDS)
        return b"(" + number if chance.random() < 0.2 else number

    return [end(b"-"), end(b"+")]


def _lex(chance: Random) -> list[bytes]:
    if chance.random() < 0.05:
        return [chance.choice([b"a", b"", b"(", b"[", b"inf", b"--"])]
    return [chance.choice([b"-", b"+", b"[a", b"(a", b"[b", b"(c", b"[", b"(", b"[m\x00", b"[zz"])]


def _border(chance: Random) -> list[bytes]:
    mark = b"(" if chance.random() < 0.3 else b""
    return [mark + chance.choice([b"-inf", b"+inf", b"0", b"1", b"2", b"5", b"-1", b"0.5", b"1e3", b"-7.25"])]


def _place(chance: Random) -> list[bytes]:
    if chance.random() < 0.07:
        return [chance.choice(SMALL + ODD_FLOATS), chance.choice([b"90", b"86", b"x", b"-85.06", b"0"])]
    longitude = chance.choice([13.361389, 15.087269, 2.3488, 2.35, -179.99, 179.99, 0.0, -73.9857])
    latitude = chance.choice([38.115556, 37.502669, 48.8534, 48.85, 0.0, 85.05, -85.0, 40.7484])
    return [b"%g" % longitude, b"%g" % latitude]


def _polygon(chance: Random) -> list[bytes]:
    """Well away from the poles, around which Valkey searches where its stack says."""
    x, y = chance.choice([(2.3, 48.8), (13.0, 37.0), (0.0, 0.0)])
    size = chance.choice([0.1, 1.0, 10.0])
    corners = [(x + size * a, y + size * b) for a, b in [(0, 0), (1, 0), (1.2, 1), (0, 1.1)]][: chance.choice([3, 4])]
    return [b"%d" % len(corners), *(b"%g" % part for corner in corners for part in corner)]


def _counted_pairs(chance: Random) -> list[bytes]:
    count = chance.randint(1, 3)
    words = [word for _ in range(count) for word in (chance.choice(MEMBERS), chance.choice(TEXTS))]
    return [chance.choice(SMALL) if chance.random() < 0.06 else b"%d" % count, *words]


NO_TIMEOUTS = [b"-1", b"abc", b"inf", b"nan", b"1e-400", b"", b"9223372036854775", b"1e20", b"0x1p-9"]
TIMEOUT = _one([b"0", b"0.001", b"0.002"], NO_TIMEOUTS)

SLOTS: dict[str, Slot] = {
    **{kind: key(kind) for kind in KEYS},
    "k": _one(ANY_KEY, ANY_KEY),
    "db": _one([b"0", b"1"], [b"-1", b"16", b"x", b"15", b""], 0.15),
    "value": _one(TEXTS, TEXTS),
    "int": _one(SMALL, BORDERS + NO_INTEGERS, 0.2),
    "index": _one([b"0", b"1", b"-1", b"2", b"-2", b"100", b"-100"], BORDERS + NO_INTEGERS),
    "offset": _one([b"0", b"1", b"7", b"8", b"9", b"63", b"100", b"4095"], [*NO_INTEGERS, b"-1", b"4294967296"]),
    "number": _one([b"0", b"1", b"2", b"3", b"100"], BORDERS + NO_INTEGERS + [b"-1", b"-3"], 0.15),
    "positive": _one([b"1", b"2", b"3", b"100"], [b"0", *BORDERS, *NO_INTEGERS, b"-1", b"-3"]),
    "float": _one(FLOATS, ODD_FLOATS, 0.2),
    "score": _one([*FLOATS, b"inf", b"-inf"], ODD_FLOATS),
    "weight": _one([b"1", b"2", b"-1", b"0", b"0.5", b"inf"], ODD_FLOATS),
    "border": _border,
    "member": _one(MEMBERS, TEXTS),
    "field": _one(MEMBERS, TEXTS),
    "crowd": many([b"", b"m"], [1, 5, 129, 140, 513]),
    "far": _one(FAR, [b"0", b"-1", b"-100", *BORDERS, *NO_INTEGERS], 0.15),
    "when": _one(WHEN, BORDERS + NO_INTEGERS, 0.15),
    "pattern": _one(PATTERNS, PATTERNS),
    "keys": lambda chance: [chance.choice(ANY_KEY) for _ in range(chance.randint(1, 3))],
    "ekeys": counted(key("e")),
    "zkeys": counted(key("z")),
    "lkeys": counted(key("l"), 2),
    "fields": counted(_one(MEMBERS, TEXTS)),
    "pairs": paired(_one(MEMBERS, TEXTS), _one(TEXTS, TEXTS)),
    "countedpairs": _counted_pairs,
    "hcrowd": paired(many([b"", b"f"], [1, 5, 513, 520]), _one([b"1", b"v", b"x" * 64], [b"x" * 65])),
    "zcrowd": paired(many([b"", b"m"], [1, 5, 129, 140]), _one(FINITE, FINITE), value_first=True),
    "lcrowd": many([b"", b"e", b"x" * 60], [1, 5, 140, 600]),
    "id": _one(STREAM_IDS, ODD_IDS),
    "newid": lambda chance: [b"%d-%d" % (chance.randint(1, 30), chance.randint(0, 3))],
    "ids": _range_of_ids,
    "group": _one([b"g", b"h"], [b"none", b""]),
    "consumer": _one([b"c", b"d"], [b"", b"\x00"]),
    "idle": _one([b"0", b"0", b"1000000000"], [b"-1", b"x", *BORDERS]),
    "lex": _lex,
    "place": _place,
    "polygon": _polygon,
    "radius": _one([b"0", b"1", b"10", b"200.5", b"10000", b"1e7"], [*ODD_FLOATS, b"-1"]),
    "unit": _one([b"m", b"km", b"mi", b"ft", b"KM"], [b"", b"x", b"meter"]),
    "timeout": TIMEOUT,
    "mstimeout": _one([b"0", b"1", b"2"], [b"-1", b"abc", b"1.5", b"", *BORDERS]),
    "bits": _one([b"u8", b"i8", b"u1", b"i64", b"u63", b"i5", b"u32"], [b"u64", b"i65", b"u0", b"x8", b"", b"u08"]),
    "bitoffset": _one([b"0", b"1", b"#0", b"#1", b"#2", b"100"], [b"-1", b"#-1", b"#", b"x", b"#x", b"4294967296"]),
    "channel": _one([b"news", b"sport", b"n\x00"], [b"", b"__keyspace@0__:s1"]),
    "message": _one(TEXTS, TEXTS),
    "type": _one([b"string", b"list", b"hash", b"set", b"zset", b"stream"], [b"x", b"", b"STRING"]),
}
