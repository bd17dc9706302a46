"""McNemar's exact test."""

from fractions import Fraction
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.metrics.mcnemar import p_value


@pytest.mark.parametrize("changed", range(11))
def test_p_is_the_share_of_all_outcomes_at_least_as_bad(changed: int) -> None:
    outcomes = [sum(coins) for coins in product((0, 1), repeat=changed)]

    for lost in range(changed + 1):
        assert p_value(lost, changed - lost) == Fraction(sum(one >= lost for one in outcomes), len(outcomes))


@given(lost=st.integers(0, 300), gained=st.integers(0, 300))
def test_p_falls_when_one_more_stops_and_rises_when_one_more_starts(lost: int, gained: int) -> None:
    assert p_value(lost + 1, gained) < p_value(lost, gained) <= 1
    assert p_value(lost, gained + 1) > p_value(lost, gained) or lost == 0


def test_nobody_changed_is_no_evidence() -> None:
    assert p_value(0, 0) == 1


def test_a_tenant_of_a_hundred_thousand_is_judged_exactly_too() -> None:
    assert 0 < p_value(9_000, 8_800) < Fraction(1, 5) < p_value(9_000, 8_900)
