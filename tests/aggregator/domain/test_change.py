"""The drop against week 1: what is suspected, what is confirmed, and when it is over."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from fractions import Fraction

import pytest

from services.aggregator.domain.calendar import Calendar
from services.aggregator.domain.findings import Finding, Recipient, Subject
from services.aggregator.domain.rules import change
from services.aggregator.domain.rules.change import History, SamePeople, Watched, Week, judge_change
from services.aggregator.domain.rules.drop import Guard, Share
from services.aggregator.domain.waves import Wave
from services.rules.pack import DEFAULT
from tests.aggregator.world import MONDAY, World, at, crew, later, users

WAVE = Wave("w", "Wave one", MONDAY)
END = later(7 * 20)
COUNTING = pytest.mark.parametrize("working", [True, False], ids=["D+N counts working days", "D+N counts every day"])


def weeks(*active: int, licensed: int = 100) -> list[Week]:
    return [Week(number, licensed, count) for number, count in enumerate(active, start=1)]


def play(
    past: Sequence[Week], people: dict[int, tuple[int, int]] | None = None, subject: Subject | None = None
) -> list[Finding]:
    """Judge a history in which ``people`` gives (lost, gained) by week; elsewhere all that is missing was lost."""
    return list(judge_change(history(past, people, subject), Calendar(), END))


def history(
    past: Sequence[Week], people: dict[int, tuple[int, int]] | None = None, subject: Subject | None = None
) -> History:
    base = past[0]
    watched = Watched(subject or Subject("team", "North"), WAVE)
    same = {week.number: SamePeople(week.licensed, max(0, base.active - week.active), 0, 0, 0) for week in past}
    same |= {number: SamePeople(90, lost, gained, 1, 2) for number, (lost, gained) in (people or {}).items()}
    return History(watched, past, same)


def judged(week: int) -> int:
    """Return the hours from the go-live to the moment a week is judged: its end and two hours."""
    return 7 * week * 24 + 2


def hours(finding: Finding) -> tuple[int, int]:
    assert finding.closed_at is not None
    start = at(MONDAY, 0)
    return (finding.opened_at - start) // timedelta(hours=1), (finding.closed_at - start) // timedelta(hours=1)


@pytest.mark.parametrize(
    ("active", "licensed", "drop"),
    [
        pytest.param(72, 100, True, id="exactly 10 % less is a drop"),
        pytest.param(73, 100, False, id="9 % less is none"),
        pytest.param(36, 50, True, id="exactly 10 % less of half the seats is a drop"),
        pytest.param(80, 112, True, id="the same people among more seats is a drop of the rate"),
        pytest.param(80, 100, False, id="no change"),
        pytest.param(0, 4, False, id="four seats say nothing"),
    ],
)
def test_a_drop_is_ten_percent_of_the_base_rate(active: int, licensed: int, *, drop: bool) -> None:
    assert Guard().dropped(Share(80, 100), Share(active, licensed)) is drop


def test_exactly_five_percent_less_is_not_yet_calm() -> None:
    base = Share(80, 100)

    assert not Guard().calm(base, Share(76, 100))
    assert Guard().calm(base, Share(77, 100))


def test_no_base_is_no_drop() -> None:
    assert play([Week(1, 100, 0), *weeks(0, 0, 0)[1:]]) == []
    assert play([Week(1, 4, 4), *weeks(0, 0, 0)[1:]]) == []


def test_one_bad_week_is_chance() -> None:
    assert play(weeks(80, 70, 80, 80), {2: (10, 0)}) == []


def test_two_weeks_with_people_both_ways_are_suspected() -> None:
    [finding] = play(weeks(80, 70, 70), {2: (20, 18), 3: (20, 18)})

    assert (finding.tier, finding.severity, finding.evidence["p"]) == ("suspected", "info", change.p_value(20, 18))
    assert hours(finding)[0] == judged(3)


def test_a_net_loss_of_one_person_is_not_even_suspected() -> None:
    assert play(weeks(80, 70, 70), {2: (5, 4), 3: (5, 4)}) == []


def test_the_same_people_staying_away_two_weeks_confirms() -> None:
    [finding] = play(weeks(80, 72, 72), {2: (4, 0), 3: (3, 0)})

    assert (finding.tier, finding.severity) == ("confirmed", "warning")
    assert finding.evidence["p"] == Fraction(1, 8)


def test_a_suspicion_is_confirmed_later_in_the_same_episode() -> None:
    doubtful = {2: (20, 18), 3: (20, 18)}
    [suspected] = play(weeks(80, 70, 70), doubtful)
    [once] = play(weeks(80, 70, 70, 70), doubtful | {4: (20, 10)})
    [confirmed] = play(weeks(80, 70, 70, 70, 70), doubtful | {4: (20, 10), 5: (20, 10)})

    assert (suspected.tier, once.tier, confirmed.tier) == ("suspected", "suspected", "confirmed")
    assert (suspected.evidence["confirmed_in"], confirmed.evidence["confirmed_in"]) == (None, 5)
    assert suspected.fingerprint == confirmed.fingerprint
    assert suspected.opened_at == confirmed.opened_at


def test_a_quarter_lost_at_once_needs_no_second_week() -> None:
    assert play(weeks(80, 61), {2: (19, 0)}) == []
    [finding] = play(weeks(80, 60), {2: (20, 0)})

    assert (finding.tier, hours(finding)[0]) == ("confirmed", judged(2))


def test_two_of_five_are_too_few_to_speak_of_a_collapse() -> None:
    assert play(weeks(5, 3, licensed=5), {2: (2, 0)}) == []
    assert play(weeks(5, 2, licensed=5), {2: (3, 0)}) != []


def test_three_of_more_than_ten_are_too_few_as_well() -> None:
    assert play(weeks(12, 9, licensed=12), {2: (3, 0)}) == play(weeks(11, 8, licensed=12), {2: (3, 0)}) == []
    assert play(weeks(12, 8, licensed=12), {2: (4, 0)}) != []
    assert play(weeks(10, 7, licensed=12), {2: (3, 0)}) != []


@pytest.mark.parametrize(
    ("subject", "severity"),
    [
        pytest.param(Subject("tenant", "all"), "critical", id="the whole tenant"),
        pytest.param(Subject("team", "North"), "warning", id="a team"),
        pytest.param(Subject("role", "seller"), "warning", id="a role"),
    ],
)
def test_the_loss_of_the_whole_tenant_is_louder(subject: Subject, severity: str) -> None:
    [finding] = play(weeks(80, 40), subject=subject)

    assert finding.severity == severity
    assert Recipient("sponsor") in finding.audience


def test_two_calm_weeks_end_it() -> None:
    [finding] = play(weeks(80, 50, 78, 50, 77, 78, 80))

    assert finding.resolution == "recovered"
    assert hours(finding) == (judged(2), judged(6))


def test_who_falls_again_has_a_second_episode() -> None:
    first, second = play(weeks(80, 50, 80, 80, 50))

    assert (first.episode, second.episode) == (1, 2)
    assert first.fingerprint != second.fingerprint
    assert hours(second) == (judged(5), judged(14))


def test_the_phase_ends_a_week_after_its_last_judged_week() -> None:
    [finding] = play(weeks(80, *[80] * 11, 40))

    assert finding.resolution == "phase_ended"
    assert hours(finding) == (judged(13), judged(14))


def test_the_evidence_shows_the_latest_week_with_a_drop() -> None:
    [finding] = play(weeks(80, 40, 60, 79), {3: (22, 2)})

    assert finding.title == "North: 60 of 100 people active in week 3, 80 of 100 in week 1"
    assert finding.window == {"from": MONDAY + timedelta(14), "to": MONDAY + timedelta(20), "week": 3}
    expected = {
        "num": 60,
        "den": 100,
        "lost": 22,
        "gained": 2,
        "net_loss": 20,
        "people": 90,
        "joiners": 1,
        "leavers": 2,
    }
    assert finding.evidence.items() >= expected.items()
    assert (finding.evidence["opened_in"], finding.evidence["confirmed_in"]) == (2, 2)
    assert finding.evidence["threshold"] == Fraction(72, 100)
    assert finding.evidence["change"] == Fraction(-1, 4)


def test_a_week_is_judged_two_hours_after_its_last_day() -> None:
    assert change.weeks_ended(MONDAY, Calendar(), later(14, 1.99)) == 1
    assert change.weeks_ended(MONDAY, Calendar(), later(14, 2)) == 2
    assert change.weeks_ended(MONDAY, Calendar(), later(1000)) == 13


@pytest.mark.parametrize(
    ("holidays", "tiers"),
    [
        pytest.param(5, [], id="closed all week"),
        pytest.param(3, [], id="two days were worked"),
        pytest.param(2, ["confirmed"], id="three days were worked"),
    ],
)
@COUNTING
def test_who_stays_away_in_a_week_of_holidays_is_not_missing(holidays: int, tiers: list[str], *, working: bool) -> None:
    third = [MONDAY + timedelta(weeks=2, days=n) for n in range(7)]
    calendar = Calendar(working=working, holidays=frozenset(third[:holidays]))
    past = history(weeks(80, 80, 0, 80))

    assert [finding.tier for finding in judge_change(past, calendar, END)] == tiers
    said = {each.rule: each for each in change.evaluations(past, calendar) if each.window_from == third[0]}
    assert said["adoption-drop-vs-week1"].reason == (None if tiers else "no_expected_people")


class TestDepth:
    """The same guards over how much each active person does."""

    RULE = replace(
        DEFAULT["adoption-drop-vs-week1"],
        id="depth",
        family="depth",
        params={**DEFAULT["adoption-drop-vs-week1"].params, "metric": change.DEPTH},
    )

    def play(
        self,
        actions: Sequence[int],
        less: int,
        more: int,
        calendar: Calendar = Calendar(),  # noqa: B008 - it cannot change
    ) -> list[Finding]:
        """Judge 80 people who are active all the time, and did so much in each week."""
        past = [Week(number, 100, 80, did) for number, did in enumerate(actions, start=1)]
        rules = {"depth": self.RULE}
        same = SamePeople(100, 0, 0, 0, 0, less=less, more=more)
        people = dict.fromkeys(change.doubtful_weeks(past, rules), same)
        history = History(Watched(Subject("team", "North"), WAVE), past, people)
        return list(judge_change(history, calendar, END, rules))

    @pytest.mark.parametrize(
        ("first", "third", "tiers"),
        [
            pytest.param(0, 0, ["confirmed"], id="of five days each"),
            pytest.param(0, 1, [], id="of four days after one of five"),
            pytest.param(1, 1, ["confirmed"], id="of four days each"),
        ],
    )
    @COUNTING
    def test_who_does_less_in_a_shorter_week_does_not_do_less(
        self, first: int, third: int, tiers: list[str], *, working: bool
    ) -> None:
        days = [MONDAY + timedelta(days=n) for n in range(first)] + [
            MONDAY + timedelta(weeks=2, days=n) for n in range(third)
        ]
        calendar = Calendar(working=working, holidays=frozenset(days))

        assert [finding.tier for finding in self.play([800, 800, 400], 20, 0, calendar)] == tiers

    def test_who_comes_as_often_and_does_less_is_found(self) -> None:
        [finding] = self.play([800, 720, 720], less=9, more=1)

        assert (finding.tier, finding.evidence["num"], finding.evidence["den"]) == ("confirmed", 720, 80)
        assert (finding.evidence["lost"], finding.evidence["gained"]) == (9, 1)
        assert "composition" not in finding.evidence

    @pytest.mark.parametrize(
        ("actions", "less", "more", "tiers"),
        [
            pytest.param([800, 721, 721], 9, 1, [], id="less than a tenth"),
            pytest.param([800, 720, 720], 9, 8, [], id="as many do more"),
            pytest.param([800, 720, 800], 9, 1, [], id="one week is chance"),
            pytest.param([800, 400], 20, 0, ["confirmed"], id="a quarter of them at once"),
            pytest.param([800, 720, 720], 20, 18, ["suspected"], id="people both ways"),
        ],
    )
    def test_the_guards_are_the_same(self, actions: list[int], less: int, more: int, tiers: list[str]) -> None:
        assert [finding.tier for finding in self.play(actions, less, more)] == tiers


class TestWatched:
    def test_a_wave_for_everybody_watches_the_tenant_and_every_team(self) -> None:
        assert change.watch([WAVE], ["North"]) == [
            Watched(Subject("team", "North"), WAVE),
            Watched(Subject("tenant", "all"), WAVE),
        ]

    def test_a_wave_that_names_a_team_decides_over_one_for_everybody(self) -> None:
        north = Wave("north", "North", MONDAY + timedelta(days=28), teams=("North",))

        assert Watched(Subject("team", "North"), north) in change.watch([WAVE, north], ["North", "South"])

    def test_of_two_waves_that_name_a_team_the_earlier_decides(self) -> None:
        first, second = (
            Wave(id_, id_, MONDAY + timedelta(days), teams=("North",)) for id_, days in (("b", 0), ("a", 7))
        )

        assert change.watch([second, first], []) == [Watched(Subject("team", "North"), first)]

    def test_a_wave_of_roles_watches_roles_and_one_of_people_nothing(self) -> None:
        roles = Wave("r", "Roles", MONDAY, roles=("seller",))

        assert change.watch([roles, Wave("p", "People", MONDAY, people=("a",))], ["North"]) == [
            Watched(Subject("role", "seller"), roles)
        ]


def test_the_emergency_of_the_wave_speaks_for_the_drop_while_it_is_open() -> None:
    north, south = crew(20), crew(30, "South")
    world = World([*north, *south], [Wave("w", "Wave one", MONDAY)], Calendar(working=True))
    world.visit(users(north), later(0))
    found = {f.rule + f.subject.key: f for f in world.judge(later(14, 2))}

    emergency = found["wave-connection-d3-emergencyw"]
    assert emergency.closed_at is None
    assert found["adoption-drop-vs-week1North"].suppressed_by == emergency.fingerprint
    assert found["adoption-drop-vs-week1all"].suppressed_by == emergency.fingerprint
    for hour in (later(15, 0), later(21, 2)):
        after = [f.suppressed_by for f in world.judge(hour) if f.rule == "adoption-drop-vs-week1"]
        assert after == [None if hour == later(21, 2) else emergency.fingerprint] * 2
