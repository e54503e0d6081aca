"""Geo searches: members inside of a circle, a box or a polygon.

GEOSEARCH says with options what GEORADIUS and its like say by position; all of them are one ``Search``. Options are
read in the order given, and the first that is wrong is told.
"""
# ruff: noqa: E501  (the first line of a handler's docstring is its summary in COMMAND DOCS, as long as Valkey's)

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from store_pulsards.engine import args, errors, geohash
from store_pulsards.engine.commands.geo import metres, place, show_distance, show_place
from store_pulsards.engine.commands.sorted_sets_ranges import store
from store_pulsards.engine.context import Context
from store_pulsards.engine.geohash import Place
from store_pulsards.engine.geoshapes import Box, Circle, Polygon, Shape, cells
from store_pulsards.engine.replies import Reply
from store_pulsards.engine.sorted_set import SortedSet
from store_pulsards.engine.table import DENYOOM, FIRST, READONLY, SECOND, WRITE, Keys, family

command = family("geo")

FLAGS: Final = frozenset((b"WITHDIST", b"WITHHASH", b"WITHCOORD", b"ANY"))
SHOWING: Final = frozenset((b"WITHDIST", b"WITHHASH", b"WITHCOORD"))
ORDERS: Final = frozenset((b"ASC", b"DESC"))

LEAST_CORNERS: Final = 3


class Found(NamedTuple):
    """A member inside of the shape; the distance is in metres."""

    distance: float
    member: bytes
    score: float
    place: Place


