"""The other ways in which a rule on a share opens: a rise that another metric joins, a companion that is too low."""

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.aggregator.domain.findings import Finding
from services.aggregator.domain.rules.series import Gap
from services.aggregator.domain.rules.thresholds import judge_threshold
from services.aggregator.domain.rules.weekly import metrics_of
from services.rules.pack import DEFAULT
from tests.aggregator.groups import WEEK, group, instant, shares, span, weeks
from tests.aggregator.world import MONDAY

PLACEHOLDERS = DEFAULT["placeholder-values-high"]
HANDOFF = DEFAULT["handoff-incomplete"]
Pairs = list[tuple[int, int] | None]


def placeholders(rate: Pairs, complete: Pairs) -> list[Finding]:
    return list(judge_threshold(PLACEHOLDERS, group({"M26": rate, "M25": complete}), weeks(len(rate))).findings)


@pytest.mark.parametrize(
    ("rate", "complete", "found"),
    [
        pytest.param(shares(14, 15), shares(50, 50), [(1, None)], id="fifteen are enough by themselves, once"),
        pytest.param(shares(1, 2, 3, 4, 6), shares(50, 50, 50, 50, 51), [(4, None)], id="five more, and completer"),
        pytest.param(shares(1, 2, 3, 4, 5), shares(50, 50, 50, 50, 51), [], id="four more"),
        pytest.param(shares(1, 9, 3, 4, 6), shares(50, 50, 50, 50, 50), [], id="no completer than then"),
        pytest.param(shares(1, 9, 3, 4), shares(50, 51, 52, 53), [], id="no four weeks yet"),
        pytest.param(shares(1, 1, 1, 1, 6), shares(None, 1, 1, 1, 51), [], id="it is not known how complete they were"),
        pytest.param(shares(None, 1, 1, 1, 6), shares(1, 1, 1, 1, 51), [], id="nor what the share was"),
        pytest.param([(0, 29), *shares(1, 1, 1, 6)], shares(50, 50, 50, 50, 51), [], id="of too few fields"),
        pytest.param(shares(1, 1, 1, 1, 6, 6, 6), shares(*range(50, 57)), [(4, None)], id="it goes on for four weeks"),
        pytest.param(
            shares(1, 1, 1, 1, 6, 6, 6, 6, 6, 6), shares(*range(50, 60)), [(4, 9)], id="and ends when it is over"
        ),
        pytest.param(
            shares(5, 5, 5, 5, 11, 11, 11, 11, 11, 11), shares(*range(50, 60)), [(4, None)], id="but not above ten"
        ),
    ],
)
def test_placeholders_that_rise_while_completeness_does(
    rate: Pairs, complete: Pairs, found: list[tuple[int, int | None]]
) -> None:
    assert [span(each) for each in placeholders(rate, complete)] == found


def test_a_rise_is_told_with_what_rose_beside_it() -> None:
    [finding] = placeholders(shares(1, 2, 3, 4, 7), shares(50, 50, 50, 50, 52))

    assert finding.evidence["rise"] == {"points": Fraction(6), "joined": Fraction(2), "since": MONDAY}
    assert finding.evidence["num"] == 7


def test_a_rise_from_fewer_than_the_rule_asks_for_is_none() -> None:
    cells: dict[str, Pairs] = {"M26": [(0, 40), *shares(1, 1, 1, 6)], "M25": shares(50, 50, 50, 50, 51)}

    def opened(minimum: int) -> int:
        return len(judge_threshold(replace(PLACEHOLDERS, minimum=minimum), group(cells), weeks(5)).findings)

    assert (opened(40), opened(41)) == (1, 0)


