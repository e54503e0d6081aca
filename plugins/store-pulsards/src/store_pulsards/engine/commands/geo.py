"""Geo commands: places in a sorted set whose scores are geohashes of 52 bits.

Searches are in ``geo_search``. A distance in a reply is a text with four digits after the point; a coordinate is a
number with up to 17.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from store_pulsards.engine import args, errors, geohash
from store_pulsards.engine.commands.sorted_sets import zadd
from store_pulsards.engine.context import Context
from store_pulsards.engine.geohash import Place
from store_pulsards.engine.replies import NULL_ARRAY, Coordinate, Reply
from store_pulsards.engine.sorted_set import SortedSet
from store_pulsards.engine.table import DENYOOM, FIRST, READONLY, WRITE, family

command = family("geo")

GEOADD_OPTIONS: Final = frozenset((b"NX", b"XX", b"CH"))
METRES: Final = {b"M": 1.0, b"KM": 1000.0, b"FT": 0.3048, b"MI": 1609.34}


def place(longitude: bytes, latitude: bytes) -> Place:
    """Coordinates as a client writes them."""
    found = args.real(longitude), args.real(latitude)
    if not geohash.is_place(*found):
        raise errors.invalid_place(*found)
    return found


def metres(unit: bytes) -> float:
    """How many metres a unit has."""
    factor = METRES.get(unit.partition(b"\0")[0].upper())
    if factor is None:
        raise errors.unsupported_unit()
    return factor


def show_distance(distance: float) -> bytes:
    """A distance as Redis prints it: rounded to four digits, ties to even."""
    scaled = round(distance * 10_000)
    return b"%d.%04d" % divmod(scaled, 10_000)


def show_place(found: Place) -> list[Coordinate]:
    """Coordinates as Redis prints them."""
    return [Coordinate(found[0]), Coordinate(found[1])]


@command("GEOADD", arity=-5, flags=WRITE | DENYOOM, keys=FIRST, access="RW update", since="3.2.0")
def geoadd(ctx: Context, key: bytes, *rest: bytes) -> Reply:
    """Adds one or more members to a geospatial index. The key is created if it doesn't exist."""
    options, words = _split_options(rest)
    if len(words) % 3 or {b"NX", b"XX"} <= {option.upper() for option in options}:
        raise errors.syntax_error()
    pairs: list[bytes] = []
    for index in range(0, len(words), 3):
        score = geohash.encode(place(words[index], words[index + 1]))
        pairs += (b"%d" % score, words[index + 2])
    return zadd(ctx, key, *options, *pairs)


def _split_options(rest: Sequence[bytes]) -> tuple[Sequence[bytes], Sequence[bytes]]:
    index = 0
    while index < len(rest) and rest[index].upper() in GEOADD_OPTIONS:
        index += 1
    return rest[:index], rest[index:]


def places(ctx: Context, key: bytes, members: Sequence[bytes]) -> list[Place | None]:
    """Where members are; None for those that are nowhere."""
    value = ctx.lookup(key, SortedSet)
    if value is None:
        return [None] * len(members)
    scores = map(value.scores.get, members)
    return [None if score is None else geohash.decode(score) for score in scores]


@command("GEOPOS", arity=-2, flags=READONLY, keys=FIRST, since="3.2.0")
def geopos(ctx: Context, key: bytes, *members: bytes) -> Reply:
    """Returns the longitude and latitude of members from a geospatial index."""
    return [NULL_ARRAY if found is None else show_place(found) for found in places(ctx, key, members)]


@command("GEOHASH", arity=-2, flags=READONLY, keys=FIRST, since="3.2.0")
def geohash_(ctx: Context, key: bytes, *members: bytes) -> Reply:
    """Returns members from a geospatial index as geohash strings."""
    return [None if found is None else geohash.text(found) for found in places(ctx, key, members)]


@command("GEODIST", arity=-4, flags=READONLY, keys=FIRST, since="3.2.0")
def geodist(ctx: Context, key: bytes, one: bytes, other: bytes, *unit: bytes) -> Reply:
    """Returns the distance between two members of a geospatial index."""
    if len(unit) > 1:
        raise errors.syntax_error()
    factor = metres(unit[0]) if unit else 1.0
    start, end = places(ctx, key, (one, other))
    if start is None or end is None:
        return None
    return show_distance(geohash.distance(start, end) / factor)