class Search:
    """What to look for in a sorted set, and what to do with it."""

    __slots__ = (
        "_centre",
        "_circle",
        "_given",
        "_name",
        "_sides",
        "_store_as",
        "_value",
        "count",
        "destination",
        "flags",
        "order",
        "shape",
        "store_distance",
        "unit",
    )

    def __init__(self, name: str, value: SortedSet | None, store_as: str = "") -> None:
        self._name = name
        self._value = value
        self._store_as = store_as  # event of the options STORE and STOREDIST
        self._given: set[bytes] = set()  # of FROMMEMBER, FROMLONLAT, BYRADIUS, BYBOX, BYPOLYGON
        self._centre: Place = (0.0, 0.0)
        self._sides: tuple[float, ...] = ()  # radius, or width and height, in metres
        self.flags: set[bytes] = set()
        self.order = b""
        self.count = 0
        self.unit = 1.0
        self.shape: Shape | None = None
        self.destination: bytes | None = None
        self.store_distance = False

    def around(self, centre: Place, radius: bytes, unit: bytes) -> None:
        """Look in a circle."""
        self._centre = centre
        self._by_radius((radius, unit))

    def around_member(self, member: bytes) -> Place:
        """The place of a member; anywhere where there is nothing to be searched."""
        if self._value is None:
            return 0.0, 0.0
        score = self._value.scores.get(member)
        if score is None:
            raise errors.no_such_member(member)
        return geohash.decode(score)

    def parse(self, words: Sequence[bytes], options: dict[bytes, tuple[int, _Parser]]) -> None:
        """Read the options; each of ``options`` has at least so many arguments."""
        index = 0
        while index < len(words):
            name = words[index].upper()
            index += 1
            if name in FLAGS:
                self.flags.add(name)
            elif name in ORDERS:
                self.order = name
            else:
                least, parser = options.get(name, (len(words), _refuse))
                if index + least > len(words) or self._given & EXCLUDED.get(name, frozenset()):
                    raise errors.syntax_error()
                index += parser(self, words[index:])
        if self.destination is not None and self.flags & SHOWING:
            raise errors.stored_and_shown(
                "GEOSEARCHSTORE" if self._name == "GEOSEARCHSTORE" else "STORE option in GEORADIUS"
            )

    def check_shape(self) -> None:
        """GEOSEARCH has to be told where and how far."""
        if not self._given & {b"FROMMEMBER", b"FROMLONLAT", b"BYPOLYGON"}:
            raise errors.no_centre(self._name)
        if not self._given & {b"BYRADIUS", b"BYBOX", b"BYPOLYGON"}:
            raise errors.no_shape(self._name)

    def _by_count(self, words: Sequence[bytes]) -> int:
        self.count = args.integer(words[0])
        if self.count <= 0:
            raise errors.geo_count()
        return 1

    def _store(self, words: Sequence[bytes]) -> int:
        self.destination, self.store_distance = words[0], False
        return 1

    def _store_distance(self, words: Sequence[bytes]) -> int:
        self.destination, self.store_distance = words[0], True
        return 1

    def _with_distance(self, words: Sequence[bytes]) -> int:
        self.store_distance = True
        return 0

    def _from_member(self, words: Sequence[bytes]) -> int:
        self._centre = self.around_member(words[0])
        self._given.add(b"FROMMEMBER")
        return 1

    def _from_place(self, words: Sequence[bytes]) -> int:
        self._centre = place(words[0], words[1])
        self._given.add(b"FROMLONLAT")
        return 2

    def _by_radius(self, words: Sequence[bytes]) -> int:
        radius = args.real(words[0], errors.need_numeric("radius"))
        if radius < 0:
            raise errors.negative_radius()
        self.unit = metres(words[1])
        self._sides = (radius * self.unit,)
        self._given.add(b"BYRADIUS")
        return 2

    def _by_box(self, words: Sequence[bytes]) -> int:
        width = args.real(words[0], errors.need_numeric("width"))
        height = args.real(words[1], errors.need_numeric("height"))
        if width < 0 or height < 0:
            raise errors.negative_side()
        self.unit = metres(words[2])
        self._sides = (width * self.unit, height * self.unit)
        self._given.add(b"BYBOX")
        return 3

    def _by_polygon(self, words: Sequence[bytes]) -> int:
        count = args.integer(words[0], -(2**31), 2**31 - 1, errors.number_of_vertices)
        if count < LEAST_CORNERS or len(words) - 1 < 2 * count:
            raise errors.too_few_vertices()
        self.unit = 1.0
        self.shape = Polygon([place(*words[index : index + 2]) for index in range(1, 2 * count, 2)])
        self._given.add(b"BYPOLYGON")
        return 1 + 2 * count

    def run(self, ctx: Context) -> Reply:
        """Search, and reply or store."""
        if b"ANY" in self.flags and not self.count:
            raise errors.any_without_count()
        found = self._chosen()
        if self.destination is not None:
            scores = {each.member: each.distance / self.unit if self.store_distance else each.score for each in found}
            return store(ctx, self.destination, scores, self._store_as)
        return [self._shown(each) for each in found]

    def _chosen(self) -> list[Found]:
        found = self._inside()
        if self.order or (self.count and b"ANY" not in self.flags):
            found.sort(key=_distance, reverse=self.order == b"DESC")
        return found[: self.count] if self.count else found

    def _inside(self) -> list[Found]:
        found: list[Found] = []
        value = self._value
        if value is None:
            return found
        shape = self._shape()
        limit = self.count if b"ANY" in self.flags else 0
        for cell in cells(shape):
            first, behind = cell.scores()
            for score, member in value.entries(value.from_score(first), value.from_score(behind)):
                where = geohash.decode(score)
                distance = shape.distance_inside(where)
                if distance is not None:
                    found.append(Found(distance, member, score, where))
                    if len(found) == limit:
                        return found
        return found

    def _shape(self) -> Shape:
        if self.shape is not None:
            return self.shape
        if len(self._sides) == 1:
            return Circle(self._centre, self._sides[0])
        return Box(self._centre, self._sides[0], self._sides[1])

    def _shown(self, found: Found) -> Reply:
        if not self.flags & SHOWING:
            return found.member
        shown: list[Reply] = [found.member]
        if b"WITHDIST" in self.flags:
            shown.append(show_distance(found.distance / self.unit))
        if b"WITHHASH" in self.flags:
            shown.append(int(found.score))
        if b"WITHCOORD" in self.flags:
            shown.append(show_place(found.place))
        return shown


_Parser = Callable[[Search, Sequence[bytes]], int]


def _distance(found: Found) -> float:
    return found.distance


def _refuse(search: Search, words: Sequence[bytes]) -> int:
    raise errors.syntax_error()


# Each option with the number of its arguments, at least, and what reads them and tells how many they were.
COUNT: Final[dict[bytes, tuple[int, _Parser]]] = {b"COUNT": (1, Search._by_count)}
GEORADIUS: Final = {**COUNT, b"STORE": (1, Search._store), b"STOREDIST": (1, Search._store_distance)}
GEOSEARCH: Final = {
    **COUNT,
    b"FROMMEMBER": (1, Search._from_member),
    b"FROMLONLAT": (2, Search._from_place),
    b"BYRADIUS": (2, Search._by_radius),
    b"BYBOX": (3, Search._by_box),
    b"BYPOLYGON": (2, Search._by_polygon),
}
GEOSEARCHSTORE: Final = {**GEOSEARCH, b"STOREDIST": (0, Search._with_distance)}

