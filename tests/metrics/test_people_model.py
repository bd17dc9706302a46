"""Whatever people are and do, contributions are what a model says that goes day by day through the definition."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import event, given, settings
from hypothesis import strategies as st

from services.metrics import acts as working
from services.metrics.activity import connects, first_connecting_day
from services.metrics.calendar import counted_day_after, working_day_after
from services.metrics.people import contribute
from services.metrics.presence import day_zero, eligible
from services.metrics.shape import Act, Contribution, Interval, Person, Policy, Role, Spell, WaveStart, week_of
from tests.metrics.model import DAY, Model, Week

MIDDLE = date(2026, 4, 1)
"""Beside it: the clocks of Europe go forward on 29 March, those of New Zealand back on 5 April, Easter."""
ZONES = (
    ZoneInfo("Europe/Lisbon"),
    ZoneInfo("Asia/Bahrain"),
    ZoneInfo("Pacific/Auckland"),
    ZoneInfo("America/New_York"),
)
SINGLE_ACTS = ("M16", "M19", "M20", "M21", "M22", "M24")
CORE = frozenset({("crm.record.created", "deal"), ("crm.record.updated", "")})
BEGINNING = date(2025, 1, 1)


def near(spread: int) -> st.SearchStrategy[date]:
    return st.integers(-spread, spread).map(lambda days: MIDDLE + days * DAY)


def intervals(spread: int, longest: int) -> st.SearchStrategy[Interval]:
    lengths = st.one_of(st.integers(1, 9), st.integers(1, longest), st.none())
    return st.builds(lambda start, days: Interval(start, days and start + days * DAY), near(spread), lengths)


def seldom(usual: Any, odd: st.SearchStrategy[Any], *, one_in: int = 4) -> st.SearchStrategy[Any]:
    """``usual``, and once in so many times what is ``odd``."""
    return st.integers(1, one_in).flatmap(lambda number: odd if number == one_in else st.just(usual))


names = st.sampled_from(["A", "B", None])


@st.composite
def spells(draw: st.DrawFn) -> list[Spell]:
    """One to three spells, one after the other, seldom with a gap, an end or a late beginning."""
    cuts = sorted(draw(seldom((), st.sets(near(15), min_size=1, max_size=2), one_in=2)))
    start = draw(seldom(date.min, near(15), one_in=10))
    last = draw(seldom(None, near(15), one_in=10))
    starts = [start, *(cut for cut in cuts if cut > start)]
    ends = [*starts[1:], last]
    return [
        Spell(
            Interval(first, end),
            team=draw(names),
            role=draw(st.sampled_from(["rep", "rep", "twice", "boss", "monthly", "unknown", None])),
            kind=draw(seldom("human", st.just("service"), one_in=10)),
            location=draw(names),
            leadership=draw(st.booleans()),
            opted_out=draw(st.integers(1, 10)) == 10,
            work_days=draw(seldom(None, st.frozensets(st.integers(1, 7), min_size=1))),
        )
        for first, end in zip(starts, ends, strict=True)
        if end is None or first < end
    ]


people = st.builds(
    Person,
    user=st.just("u"),
    spells=spells(),
    licences=seldom([Interval(BEGINNING, None)], st.lists(intervals(12, 40), max_size=2), one_in=3),
    absences=seldom([], st.lists(intervals(10, 9), max_size=3), one_in=2),
    waves=st.lists(
        st.builds(
            WaveStart,
            wave=st.sampled_from(["w1", "w2"]),
            go_live=st.integers(-16, 6).map(lambda days: MIDDLE + days * DAY)
            | st.sampled_from([MIDDLE - n * DAY for n in (30, 90, 300)]),
            since=seldom(BEGINNING, near(12)),
        ),
        min_size=1,
        max_size=2,
    ),
    zone=st.sampled_from([None, *ZONES]),
    calendar=st.sampled_from([None, None, "PT", "DE-BY", "XX", "DE-XX"]),
    active=seldom(Interval(BEGINNING, None), st.builds(Interval, st.just(BEGINNING) | near(15), st.none() | near(15))),
)
policies = st.builds(
    Policy,
    zone=st.sampled_from(ZONES),
    work_days=st.sampled_from([frozenset({1, 2, 3, 4, 5}), frozenset({7, 1, 2, 3, 4}), frozenset({1, 2, 3, 4, 5, 6})]),
    holidays=st.frozensets(near(15), max_size=3),
    working=st.booleans(),
    first_day_of_week=st.integers(1, 7),
    by_login=st.booleans(),
    waves=st.booleans(),
    roles=st.just(
        {
            "rep": Role(core=CORE),
            "twice": Role("per_week", 2),
            "boss": Role("weekly"),
            "monthly": Role("monthly"),
        }
    ),
)
days = st.integers(-12, 7) | st.integers(-50, 20)
acts = st.builds(
    Act,
    at=st.builds(
        lambda day, seconds: datetime(2026, 4, 1, tzinfo=UTC) + timedelta(days=day, seconds=seconds),
        days,
        st.sampled_from([0, 1, 3600, 86399]) | st.integers(0, 86399),
    ),
    kind=st.sampled_from(
        [
            "crm.session.login",
            "crm.session.login",
            "crm.session.login_failed",
            "crm.record.created",
            "crm.record.updated",
            "crm.report.viewed",
            "crm.feature.used",
            "crm.task.started",
            "crm.task.completed",
            "meeting.held",
            "workaround.reported",
        ]
    ),
    origin=seldom("ui", st.sampled_from(["mobile", "unknown", "api", "sync", "import", "automation"]), one_in=3),
    environment=seldom(None, st.sampled_from(["production", "sandbox", "test"])),
    behalf=seldom(None, st.just("another"), one_in=8),
    object=st.sampled_from(["deal", "contact", None]),
    detail=st.sampled_from(["x", None]),
)


@settings(max_examples=80)
@given(person=people, policy=policies, done=st.lists(acts, max_size=12), data=st.data())
def test_a_contribution_is_what_the_definition_says(
    person: Person, policy: Policy, done: list[Act], data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(done))
    first_on = first_connecting_day(person, policy, [act.at for act in shuffled if connects(act, policy)])
    for number in (-1, 0, 1):
        week = week_of(MIDDLE, policy.first_day_of_week) + number * 7 * DAY
        model = Week(person, policy, week, done)
        assert first_on == model.first_on
        agree(contribute(person, policy, week, shuffled, first_on), model)


def agree(told: Contribution | None, week: Week) -> None:
    """Whether ``told`` is what the model says of the week."""
    model = week.model
    if not any(model.spell(day) for day in week.days):
        assert told is None
        return
    assert told is not None
    event(f"reason {told.reason}")
    live = [(day, act) for day, act in week.dated if model.live(day) and day <= week.days[-1] + DAY]
    of_acts = working.counts(week.days[0], live, expected=told.reason is None)
    assert {code: n for code, n in told.counts.items() if not code.startswith(SINGLE_ACTS)} == week.counts()
    assert {code: n for code, n in told.counts.items() if code.startswith(SINGLE_ACTS)} == of_acts
    assert told.reason == week.reason
    assert told.groups == model.place(week.days)
    assert told.moves == {
        number: groups
        for number, day in enumerate(week.days)
        if (groups := model.groups(day)) is not None and groups != told.groups
    }


@settings(max_examples=80)
@given(person=people, policy=policies, day=near(20))
def test_day_zero_who_is_eligible_and_the_clock_are_what_the_definition_says(
    person: Person, policy: Policy, day: date
) -> None:
    model = Model(person, policy)

    assert day_zero(person, policy) == model.zero
    for number in range(7):
        one = day + number * DAY
        assert eligible(person, policy, one) == model.eligible(one)
    for n in (0, 1, 2, 3, 5, 10):
        assert counted_day_after(person, policy, day, n) == model.nth(day, n, working=policy.working)
        assert working_day_after(person, policy, day, n, pausing=False) == model.nth(day, n, leave=False)
