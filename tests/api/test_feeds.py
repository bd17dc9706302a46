"""Feeds as their readers take them: Atom, JSON Feed and iCalendar, seen by the libraries of others."""

from datetime import UTC, date, datetime
from typing import Any

import feedparser
import icalendar
import pytest
from fastapi import FastAPI

from services.api.streams import Streams
from services.postgres import Pool
from tests.api.conftest import Client, Clock, Connect
from tests.api.test_alerts import add_alert
from tests.builders import add_person

LONG = "Größe der Gruppe, " * 10


@pytest.fixture
async def feed(app: FastAPI, api: Client) -> dict[str, Any]:
    """A feed of the admin's key."""
    app.state.streams = Streams(lambda: (app.state.pool, app.state.clock()))
    answer = await api.post("/v1/feeds")
    assert answer.status_code == 201
    return dict(answer.json())


async def test_an_atom_reader_finds_alerts_with_stable_ids_and_their_last_change(
    feed: dict[str, Any], api: Client, connect: Connect, pool: Pool
) -> None:
    anonymous = connect(key=None)
    await api.patch("/v1/tenants/acme", json={"clock": "event"})  # which stands still
    await add_alert(pool, "a1", title="North & <South>\x0b fell")
    before = feedparser.parse((await anonymous.get(feed["url_atom"])).content)
    assert (await api.post("/v1/alerts/a1/resolve", json={"reason": "came"})).status_code == 200
    after = feedparser.parse((await anonymous.get(feed["url_atom"])).content)

    assert (before.bozo, after.bozo, before.version) == (False, False, "atom10")
    assert before.entries[0].title == "North & <South>\ufffd fell (anna)"
    assert after.entries[0].title.startswith("Resolved: ")
    assert before.entries[0].id == after.entries[0].id == "urn:uptake:alert:a1"
    assert before.entries[0].published == after.entries[0].published == "2026-03-02T12:00:00Z"
    assert before.entries[0].updated < after.entries[0].updated
    assert "Call." in before.entries[0].content[0].value
    assert {tag.term for tag in before.entries[0].tags} >= {"user-never-logged-in-d3", "critical", "open"}


async def test_a_json_feed_holds_each_alert_and_says_when_nothing_is_new(
    feed: dict[str, Any], connect: Connect, pool: Pool
) -> None:
    anonymous = connect(key=None)
    await add_alert(pool, "a1")
    await add_alert(pool, "a2", suppressed_by="a1")

    answer = await anonymous.get(feed["url_json"])
    again = await anonymous.get(feed["url_json"], headers={"If-None-Match": answer.headers["etag"]})

    body = answer.json()
    assert body["version"] == "https://jsonfeed.org/version/1.1"
    assert [entry["id"] for entry in body["items"]] == ["urn:uptake:alert:a1"]
    assert body["items"][0]["_uptake"]["rule"] == "user-never-logged-in-d3"
    assert answer.headers["content-type"] == "application/feed+json"
    assert (again.status_code, again.content) == (304, b"")


async def test_a_calendar_shows_checkpoints_agreed_dates_and_annotations(
    feed: dict[str, Any], api: Client, connect: Connect, pool: Pool
) -> None:
    wave = {"id": "north", "name": LONG, "go_live": "2026-03-05"}
    assert (await api.post("/v1/waves", json=wave)).status_code == 201
    await add_alert(pool, "a1", plan_on=date(2026, 3, 10))
    noted = {"id": "course", "kind": "training", "title": "Course, part 1; all", "starts_on": "2026-03-03"}
    assert (await api.post("/v1/annotations", json=noted)).status_code == 201

    answer = await connect(key=None).get(feed["url_ics"])
    events = {str(event["uid"]): event for event in icalendar.Calendar.from_ical(answer.content).walk("VEVENT")}

    assert all(len(line) <= 75 for line in answer.content.split(b"\r\n"))
    days = {uid: (event.start, event.end) for uid, event in events.items()}
    assert days["wave-north-go-live@acme"] == (date(2026, 3, 5), date(2026, 3, 6))
    assert days["wave-north-d3@acme"] == (date(2026, 3, 10), date(2026, 3, 11))  # over a weekend
    assert days["alert-a1-plan@acme"] == (date(2026, 3, 10), date(2026, 3, 11))
    assert str(events["annotation-course@acme"]["summary"]) == "Course, part 1; all"
    assert str(events["wave-north-go-live@acme"]["summary"]) == f"Go-live: {LONG}"


async def test_what_changes_keeps_its_uid_and_raises_its_sequence(
    feed: dict[str, Any], connect: Connect, pool: Pool
) -> None:
    await add_alert(pool, "a1", plan_on=date(2026, 3, 10))

    async def plan() -> icalendar.cal.Component:
        [event] = icalendar.Calendar.from_ical((await connect(key=None).get(feed["url_ics"])).content).walk("VEVENT")
        return event

    before = await plan()
    await pool.execute("update alert set state = 'resolved', revision = 1")  # at the same instant of the event clock
    after = await plan()

    assert before["uid"] == after["uid"]
    assert before["sequence"] < after["sequence"]
    assert (before["status"], after["status"]) == ("CONFIRMED", "CANCELLED")


