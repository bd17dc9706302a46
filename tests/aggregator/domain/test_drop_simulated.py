"""The drop rule on simulated groups: seldom wrong when nothing changes, and seldom blind to a drop."""

import pytest

from benchmarks.drop_guard import MOST_FALSE, PUBLISHED_POWER, SIZES, STABLE, TO, WEEKS, WITHIN, simulate

RUNS = 600


@pytest.mark.parametrize("people", SIZES)
def test_few_groups_are_told_of_in_which_nobody_changed(people: int) -> None:
    found = simulate(people, STABLE, WEEKS, RUNS, seed=1)

    assert found.share - found.error <= MOST_FALSE
    assert found.suspected >= found.told


@pytest.mark.parametrize(("people", "power"), list(zip(SIZES, PUBLISHED_POWER, strict=True)))
def test_most_drops_are_found_within_four_weeks(people: int, power: float) -> None:
    found = simulate(people, TO, WITHIN, RUNS, seed=1)

    assert found.share + found.error >= power
