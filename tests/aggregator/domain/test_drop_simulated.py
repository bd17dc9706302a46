"""The drop rule on simulated groups: seldom wrong when nothing changes, seldom blind to a drop, and as it is published.

What is published is counted by a reading of it that shares nothing with the rule.
"""

import random
from datetime import timedelta

import pytest

from benchmarks.drop_guard import MOST_FALSE, PUBLISHED_POWER, SIZES, STABLE, TO, WEEKS, WITHIN, simulate
from services.aggregator.domain.calendar import Calendar
from services.aggregator.domain.findings import Finding, Resolution, Subject
from services.aggregator.domain.power import power
from services.aggregator.domain.rules.change import History, Watched, doubtful_weeks, judge_change
from services.aggregator.domain.rules.change import Week as Counted
from services.aggregator.domain.rules.drop import Guard, SamePeople
from services.aggregator.domain.waves import Wave
from tests.aggregator.world import MONDAY, at
from tests.scenarios.published import LAST_WEEK, Group, Week, episodes

RUNS = 600
GROUPS = 600
BASE = round(100 * STABLE)
NORTH = Group("team", "North", MONDAY)


@pytest.mark.parametrize("people", SIZES)
def test_few_groups_are_told_of_in_which_nobody_changed(people: int) -> None:
    found = simulate(people, STABLE, WEEKS, RUNS, seed=1)

    assert found.share - found.error <= power(Guard(), people, BASE, BASE, WEEKS) <= found.share + found.error
    assert found.suspected >= found.told


def test_there_is_no_size_at_which_more_than_a_quarter_are_told_of_in_vain() -> None:
    assert max(power(Guard(), people, BASE, BASE, WEEKS) for people in range(SIZES[0], SIZES[-1] + 1)) <= MOST_FALSE


@pytest.mark.parametrize(("people", "least"), [each for each in zip(SIZES, PUBLISHED_POWER, strict=True) if each[1]])
def test_most_drops_are_found_within_four_weeks(people: int, least: float) -> None:
    found = simulate(people, TO, WITHIN, RUNS, seed=1)

    assert found.share + found.error >= least


def test_any_group_is_told_of_in_the_weeks_that_are_published() -> None:
    dice = random.Random(3)
    told = 0
    for _ in range(GROUPS):
        weeks = _weeks(dice)
        expected = [
            (each.opened, each.confirmed, each.shown, each.over, each.lost, each.gained)
            for each in episodes(NORTH, weeks)
        ]
        told += len(expected)

        assert _judged(weeks) == expected, weeks
    assert told > GROUPS / 2


def _weeks(dice: random.Random) -> list[Week]:
    """Return the weeks of a group of 4 to 24 people, of whom some come and go, and some stop for a while."""
    crowd = [f"p{number}" for number in range(dice.randint(4, 24))]
    rate, fall, turnover = dice.uniform(0.6, 1.0), dice.choice([0.0, 0.1, 0.2, 0.5]), dice.choice([0.0, 0.05])
    bad = range(dice.randint(2, 8), dice.randint(6, LAST_WEEK + 1))
    weeks = []
    for number in range(1, LAST_WEEK + 1):
        licensed = frozenset(user for user in crowd if dice.random() >= turnover)
        share = rate - fall if number in bad else rate
        weeks.append(Week(licensed, frozenset(user for user in licensed if dice.random() < share)))
    return weeks


def _judged(weeks: list[Week]) -> list[tuple[int | None, ...]]:
    """Return what the rule finds, in numbers of weeks."""
    counted = [Counted(number, len(week.licensed), len(week.active)) for number, week in enumerate(weeks, start=1)]
    people = {number: _people(weeks[0], weeks[number - 1]) for number in doubtful_weeks(counted)}
    watched = Watched(Subject("team", "North"), Wave("w", "Wave", MONDAY))
    end = at(MONDAY + timedelta(weeks=LAST_WEEK + 2))
    found = [
        each
        for each in judge_change(History(watched, counted, people), Calendar(), end)
        if each.rule == "adoption-drop-vs-week1"
    ]
    names = ("opened_in", "confirmed_in", "week")
    return [
        (*(each.evidence[name] for name in names), _over(each), each.evidence["lost"], each.evidence["gained"])
        for each in found
    ]


def _over(finding: Finding) -> int | None:
    if finding.resolution is Resolution.PHASE_ENDED or finding.closed_at is None:
        return None
    return (finding.closed_at.date() - MONDAY).days // 7


def _people(base: Week, week: Week) -> SamePeople:
    stayed = base.licensed & week.licensed
    lost, gained = stayed & (base.active - week.active), stayed & (week.active - base.active)
    return SamePeople(len(stayed), len(lost), len(gained), 0, 0)
