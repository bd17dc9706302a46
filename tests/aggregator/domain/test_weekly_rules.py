"""The rules over the weeks of groups: each predicate, at its boundaries, and what is known of a week."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.aggregator.domain.findings import Finding, Outcome, Resolution
from services.aggregator.domain.rules import weekly
from services.aggregator.domain.rules.composites import judge_busy_stale, judge_parts, judge_shift, shifts
from services.aggregator.domain.rules.hysteresis import Sign, walk
from services.aggregator.domain.rules.series import Gap, Told, metric, months
from services.aggregator.domain.rules.thresholds import judge_threshold
from services.aggregator.domain.rules.trends import (
    judge_gap,
    judge_norm,
    judge_projected,
    judge_sustained,
    median,
    surely_below,
)
from services.metrics.answers import Asked, Teller
from services.metrics.catalogue import METRICS
from services.metrics.scene import Scene, Silence
from services.metrics.shape import Interval
from services.metrics.values import Cell, Series
from services.rules.pack import DEFAULT
from services.rules.shape import Rule
from tests.aggregator.groups import CODES, KINDS, TENANT, WEEK, group, instant, rule, shares, span, weeks
from tests.aggregator.world import MONDAY

STALE = "stale-close-dates"
CREATION = "in-crm-creation-low"
TARGET = "adoption-below-phase-target"


def threshold(name: str, code: str, pairs: list[tuple[int, int] | None], **known: object) -> list[Finding]:
    it = group({code: pairs}, **known)  # type: ignore[arg-type]
    return list(judge_threshold(DEFAULT[name], it, weeks(len(pairs))).findings)


# ---------------------------------------------------------------- thresholds


@pytest.mark.parametrize(
    ("name", "code", "pairs", "opens"),
    [
        pytest.param(STALE, "M27", shares(20, 20), True, id="at least 20 % is 20 %"),
        pytest.param(STALE, "M27", shares(19, 20, 19), False, id="one week is chance"),
        pytest.param("next-step-missing", "M28", shares(70, 70), False, id="exactly 70 % is not below 70 %"),
        pytest.param("next-step-missing", "M28", shares(69, 69), True, id="69 % is"),
        pytest.param("next-step-missing", "M28", shares(0, 0, den=9), False, id="nine records say nothing"),
        pytest.param("next-step-missing", "M28", shares(0, 0, den=10), True, id="ten do"),
        pytest.param("pre-meeting-update-gap", "M17", [(1, 9), None, (1, 9)], True, id="weeks without a meeting"),
        pytest.param("leadership-not-using", "M23", shares(3, 3, den=4), True, id="all leaders are to be there"),
        pytest.param("leadership-not-using", "M23", shares(4, 4, den=4), False, id="they are"),
    ],
)
def test_a_share_opens_at_its_threshold(
    name: str, code: str, pairs: list[tuple[int, int] | None], *, opens: bool
) -> None:
    assert bool(threshold(name, code, pairs)) is opens


def test_it_closes_beyond_its_own_threshold_and_not_between() -> None:
    [finding] = threshold(STALE, "M27", shares(25, 25, 15, 12, 11, 11))

    assert (span(finding), finding.resolution) == ((1, 5), Resolution.RECOVERED)
    assert finding.evidence["num"] == 25
    assert finding.window == {"from": MONDAY + WEEK, "to": MONDAY + WEEK + timedelta(days=6)}


def test_the_target_is_that_of_the_phase() -> None:
    phases = ["launch", "launch", "stabilization-1", "stabilization-1", "stabilization-2", "stabilization-2"]
    [finding] = threshold(TARGET, "M12", shares(50, 50, 80, 80, 84, 84), phases=phases)

    assert span(finding) == (5, None)
    assert (finding.evidence["threshold"], finding.evidence["phase"]) == (Fraction(85, 100), "stabilization-2")


def test_the_end_of_its_phases_ends_it() -> None:
    judged = judge_threshold(
        replace(DEFAULT[TARGET], phases=("stabilization-1",)),
        group({"M12": shares(50, 50, 50)}, phases=["stabilization-1", "stabilization-1", "run"]),
        weeks(3),
    )

    [finding] = judged.findings
    assert (span(finding), finding.resolution) == ((1, 2), Resolution.PHASE_ENDED)
    assert [(said.outcome, said.reason) for said in judged.evaluations][-1] == (Outcome.NOT_JUDGED, "phase")


def test_all_objects_count_together() -> None:
    cells = {"M16:deal": shares(5, 5, den=10), "M16:contact": shares(5, 5, den=10), "M16u:deal": shares(0, 0, den=10)}
    judge = judge_threshold(DEFAULT[CREATION], group(cells), weeks(2))  # type: ignore[arg-type]
    unknown = {**cells, "M16u:deal": shares(5, 5, den=10)}

    assert [finding.evidence["den"] for finding in judge.findings] == [20]
    assert not judge_threshold(DEFAULT[CREATION], group(unknown), weeks(2)).findings  # type: ignore[arg-type]


def test_meetings_of_a_month_are_taken_together() -> None:
    export = rule("export-before-meeting")
    judged = judge_threshold(export, group({"M20": shares(2, 2, 0, None, 0, 0, 0, 0, 0, den=2)}), weeks(9))

    [finding] = judged.findings
    assert (finding.evidence["num"], finding.evidence["den"]) == (4, 6)
    assert finding.resolution == Resolution.RECOVERED
    assert [len(month) for month in months(weeks(9))] == [4, 4]


def test_duplicates_rise_only_against_the_weeks_before() -> None:
    steady = threshold("duplicates-rising", "M30", shares(6, 6, 6, 6, 6, 6, 6))
    [rising] = threshold("duplicates-rising", "M30", shares(6, 6, 6, 6, 9, 6, 6))

    assert steady == []
    assert rising.evidence["baseline"] == {"num": 6, "den": 100, "week": MONDAY + WEEK}
    assert (rising.evidence["num"], rising.evidence["week"]) == (9, MONDAY + 4 * WEEK)


def test_records_are_judged_when_all_their_duplicates_may_have_been_found() -> None:
    young = shares(6, 6, 6, 6, 4, 9, 50)
    found = threshold("duplicates-rising", "M30", [*young, (9, 100)])

    assert threshold("duplicates-rising", "M30", young) == [], "of the two newest weeks more may be found"
    assert [span(each) for each in found] == [(7, None)]
    assert found[0].evidence["num"] == 9


def test_months_too_are_of_weeks_that_have_settled() -> None:
    params = {"metric": "dq.duplicate_rate", "at_least": 5, "window": "month", "windows": 1, "close_windows": 1}
    monthly = replace(DEFAULT["duplicates-rising"], params=params)
    two = [group({"M30": shares(*(9 * (n == at) for n in range(9)), den=25)}) for at in (1, 2)]

    assert [[span(each) for each in judge_threshold(monthly, it, weeks(9)).findings] for it in two] == [
        [(3, 7)],
        [(7, None)],
    ]


# ---------------------------------------------------------------- beside others, and trends


def test_a_team_lags_when_its_interval_lies_below_the_middle_for_three_weeks() -> None:
    middle = {MONDAY + n * WEEK: Told(80, 100) for n in range(6)}
    lagging = rule("team-lagging")

    def found(pairs: list[tuple[int, int] | None]) -> list[Finding]:
        return list(judge_gap(lagging, group({"M12": pairs}), weeks(len(pairs)), middle).findings)

    assert [span(each) for each in found(shares(65, 65, 65, 73, 73))] == [(2, 4)]
    assert found(shares(66, 66, 66)) == []
    assert found(shares(6, 6, 6, den=10)) == [], "six of ten may be eight of ten by chance"


def test_the_upper_end_of_the_interval_is_wilsons() -> None:
    assert surely_below(Told(65, 100), Fraction(80, 100))
    for num in range(8):
        share, z, n = num / 8, 1.96, 8
        upper = (share + z * z / 16 + z * (share * (1 - share) / n + z * z / (4 * n * n)) ** 0.5) / (1 + z * z / n)
        assert surely_below(Told(num, 8), Fraction(80, 100)) is (upper < 0.8)


def test_of_two_in_the_middle_the_lower_counts() -> None:
    told = [Told(9, 10), Told(5, 10), Told(7, 10), Told(8, 10), Told(0, 10, "suppressed")]

    assert median(told) == Told(7, 10)
    assert median([]) is None


@pytest.mark.parametrize(
    ("pairs", "found"),
    [
        pytest.param(shares(60, 70, 70, 70, 70), [(4, None)], id="four full weeks in, and no rise"),
        pytest.param(shares(60, 60, 66, 70, 75), [], id="it rises"),
        pytest.param(shares(60, 80, 80, 80, 80), [], id="it is there"),
        pytest.param(shares(60, 60, 60, 60, 60, 80, 80), [(4, 6)], id="it came later"),
    ],
)
def test_four_weeks_set_the_norm(pairs: list[tuple[int, int] | None], found: list[tuple[int, int]]) -> None:
    it = group({"M12": pairs}, TENANT, phases="stabilization-1")
    judged = judge_norm(rule("norm-window-soft", by_week=4), it, weeks(len(pairs)))

    assert [span(finding) for finding in judged.findings] == found


def test_the_line_through_the_last_weeks_tells_where_a_phase_will_end() -> None:
    falling, rising = shares(90, 87, 84, 81), shares(60, 68, 74, 79)
    at_risk = rule("phase-gate-at-risk")

    def found(pairs: list[tuple[int, int] | None]) -> list[Finding]:
        return list(judge_projected(at_risk, group({"M12": pairs}, TENANT, phases=None), weeks(4)).findings)

    [finding] = found(falling)
    assert finding.evidence["projected"] == Fraction(81, 100) - Fraction(3, 100) * Fraction(4, 7)
    assert found(rising) == []
    assert found(shares(90, 90, 90, 90)) == []


def test_six_months_at_the_target_are_a_reason_to_celebrate() -> None:
    sustained, count = rule("adoption-sustained-6-months"), 31
    high = group({"M12": shares(*[90] * count)}, TENANT)
    fell = group({"M12": shares(*[90] * 29, 50, 50)}, TENANT)

    [finding] = judge_sustained(sustained, high, weeks(count)).findings
    assert finding.evidence["num"] == 90 * len(months(weeks(count))[-1])
    assert judge_sustained(sustained, group({"M12": shares(*[89] * count)}, TENANT), weeks(count)).findings == []
    assert len(judge_sustained(sustained, fell, weeks(count)).findings) == 1


def test_a_month_is_celebrated_when_it_is_final() -> None:
    sustained, high = rule("adoption-sustained-6-months"), group({"M12": shares(*[90] * 31)}, TENANT)
    last = months(weeks(31))[5][-1]

    [finding] = judge_sustained(sustained, high, weeks(31, final=last + 1)).findings
    assert finding.opened_at == instant(MONDAY + (last + 1) * WEEK) + timedelta(hours=50)
    assert judge_sustained(sustained, high, weeks(31, final=last)).findings == []


# ---------------------------------------------------------------- what comes together


def test_a_team_of_the_busier_half_with_stale_records_is_told_of() -> None:
    busy = rule("busy-but-stale")
    middle = {MONDAY + n * WEEK: Told(80, 100) for n in range(2)}

    def found(active: int, stale: int, step: int, people: int = 100) -> list[Finding]:
        cells = {"M12": shares(active, 0, den=people), "M27": shares(stale, 0), "M28": shares(step, 0)}
        return list(judge_busy_stale(busy, group(cells), weeks(2), middle).findings)

    assert [finding.evidence["value"] for finding in found(80, 30, 90)] == [Fraction(8, 10)]
    assert found(79, 30, 0) == []
    assert found(80, 29, 50) == []
    assert found(80, 0, 49) != []
    assert found(4, 30, 90, people=5) != []
    assert found(4, 30, 90, people=4) == [], "four people are too few, however often they came"


def test_the_busier_half_begins_with_the_upper_one_in_the_middle() -> None:
    told = [Told(num, 10) for num in (9, 5, 7, 8)]

    assert median(told, upper=True) == Told(8, 10)
    assert median(told[1:], upper=True) == Told(7, 10)
    assert median([], upper=True) is None


def test_three_signs_at_once_on_a_team_at_its_target() -> None:
    fake = rule("fake-adoption-pattern")
    opened = walk([Sign(breach=True)] * 2, 1, 1)
    names = ["stale-close-dates", "handoff-incomplete", "placeholder-values-high", "data-quality-superficial"]
    high, low = (group({"M12": shares(num, num)}) for num in (90, 89))

    def parts(it: object, chosen: list[str]) -> list[object]:
        found = judge_parts(fake, it, weeks(2), dict.fromkeys(chosen, opened)).findings  # type: ignore[arg-type]
        return [finding.evidence["parts"] for finding in found]

    assert parts(high, names) == [["data-quality-superficial", "stale-close-dates", "handoff-incomplete"]]
    assert parts(high, names[:2]) == []
    assert parts(high, names[2:]) == [], "two of one list are one sign"
    assert parts(low, names) == []


def test_a_rule_on_months_is_a_sign_of_the_weeks_from_the_end_of_its_month_on() -> None:
    exports = shares(*[0] * 4, *[3] * 5, *[0] * 5, den=3)
    others = {"stale-close-dates", "handoff-incomplete"}
    rules = [DEFAULT[name] for name in sorted({"export-before-meeting", "fake-adoption-pattern", *others})]
    cells = {"M12": shares(*[95] * 14), "M20": exports, "M27": shares(*[50] * 14), "M29": shares(*[0] * 14)}

    found, _ = weekly.judge_groups(weekly.weekly(rules), [group(cells)], weeks(14), weekly.Beside())
    by_rule = {finding.rule: finding for finding in found}

    ends = [months(weeks(14))[n][-1] for n in (1, 2)]
    assert span(by_rule["export-before-meeting"]) == tuple(ends)
    assert span(by_rule["fake-adoption-pattern"]) == (ends[0], ends[1] + 1)


def test_what_one_group_loses_another_hides() -> None:
    shift = rule("composition-shift")
    north = group({"M11": shares(40, 40, 40, 40, 30, den=50)})
    other = group({"M11": shares(30, 30, 30, 30, 40, den=50)}, north.subject._replace(key="South"))
    whole = group({"M11": shares(70, 70, 70, 70, 70)}, TENANT)

    shifted = shifts(shift, [north, other], weeks(5))
    [finding] = judge_shift(shift, whole, weeks(5), shifted).findings

    assert (finding.evidence["lost_groups"], finding.evidence["gained_groups"]) == (["team North"], ["team South"])
    assert not judge_shift(shift, group({"M11": shares(70, 70, 70, 70, 60)}, TENANT), weeks(5), shifted).findings
    assert not judge_shift(shift, whole, weeks(5), shifts(shift, [north], weeks(5))).findings


def test_what_one_group_loses_the_small_gains_of_many_hide() -> None:
    shift = rule("composition-shift")
    north = group({"M11": shares(40, 40, 40, 40, 30, den=50)})
    others = [
        group({"M11": shares(*[30] * 4, 30 + n, den=50)}, north.subject._replace(key=f"Team {n}")) for n in range(7)
    ]
    whole = group({"M11": shares(*[250] * 4, 261, den=400)}, TENANT)

    [finding] = judge_shift(shift, whole, weeks(5), shifts(shift, [north, *others], weeks(5))).findings

    assert finding.evidence["lost_groups"] == ["team North"]
    assert finding.evidence["gained_groups"] == [f"team Team {n}" for n in (6, 5, 4, 3, 2)]


# ---------------------------------------------------------------- what is known of a week

PEOPLE = ("M11", "M12", "M23")
RECORDS = ("M17", "M27", "M28", "M32", "M25")
pairs_of_weeks = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 40)), min_size=1, max_size=4)


@settings(max_examples=200)
@given(
    code=st.sampled_from((*PEOPLE, *RECORDS, "M10", "M16", "M33")),
    pairs=pairs_of_weeks,
    silent=st.none() | st.integers(-15, 30),
    hidden=st.sets(st.integers(0, 3)),
    min_group=st.sampled_from((1, 5)),
    seen=st.booleans(),
)
def test_a_week_is_known_as_it_is_shown(
    code: str, pairs: list[tuple[int, int]], silent: int | None, hidden: set[int], min_group: int, *, seen: bool
) -> None:
    it = metric(code)
    of = "deal" if it.parameter else None
    stored = {"M33": "M25", "M16": "M16:deal"}.get(code, code)
    at = None if silent is None else instant(MONDAY) + timedelta(days=silent)
    gaps = [] if at is None else [Gap(at, at + timedelta(hours=9))]
    known = {"seen": CODES, "kinds": KINDS} if seen else {"seen": (), "kinds": ("activity", "directory")}
    time = weeks(len(pairs), gaps=gaps, min_group=min_group, **known)
    here = replace(group({stored: pairs}), hidden={MONDAY + n * WEEK for n in hidden})
    cells = {stored: Series.of((MONDAY + n * WEEK, Cell(*pair, instant(MONDAY))) for n, pair in enumerate(pairs))}
    scene = Scene(
        now=datetime(2027, 1, 1, tzinfo=UTC),
        min_group=min_group,
        measured=MONDAY + 50 * WEEK,
        hides=lambda first, last: any(MONDAY + n * WEEK <= last and first < MONDAY + (n + 1) * WEEK for n in hidden),
        silences=[Silence(gap.since, gap.until) for gap in gaps],
        individuals=False,
        **known,  # type: ignore[arg-type]
    )
    teller = Teller(cells, scene)
    for place in range(len(pairs)):
        week = MONDAY + place * WEEK
        shown = teller.answer(Asked(it, of, "week", Interval(week, week + WEEK)))
        told = here.told(it, time, place)
        if code == "M10" and shown.reason != told.reason:
            continue  # of several days few are enough
        assert told.reason == shown.reason
        if told.reason is None:
            assert (told.num, told.den) == (shown.num, shown.den)


@settings(max_examples=60)
@given(nums=st.lists(st.integers(0, 100), min_size=1, max_size=8), order=st.randoms(use_true_random=False))
def test_the_order_in_which_numbers_arrive_leaves_no_trace(nums: list[int], order: object) -> None:
    pairs = list(enumerate(nums))
    order.shuffle(pairs)  # type: ignore[attr-defined]
    listed, mixed = group({"M27": shares(*nums)}), group({"M27": shares(*nums)})
    mixed = replace(mixed, cells={"M27": {MONDAY + n * WEEK: (num, 100) for n, num in pairs}})

    assert judge_threshold(DEFAULT[STALE], listed, weeks(len(nums))) == judge_threshold(
        DEFAULT[STALE], mixed, weeks(len(nums))
    )


def test_a_rule_without_its_data_says_so_once() -> None:
    time = weeks(3, seen={"M11", "M12", "M10"}, kinds={"activity", "directory"})

    rules, said = weekly.active(DEFAULT.values(), time)

    assert "adoption-below-phase-target" in {each.id for each in rules}
    found = {each.rule: (each.outcome, each.reason) for each in said}
    assert found[STALE] == (Outcome.NOT_JUDGED, "missing_field_states")
    assert found["busy-but-stale"] == (Outcome.NOT_JUDGED, "missing_field_states")
    assert found["roi-not-positive"] == (Outcome.NOT_JUDGED, "missing_outcome")


def weekly_rules() -> list[Rule]:
    return [each for each in weekly.weekly(DEFAULT.values()) if weekly.metrics_of(each)]


@pytest.mark.parametrize("each", weekly_rules(), ids=lambda each: each.id)
def test_every_rule_over_weeks_judges_a_group_that_has_nothing(each: Rule) -> None:
    subject = TENANT if "tenant" in each.subjects else group({"M11": shares(1)}).subject
    empty = group({"M11": shares(*[None] * 30)}, subject, phases=None)
    found, said = weekly.judge_groups([each], [empty], weeks(30), weekly.Beside())

    assert found == []
    assert {line.outcome for line in said} <= {Outcome.NOT_JUDGED}
    assert all(METRICS[name] for name in [each.params.get("metric")] if isinstance(name, str))
