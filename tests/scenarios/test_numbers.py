"""Stories of numbers: what a manager reads after leave, part time, a move, a night of clocks, a merge, a small team.

Each is one of the worked cases of the metrics, told over HTTP on the whole product: people in, events in, numbers out.
"""

import functools
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from typing import Any

import httpx
import pytest

from tests.patience import settled
from tests.stack import Stack

MONDAY = "2026-03-02"


@pytest.fixture
def told(product: Stack) -> Iterator["Tell"]:
    """Return what begins a story."""
    with httpx.Client(base_url=product.ready["api"]) as api:
        yield functools.partial(Story, product, api)


class Story:
    """A tenant whose time is that of its events, told by its admin."""

    def __init__(self, product: Stack, api: httpx.Client, name: str, **settings: Any) -> None:
        key = {"Authorization": f"Bearer {product.ready['admin_key']}", "Uptake-Tenant": name}
        self.api = api
        self.api.headers.update(key)
        self.ingest = product.ready["ingest"]
        self.number = 0
        privacy = {"min_group": settings.pop("min_group", 1)}
        made = {"id": name, "clock": "event", "privacy": privacy, **settings}
        assert self.api.post("/v1/tenants", json=made).status_code == 201
        assert self.api.post("/v1/directory/quality/approve").status_code == 200

    def people(self, *users: str, effective_from: str = "", **values: Any) -> None:
        """Put ``users`` into the directory, all with the same ``values``."""
        common = {"team": "North", "role": "sales", "licensed_from": "2026-01-01", **values}
        rows = [{"user": user, "email": f"{user}@{id(self)}.example", **common} for user in users]
        query = {"effective_from": effective_from} if effective_from else {}
        answer = self.api.put("/v1/directory/people", json=rows, params=query).json()
        assert answer["errors"] == []

    def away(self, user: str, first: str, last: str) -> None:
        """Put ``user`` on leave, both days included."""
        answer = self.api.put(f"/v1/directory/people/{user}/absences", json=[{"from": first, "to": last}])
        assert answer.status_code == 200, answer.text

    def go_live(self, day: str = MONDAY) -> None:
        """Make the one wave of the tenant."""
        wave = {"id": "one", "name": "One", "go_live": day, "scope": {}}
        assert self.api.post("/v1/waves", json=wave).status_code == 201

    def act(self, at: str, *users: str, kind: str = "crm.record.updated", **data: Any) -> None:
        """Let ``users`` do something at an instant (UTC)."""
        events = []
        for user in users:
            self.number += 1
            event = {"specversion": "1.0", "id": f"e{self.number}", "source": "/crm", "type": kind, "time": at}
            events.append(event | {"data": {"user": user, "origin": "ui", **data}})
        headers = {"content-type": "application/cloudevents-batch+json"}
        assert self.api.post(f"{self.ingest}/v1/events", json=events, headers=headers).status_code == 202

    def now(self, at: str) -> None:
        """Let time pass until ``at``, and everything settle."""
        self.act(at, "somebody-else")
        self.settle()

    def settle(self) -> None:
        """Let everything be counted and judged."""
        settled(lambda: self.api.get("/v1/status?wait=60").json())

    def items(self, metric: str, first: str, last: str = "", **query: Any) -> list[dict[str, Any]]:
        """Return the items of a metric from a first to a last day."""
        asked = {"dimension": "tenant", "key": "all", "window": "1d", "from": first, "to": last or first, **query}
        answer = self.api.get(f"/v1/metrics/{metric}", params=asked)
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["items"]
        return found

    def number_of(self, metric: str, day: str, **query: Any) -> tuple[int | None, int | None]:
        """Return numerator and denominator of a metric on a day, or in the week that begins on it."""
        [item] = self.items(metric, day, **query)
        return item["num"], item["den"]

    def week(self, metric: str, first: str = MONDAY, **query: Any) -> dict[str, Any]:
        """Return the item of the week that begins on ``first``."""
        last = (date.fromisoformat(first) + timedelta(days=6)).isoformat()
        [item] = self.items(metric, first, last, window="week", **query)
        return item


Tell = Callable[..., Story]


def test_in_bahrain_the_third_day_after_a_monday_is_thursday_and_the_fifth_the_next_monday(told: Tell) -> None:
    story = told("bahrain", time_zone="Asia/Bahrain", work_days=[7, 1, 2, 3, 4])
    story.people("ali", "badr", "dana", "eman")
    story.go_live()
    story.act("2026-03-02T08:00:00Z", "ali")
    story.act("2026-03-05T08:00:00Z", "badr")
    story.act("2026-03-09T08:00:00Z", "dana")
    story.now("2026-03-10T12:00:00Z")

    assert story.number_of("access.connected_by", "2026-03-03", n=1) == (1, 4)
    assert story.number_of("access.connected_by", "2026-03-05", n=3) == (2, 4)
    assert story.number_of("access.connected_by", "2026-03-09", n=5) == (3, 4)


