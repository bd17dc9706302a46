"""What alerts do over the weeks of a rollout, each story told as a time line of everything that was said in it.

A line that is not there is a claim as well: nothing else was told of anybody, by any rule.
"""

import asyncio
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from typing import Any

import pytest

from tests.egress.receiver import Receiver
from tests.patience import until
from tests.scenarios.time_line import Story, follow, said, shown
from tests.stack import Stack

MONDAYS = [f"{date(2026, 3, 2) + timedelta(weeks=week):%m-%d}" for week in range(14)]
"""The weeks 1 to 14 of most stories."""
WEEKLY = {"sales": {"cadence": "weekly"}}
Tell = Callable[..., Story]


@pytest.fixture
def told(product: Stack) -> Iterator[Tell]:
    """Return what begins a story."""
    stories: list[Story] = []

    def begin(name: str, **settings: Any) -> Story:
        stories.append(Story(product.ready, f"line-{name}", **settings))
        return stories[-1]

    yield begin
    for story in stories:
        story.api.close()


def test_a_go_live_week(told: Tell) -> None:
    """65 % on D+1 is below 80 %; exactly 70 % on D+3 is no emergency, and exactly 90 % on D+5 is on target."""
    story = told("go-live")
    people = story.team("North", 20)
    story.people("north-19", team="North", licensed_to="2026-03-09")
    story.go_live("03-02")
    for first, users in {
        "03-02": people[:13],
        "03-04": people[13:14],
        "03-06": people[14:17],
        "03-09": people[17:18],
    }.items():
        story.work(users, f"{first}..03-10")

    story.until("03-04 00:00", "03-04 12:00", "03-06 00:00", "03-10 00:00", "03-11 00:00")

    assert story.line() == [
        "03-04 00:00 opened wave-connection-d1-below-target warning: all",
        "03-04 12:00 opened user-not-connected-d2 warning: 6 people",
        "03-06 00:00 raised user-never-logged-in-d3 critical: 6 people",
        "03-06 00:00 resolved wave-connection-d1-below-target superseded: all",
        "03-06 09:00 resolved user-never-logged-in-d3 connected: north-15 north-16 north-17",
        "03-09 09:00 resolved user-never-logged-in-d3 connected: north-18",
        "03-10 00:00 escalated user-never-logged-in-d3 critical: north-20",
        "03-10 00:00 resolved user-never-logged-in-d3 licence_ended: north-19",
    ]


def test_a_team_a_third_of_which_is_on_leave(told: Tell) -> None:
    """Whoever is on leave was not lost. The same without leave would be a drop at once."""
    story = told("leave")
    people = story.team("North", 12)
    story.go_live("03-02")
    for user in people[:4]:
        story.ask("PUT", f"/v1/directory/people/{user}/absences", [{"from": "2026-03-16", "to": "2026-03-20"}])
    story.work(people, "03-02..03-13")
    story.work(people[4:], "03-16..03-20")

    story.until("03-16 02:00", "03-23 02:00")

    assert story.line() == []


def test_a_team_that_loses_one_person_every_other_week(told: Tell) -> None:
    """Two of sixteen for two weeks are suspected; three for two weeks are more than chance."""
    story = told("erosion", roles=WEEKLY)
    people, others = story.team("North", 16), story.team("South", 30)
    story.go_live("03-02")
    for week, monday in enumerate(MONDAYS, start=1):
        story.work(others, monday)
        story.work(people[sum(week >= stop for stop in (4, 6, 8, 10)) :], monday)

    story.until("04-20 02:00", "04-27 02:00", "05-04 02:00", "06-08 02:00")

    assert story.line() == [
        "03-31 02:00 opened user-lapsed warning under adoption-drop-vs-week1: north-01",
        "04-14 02:00 opened user-lapsed warning under adoption-drop-vs-week1: north-02",
        "04-20 02:00 opened adoption-drop-vs-week1 info suspected: North",
        "04-28 02:00 opened user-lapsed warning under adoption-drop-vs-week1: north-03",
        "05-04 02:00 opened adoption-below-phase-target warning under adoption-drop-vs-week1: North",
        "05-04 02:00 raised adoption-drop-vs-week1 warning: North",
        "05-11 02:00 opened licence-unused info: North",
        "05-12 02:00 opened user-lapsed warning under adoption-drop-vs-week1: north-04",
        "06-08 02:00 opened licence-unused info: all",
        "06-08 02:00 resolved adoption-drop-vs-week1 phase_ended: North",
    ]


