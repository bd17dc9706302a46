"""The story is repeatable, has the shape it promises, and no event outside its plot."""

import csv
import io
from collections import Counter, defaultdict
from datetime import date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import pytest

from services.simulator import Story, cast, events, people_csv, plot, stage, wave_bodies

ZONE = ZoneInfo(plot.TIME_ZONE)


@pytest.fixture(scope="module")
def story() -> Story:
    return stage()


@pytest.fixture(scope="module")
def arrived(story: Story) -> list[dict]:
    return list(events(story))


@cache
def local(hour: str) -> datetime:
    return datetime.fromisoformat(f"{hour}:00:00Z").astimezone(ZONE)


def local_day(event: dict) -> date:
    return local(event["time"][:13]).date()


def local_hour(event: dict) -> int:
    return local(event["time"][:13]).hour


def days_of(arrived: list[dict], users: set[str]) -> dict[str, set[date]]:
    seen: dict[str, set[date]] = defaultdict(set)
    for event in arrived:
        if event["data"]["user"] in users and event["type"].startswith("crm."):
            seen[event["data"]["user"]].add(local_day(event))
    return seen


def test_the_same_seed_tells_the_same_and_another_seed_does_not(story: Story, arrived: list[dict]) -> None:
    again, other = stage(), stage(8)

    assert people_csv(again) == people_csv(story)
    assert list(events(again)) == arrived
    assert other.people != story.people


def test_three_hundred_people_of_twenty_teams_and_five_roles_go_live_in_three_waves(story: Story) -> None:
    rows = list(csv.DictReader(io.StringIO(people_csv(story))))
    humans = [row for row in rows if row["kind"] == "human"]

    assert len(humans) == len({row["user"] for row in humans}) == len({row["email"] for row in humans}) == 300
    assert len({row["team"] for row in humans}) == 20
    assert len({row["role"] for row in humans}) == 5
    assert [row["user"] for row in rows if row["kind"] == "service"] == list(cast.MACHINES)
    assert [body["go_live"] for body in wave_bodies()] == ["2025-09-01", "2025-09-15", "2025-09-29"]
    assert {team for body in wave_bodies() for team in body["scope"]["teams"]} == {row["team"] for row in humans}


def test_everyone_has_a_manager_of_the_story_but_the_head_of_each_wave(story: Story) -> None:
    users = {person.user for person in story.people}

    assert {person.manager for person in story.people} <= users | {""}
    assert sum(person.manager == "" for person in story.people) == len(plot.WAVES)


def test_the_volume_is_that_of_people_at_work(arrived: list[dict]) -> None:
    actions: Counter[tuple[str, date]] = Counter()
    for event in {(e["source"], e["id"]): e for e in arrived}.values():
        if event["data"]["origin"] in {"ui", "mobile"} and event["type"].startswith("crm.record"):
            actions[event["data"]["user"], local_day(event)] += 1

    assert 50_000 <= len(arrived) <= 100_000
    assert max(actions.values()) <= 50


def test_people_keep_office_hours_and_machines_work_at_night(story: Story, arrived: list[dict]) -> None:
    people = {person.user for person in story.people if not person.synced}
    hours = Counter(local_hour(event) for event in arrived if event["data"]["user"] in people)
    weekend = sum(local_day(event).weekday() > 4 for event in arrived if event["data"]["user"] in people)
    nightly = [event for event in arrived if event["data"]["user"] == cast.SYNC_ACCOUNT]

    assert min(hours) >= 8
    assert max(hours) <= 19
    assert 0 < weekend < 0.01 * hours.total()
    assert {local_hour(event) for event in nightly} == {1}


def test_a_few_in_a_hundred_arrive_twice_and_a_copy_is_the_same_event(arrived: list[dict]) -> None:
    kept: dict[tuple[str, str], dict] = {}
    copies = 0
    for event in arrived:
        copies += (key := (event["source"], event["id"])) in kept
        assert kept.setdefault(key, event) == event

    assert 0.025 < copies / len(kept) < 0.035


def test_some_events_are_of_people_nobody_knows_and_some_of_nobody(story: Story, arrived: list[dict]) -> None:
    known = {person.user for person in story.people} | set(cast.MACHINES)
    strangers = [event for event in arrived if event["data"]["user"] not in known]

    assert any(event["data"]["user"] is None for event in strangers)
    assert 0.005 < len(strangers) / len(arrived) < 0.02


def test_the_offline_team_works_from_its_go_live_and_is_heard_a_week_later(story: Story, arrived: list[dict]) -> None:
    team = {person.user for person in story.team(plot.OFFLINE)}
    newest = ""
    behind: dict[str, timedelta] = {}
    for event in arrived:
        newest = max(newest, event["time"])
        if event["data"]["user"] in team and plot.OFFLINE_FROM <= local_day(event) < plot.OFFLINE_END:
            behind.setdefault(event["id"], datetime.fromisoformat(newest) - datetime.fromisoformat(event["time"]))

    assert len(behind) > 100
    assert min(behind.values()) > timedelta(days=7)
    assert max(behind.values()) <= timedelta(days=10)


def test_one_source_is_silent_for_three_days_and_no_other_is(arrived: list[dict]) -> None:
    span = [plot.OUTAGE_FROM + timedelta(days=n) for n in range((plot.OUTAGE_END - plot.OUTAGE_FROM).days)]
    seen = {(event["source"], local_day(event)) for event in arrived}

    assert not any((plot.OUTAGE_SOURCE, day) in seen for day in span)
    assert all((source, day) in seen for source in ("/crm/sales", "/crm/mobile") for day in span)
    assert (plot.OUTAGE_SOURCE, plot.OUTAGE_END) in seen


def test_a_person_is_seen_exactly_in_the_weeks_the_plot_says(story: Story, arrived: list[dict]) -> None:
    seen = days_of(arrived, {person.user for person in story.people})
    for person in story.people:
        if person.synced:
            continue
        for number in range(1, person.wave.weeks + 1):
            week = [person.wave.week(number) + timedelta(days=n) for n in range(7)]
            expected = any(person.present(day) for day in week[:5])

            assert any(day in seen[person.user] for day in week) == expected, (person, number)


def test_leave_never_takes_two_of_a_team_in_one_week(story: Story) -> None:
    leave = Counter(
        (person.team, first) for person in story.people for first, _ in person.away if person.team != plot.DIP
    )

    assert len(leave) > 30
    assert set(leave.values()) == {1}


def test_the_story_ends_with_a_night_that_closes_its_last_week(arrived: list[dict]) -> None:
    last = max(event["time"] for event in arrived)

    assert datetime.fromisoformat(last).astimezone(ZONE).date() == plot.LAST_NIGHT