@settings(max_examples=300)
@given(
    told=st.lists(
        st.tuples(st.integers(0, 40), st.integers(28, 60), st.integers(0, 40), st.integers(28, 60)),
        min_size=1,
        max_size=12,
    )
)
def test_a_week_opens_exactly_when_one_of_the_two_ways_says_so(told: list[tuple[int, int, int, int]]) -> None:
    judged = judge_threshold(
        PLACEHOLDERS,
        group({"M26": [(min(a, b), b) for a, b, _, _ in told], "M25": [(min(c, d), d) for _, _, c, d in told]}),
        weeks(len(told)),
    )

    def share(place: int, at: int) -> Fraction | None:
        num, den = told[place][at : at + 2]
        return Fraction(min(num, den), den) if den >= 30 else None

    for place, said in enumerate(judged.evaluations):
        rate, complete = share(place, 0), share(place, 2)
        was, had = (share(place - 4, 0), share(place - 4, 2)) if place >= 4 else (None, None)
        rose = None not in (rate, was, complete, had) and rate - was >= Fraction(5, 100) and complete > had  # type: ignore[operator]
        if rate is None:
            assert said.outcome == "not_judged"
        else:
            assert (said.outcome == "open") == (rate >= Fraction(15, 100) or rose)
            assert (said.outcome == "clear") == (rate < Fraction(10, 100) and not rose)


# ---------------------------------------------------------------- what is counted beside


def handoffs(complete: Pairs, read: Pairs | None, **known: object) -> list[Finding]:
    cells = {"M29": complete} if read is None else {"M29": complete, "M29r": read}
    return list(judge_threshold(HANDOFF, group(cells), weeks(len(complete), **known)).findings)  # type: ignore[arg-type]


ALL = shares(*[3] * 8, den=3)


@pytest.mark.parametrize(
    ("complete", "read", "found"),
    [
        pytest.param(ALL, None, [], id="nobody says who reads"),
        pytest.param(ALL, shares(*[2] * 8, den=3), [], id="two of three read"),
        pytest.param(ALL, shares(*[1] * 8, den=3), [(2, None)], id="one of three read"),
        pytest.param(shares(*[2] * 8, den=3), ALL, [(2, None)], id="two of three complete"),
        pytest.param(shares(*[3, 3, 3, 0], den=3), ALL, [], id="what was won last week may still be completed"),
        pytest.param(shares(*[2] * 4, *[3] * 8, den=3), [*ALL, *ALL[:4]], [(2, 8)], id="it ends when four weeks are"),
        pytest.param(ALL, shares(*[1] * 2, *[3] * 6, den=3), [(2, 5)], id="when most are read again"),
    ],
)
def test_deals_are_to_be_handed_over_complete_and_read(
    complete: Pairs, read: Pairs | None, found: list[tuple[int, int | None]]
) -> None:
    assert [span(each) for each in handoffs(complete, read)] == found


def test_it_stays_open_between_where_reading_opens_and_closes_it() -> None:
    complete, read = shares(*[8] * 12, den=8), shares(*[4] * 3, *[5] * 9, den=8)

    assert [span(each) for each in handoffs(complete, read)] == [(1, None)]


def test_three_of_five_are_not_fewer_than_sixty_of_a_hundred() -> None:
    complete: Pairs = [(5, 5), None]

    assert handoffs(complete, [(3, 5), None]) == []
    [finding] = handoffs(complete, [(2, 5), None])
    assert finding.evidence["handoff_read"] == {"num": 2, "den": 5, "value": Fraction(2, 5)}
    assert handoffs([(4, 4), None], [(0, 4), None]) == [], "four deals say nothing"


@pytest.mark.parametrize("name", ["data-quality-superficial", "data-quality-below-phase-target"])
def test_the_score_is_never_told_without_its_placeholders(name: str) -> None:
    cells: dict[str, Pairs] = {"M25": shares(*[60] * 3), "M26": [(9, 60), (12, 60), (1, 29)]}
    two, three = (
        judge_threshold(DEFAULT[name], group({code: pairs[:n] for code, pairs in cells.items()}), weeks(n)).findings[0]
        for n in (2, 3)
    )

    assert two.evidence["placeholder_rate"] == {"num": 12, "den": 60, "value": Fraction(1, 5)}
    assert "placeholder_rate" not in three.evidence, "of so few fields it says nothing"
    assert metrics_of(DEFAULT[name])[1].code == "M26"


def test_while_a_source_was_silent_nobody_is_said_not_to_have_read() -> None:
    read = shares(*[0] * 8, den=3)

    assert handoffs(ALL, read, gaps=[Gap(instant(MONDAY + WEEK), None)]) == []
    assert handoffs(ALL, read, gaps=[Gap(instant(MONDAY), instant(MONDAY + WEEK))]) != []
