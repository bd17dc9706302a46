"""Steps in which what adds up over time is told: each of enough people, and closed ones stay."""

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.metrics.steps import CODES, steps

START = date(2026, 3, 2)


def day(offset: int) -> date:
    return START + timedelta(days=offset)


def test_a_day_of_many_is_told_by_itself_and_days_of_few_wait_for_one_another() -> None:
    days = [(day(0), 2), (day(1), 40), (day(4), 0), (day(8), 2), (day(9), 5), (day(20), 1), (day(30), 4)]

    assert steps(days, 5) == {day(0): day(20), day(1): day(1), day(8): day(20), day(9): day(9), day(20): day(20)}


@given(st.lists(st.integers(0, 7), max_size=40), st.integers(2, 6))
def test_every_step_is_of_enough_people_and_stays_when_time_goes_on(people: list[int], k: int) -> None:
    days = [(day(offset), number) for offset, number in enumerate(people)]
    found = steps(reversed(days), k)

    sums: dict[date, int] = {}
    for at, step in found.items():
        assert at <= step
        sums[step] = sums.get(step, 0) + dict(days)[at]
    assert all(number >= k for number in sums.values())
    assert sum(number for at, number in days if at not in found) < k
    for until in range(len(days)):
        assert steps(days[:until], k).items() <= found.items()


def test_all_that_adds_up_of_people_is_told_in_steps() -> None:
    assert {code.partition(":")[0] for code in CODES} == {"M1", "M2", "M3", "M5", "M6", "M9"}
    assert {"M1:1", "M3:10", "M5", "M6:300", "M9"} <= set(CODES)
