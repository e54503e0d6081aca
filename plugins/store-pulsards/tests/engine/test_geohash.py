from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from store_pulsards.engine import geohash
from store_pulsards.engine.geohash import EAST, NORTH, SOUTH, STEPS, WEST, Cell, Place
from store_pulsards.engine.geoshapes import Box, Circle, Polygon, Shape, cells

PLACES = st.tuples(st.floats(WEST, EAST), st.floats(SOUTH, NORTH))
MODERATE = st.tuples(st.floats(-170, 170), st.floats(-60, 60))


@given(PLACES)
def test_a_place_is_in_the_cell_of_its_score(place: Place) -> None:
    score = geohash.encode(place)
    (west, south), (east, north) = Cell(score, STEPS).area()
    assert west - 1e-9 <= place[0] <= east + 1e-9
    assert south - 1e-9 <= place[1] <= north + 1e-9


@given(st.integers(0, 2**52 - 1))
def test_the_middle_of_a_cell_has_the_score_of_the_cell(score: int) -> None:
    assert geohash.encode(geohash.decode(float(score))) == score


@given(PLACES, st.integers(1, 25))
def test_a_place_is_in_every_greater_cell_too(place: Place, steps: int) -> None:
    low, high = Cell(geohash.encode(place, steps), steps).scores()
    longitude, latitude = place
    if longitude < EAST and latitude < NORTH:  # at the very end, the score has more than 52 bits
        assert low <= geohash.encode(place) < high


@given(st.integers(2, 26), st.data())
def test_a_neighbours_neighbour_is_the_cell_itself(steps: int, data: st.DataObject) -> None:
    cell = Cell(data.draw(st.integers(0, 4**steps - 1)), steps)
    east, north = data.draw(st.integers(-1, 1)), data.draw(st.integers(-1, 1))
    assert cell.moved(east, north).moved(-east, -north) == cell


@given(PLACES, PLACES)
def test_distances_are_the_same_both_ways_and_at_most_half_around_the_world(one: Place, other: Place) -> None:
    distance = geohash.distance(one, other)
    assert abs(distance - geohash.distance(other, one)) < 1e-6
    assert 0 <= distance <= 20_020_800


@given(MODERATE, MODERATE, st.floats(1, 200_000), st.sampled_from(["circle", "box", "polygon"]))
def test_what_is_inside_of_a_shape_is_in_a_cell_that_is_searched(
    centre: Place, offset: Place, size: float, kind: str
) -> None:
    longitude, latitude = centre
    square = [(longitude + x, latitude + y) for x, y in ((-2, -2), (2, -2), (2, 2), (-2, 2))]
    shapes: dict[str, Shape] = {
        "circle": Circle(centre, size),
        "box": Box(centre, size, size / 2),
        "polygon": Polygon(square),
    }
    shape = shapes[kind]
    place = (longitude + offset[0] / 100, latitude + offset[1] / 100)
    if shape.distance_inside(place) is not None:
        score = geohash.encode(place)
        assert any(low <= score < high for low, high in (cell.scores() for cell in cells(shape)))


def test_the_text_of_a_place_is_the_geohash_that_others_use() -> None:
    assert geohash.text(geohash.decode(geohash.encode((13.361389, 38.115556)))) == b"sqc8b49rny0"
    assert geohash.text((-5.6, 42.6)).startswith(b"ezs42")  # the example of Wikipedia
