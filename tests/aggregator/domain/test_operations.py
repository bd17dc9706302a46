"""The rules of operations: signals that are there or not, and episodes of what the tables keep."""

from datetime import timedelta
from typing import Any

import pytest

from services.aggregator.domain.calendar import Calendar
from services.aggregator.domain.findings import Finding, Resolution, Subject
from services.aggregator.domain.rules.coverage import Coverage, Sponsored
from services.aggregator.domain.rules.operations import (
    Failing,
    Hour,
    Signals,
    judge_operations,
)
from services.aggregator.domain.rules.restatements import Restated
from services.aggregator.domain.rules.tireless import Busy
from services.rules.pack import DEFAULT
from tests.aggregator.world import MONDAY, later

NOW = later(10)
NOT_LIVE = Sponsored("Three", "preparation", named=False)
SPONSORED, ALONE = Sponsored("One", "launch", named=True), Sponsored("Two", "stabilization-1", named=False)
DAY = timedelta(days=1)


def judge(rule: str, now: Any = NOW, **signals: Any) -> list[Finding]:
    return judge_operations([DEFAULT[rule]], Signals(**signals), Calendar(), now)[0]


@pytest.mark.parametrize(
    ("rule", "signals", "there"),
    [
        pytest.param("watermark-stalled", {"counted": later(10, 7)}, True, id="two hours behind"),
        pytest.param("watermark-stalled", {"counted": later(10, 7.1)}, False, id="less"),
        pytest.param("directory-stale", {"people": 100, "unled": 10}, False, id="a tenth without a manager"),
        pytest.param("directory-stale", {"people": 100, "unled": 11}, True, id="more than a tenth"),
        pytest.param("directory-stale", {"people": 4, "unled": 3}, False, id="four people say nothing"),
        pytest.param("directory-stale", {"people": 100, "unled": 100}, False, id="a directory without managers"),
        pytest.param("champion-coverage-low", {"coverage": Coverage(200, 2)}, False, id="one champion for a hundred"),
        pytest.param("champion-coverage-low", {"coverage": Coverage(201, 2)}, True, id="fewer"),
        pytest.param("champion-coverage-low", {"coverage": Coverage(9, 3, ["support"])}, True, id="a function alone"),
        pytest.param("champion-coverage-low", {"coverage": Coverage(900, 0, ["it"])}, False, id="nobody is named"),
        pytest.param("sponsor-absent", {"waves": [SPONSORED, ALONE]}, True, id="a live wave without a sponsor"),
        pytest.param("sponsor-absent", {"waves": [SPONSORED, SPONSORED]}, False, id="each has one"),
        pytest.param("sponsor-absent", {"waves": [ALONE, ALONE]}, False, id="no sponsor is named at all"),
        pytest.param("sponsor-absent", {"waves": [SPONSORED, NOT_LIVE]}, False, id="not live"),
        pytest.param("sponsor-absent", {"waves": [SPONSORED, ALONE._replace(phase="run")]}, False, id="after its year"),
        pytest.param("unmapped-actors", {"events": 1000, "unmapped": 20}, False, id="2 % of the events"),
        pytest.param("unmapped-actors", {"events": 1000, "unmapped": 21}, True, id="more than 2 %"),
        pytest.param("unmapped-actors", {"events": 20, "unmapped": 19}, False, id="few"),
        pytest.param("delivery-failing", {"failing": [Failing("s", later(10, 8), 3, None)]}, True, id="for an hour"),
        pytest.param("delivery-failing", {"failing": [Failing("s", later(10, 8.1), 3, None)]}, False, id="for less"),
    ],
)
def test_a_signal_is_there_or_not(rule: str, signals: dict[str, Any], *, there: bool) -> None:
    assert bool(judge(rule, **signals)) is there


def test_what_is_only_known_now_lasts_from_when_it_was_first_seen_until_it_is_gone() -> None:
    [first] = judge("unmapped-actors", later(3), events=100, unmapped=30)
    [later_on] = judge("unmapped-actors", events=100, unmapped=40, standing=[first])
    [gone] = judge("unmapped-actors", events=100, unmapped=1, standing=[first])
    unseen = judge("unmapped-actors", standing=[first])

    assert (later_on.fingerprint, later_on.opened_at) == (first.fingerprint, later(3))
    assert later_on.evidence["num"] == 40
    assert (gone.fingerprint, gone.closed_at, gone.resolution) == (first.fingerprint, NOW, Resolution.RECOVERED)
    assert gone.audience == first.audience
    assert unseen == [], "what was not looked at has not ended"


def test_each_subscription_is_told_of_by_itself() -> None:
    two = [Failing("a", later(8), 3, "refused"), Failing("b", later(9), 1, None)]
    found = judge("delivery-failing", failing=two)
    after = judge("delivery-failing", failing=two[1:], standing=found)

    assert [each.evidence["subscription"] for each in found] == ["a", "b"]
    assert {each.evidence["subscription"]: each.closed_at for each in after} == {"a": NOW, "b": None}