async def test_an_alert_that_counts_people_is_fed_as_one_that_names_them(
    feed: dict[str, Any], connect: Connect, pool: Pool
) -> None:
    await add_alert(pool, "a1", subject_kind="team", subject_key="north", evidence={"num": 6, "den": 13, "people": 13})
    await add_alert(pool, "a2", subject_kind="wave", evidence={"num": 6, "den": 13, "people": ["anna"]})
    anonymous = connect(key=None)

    answers = [(await anonymous.get(feed[url])).status_code for url in ("url_atom", "url_json", "url_ics")]

    assert answers == [200] * 3
    assert [row["subject"] for row in await pool.fetch("select distinct subject from access_log")] == ["anna"]


async def test_who_is_told_of_is_called_by_name_in_every_feed(
    feed: dict[str, Any], connect: Connect, pool: Pool
) -> None:
    await add_person(pool, "anna")
    await pool.execute("update person set name = 'Anna Berg'")
    await add_alert(pool, "a1", title="Not connected", plan_on=date(2026, 3, 10))
    anonymous = connect(key=None)

    [entry] = feedparser.parse((await anonymous.get(feed["url_atom"])).content).entries
    [item] = (await anonymous.get(feed["url_json"])).json()["items"]
    [plan] = icalendar.Calendar.from_ical((await anonymous.get(feed["url_ics"])).content).walk("VEVENT")

    assert (entry.title, item["title"]) == ("Not connected (Anna Berg)",) * 2
    assert str(plan["summary"]) == "Agreed: Not connected (Anna Berg)"
    assert "About: Anna Berg (anna)." in item["content_text"]


async def test_a_feed_shows_what_its_maker_may_see_and_names_nobody_where_nobody_is_shown(
    app: FastAPI, api: Client, connect: Connect, pool: Pool
) -> None:
    app.state.streams = Streams(lambda: (app.state.pool, app.state.clock()))
    for user, manager in (("maria", None), ("anna", "maria"), ("ben", None)):
        await add_person(pool, user, manager=manager, team=None)
    made = (await api.post("/v1/keys", json={"tenant": "acme", "scopes": ["read"], "person": "maria"})).json()
    for number, user in enumerate(("anna", "ben")):
        await add_alert(pool, f"a{number}", subject_key=user)
    own = (await connect(key=made["key"]).post("/v1/feeds")).json()
    everybody = (await api.post("/v1/feeds", json={"filter": {"severity": "critical"}})).json()

    async def seen(feed: dict[str, Any]) -> set[str]:
        items = (await connect(key=None).get(feed["url_json"])).json()["items"]
        return {entry["_uptake"]["subject"]["key"] for entry in items}

    assert (await seen(own), await seen(everybody)) == ({"anna"}, {"anna", "ben"})
    logged = await pool.fetch("select distinct key_id, subject from access_log where route = '/feeds'")
    assert {(row["key_id"], row["subject"]) for row in logged} >= {(made["id"], "anna"), ("admin", "ben")}
    await api.patch("/v1/tenants/acme", json={"privacy": {"min_group": 1, "individual_visibility": "off"}})
    assert (await seen(own), await seen(everybody)) == (set(), set())


async def test_the_addresses_of_a_feed_are_those_under_which_people_reach_it(
    app: FastAPI, api: Client, connect: Connect
) -> None:
    app.state.streams = Streams(lambda: (app.state.pool, app.state.clock()))
    app.state.links_url = "https://uptake.acme.example/api"
    made = (await api.post("/v1/feeds")).json()
    here = made["url_atom"].removeprefix("https://uptake.acme.example/api")
    shown = feedparser.parse((await connect(key=None).get(here)).content)

    assert {made[name].partition("/feeds/")[0] for name in made if "url" in name} == {"https://uptake.acme.example/api"}
    assert shown.feed.links[0].href == made["url_atom"]


async def test_a_feed_ends_with_the_key_that_made_it(app: FastAPI, api: Client, connect: Connect, clock: Clock) -> None:
    app.state.streams = Streams(lambda: (app.state.pool, app.state.clock()))
    until = datetime(2026, 3, 3, tzinfo=UTC)
    wanted = {"tenant": "acme", "scopes": ["read"], "expires_at": until.isoformat()}
    made = (await api.post("/v1/keys", json=wanted)).json()
    feed = (await connect(key=made["key"]).post("/v1/feeds")).json()

    before = await connect(key=None).get(feed["url_atom"])
    clock.now = until

    assert before.status_code == 200
    assert (await connect(key=None).get(feed["url_atom"])).status_code == 404
    assert (await connect(key=None).get("/feeds/upt_unknown_token_000/alerts.atom")).status_code == 404


async def test_the_same_request_made_twice_makes_one_feed(app: FastAPI, api: Client) -> None:
    app.state.streams = Streams(lambda: (app.state.pool, app.state.clock()))
    first, second = [
        (await api.post("/v1/feeds", headers={"Idempotency-Key": "once"}, json={})).json() for _ in range(2)
    ]
    listed = (await api.get("/v1/feeds")).json()["items"]

    assert first == second
    assert [feed["id"] for feed in listed] == [first["id"]]
    assert not any("url" in name for name in listed[0])
