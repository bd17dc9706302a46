"""The rules on single persons after the launch: whom they name, from when on, and until when."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.aggregator.domain.calendar import Calendar
from services.aggregator.domain.findings import Finding, Outcome, Resolution, Severity
from services.aggregator.domain.rules.users import Absence, Clock, Life, expected_after, judge_user, left, usual_gap
from services.aggregator.domain.rules.windows import Judged
from services.aggregator.domain.silence import SILENT, Silence
from services.metrics.presence import day_of
from services.metrics.shape import Interval, Person, Policy, Spell, WaveStart
from services.rules.pack import DEFAULT
from tests.aggregator.world import MONDAY, later

JOINER, ONCE, LAPSED = "joiner-not-connected-d3", "one-and-done-user", "user-lapsed"
RULES = [DEFAULT[name] for name in (JOINER, ONCE, LAPSED)]
DAY = timedelta(days=1)
WEEKS = [MONDAY + timedelta(weeks=n) for n in range(30)]


def day(number: int) -> date:
    """Return the day so many days after the first Monday."""
    return MONDAY + number * DAY


def person(**more: object) -> Person:
    known: dict[str, object] = {
        "spells": (Spell(Interval(date.min, None), team="North", manager="boss"),),
        "licences": (Interval(MONDAY, None),),
        "active": Interval(MONDAY, None),
    }
    return Person("ann", **{**known, **more})  # type: ignore[arg-type]


def judge(
    days: list[int],
    now: int,
    who: Person | None = None,
    *,
    policy: Policy | None = None,
    silences: tuple[Silence, ...] = (),
    met: int = 30,
) -> Judged:
    life = Life(who or person(), [day(n) for n in days], [day(n) for n in days], WEEKS[:met])
    clock = Clock(Calendar(working=True), policy or Policy(), later(now), MONDAY - 90 * DAY, silences)
    return judge_user(RULES, life, clock)


def found(name: str, days: list[int], now: int, who: Person | None = None, **more: object) -> list[Finding]:
    judged = judge(days, now, who, **more)  # type: ignore[arg-type]
    return [finding for finding in judged.findings if finding.rule == name]


# ---------------------------------------------------------------- who joined and did not come


@pytest.mark.parametrize(
    ("days", "now", "closed"),
    [
        pytest.param([], 3, None, id="D+3 is not over"),
        pytest.param([], 4, "open", id="it is over"),
        pytest.param([3], 9, None, id="came on D+3"),
        pytest.param([7], 9, 7, id="came later"),
    ],
)
def test_who_joins_is_asked_for_by_their_own_third_working_day(days: list[int], now: int, closed: object) -> None:
    listed = found(JOINER, days, now)

    if closed is None:
        assert listed == []
        return
    [finding] = listed
    assert finding.opened_at == later(4, 0)
    assert finding.closed_at == (None if closed == "open" else later(7, 0))
    assert finding.resolution == (None if closed == "open" else Resolution.CONNECTED)
    assert finding.audience[0] == ("manager", "boss")


def test_the_initial_cohort_has_rules_of_its_own() -> None:
    wave = WaveStart("w", MONDAY, date.min)
    initial, joined = person(waves=(wave,)), person(waves=(wave,), licences=(Interval(day(7), None),))

    assert found(JOINER, [], 30, initial, policy=Policy(waves=True)) == []
    [finding] = found(JOINER, [], 30, joined, policy=Policy(waves=True))
    assert finding.evidence["day_zero"] == day(7)


def test_joiners_are_asked_for_in_the_phases_of_the_rule() -> None:
    joined = person(waves=(WaveStart("w", MONDAY, date.min),), licences=(Interval(day(7), None),))
    clock = Clock(Calendar(), Policy(waves=True), later(30), MONDAY)
    late = judge_user([replace(DEFAULT[JOINER], phases=("run",))], Life(joined, []), clock)

    assert late.findings == []
    assert [(line.outcome, line.reason) for line in late.evaluations] == [(Outcome.NOT_JUDGED, "phase")]


def test_leave_and_holidays_are_no_days_to_come_on() -> None:
    away = person(absences=(Interval(day(1), day(3)),))

    assert [each.opened_at for each in found(JOINER, [], 30, away)] == [later(8, 0)]
    assert [each.opened_at for each in found(JOINER, [], 30, policy=Policy(holidays=frozenset({day(2)})))] == [
        later(5, 0)
    ]


def test_whose_licence_ends_is_asked_for_nothing_more() -> None:
    [finding] = found(JOINER, [], 30, person(licences=(Interval(MONDAY, day(9)),)))

    assert (finding.closed_at, finding.resolution) == (later(9, 0), Resolution.LICENCE_ENDED)
    assert found(JOINER, [], 30, person(licences=(Interval(MONDAY, day(2)),))) == []


def test_while_a_source_is_silent_nobody_stays_away() -> None:
    silence = Silence("crm", later(1), later(2), None, 9, 0, SILENT)
    judged = judge([], 30, silences=(silence,))

    assert judged.findings == []
    assert [(line.outcome, line.reason) for line in judged.evaluations] == [(Outcome.NOT_JUDGED, "source_silent")]


# ---------------------------------------------------------------- who came once


def test_one_day_and_not_again_for_five_expected_days() -> None:
    assert found(ONCE, [1], 8) == []
    assert [(each.opened_at, each.closed_at) for each in found(ONCE, [1], 9)] == [(later(9, 2), None)]
    assert [each.closed_at for each in found(ONCE, [1, 20, 21], 30)] == [later(20, 0)]
    assert found(ONCE, [1, 8], 30) == []
    assert found(ONCE, [1, 2, 25], 30) == []


# ---------------------------------------------------------------- who came regularly, and stopped


def regular(until: int) -> list[int]:
    return [n for n in range(until + 1) if n % 7 < 5]


def test_who_came_every_day_is_missed_after_ten_expected_days() -> None:
    days = regular(25)

    assert found(LAPSED, days, 39) == []
    [finding] = found(LAPSED, days, 40)
    assert (finding.opened_at, finding.closed_at) == (later(40, 2), None)
    assert (finding.severity, finding.evidence["last_seen"]) == (Severity.INFO, day(25))
    assert found(LAPSED, days, 40, met=2) == [], "who never came regularly has not stopped"


def test_two_active_days_end_it() -> None:
    days = regular(25)

    assert [each.closed_at for each in found(LAPSED, [*days, 60], 80)] == [None]
    [finding, *_] = found(LAPSED, [*days, 60, 63], 80)
    assert (finding.closed_at, finding.resolution) == (later(63, 0), Resolution.CONNECTED)


def test_who_comes_rarely_is_missed_later() -> None:
    weekly = [0, 7, 14, 21, 28]
    life = Life(person(), [day(n) for n in weekly])
    clock = Clock(Calendar(working=True), Policy(), later(99), MONDAY)

    assert usual_gap(life, clock, MONDAY, life.days) == 5
    assert [each.evidence["days_since"] for each in found(LAPSED, weekly, 99)] == [10]
    assert [each.evidence["days_since"] for each in found(LAPSED, [0, 8, 16, 24], 99)] == [12]


def test_it_is_louder_while_habits_form() -> None:
    wave = WaveStart("w", MONDAY, date.min)
    [finding] = found(LAPSED, regular(25), 45, person(waves=(wave,)), policy=Policy(waves=True))

    assert (finding.severity, finding.wave) == (Severity.WARNING, "w")


def test_weeks_of_leave_are_no_absence() -> None:
    away = person(absences=(Interval(day(26), day(60)),))

    assert found(LAPSED, regular(25), 60, away) == []


days_of = st.sets(st.integers(0, 70), max_size=30).map(sorted)


@settings(max_examples=100)
@given(days=days_of, now=st.integers(1, 60), more=st.integers(0, 30))
def test_time_that_passes_changes_no_beginning(days: list[int], now: int, more: int) -> None:
    def starts(then: int) -> dict[str, datetime]:
        known = [n for n in days if n < now]
        return {each.fingerprint: each.opened_at for each in judge(known, then).findings}

    assert starts(now).items() <= starts(now + more).items()


@settings(max_examples=100)
@given(days=days_of, number=st.integers(0, 60), count=st.integers(1, 12))
def test_the_nth_expected_day_is_counted_one_by_one(days: list[int], number: int, count: int) -> None:
    life = Life(person(), [day(n) for n in days])
    clock = Clock(Calendar(), Policy(), datetime(2027, 1, 1, tzinfo=UTC), MONDAY)
    working = [n for n in range(number + 1, 200) if n % 7 < 5]

    assert expected_after(life, clock, MONDAY, day(number), count) == day(working[count - 1])
    assert expected_after(life, replace(clock, now=later(number)), MONDAY, day(number), count) is None


spans = st.builds(
    lambda low, size: Interval(day(low), day(low + size) if size else None), st.integers(0, 50), st.integers(0, 30)
)


@settings(max_examples=100)
@given(
    held=st.lists(st.tuples(spans, st.sampled_from(["human", "service"]), st.booleans()), min_size=1, max_size=3),
    licences=st.lists(spans, min_size=1, max_size=2),
    absences=st.lists(spans, max_size=2),
    back=st.none() | st.integers(12, 70),
)
@example([(Interval(day(0), None), "human", True)], [Interval(day(0), None)], [Interval(day(5), day(20))], None)
def test_who_is_asked_for_nothing_more_left_on_the_first_day_that_says_so(
    held: list[tuple[Interval, str, bool]], licences: list[Interval], absences: list[Interval], back: int | None
) -> None:
    spells = tuple(Spell(span, kind=kind, opted_out=out) for span, kind, out in held)
    who = person(spells=spells, licences=tuple(licences), absences=tuple(absences))
    clock = Clock(Calendar(), Policy(), later(80), MONDAY)
    absence = Absence(day(5), day(10), None if back is None else day(back))
    days = [day(n) for n in range(11, 81 if back is None else back)]
    gone = [each for each in days if day_of(who, clock.policy, each, MONDAY).reason not in {None, "on_leave"}]

    assert left(Life(who, []), clock, MONDAY, absence) == next(iter(gone), None)