def test_hours_with_many_rejected_deliveries_are_one_episode() -> None:
    hours = [Hour(later(9, hour), rejected, taken) for hour, rejected, taken in ((1, 20, 100), (2, 30, 0), (9, 25, 0))]
    few = [Hour(later(9, 1), 19, 0), Hour(later(9, 2), 20, 1980)]
    found = judge("reject-rate-high", hours=hours)

    assert [(each.opened_at, each.closed_at) for each in found] == [
        (later(9, 1), later(9, 5)),
        (later(9, 9), later(9, 12)),
    ]
    assert (found[0].evidence["num"], found[0].evidence["den"]) == (50, 150)
    assert judge("reject-rate-high", hours=few) == []


def test_an_account_that_writes_as_no_person_can() -> None:
    days = [Busy("bot", MONDAY, 1000, 1), Busy("bot", MONDAY + 2 * DAY, 5, 16), Busy("ann", MONDAY, 999, 15)]
    [finding] = judge("suspected-automation", busy=days)

    assert finding.subject == Subject("user", "bot")
    assert (finding.opened_at, finding.closed_at) == (later(1, 2), later(5, 2))
    assert judge("suspected-automation", later(4), busy=days)[0].closed_at is None
    assert finding.evidence["writes"] == 1000


def test_what_was_found_of_days_whose_events_are_gone_stands_and_may_go_on() -> None:
    days = [Busy("bot", MONDAY + n * DAY, 1000 + (n == 0), 1) for n in range(9)]
    [open_then] = judge("suspected-automation", later(4), busy=days[:3])
    [whole] = judge("suspected-automation", later(30), busy=days)

    def again(was: Finding, first: int) -> list[Finding]:
        return judge("suspected-automation", later(30), busy=days[first:], standing=[was])

    assert again(whole, 3) == again(whole, 9) == again(open_then, 3) == [whole], "as if all were there"
    assert again(open_then, 9) == [open_then]
    apart = Busy("bot", MONDAY + 11 * DAY, 1000, 1)
    assert len(judge("suspected-automation", later(30), busy=[apart], standing=[whole])) == 2
    near = apart._replace(day=MONDAY + 10 * DAY)
    [longer] = judge("suspected-automation", later(30), busy=[near], standing=[whole])
    assert (longer.fingerprint, longer.closed_at) == (whole.fingerprint, later(13, 2))


def test_what_stands_of_days_whose_events_are_gone_ends_when_the_first_days_that_are_kept_were_quiet() -> None:
    days = [Busy("bot", MONDAY + n * DAY, 1000, 1) for n in range(9)]
    [was] = judge("suspected-automation", later(4), busy=days[:3])

    def left(now: int, *busy: Busy) -> list[tuple[str, Any]]:
        found = judge("suspected-automation", later(now, 2), busy=busy, standing=[was], kept_from=later(3))
        return [(each.fingerprint, each.closed_at) for each in found]

    assert left(5) == [(was.fingerprint, None)]
    assert left(6) == left(30) == [(was.fingerprint, later(6, 2))]
    assert left(30, *days[5:]) == [(was.fingerprint, later(11, 2))]
    assert left(30, days[6])[1:] == [(was.fingerprint, later(6, 2))], "what comes after is another one"


def test_a_final_number_that_moved_by_more_than_five_points() -> None:
    group = Subject("team", "North")
    moved = Restated(group, "M11", MONDAY, (80, 100), (86, 100), later(8), "North")
    [finding] = judge("restatement-large", restated=[moved, moved._replace(after=(85, 100), metric="M12")])

    assert (finding.subject, finding.closed_at) == (group, None)
    assert finding.window == {"from": MONDAY, "to": MONDAY + 6 * DAY}, "the week it is about, by which groups hide"
    assert judge("restatement-large", later(15), restated=[moved])[0].closed_at == later(15)
    for few in ({"after": (0, 0)}, {"after": (4, 4)}, {"before": (0, 4)}):
        assert judge("restatement-large", restated=[moved._replace(**few)]) == []


def test_what_was_restated_is_named_in_the_title() -> None:
    north = Restated(Subject("team", "North"), "M11", MONDAY, (80, 100), (86, 100), later(8), "North")
    others = [
        north,
        north._replace(group=Subject("tenant", "all"), name="Acme"),
        north._replace(metric="M12"),
        north._replace(week=MONDAY + 7 * DAY),
    ]
    titles = [each.title for each in judge("restatement-large", restated=others)]

    assert titles[0] == "North, week of 2026-03-02: 86 % instead of 80 % (expected people who were active in the week)"
    assert titles[1].startswith("Acme, ")
    assert len(set(titles)) == len(others)


def test_the_families_of_what_is_not_kept_stay_as_they_are() -> None:
    rules = [each for each in DEFAULT.values() if each.predicate == "operations"]
    _, kept = judge_operations(rules, Signals(), Calendar(), NOW)

    assert kept == {"watermark-stalled", "directory-stale", "unmapped-actors", "reject-rate-high", "delivery-failing"}