def test_whoever_was_on_leave_at_the_go_live_is_judged_by_their_own_first_days(told: Tell) -> None:
    story = told("leave")
    story.people("here", "away", "tuesday")
    story.away("away", "2026-03-02", "2026-03-04")
    story.away("tuesday", "2026-03-03", "2026-03-03")
    story.go_live()
    story.act("2026-03-02T09:00:00Z", "here")
    story.act("2026-03-04T09:00:00Z", "tuesday")
    story.act("2026-03-10T09:00:00Z", "away")
    story.now("2026-03-12T12:00:00Z")

    assert story.number_of("access.connected_by", "2026-03-03", n=1) == (1, 1), "on Tuesday one is on leave"
    assert story.number_of("access.connected_by", "2026-03-04", n=1) == (2, 2), "their first day is over on Wednesday"
    assert story.number_of("access.joiner_connected_by", "2026-03-10", n=3) == (1, 1), "D0 Thursday, D+3 Tuesday"
    assert story.api.get("/v1/people/away").json()["day_zero"] == "2026-03-05"


def test_of_part_timers_only_their_own_days_are_expected(told: Tell) -> None:
    story = told("part-time")
    story.people("full")
    story.people("part", work_days=[1, 2, 3])
    for day in (2, 3, 4):
        story.act(f"2026-03-0{day}T09:00:00Z", "full", "part")
    story.now("2026-03-10T12:00:00Z")

    assert story.week("adoption.daily_rate")["den"] == 8
    assert story.week("adoption.weekly_rate")["den"] == 2
    cadence = story.week("adoption.cadence_rate")
    assert (cadence["num"], cadence["den"]) == (1, 2), "three of three days, and three of five"


def test_who_moves_on_wednesday_counts_for_the_week_where_they_spent_most_of_it(told: Tell) -> None:
    story = told("mover")
    story.people("mia", team="A")
    story.people("a", team="A")
    story.people("b", team="B")
    for day in (2, 3, 4, 5, 6):
        story.act(f"2026-03-0{day}T09:00:00Z", "mia", "a", "b")
    story.people("mia", team="B", effective_from="2026-03-04")
    story.now("2026-03-10T12:00:00Z")

    def weekly(team: str, **query: str) -> tuple[int, int]:
        item = story.week("adoption.weekly_rate", dimension="team", key=team, **query)
        return item["num"], item["den"]

    assert (weekly("A"), weekly("B")) == ((1, 1), (2, 2))
    assert story.number_of("adoption.daily_rate", "2026-03-03", dimension="team", key="A") == (2, 2)
    assert story.number_of("adoption.daily_rate", "2026-03-04", dimension="team", key="A") == (1, 1)
    assert story.number_of("adoption.daily_rate", "2026-03-04", dimension="team", key="B") == (2, 2)
    as_is = {"dimension": "team", "attribution": "as_is"}
    assert story.number_of("adoption.daily_rate", "2026-03-03", key="A", **as_is) == (1, 1)
    assert story.number_of("adoption.daily_rate", "2026-03-03", key="B", **as_is) == (2, 2)
    assert story.number_of("adoption.daily_rate", "2026-03-03") == (3, 3)


def test_in_the_night_when_clocks_go_forward_an_event_counts_once_on_its_local_day(told: Tell) -> None:
    story = told("lisbon", work_days=[1, 2, 3, 4, 5, 6, 7])
    story.people("ines", time_zone="Europe/Lisbon")
    story.people("marta", time_zone="Europe/Madrid")
    story.act("2026-03-29T00:30:00Z", "ines")
    story.act("2026-03-30T22:30:00Z", "ines", "marta")
    story.now("2026-04-02T12:00:00Z")

    days = story.items("adoption.daily_rate", "2026-03-28", "2026-03-31")
    assert [(day["num"], day["den"]) for day in days] == [(0, 2), (1, 2), (1, 2), (1, 2)]


def test_a_licence_that_ends_on_tuesday_leaves_the_week_and_counts_on_its_days(told: Tell) -> None:
    story = told("licence")
    story.people("stays")
    story.people("goes", licensed_to="2026-03-03")
    story.act("2026-03-03T09:00:00Z", "goes", "stays")
    story.now("2026-03-10T12:00:00Z")

    week = story.week("adoption.weekly_rate")
    assert (week["num"], week["den"], week["excluded"]) == (1, 1, {"short_presence": 1})
    days = story.items("adoption.daily_rate", "2026-03-02", "2026-03-04")
    assert [(day["num"], day["den"]) for day in days] == [(0, 2), (2, 2), (0, 1)]