# What must not stand before an option.
EXCLUDED: Final = {
    b"FROMMEMBER": {b"FROMLONLAT", b"BYPOLYGON"},
    b"FROMLONLAT": {b"FROMMEMBER", b"BYPOLYGON"},
    b"BYRADIUS": {b"BYBOX", b"BYPOLYGON"},
    b"BYBOX": {b"BYRADIUS", b"BYPOLYGON"},
    b"BYPOLYGON": {b"BYRADIUS", b"BYBOX", b"FROMMEMBER", b"FROMLONLAT"},
}


@command("GEOSEARCH", arity=-7, flags=READONLY, keys=FIRST, since="6.2.0")
def geosearch(ctx: Context, key: bytes, *options: bytes) -> Reply:
    """Queries a geospatial index for members inside an area of a box, circle, or a polygon."""
    search = Search("GEOSEARCH", ctx.lookup(key, SortedSet))
    search.parse(options, GEOSEARCH)
    search.check_shape()
    return search.run(ctx)


@command(
    "GEOSEARCHSTORE",
    arity=-8,
    flags=WRITE | DENYOOM,
    keys=(FIRST, SECOND),
    access=("OW update", "RO access"),
    since="6.2.0",
)
def geosearchstore(ctx: Context, destination: bytes, source: bytes, *options: bytes) -> Reply:
    """Queries a geospatial index for members inside an area of a box, a circle, or a polygon, optionally stores the result."""
    search = Search("GEOSEARCHSTORE", ctx.lookup(source, SortedSet), "geosearchstore")
    search.destination = destination
    search.parse(options, GEOSEARCHSTORE)
    search.check_shape()
    return search.run(ctx)


def _stores(first: int) -> tuple[Keys, Keys, Keys]:
    return FIRST, Keys(first, keyword=b"STORE"), Keys(first, keyword=b"STOREDIST")


STORING: Final = ("RO access", "OW update variable_flags", "OW update variable_flags")


@command("GEORADIUS", arity=-6, flags=WRITE | DENYOOM, keys=_stores(6), access=STORING, since="3.2.0")
def georadius(ctx: Context, key: bytes, x: bytes, y: bytes, radius: bytes, unit: bytes, *options: bytes) -> Reply:
    """Queries a geospatial index for members within a distance from a coordinate, optionally stores the result."""
    return _around(ctx, key, x, y, radius, unit, options, GEORADIUS)


@command("GEORADIUS_RO", arity=-6, flags=READONLY, keys=FIRST, since="3.2.10")
def georadius_ro(ctx: Context, key: bytes, x: bytes, y: bytes, radius: bytes, unit: bytes, *options: bytes) -> Reply:
    """Returns members from a geospatial index that are within a distance from a coordinate."""
    return _around(ctx, key, x, y, radius, unit, options, COUNT)


def _around(
    ctx: Context,
    key: bytes,
    x: bytes,
    y: bytes,
    radius: bytes,
    unit: bytes,
    options: Sequence[bytes],
    known: dict[bytes, tuple[int, _Parser]],
) -> Reply:
    search = Search("GEORADIUS", ctx.lookup(key, SortedSet), "georadiusstore")
    search.around(place(x, y), radius, unit)
    search.parse(options, known)
    return search.run(ctx)


@command("GEORADIUSBYMEMBER", arity=-5, flags=WRITE | DENYOOM, keys=_stores(5), access=STORING, since="3.2.0")
def georadiusbymember(ctx: Context, key: bytes, member: bytes, radius: bytes, unit: bytes, *options: bytes) -> Reply:
    """Queries a geospatial index for members within a distance from a member, optionally stores the result."""
    return _around_member(ctx, key, member, radius, unit, options, GEORADIUS)


@command("GEORADIUSBYMEMBER_RO", arity=-5, flags=READONLY, keys=FIRST, since="3.2.10")
def georadiusbymember_ro(ctx: Context, key: bytes, member: bytes, radius: bytes, unit: bytes, *options: bytes) -> Reply:
    """Returns members from a geospatial index that are within a distance from a member."""
    return _around_member(ctx, key, member, radius, unit, options, COUNT)


def _around_member(
    ctx: Context,
    key: bytes,
    member: bytes,
    radius: bytes,
    unit: bytes,
    options: Sequence[bytes],
    known: dict[bytes, tuple[int, _Parser]],
) -> Reply:
    value = ctx.lookup(key, SortedSet)
    search = Search("GEORADIUSBYMEMBER", value, "georadiusstore")
    if value is not None:  # without it, Valkey does not even look at the radius
        search.around(search.around_member(member), radius, unit)
    search.parse(options, known)
    return search.run(ctx)
