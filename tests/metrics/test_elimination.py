"""What follows from sums: the secrets that a sum would tell, and the sums that are told all the same."""

import pytest

from services.metrics.elimination import PRIME, Row, Secret, Span

LESS = PRIME - 1


@pytest.mark.parametrize(
    ("secrets", "sums", "added"),
    [
        pytest.param([Secret({0: 1, 1: LESS})], [{0: 1}, {1: 1}], [True, False], id="a difference"),
        pytest.param([Secret({0: 1, 1: 1})], [{0: 1}, {2: 1}, {0: 1, 2: 3}], [True] * 3, id="what follows from others"),
        pytest.param([Secret({0: 2, 1: 2, 2: 2})], [{0: 1, 1: 1}, {2: 1}], [True, False], id="several times a sum"),
        pytest.param([Secret({0: 1, 1: 1}), Secret({1: 1})], [{0: 1}, {1: 1}], [True, False], id="one of two"),
    ],
)
def test_a_sum_is_added_unless_a_secret_follows(secrets: list[Secret], sums: list[Row], added: list[bool]) -> None:
    span = Span(secrets, 5)

    assert [span.add(row) for row in sums] == added


@pytest.mark.parametrize(("people", "told"), [((2, 2), False), ((2, 3), True)])
@pytest.mark.parametrize(
    ("one", "other", "sums"),
    [
        pytest.param({0: 1, 2: 1}, {0: 1, 2: LESS}, [{0: 1}], id="both change at once"),
        pytest.param({0: 1, 2: 1}, {1: 1, 2: LESS}, [{0: 1}, {1: 1}], id="one after the other"),
        pytest.param({0: 1, 2: 1}, {1: 1, 2: LESS}, [{0: 1, 1: 1}], id="only their sum is told"),
    ],
)
def test_two_parts_do_not_follow_as_one_of_too_few(
    one: Row, other: Row, sums: list[Row], *, people: tuple[int, int], told: bool
) -> None:
    span = Span([Secret(one, people[0]), Secret(other, people[1])], 5)

    assert all(span.add(row) for row in sums[:-1])
    assert span.add(sums[-1]) is told


def test_what_is_no_part_may_follow_with_another() -> None:
    span = Span([Secret({0: 1, 2: 1}), Secret({0: 1, 2: LESS}, 1)], 5)

    assert span.add({0: 1})