def test_two_identities_of_one_person_are_one_connected_person_after_the_merge(told: Tell) -> None:
    story = told("merge")
    story.people("ann-crm", "ann-mail")
    story.go_live()
    story.act("2026-03-02T09:00:00Z", "ann-crm")
    story.now("2026-03-12T12:00:00Z")
    assert story.number_of("access.connected_by", "2026-03-03", n=1) == (1, 2)
    before = story.items("access.connected_by", "2026-03-03", n=1)[0]["knowledge_time"]

    assert story.api.post("/v1/directory/merge", json={"user": "ann-mail", "aliases": ["ann-crm"]}).status_code == 200
    story.settle()

    [item] = story.items("access.connected_by", "2026-03-03", n=1)
    assert (item["num"], item["den"], item["state"], item["revision"]) == (1, 1, "restated", 1)
    then = story.items("access.connected_by", "2026-03-03", n=1, as_of=before)[0]
    assert (then["num"], then["den"]) == (1, 2)


def test_people_who_are_active_by_software_only_are_not_adopting(told: Tell) -> None:
    story = told("robots")
    users = [f"u{number}" for number in range(20)]
    story.people(*users)
    story.act("2026-03-03T09:00:00Z", *users, origin="api")
    story.now("2026-03-10T12:00:00Z")

    assert story.number_of("adoption.daily_rate", "2026-03-03") == (0, 20)
    assert story.week("adoption.weekly_rate")["beside"] == {"automation_only": 20}


def test_a_team_of_four_is_hidden_with_the_smallest_other_team(told: Tell) -> None:
    story = told("small", min_group=5)
    for team, size in {"four": 4, "six": 6, "nine": 9}.items():
        story.people(*(f"{team}-{number}" for number in range(size)), team=team)
    story.act("2026-03-03T09:00:00Z", "four-1", "six-1", "nine-1")
    story.now("2026-03-10T12:00:00Z")

    shown = {
        team: story.week("adoption.weekly_rate", dimension="team", key=team)["reason"]
        for team in ("four", "six", "nine")
    }
    assert shown == {"four": "suppressed", "six": "suppressed", "nine": None}
    assert story.week("adoption.weekly_rate")["den"] == 19


def test_an_event_that_comes_weeks_late_restates_its_week(told: Tell) -> None:
    story = told("late")
    story.people("ann", "ben")
    story.act("2026-03-03T09:00:00Z", "ann")
    story.now("2026-03-20T12:00:00Z")
    assert story.week("adoption.weekly_rate")["state"] == "final"

    story.act("2026-03-04T09:00:00Z", "ben")
    story.settle()

    week = story.week("adoption.weekly_rate")
    assert (week["num"], week["den"], week["state"], week["revision"]) == (2, 2, "restated", 1)


def test_who_came_not_back_is_found_from_the_verdict_down_to_the_names(told: Tell) -> None:
    """Six weeks after the go-live half of the team stays away, and one has moved."""
    story = told("fall")
    team = [f"n{number}" for number in range(8)]
    story.people(*team, team="North")
    story.people("s1", "s2", team="South")
    story.go_live("2026-02-27")
    for week in range(6):
        here = team if week < 5 else team[:3]
        for day in range(2, 7):
            at = date(2026, 3, day) + timedelta(weeks=week)
            story.act(f"{at}T09:00:00Z", *here, "s1", "s2")
    story.people("n2", team="South", effective_from="2026-04-06")
    story.now("2026-04-15T12:00:00Z")
    north = {"dimension": "team", "key": "North"}

    level = story.week("adoption.level", "2026-04-06", **north)
    assert (level["level"], level["verdict"], level["phase"]) == (0, "drifting", "stabilization-2")
    assert level["gates"][0] | {"layer": None} == {
        "layer": None,
        "metric": "adoption.daily_rate",
        "parameter": None,
        "num": 10,
        "den": 35,
        "target": 85,
        "passed": False,
        "reason": None,
    }
    change = story.week("adoption.weekly_rate", "2026-04-06", baseline="week1", **north)["change"]
    assert (change["num"], change["den"], change["window"]["start"]) == (8, 8, MONDAY)
    assert (change["people"]["lost"], change["people"]["moved_out"]) == (5, {"people": 1, "hits": 1})
    assert change["parts"]["moved_out"] == 0, "who moved was as active as the others"
    asked = {**north, "at": "2026-04-06"}
    why = story.api.get("/v1/metrics/adoption.weekly_rate/explain", params=asked).json()
    assert (why["numerator"], why["denominator"]) == (["n0", "n1"], ["n0", "n1", "n3", "n4", "n5", "n6", "n7"])
