"""Launch rules, as time lines: who came when, and what was found at which moment."""

from datetime import date, datetime, timedelta
from typing import Any

import pytest

from services.aggregator.domain.calendar import Calendar
from services.aggregator.domain.findings import Finding, Recipient
from services.aggregator.domain.waves import CHECKPOINTS, Wave, connections
from tests.aggregator.world import MONDAY, Member, World, at, crew, later, users

D2 = "user-not-connected-d2"
D3 = "user-never-logged-in-d3"
WAVE_D1 = "wave-connection-d1-below-target"
WAVE_D3 = "wave-connection-d3-emergency"
WAVE_D5 = "wave-connection-d5-below-target"


def one(world: World, now: datetime, rule: str) -> Finding:
    [finding] = [finding for finding in world.judge(now) if finding.rule == rule]
    return finding


def rules(world: World, now: datetime) -> list[str]:
    return sorted(finding.rule for finding in world.judge(now) if finding.subject.kind == "wave")


def came_by(n: int, of: int = 20, day: int = 0) -> World:
    world = World(crew(of))
    world.visit(users(world.members)[:n], later(day))
    return world


class TestPeople:
    """A small wave: the rules for waves need more people, the rules for people need one."""

    def test_nothing_is_said_before_noon_of_d2(self) -> None:
        assert World(crew(1)).judge(later(2, 11.99)) == []

    def test_noon_of_d2_opens_a_warning_for_the_manager(self) -> None:
        finding = one(World(crew(1)), later(2, 12), D2)

        assert (finding.severity, finding.opened_at, finding.closed_at) == ("warning", later(2, 12), None)
        assert finding.audience == (Recipient("manager", "boss"),)

    def test_the_end_of_d3_makes_it_critical_in_the_same_episode(self) -> None:
        world = World(crew(1))
        before, after = one(world, later(4, -0.01), D2), one(world, later(4, 0), D3)

        assert after.severity == "critical"
        assert (after.fingerprint, after.opened_at) == (before.fingerprint, before.opened_at)

    def test_who_comes_before_noon_of_d2_is_left_alone(self) -> None:
        world = World(crew(1))
        world.visit(["north-00"], later(2, 11.99))

        assert world.judge(later(20)) == []

    def test_who_comes_at_noon_exactly_has_an_empty_episode_and_no_finding(self) -> None:
        world = World(crew(1))
        world.visit(["north-00"], later(2, 12))

        assert world.judge(later(20)) == []

    @pytest.mark.parametrize(
        ("hour", "rule"),
        [
            pytest.param(15, D2, id="in the afternoon of D+2"),
            pytest.param(47.99, D2, id="in the last minute of D+3"),
            pytest.param(48, D3, id="at the midnight that ends D+3"),
            pytest.param(200, D3, id="a week later"),
        ],
    )
    def test_the_first_visit_ends_the_episode(self, hour: float, rule: str) -> None:
        world = World(crew(1))
        world.visit(["north-00"], later(2, hour))
        finding = one(world, later(30), rule)

        assert (finding.closed_at, finding.resolution) == (later(2, hour), "connected")

    def test_a_visit_before_go_live_does_not_count(self) -> None:
        world = World(crew(1))
        world.visit(["north-00"], at(MONDAY, -0.01))

        assert one(world, later(4, 0), D3).closed_at is None

    def test_the_end_of_the_licence_ends_the_episode(self) -> None:
        world = World(crew(1, licensed_to=MONDAY + timedelta(days=8)))

        assert one(world, later(8), D3).closed_at is None
        assert one(world, later(9), D3).resolution == "licence_ended"
        assert one(world, later(9), D3).closed_at == later(9, 0)

    def test_who_lost_the_licence_before_noon_of_d2_is_nobodys_task(self) -> None:
        assert World(crew(1, licensed_to=MONDAY + timedelta(days=1))).judge(later(30)) == []

    def test_people_without_a_licence_on_the_go_live_day_are_no_part_of_it(self) -> None:
        late, never = Member("late", licensed_from=MONDAY + timedelta(days=1)), Member("never", licensed_from=None)

        assert World([late, never]).judge(later(30)) == []

    def test_working_days_give_the_weekend_off(self) -> None:
        friday = Wave("w", "Wave one", date(2026, 3, 6))
        world = World(crew(1), [friday], Calendar(working=True))

        assert world.judge(at(date(2026, 3, 10), 11)) == []
        assert one(world, at(date(2026, 3, 10), 12), D2).opened_at == at(date(2026, 3, 10), 12)
        assert one(world, at(date(2026, 3, 12), 0), D3).window["to"] == date(2026, 3, 11)

    def test_two_waves_are_two_episodes(self) -> None:
        world = World(crew(1), [Wave("a", "A", MONDAY), Wave("b", "B", MONDAY + timedelta(days=7), teams=("North",))])

        assert [(f.wave, f.opened_at) for f in world.judge(later(30))] == [("a", later(2, 12)), ("b", later(9, 12))]