def test_a_team_that_collapses_and_comes_back(told: Tell) -> None:
    """Half of it at once needs no second week; of the tenant it is a sixth, which does."""
    story = told("collapse", roles=WEEKLY)
    people, others = story.team("North", 12), story.team("South", 24)
    story.go_live("03-02")
    for week, monday in enumerate(MONDAYS[:8], start=1):
        story.work(others, monday)
        story.work(people[:6] if week in {4, 5} else people, monday)

    story.until("03-30 02:00", "04-06 02:00", "04-13 02:00", "04-20 02:00")

    assert story.line() == [
        "03-30 02:00 opened adoption-drop-vs-week1 warning: North",
        "03-31 02:00 opened user-lapsed warning under adoption-drop-vs-week1: 6 people",
        "04-06 02:00 escalated adoption-drop-vs-week1 warning: North",
        "04-06 02:00 opened adoption-below-phase-target warning under adoption-drop-vs-week1: North",
        "04-06 02:00 opened adoption-drop-vs-week1 critical: all",
        "04-06 02:00 opened norm-window-soft warning under adoption-drop-vs-week1: all",
        "04-13 00:00 resolved user-lapsed connected under adoption-drop-vs-week1: 6 people",
        "04-13 02:00 escalated adoption-drop-vs-week1 critical: all",
        "04-20 02:00 resolved adoption-below-phase-target recovered under adoption-drop-vs-week1: North",
        "04-20 02:00 resolved adoption-drop-vs-week1 recovered: North all",
        "04-20 02:00 resolved norm-window-soft recovered under adoption-drop-vs-week1: all",
    ]


def test_a_team_that_goes_up_and_down_around_the_threshold(told: Tell) -> None:
    """Every other week too few, and others each time: that is chance. Once it is told, it is one alert to the end."""
    story = told("flapping", roles=WEEKLY)
    people, others = story.team("North", 20), story.team("South", 20)
    story.go_live("03-02")
    story.work(people, "03-03", kind="crm.session.login")
    there = (20, 17, 20, 17, 20, 17, 17, 20, 18, 20, 18, 20, 20, 20)
    for week, (monday, here) in enumerate(zip(MONDAYS, there, strict=True)):
        turn = people[3 * week % 20 :] + people[: 3 * week % 20]
        story.work(others, monday)
        story.work(turn[:here], monday)

    story.until("04-13 02:00", "04-20 02:00", "04-27 02:00", "06-01 02:00", "06-08 02:00")

    assert story.line() == [
        "04-20 02:00 opened adoption-drop-vs-week1 warning: North",
        "04-27 02:00 escalated adoption-drop-vs-week1 warning: North",
        "06-01 02:00 resolved adoption-drop-vs-week1 recovered: North",
    ]


def test_a_source_that_is_silent_is_an_outage_and_a_team_that_stays_away_afterwards_is_none(told: Tell) -> None:
    story = told("outage")
    people, others = story.team("North", 12), story.team("South", 12)
    story.go_live("03-02")
    for hour in (9, 14):
        story.work(people, "03-02..03-20 03-30..04-03", hour)
        story.work(people[:6], "04-06..04-10", hour)
        story.work(others, "03-02..04-10", hour, source="/phone")

    story.until("03-24 12:00", "03-30 02:00", "03-31 12:00", "04-06 02:00", "04-13 02:00")

    assert story.line() == [
        "03-23 10:00 opened source-silent critical: all",
        "03-30 02:00 escalated source-silent critical: all",
        "03-30 09:00 resolved source-silent recovered: all",
        "04-13 02:00 opened adoption-drop-vs-week1 critical: all",
        "04-13 02:00 opened adoption-drop-vs-week1 warning: North",
    ]


