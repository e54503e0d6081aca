"""Shapes on a map: what is inside, and which cells of the geohash have to be searched for it.

Every shape has a centre, from which distances are measured, and bounds in degrees. Nine cells cover it: the centre's
and its neighbours, those left out that the bounds do not reach.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import atan2, cos, inf, isfinite, sin, sqrt
from typing import Final, TypeAlias

from store_pulsards.engine.geohash import (
    EARTH_RADIUS,
    RADIANS,
    Cell,
    Place,
    distance,
    encode,
    is_place,
    latitude_distance,
    steps_for,
)

Bounds: TypeAlias = tuple[float, float, float, float]  # west, south, east, north

# The centre first, then as Valkey goes: the order of members where nothing sorts them.
NEIGHBOURS: Final = ((0, 0), (0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, 1), (1, -1), (-1, -1))


class Circle:
    """All that is not farther from the centre than ``radius`` (metres)."""

    __slots__ = ("centre", "radius")

    def __init__(self, centre: Place, radius: float) -> None:
        self.centre = centre
        self.radius = radius

    def distance_inside(self, place: Place) -> float | None:
        """Metres from the centre; None for a place outside."""
        metres = distance(self.centre, place)
        return metres if metres <= self.radius else None

    def reach(self) -> float:
        """Metres from the centre to the farthest point."""
        return self.radius

    def bounds(self) -> Bounds:
        return _around(self.centre, self.radius, self.radius)


class Box:
    """A rectangle of so many metres around its centre."""

    __slots__ = ("centre", "height", "width")

    def __init__(self, centre: Place, width: float, height: float) -> None:
        self.centre = centre
        self.width = width
        self.height = height

    def distance_inside(self, place: Place) -> float | None:
        """Metres from the centre; None for a place outside."""
        longitude, latitude = place
        if latitude_distance(latitude, self.centre[1]) > self.height / 2:
            return None
        if distance((longitude, latitude), (self.centre[0], latitude)) > self.width / 2:
            return None
        return distance(self.centre, place)

    def reach(self) -> float:
        """Metres from the centre to the farthest point."""
        return sqrt((self.width / 2) * (self.width / 2) + (self.height / 2) * (self.height / 2))

    def bounds(self) -> Bounds:
        return _around(self.centre, self.width / 2, self.height / 2)


class Polygon:
    """What is inside of a closed line; the centre is the mean of its corners on the sphere."""

    __slots__ = ("centre", "corners")

    def __init__(self, corners: Sequence[Place]) -> None:
        self.corners = corners
        self.centre = _mean(corners)

    def distance_inside(self, place: Place) -> float | None:
        """Metres from the centre; None for a place outside."""
        longitude, latitude = place
        inside = False
        x1, y1 = self.corners[-1]
        for x, y in self.corners:
            if (y > latitude) != (y1 > latitude) and longitude < (x1 - x) * (latitude - y) / (y1 - y) + x:
                inside = not inside
            x1, y1 = x, y
        return distance(self.centre, place) if inside else None

    def reach(self) -> float:
        """Metres from the centre to the farthest corner of the bounds."""
        west, south, east, north = self.bounds()
        return max(
            distance(self.centre, corner) for corner in ((west, north), (east, north), (west, south), (east, south))
        )

    def bounds(self) -> Bounds:
        longitudes = [longitude for longitude, _ in self.corners]
        latitudes = [latitude for _, latitude in self.corners]
        return min(longitudes), min(latitudes), max(longitudes), max(latitudes)


Shape: TypeAlias = Circle | Box | Polygon


def _around(centre: Place, width: float, height: float) -> Bounds:
    """Bounds so many metres away on each side, where meridians are nearest to each other."""
    longitude, latitude = centre
    up = height / EARTH_RADIUS / RADIANS
    nearest = latitude - up if latitude < 0 else latitude + up
    side = width / EARTH_RADIUS / cos(nearest * RADIANS) / RADIANS if isfinite(nearest) else inf
    return longitude - side, latitude - up, longitude + side, latitude + up


def _mean(corners: Sequence[Place]) -> Place:
    x = y = z = 0.0
    for longitude, latitude in corners:
        east, north = longitude * RADIANS, latitude * RADIANS
        x += cos(north) * cos(east)
        y += cos(north) * sin(east)
        z += sin(north)
    return atan2(y, x) / RADIANS, atan2(z, sqrt(x * x + y * y)) / RADIANS


def cells(shape: Shape) -> list[Cell]:
    """The cells to be searched, the centre's first."""
    bounds = west, south, east, north = shape.bounds()
    centre = shape.centre
    if not is_place(*centre):
        return []  # a polygon around a pole: Valkey searches whatever cell its stack held before, mostly none
    steps = steps_for(shape.reach(), centre[1])
    cell = Cell(encode(centre, steps), steps)
    if steps > 1 and not _covers(cell, bounds):
        steps -= 1
        cell = Cell(encode(centre, steps), steps)
    (cell_west, cell_south), (cell_east, cell_north) = cell.area()
    found: list[Cell] = []
    for x, y in NEIGHBOURS:
        beyond = (
            (y < 0 and cell_south < south)
            or (y > 0 and cell_north > north)
            or (x < 0 and cell_west < west)
            or (x > 0 and cell_east > east)
        )
        if steps < 2 or not beyond:
            neighbour = cell.moved(x, y)
            # Around the world, neighbours may be the same; as Valkey, compare with the last, but not with the centre.
            if len(found) < 2 or neighbour != found[-1]:
                found.append(neighbour)
    return found


def _covers(cell: Cell, bounds: Bounds) -> bool:
    """Whether a cell and its neighbours reach to the bounds."""
    west, south, east, north = bounds
    return (
        cell.moved(0, 1).area()[1][1] >= north
        and cell.moved(0, -1).area()[0][1] <= south
        and cell.moved(1, 0).area()[1][0] >= east
        and cell.moved(-1, 0).area()[0][0] <= west
    )