class TestWave:
    @pytest.mark.parametrize(
        ("came", "found"),
        [
            pytest.param(16, [], id="exactly 80 % is not below 80 %"),
            pytest.param(15, [WAVE_D1], id="75 % is"),
        ],
    )
    def test_d1_asks_for_four_in_five(self, came: int, found: list[str]) -> None:
        assert rules(came_by(came), later(2, 0)) == found
        assert rules(came_by(came), later(2, -0.01)) == []

    @pytest.mark.parametrize(
        ("came", "found"),
        [
            pytest.param(14, [WAVE_D1], id="exactly 70 % is not below 70 %"),
            pytest.param(13, [WAVE_D1, WAVE_D3], id="65 % is an emergency"),
        ],
    )
    def test_d3_asks_for_seven_in_ten(self, came: int, found: list[str]) -> None:
        assert rules(came_by(came), later(4, 0)) == found

    @pytest.mark.parametrize(
        ("came", "found"),
        [
            pytest.param(18, [], id="exactly 90 % is not below 90 %"),
            pytest.param(17, [WAVE_D5], id="85 % is"),
        ],
    )
    def test_d5_asks_for_nine_in_ten(self, came: int, found: list[str]) -> None:
        assert rules(came_by(came), later(6, 0)) == found

    def test_the_emergency_names_the_sponsor_and_the_worst_teams(self) -> None:
        south, north = crew(10, "South"), crew(10, "North")
        world = World([*south, *north], [Wave("w", "Wave one", MONDAY, sponsor="the-ceo")])
        world.visit(users(south)[:9], later(0))
        world.visit(users(north)[:3], later(0))
        finding = one(world, later(4, 0), WAVE_D3)

        assert finding.severity == "emergency"
        assert finding.audience[0] == Recipient("sponsor", "the-ceo")
        evidence: dict[str, Any] = dict(finding.evidence)
        assert (evidence["num"], evidence["den"], evidence["missing"]) == (12, 20, 8)
        assert [(team["team"], team["num"]) for team in evidence["worst_teams"]] == [("North", 3), ("South", 9)]
        assert "people" not in evidence

    def test_teams_under_the_minimum_group_are_not_shown(self) -> None:
        world = World([*crew(4, "South"), *crew(10)], min_group=5)

        evidence: dict[str, Any] = dict(one(world, later(4, 0), WAVE_D3).evidence)
        assert [team["team"] for team in evidence["worst_teams"]] == ["North"]

    def test_nine_people_are_a_critical_list_and_no_emergency(self) -> None:
        finding = one(came_by(6, of=9), later(30), WAVE_D3)

        assert finding.severity == "critical"
        assert finding.evidence["people"] == ["north-06", "north-07", "north-08"]

    def test_four_people_have_no_rate(self) -> None:
        assert rules(came_by(0, of=4), later(30)) == []

    def test_an_empty_cohort_has_no_rate(self) -> None:
        assert World([]).judge(later(30)) == []

    @pytest.mark.parametrize(
        ("rule", "start", "more", "end", "resolution"),
        [
            pytest.param(WAVE_D1, 10, (16, 2), 3, "recovered", id="D+1: 80 % by D+2"),
            pytest.param(WAVE_D1, 10, (15, 2), 4, "superseded", id="D+1: overtaken by the next checkpoint"),
            pytest.param(WAVE_D3, 10, (15, 6), 7, "recovered", id="D+3: exactly 75 % by D+6"),
            pytest.param(WAVE_D3, 10, (14, 6), 11, "phase_ended", id="D+3: 70 % does not end it, the phase does"),
            pytest.param(WAVE_D5, 10, (18, 8), 9, "recovered", id="D+5: exactly 90 % by D+8"),
            pytest.param(WAVE_D5, 10, (17, 8), 11, "phase_ended", id="D+5: 85 % does not end it, the phase does"),
        ],
    )
    def test_each_checkpoint_has_its_end(
        self, rule: str, start: int, more: tuple[int, int], end: int, resolution: str
    ) -> None:
        world = came_by(start)
        world.visit(users(world.members)[start : more[0]], later(more[1]))

        assert one(world, later(end, -0.01), rule).closed_at is None
        finding = one(world, later(end, 0), rule)
        assert (finding.closed_at, finding.resolution) == (later(end, 0), resolution)
        assert one(world, later(60), rule) == finding

    def test_the_emergency_speaks_for_d5_while_it_is_open(self) -> None:
        world = came_by(10)
        world.visit(users(world.members)[10:16], later(7))
        emergency = one(world, later(6, 0), WAVE_D3)

        assert one(world, later(6, 0), WAVE_D5).suppressed_by == emergency.fingerprint
        assert one(world, later(8, 0), WAVE_D5).suppressed_by == emergency.fingerprint
        assert one(world, later(9, 0), WAVE_D5).suppressed_by is None


class TestConnection:
    def test_d_plus_n_counts_days_from_go_live_to_d_plus_n_both_included(self) -> None:
        world = World(crew(4))
        for user, day in zip(users(world.members), (-1, 0, 3, 4), strict=True):
            world.visit([user], later(day))
        found = {c.n: c for c in connections(world.rollout(world.waves[0]), world.calendar, later(4, 0))}

        assert tuple(found) == CHECKPOINTS
        assert [found[n].num for n in CHECKPOINTS] == [1, 1, 1, 2, 3, 3, 3, 3]
        assert [n for n in CHECKPOINTS if found[n].settled] == [0, 1, 2, 3]
        assert found[3].missing == ["north-00", "north-03"]
        assert {found[n].den for n in CHECKPOINTS} == {4}

    def test_a_tenant_without_time_has_nothing_settled(self) -> None:
        world = World(crew(2))

        assert not any(c.settled for c in connections(world.rollout(world.waves[0]), world.calendar, None))