def test_logins_that_come_late_and_prove_presence(told: Tell) -> None:
    """Ten of twelve were there on Tuesday, one on Thursday and one never; it is known on Monday."""
    story = told("late", connected_by="login")
    people, others = story.team("North", 12), story.team("South", 12)
    story.go_live("03-02")
    story.work(people, "03-02..03-09", kind="crm.session.login")
    story.until("03-04 00:00", "03-04 12:00", "03-06 00:00")
    story.work(others[:10], "03-03..03-06", kind="crm.session.login")
    story.work(others[10:11], "03-05..03-06", kind="crm.session.login")
    story.until("03-09 10:00")

    assert story.line() == [
        "03-04 00:00 opened wave-connection-d1-below-target warning: all",
        "03-04 12:00 opened user-not-connected-d2 warning: 12 people",
        "03-05 09:00 resolved user-not-connected-d2 connected: south-11",
        "03-06 00:00 opened wave-connection-d3-emergency emergency: all",
        "03-06 00:00 raised user-never-logged-in-d3 critical: 12 people",
        "03-06 00:00 resolved wave-connection-d1-below-target superseded: all",
        "03-09 10:00 escalated user-never-logged-in-d3 critical: south-12",
        "03-09 10:00 resolved user-never-logged-in-d3 restated: 10 people",
        "03-09 10:00 resolved wave-connection-d3-emergency restated: all",
        "03-09 10:00 restated wave-connection-d1-below-target restated: all",
    ]


def test_holidays_put_checkpoints_off_and_a_closed_week_is_no_collapse(told: Tell) -> None:
    """Good Friday and Easter Monday lie between D+3 and D+4; in the seventh week nobody works."""
    closed = [f"2026-05-{day}" for day in range(11, 16)]
    story = told("holidays", holidays=["2026-04-03", "2026-04-06", *closed])
    people = story.team("North", 12)
    story.go_live("03-30")
    for first, users in {"03-30": people[:9], "04-02": people[9:10], "04-09": people[10:]}.items():
        story.work(users, f"{first}..05-08 05-18..05-29")

    story.until("04-01 00:00", "04-01 12:00", "04-03 00:00", "04-09 00:00", "04-10 00:00", "05-18 02:00", "06-01 02:00")

    assert story.line() == [
        "04-01 00:00 opened wave-connection-d1-below-target warning: all",
        "04-01 12:00 opened user-not-connected-d2 warning: north-10 north-11 north-12",
        "04-02 09:00 resolved user-not-connected-d2 connected: north-10",
        "04-03 00:00 raised user-never-logged-in-d3 critical: north-11 north-12",
        "04-03 00:00 resolved wave-connection-d1-below-target recovered: all",
        "04-09 00:00 escalated user-never-logged-in-d3 critical: north-11 north-12",
        "04-09 00:00 opened wave-connection-d5-below-target critical: all",
        "04-09 09:00 resolved user-never-logged-in-d3 connected: north-11 north-12",
        "04-10 00:00 resolved wave-connection-d5-below-target recovered: all",
    ]


