"""Geohashes: a place on earth as one number of 52 bits, and areas as ranges of such numbers.

The bits of latitude and longitude take turns, longitude first, each halving what is left of its range. Places near
each other mostly have numbers near each other; what lies in a cell has the cell's bits in front. Latitudes end at
85.05112878 degrees, as in EPSG:900913. All is computed with doubles in the order in which Valkey's ``geohash.c`` and
``geohash_helper.c`` do it, since scores, distances and what is still inside depend on the last bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import asin, cos, pi, sin, sqrt
from typing import Final, TypeAlias

STEPS: Final = 26  # bits of each coordinate in a score
WEST: Final = -180.0
EAST: Final = 180.0
SOUTH: Final = -85.05112878
NORTH: Final = 85.05112878
POLE: Final = 90.0  # where the geohashes that others use end
EARTH_RADIUS: Final = 6372797.560856  # metres
MERCATOR_MAX: Final = 20037726.37
SAME_LONGITUDE: Final = 1e-15
RADIANS: Final = pi / 180.0
ALPHABET: Final = b"0123456789bcdefghjkmnpqrstuvwxyz"

_LATITUDE_BITS: Final = 0x5555555555555555
_LONGITUDE_BITS: Final = 0xAAAAAAAAAAAAAAAA

Place: TypeAlias = tuple[float, float]  # longitude, latitude


@dataclass(frozen=True, slots=True)
class Cell:
    """The places whose first ``steps`` bits of each coordinate are ``bits``."""

    bits: int
    steps: int

    def scores(self) -> tuple[int, int]:
        """The first score inside, and the first behind."""
        shift = 2 * (STEPS - self.steps)
        return self.bits << shift, self.bits + 1 << shift

    def area(self) -> tuple[Place, Place]:
        """The corners in the south-west and in the north-east."""
        south, north = _side(_every_second(self.bits), self.steps, SOUTH, NORTH)
        west, east = _side(_every_second(self.bits >> 1), self.steps, WEST, EAST)
        return (west, south), (east, north)

    def moved(self, east: int, north: int) -> Cell:
        """A neighbour; beyond the edge the world begins anew."""
        ones = (1 << 2 * self.steps) - 1
        x = _moved(self.bits, east, _LONGITUDE_BITS & ones, _LATITUDE_BITS & ones)
        return Cell(_moved(x, north, _LATITUDE_BITS & ones, _LONGITUDE_BITS & ones), self.steps)


def _moved(bits: int, by: int, own: int, other: int) -> int:
    """The bits of one coordinate counted up or down by one, those of the other as before."""
    kept = bits & other
    if by > 0:
        bits = (bits & own) + other + 1
    elif by < 0:
        bits = (bits & own | other) - (other + 1)
    return bits & own | kept


def _side(index: int, steps: int, low: float, high: float) -> tuple[float, float]:
    """The lower and the upper bound of a part of a range."""
    parts = 1 << steps
    return low + (index / parts) * (high - low), low + ((index + 1) / parts) * (high - low)


def _spread(number: int) -> int:
    """32 bits with a zero before each."""
    number = (number | number << 16) & 0x0000FFFF0000FFFF
    number = (number | number << 8) & 0x00FF00FF00FF00FF
    number = (number | number << 4) & 0x0F0F0F0F0F0F0F0F
    number = (number | number << 2) & 0x3333333333333333
    return (number | number << 1) & _LATITUDE_BITS


def _every_second(number: int) -> int:
    """Every second bit of 64, from the lowest on."""
    number &= _LATITUDE_BITS
    number = (number | number >> 1) & 0x3333333333333333
    number = (number | number >> 2) & 0x0F0F0F0F0F0F0F0F
    number = (number | number >> 4) & 0x00FF00FF00FF00FF
    number = (number | number >> 8) & 0x0000FFFF0000FFFF
    return (number | number >> 16) & 0x00000000FFFFFFFF


def is_place(longitude: float, latitude: float) -> bool:
    """Whether these coordinates can be encoded."""
    return WEST <= longitude <= EAST and SOUTH <= latitude <= NORTH


def encode(place: Place, steps: int = STEPS, south: float = SOUTH, north: float = NORTH) -> int:
    """The bits of the cell in which a place is; with all steps, the score of a member."""
    longitude, latitude = place
    up = (latitude - south) / (north - south) * (1 << steps)
    right = (longitude - WEST) / (EAST - WEST) * (1 << steps)
    return _spread(int(up) & 0xFFFFFFFF) | _spread(int(right) & 0xFFFFFFFF) << 1


def decode(score: float) -> Place:
    """The middle of the cell that a score stands for; scores that GEOADD never made have a place, too."""
    (west, south), (east, north) = Cell(_unsigned(score), STEPS).area()
    return nearest_place(((west + east) / 2, (south + north) / 2))


def _unsigned(score: float) -> int:
    """What C makes of a double as an unsigned number, on x86-64."""
    if 0 <= score < 2.0**64:
        return int(score)
    if score > 0:
        return 0
    return int(score) & 2**64 - 1 if score >= -(2.0**63) else 1 << 63


def nearest_place(place: Place) -> Place:
    """The nearest coordinates that can be encoded."""
    longitude, latitude = place
    return max(WEST, min(EAST, longitude)), max(SOUTH, min(NORTH, latitude))


def text(place: Place) -> bytes:
    """The geohash that others use: 10 characters of 5 bits, and a zero, as 52 bits have no more to tell."""
    bits = encode(place, STEPS, -POLE, POLE)
    return bytes([ALPHABET[bits >> 52 - 5 * index & 31] for index in range(1, 11)]) + b"0"


def distance(one: Place, other: Place) -> float:
    """Metres between two places, on a sphere."""
    v = sin((other[0] * RADIANS - one[0] * RADIANS) / 2)
    if abs(v) <= SAME_LONGITUDE:
        return latitude_distance(one[1], other[1])
    south, north = one[1] * RADIANS, other[1] * RADIANS
    u = sin((north - south) / 2)
    a = u * u + cos(south) * cos(north) * v * v
    return 2.0 * EARTH_RADIUS * asin(min(1.0, sqrt(a)))


def latitude_distance(one: float, other: float) -> float:
    """Metres between two latitudes."""
    return EARTH_RADIUS * abs(other * RADIANS - one * RADIANS)


def steps_for(metres: float, latitude: float) -> int:
    """How small cells may be, for nine of them to cover a radius."""
    if metres == 0:
        return STEPS
    steps = 1
    while metres < MERCATOR_MAX:
        metres *= 2
        steps += 1
    steps -= 2
    # Towards the poles, cells are narrower.
    steps -= (abs(latitude) > 66) + (abs(latitude) > 80)
    return max(1, min(STEPS, steps))
