"""One week against another: what a change is made of."""

from fractions import Fraction
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.metrics.compare import Change, People, Side, Standing, people

STANDINGS = [Standing(), *(Standing(here, not here, hit) for here, hit in product((True, False), repeat=2))]
crowds = st.lists(st.tuples(st.sampled_from(STANDINGS), st.sampled_from(STANDINGS), st.integers(0, 9)), max_size=25)


@settings(max_examples=200)
@given(crowds)
def test_the_parts_of_a_change_add_up_to_it_exactly(crowd: list[tuple[Standing, Standing, int]]) -> None:
    behind = people(crowd)
    change = Change(behind.base, behind.now, behind)
    parts = change.parts()

    assert (parts is None) is change.insufficient
    if parts is not None:
        assert sum(parts.values()) == change.points


@settings(max_examples=100)
@given(crowds)
def test_everybody_who_counts_in_a_week_is_in_one_place(crowd: list[tuple[Standing, Standing, int]]) -> None:
    behind = people(crowd)

    for week, counts in ((0, behind.base), (1, behind.now)):
        there = [(entry[week], entry[2]) for entry in crowd if entry[week].here]
        assert counts == (sum(number for one, number in there if one.hit), sum(number for _, number in there))


def test_whoever_came_or_went_counts_by_how_far_they_lie_from_the_rate_before() -> None:
    behind = People(6, 2, 1, 1, Side(2, 2), Side(), Side(4, 1), Side(2, 2))
    change = Change(behind.base, behind.now, behind)

    assert (change.base, change.now) == ((10, 12), (10, 16))
    assert change.points == Fraction(100 * 10, 12) - Fraction(100 * 10, 16)
    assert change.relative == Fraction(1, 4)
    assert change.parts() == {
        "same_people": Fraction(100, 16),
        "leavers": Fraction(100, 16) * (2 - 2 * Fraction(10, 12)),
        "moved_out": 0,
        "joiners": -Fraction(100, 16) * (1 - 4 * Fraction(10, 12)),
        "moved_in": -Fraction(100, 16) * (2 - 2 * Fraction(10, 12)),
    }
    assert behind.p == Fraction(1, 2)


def test_a_fall_of_exactly_a_tenth_is_a_tenth() -> None:
    assert Change((10, 20), (9, 20)).relative == Fraction(1, 10)


@pytest.mark.parametrize(
    ("base", "now"),
    [
        pytest.param((3, 4), (3, 9), id="four people before"),
        pytest.param((3, 9), (3, 4), id="four people now"),
        pytest.param((0, 9), (3, 9), id="nobody before"),
    ],
)
def test_too_little_is_not_compared(base: tuple[int, int], now: tuple[int, int]) -> None:
    change = Change(base, now, people([]))

    assert (change.insufficient, change.relative, change.points, change.parts()) == (True, None, None, None)