def test_a_wave_of_eight_and_a_wave_of_three_hundred(told: Tell) -> None:
    """The same share of both is missing: of eight people they are named, of three hundred it is an emergency."""
    story = told("waves")
    few, many = story.team("Pilot", 8), story.team("Crew", 300)
    story.go_live("03-02", "pilot", teams=["Pilot"])
    story.go_live("03-02", "crew", teams=["Crew"])
    story.work(few[:5], "03-02 03-09")
    story.work(few[5:6], "03-09")
    story.work(many[:188], "03-02 03-09")
    for first, here, after in (
        ("03-05", 188, 209),
        ("03-09", 209, 224),
        ("03-10", 224, 230),
        ("03-11", 230, 269),
        ("03-12", 269, 270),
    ):
        story.work(many[here:after], first)

    story.until("03-04 00:00", "03-04 12:00", "03-06 00:00", "03-06 02:00", "03-10 00:00", "03-11 00:00")
    story.until("03-12 00:00", "03-13 00:00")

    assert story.line() == [
        "03-04 00:00 opened wave-connection-d1-below-target warning: crew",
        "03-04 12:00 opened user-not-connected-d2 warning: 115 people",
        "03-05 09:00 resolved user-not-connected-d2 connected: 21 people",
        "03-06 00:00 opened wave-connection-d3-emergency critical: pilot",
        "03-06 00:00 opened wave-connection-d3-emergency emergency: crew",
        "03-06 00:00 raised user-never-logged-in-d3 critical: 94 people",
        "03-06 00:00 resolved wave-connection-d1-below-target superseded: crew",
        "03-06 02:00 escalated wave-connection-d3-emergency emergency: crew",
        "03-09 09:00 resolved user-never-logged-in-d3 connected: 16 people",
        "03-10 00:00 escalated user-never-logged-in-d3 critical: 78 people",
        "03-10 00:00 opened wave-connection-d5-below-target critical under wave-connection-d3-emergency: crew",
        "03-10 00:00 resolved wave-connection-d3-emergency recovered: pilot",
        "03-10 09:00 resolved user-never-logged-in-d3 connected: 6 people",
        "03-11 00:00 resolved wave-connection-d3-emergency recovered: crew",
        "03-11 09:00 resolved user-never-logged-in-d3 connected: 39 people",
        "03-12 00:00 released wave-connection-d5-below-target critical: crew",
        "03-12 09:00 resolved user-never-logged-in-d3 connected: crew-270",
        "03-13 00:00 resolved wave-connection-d5-below-target recovered: crew",
    ]
    [small] = story.alerts(rule="wave-connection-d3-emergency", subject="pilot")
    assert small["evidence"]["people"] == few[5:]


async def test_a_manager_who_changes(told: Tell) -> None:
    """Who was told of an alert is told that it ended; who leads the person now is told of the rest, and only they."""
    async with Receiver() as of_mia, Receiver() as of_max:
        story = told("manager")
        story.people("mia", "max", licensed_from=None)
        story.people("ann", "ben", "cem", "dan", team="North", manager="mia")
        story.go_live("03-02")
        mia, max_ = follow(story, "mia", of_mia), follow(story, "max", of_max)
        story.work(["cem"], "03-02..03-06")
        await asyncio.to_thread(story.until, "03-04 12:00")
        await until(lambda: came(of_mia, 3))
        before = shown(mia)
        story.work(["dan"], "03-03..03-06")
        await asyncio.to_thread(story.until, "03-04 13:00")
        await until(lambda: came(of_mia, 4))
        story.people("ann", since="03-05", team="North", manager="max")
        await asyncio.to_thread(story.until, "03-06 00:00")
        await until(lambda: came(of_max, 1))
        story.work(["ann", "ben"], "03-06")
        await asyncio.to_thread(story.until, "03-06 12:00")
        await until(lambda: came(of_mia, 7))
        await until(lambda: came(of_max, 2))

        assert said(of_mia) == {
            "ann": ["opened", "resolved: This alert has ended."],
            "ben": ["opened", "raised", "resolved connected"],
            "dan": ["opened", "resolved restated"],
        }
        assert said(of_max) == {"ann": ["raised", "resolved connected"]}
        assert (before, shown(mia), shown(max_)) == (["ann", "ben", "dan"], ["ben", "dan"], ["ann"])


def came(receiver: Receiver, number: int) -> bool:
    return len(receiver.came) >= number
