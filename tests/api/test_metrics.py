"""Metrics over HTTP: the catalogue, values, and the reasons why there is none."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from services.api.shapes import FIRST_DAY
from services.metrics.catalogue import METRICS
from services.postgres import Pool
from tests.api.conftest import Client, Clock, Connect
from tests.api.numbers import KNOWN, MONDAY, add_cells, add_contribution, add_past, hide, measure, week
from tests.api.test_auth import key
from tests.builders import add_person

GROUP = {"dimension": "team", "key": "north"}
SPAN = {"from": str(MONDAY), "to": str(week(4) - timedelta(days=1))}


async def values(api: Client, metric: str, **asked: Any) -> list[dict[str, Any]]:
    answer = await api.get(f"/v1/metrics/{metric}", params={**GROUP, **SPAN, **asked})
    assert answer.status_code == 200, answer.text
    assert answer.json()["next"] is None
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def test_the_catalogue_tells_all_metrics(api: Client) -> None:
    items = (await api.get("/v1/metrics")).json()["items"]

    assert [item["code"] for item in items][:40] == [f"M{number}" for number in range(1, 41)]
    assert [item["metric"] for item in items][40:] == ["adoption.level", "adoption.months_at_target"]
    assert items[9] | {"title": ""} == {
        "metric": "adoption.daily_rate",
        "code": "M10",
        "title": "",
        "layer": 2,
        "unit": "%",
        "direction": "up",
        "combination": "daily",
        "windows": ["1d", "7d", "28d", "week", "month"],
        "parameter": None,
        "subject": "person",
        "minimum": 1,
        "inputs": ["activity", "directory"],
        "targets": {"stabilization-1": 80, "stabilization-2": 85, "maturity": 90, "excellence": 90, "run": 90},
        "beside": ["offday_activity", "automation_only"],
        "reason": None,
    }


async def test_a_weekly_rate_is_told_with_all_that_it_rests_on(api: Client, pool: Pool) -> None:
    await measure(pool)
    await add_cells(pool, [("M11", week(0), 9, 12), ("X:on_leave", week(0), 2, 0), ("A", week(0), 1, 0)])
    await add_cells(pool, [("M11", week(1), 8, 12)], revision=1, known_at=datetime(2026, 2, 20, tzinfo=UTC))

    first, second, third, fourth = await values(api, "adoption.weekly_rate")

    assert first == {
        "metric": "adoption.weekly_rate",
        "parameter": None,
        "dimension": "team",
        "key": "north",
        "num": 9,
        "den": 12,
        "value": 0.75,
        "state": "final",
        "revision": 0,
        "window": {"kind": "week", "start": "2026-02-02", "end": "2026-02-09", "tz": "UTC"},
        "excluded": {"on_leave": 2},
        "beside": {"automation_only": 1},
        "reason": None,
        "knowledge_time": "2026-02-01T03:00:00Z",
    }
    assert (second["state"], second["revision"], second["excluded"]) == ("restated", 1, {})
    assert (third["value"], third["num"], third["reason"]) == (None, None, "no_expected_people")
    assert fourth["state"] == "provisional"


async def test_the_rate_of_a_week_is_that_of_its_person_days(api: Client, pool: Pool) -> None:
    await measure(pool)
    await add_cells(pool, [("M10", week(0), 1, 1), ("M10", week(0) + timedelta(days=1), 5, 10)])
    await add_cells(pool, [("off", week(0) + timedelta(days=5), 3, 0), ("M11", week(0), 6, 10)])

    (first, *_), days = await values(api, "adoption.daily_rate"), await values(api, "adoption.daily_rate", window="1d")
    month = (await values(api, "adoption.daily_rate", window="month"))[0]
    intensity = (await values(api, "adoption.stickiness"))[0]

    assert (first["num"], first["den"], first["beside"]["offday_activity"]) == (6, 11, 3)
    assert [(day["num"], day["den"]) for day in days[:3]] == [(1, 1), (5, 10), (None, None)]
    assert len(days) == 28
    assert (month["num"], month["den"], month["window"]["start"], month["excluded"]) == (6, 11, "2026-02-01", None)
    assert (intensity["num"], intensity["den"]) == (6 * 10, 11 * 6)


async def test_who_connected_is_told_as_of_the_end_of_a_window(api: Client, pool: Pool) -> None:
    await measure(pool)
    before = MONDAY - timedelta(weeks=30)
    await add_cells(pool, [("M1:3", before, 4, 5), ("M1:3", week(1), 1, 5), ("M1:5", week(1), 6, 10)])
    await add_cells(pool, [("M3:1", before, 9, 9), ("M3:1", week(1), 3, 4)])

    three = await values(api, "access.connected_by", n="3")
    joiners = await values(api, "access.joiner_connected_by", n="1")
    everything = await values(api, "access.connected_by", window="1d", to=str(MONDAY))

    assert [(item["num"], item["den"]) for item in three] == [(4, 5), (5, 10), (5, 10), (5, 10)]
    assert [item["num"] for item in joiners] == [None, 3, 3, 3]
    assert [(item["parameter"]["n"], item["num"]) for item in everything] == [
        ("1", None),
        ("2", None),
        ("3", 4),
        ("5", None),
        ("10", None),
    ]


async def test_days_to_come_are_in_no_number(api: Client, pool: Pool) -> None:
    await measure(pool)
    tomorrow = week(4) + timedelta(days=1)
    await add_cells(pool, [("M10", week(4), 4, 5), ("M10", tomorrow, 0, 5), ("M11", week(4), 4, 5)])
    await add_cells(pool, [("M1:3", week(0), 6, 6), ("M1:3", tomorrow, 0, 4)])
    today = {"from": str(week(4)), "to": str(week(4) + timedelta(days=6))}

    (daily,) = await values(api, "adoption.daily_rate", **today)
    (month,) = await values(api, "adoption.daily_rate", **today, window="month")
    (connected,) = await values(api, "access.connected_by", **today, n="3")

    assert (daily["num"], daily["den"], daily["state"]) == (4, 5, "open")
    assert (month["num"], month["den"]) == (4, 5)
    assert (connected["num"], connected["den"]) == (6, 6)


async def test_a_feature_is_reached_by_a_share_of_those_expected(api: Client, pool: Pool) -> None:
    await measure(pool)
    await add_cells(pool, [("M21:a%40b", week(0), 3, 0), ("M11", week(0), 9, 12), ("M24", week(0), 2, 8)])

    (reach, *_), (reported, *_) = await values(api, "behaviour.feature_reach"), await values(api, "workaround.rate")

    assert (reach["parameter"], reach["value"]) == ({"feature": "a@b"}, 0.25)
    assert (reported["num"], reported["den"], reported["value"]) == (2, 8, 25.0)


async def test_creations_of_unknown_origin_leave_no_share(api: Client, pool: Pool) -> None:
    await measure(pool)
    for number, unknown in ((0, 20), (1, 21)):
        await add_cells(pool, [("M16:deal", week(number), 60, 80), ("M16u:deal", week(number), unknown, 100)])
    await add_cells(pool, [("M16:deal", week(2), 18, 19)])

    exactly, more, few, _ = await values(api, "behaviour.in_crm_creation", object="deal")

    assert (exactly["value"], exactly["beside"]["unknown_origin"]["value"]) == (0.75, 0.2)
    assert (more["value"], more["num"], more["reason"]) == (None, 60, "unknown_origin")
    assert (few["value"], few["den"], few["reason"]) == (None, 19, "insufficient_sample")


async def test_what_is_missing_is_said(api: Client, pool: Pool) -> None:
    untouched = await values(api, "adoption.weekly_rate")
    await measure(pool)
    await add_cells(pool, [("M17", week(0), 9, 9), ("M10", week(0), 9, 9)], ("tenant", "all"))
    reasons = {}
    for metric in ("behaviour.pre_meeting_update", "dq.score", "roi.ratio", "behaviour.task_abandon"):
        reasons[metric] = {item["reason"] for item in await values(api, metric)}
    today = await values(api, "access.last_seen_days", to="2026-03-02")
    later = await values(api, "adoption.weekly_rate", **{"from": "2026-03-02", "to": "2026-03-02"})
    await pool.execute("delete from measured_week where week > $1", week(3))
    unmeasured = await values(api, "adoption.weekly_rate", **{"from": "2026-03-02", "to": "2026-03-02"})
    await pool.execute("delete from tally")
    quiet = await values(api, "adoption.weekly_rate")

    assert {item["reason"] for item in untouched} == {"not_known_yet"}
    assert reasons == {
        "behaviour.pre_meeting_update": {"no_meeting"},
        "dq.score": {"no_records"},
        "roi.ratio": {"missing_outcome"},
        "behaviour.task_abandon": {"missing_tasks"},
    }
    assert {item["reason"] for item in today} == {"person_level"}
    assert [(item["reason"], item["state"]) for item in later] == [("no_expected_people", "open")]
    assert {item["reason"] for item in unmeasured} == {"not_known_yet"}
    assert {item["reason"] for item in quiet} == {"missing_activity"}


async def test_a_silent_source_makes_its_windows_unknown_until_they_are_filled(api: Client, pool: Pool) -> None:
    await measure(pool)
    await add_cells(pool, [("M11", week(number), 9, 12) for number in range(4)])
    await pool.execute(
        """insert into silence (tenant, source, since, opened_at, until, expected, seen, state)
           values ('acme', 'crm', '2026-02-10 10:00Z', '2026-02-10 14:00Z', '2026-02-12 08:00Z', 90, 0, 'over')"""
    )

    silent = await values(api, "adoption.weekly_rate")
    await pool.execute("update silence set state = 'filled'")
    filled = await values(api, "adoption.weekly_rate")

    assert [(item["state"], item["reason"], item["value"]) for item in silent[:3]] == [
        ("final", None, 0.75),
        ("unknown", "source_silent", None),
        ("final", None, 0.75),
    ]
    assert {item["value"] for item in filled} == {0.75}


async def test_a_silence_is_about_what_happened_in_it(api: Client, pool: Pool) -> None:
    await measure(pool)
    await add_cells(pool, [("M8", week(number), 1, 12) for number in range(4)])
    await add_cells(pool, [("M1:3", week(0), 5, 6), ("M6:30", week(2), 5, 6)])
    await pool.execute(
        """insert into silence (tenant, source, since, opened_at, until, expected, seen, state)
           values ('acme', 'crm', '2026-02-14 10:00Z', '2026-02-14 14:00Z', '2026-02-15 08:00Z', 90, 0, 'over')"""
    )

    unused = await values(api, "licence.unused_share")
    connected = await values(api, "access.connected_by", n="3")
    retained = await values(api, "access.retained", n="30")

    assert [item["reason"] for item in unused] == [None, "source_silent", "source_silent", "source_silent"]
    assert [item["reason"] for item in connected] == [None] * 4
    assert [item["reason"] for item in retained[2:]] == ["source_silent"] * 2


async def test_of_a_hidden_group_nothing_is_told(api: Client, pool: Pool) -> None:
    await measure(pool)
    everyday = [week(0) + timedelta(days=number) for number in range(28)]
    await add_cells(pool, [("M11", week(number), 9, 12) for number in range(4)])
    await add_cells(pool, [("M10", day, 9, 12) for day in everyday])
    await add_cells(pool, [("M1:3", week(0), 4, 6), ("M1:3", week(3), 4, 6), ("X:on_leave", week(1), 1, 0)])
    await hide(pool, week(1))

    weekly = await values(api, "adoption.weekly_rate")
    daily = await values(api, "adoption.daily_rate", window="7d")
    connected = await values(api, "access.connected_by", n="3")

    assert [item["reason"] for item in weekly] == [None, "suppressed", None, None]
    hidden = {name for name, value in weekly[1].items() if value is None}
    assert hidden == {"num", "den", "value", "excluded", "beside", "parameter", "knowledge_time"}
    assert [item["reason"] for item in daily[7:21]] == ["suppressed"] * 13 + [None]
    assert [item["reason"] for item in connected] == [None, "suppressed", "suppressed", "suppressed"]


async def test_of_a_hidden_group_not_even_what_it_was_counted_for_is_told(api: Client, pool: Pool) -> None:
    await measure(pool)
    await add_cells(
        pool,
        [("M11", week(number), 9, 12) for number in range(4)],
        revision=1,
        known_at=datetime(2026, 2, 27, tzinfo=UTC),
    )
    await add_cells(pool, [("M21:quote", week(0), 3, 0), ("M21:payroll", week(1), 1, 0)])
    await hide(pool, week(1))

    told = [(item["window"]["start"], item["parameter"]) for item in await values(api, "behaviour.feature_reach")]
    listed = (await api.get("/v1/metrics", params={**GROUP, **SPAN, "limit": 1000})).text
    weekly = await values(api, "adoption.weekly_rate")

    shown = [(str(week(number)), {"feature": "quote"}) for number in (0, 2, 3)]
    assert told == [(str(week(1)), None), *shown]
    assert "payroll" not in listed
    assert [(item["state"], item["revision"]) for item in weekly[:2]] == [("restated", 1), ("final", 0)]


async def test_groups_are_not_told_of_before_the_directory_is_good_enough_or_approved(api: Client, pool: Pool) -> None:
    await measure(pool)
    await pool.execute("update tenant set quality_approved_at = null")
    await add_person(pool, "ada", team=None)
    for group in (("team", "north"), ("tenant", "all")):
        await add_cells(pool, [("M11", week(0), 9, 12)], group)

    group = (await values(api, "adoption.weekly_rate"))[0]
    everybody = (await values(api, "adoption.weekly_rate", dimension="tenant", key="all"))[0]
    assert (await api.post("/v1/directory/quality/approve")).status_code == 200
    approved = (await values(api, "adoption.weekly_rate"))[0]

    assert (group["num"], group["reason"], everybody["num"]) == (None, "not_approved", 9)
    assert (approved["num"], approved["reason"]) == (9, None)


async def test_few_people_behind_a_number_are_not_told_of(api: Client, pool: Pool) -> None:
    await api.patch("/v1/tenants/acme", json={"privacy": {"min_group": 5}})
    await measure(pool)
    await add_cells(pool, [("M11", week(0), 3, 4), ("M11", week(1), 3, 5), ("M23", week(0), 2, 2)])
    await add_cells(pool, [("M19", week(0), 1, 2)])

    weekly = await values(api, "adoption.weekly_rate")
    leaders = await values(api, "leadership.active_rate")
    meetings = await values(api, "meeting.crm_run_share")

    assert [(item["num"], item["reason"]) for item in weekly[:2]] == [(None, "suppressed"), (3, None)]
    assert leaders[0]["num"] == 2, "few by nature: an owner sees them"
    assert meetings[0]["den"] == 2, "meetings are no people"


@pytest.mark.parametrize("visibility", ["off", "manager"])
async def test_a_day_of_few_people_is_in_no_sum_for_who_is_shown_no_single_persons(
    api: Client, pool: Pool, visibility: str
) -> None:
    await api.patch("/v1/tenants/acme", json={"privacy": {"min_group": 5, "individual_visibility": visibility}})
    await measure(pool)
    friday = week(1) + timedelta(days=4)
    for day in (week(1), week(2)):
        await add_cells(pool, [("M11", day, 6, 6), ("M10", day, 4, 6), ("M16:lead", day, 8, 9)])
    await add_cells(pool, [("M10", friday, 1, 1), ("M16:lead", friday, 0, 3), ("M16:will", friday, 1, 1)])

    daily = {item["window"]["start"]: item for item in await values(api, "adoption.daily_rate", window="1d")}
    weekly = await values(api, "adoption.daily_rate", window="week")
    created = await values(api, "behaviour.in_crm_creation", window="week", object="lead")
    objects = {str(item["parameter"]) for item in await values(api, "behaviour.in_crm_creation", window="1d")}
    reached, sticky = [await values(api, metric) for metric in ("adoption.weekly_rate", "adoption.stickiness")]

    named = visibility == "manager"
    assert (daily[str(week(1))]["num"], daily[str(friday)]["reason"]) == (4, "suppressed")
    assert [(item["num"], item["den"]) for item in weekly[1:3]] == [(5, 7) if named else (None, None), (4, 6)]
    assert [(item["num"], item["den"]) for item in created[1:3]] == [(8, 12) if named else (None, None), (8, 9)]
    assert (str({"object": "will"}) in objects) is named
    assert [item["reason"] for item in sticky[1:3]] == [None if named else "suppressed", None]
    assert reached[1]["num"] == 6


async def test_as_of_an_instant_what_was_known_then_is_told(api: Client, pool: Pool) -> None:
    await measure(pool)
    group = ("team", "north")
    second = datetime(2026, 2, 20, tzinfo=UTC)
    await add_cells(pool, [("M11", week(0), 9, 12)], known_at=second, revision=1)
    await add_past(pool, ("M11", week(0), 5, 12), KNOWN + timedelta(days=9), group)
    await add_past(pool, ("M11", week(0), 6, 12), KNOWN + timedelta(days=10), group)

    async def at(instant: datetime) -> tuple[Any, ...]:
        item = (await values(api, "adoption.weekly_rate", as_of=instant.isoformat()))[0]
        return item["num"], item["state"], item["revision"], item["reason"]

    assert await at(second) == (9, "restated", 1, None)
    assert await at(second - timedelta(seconds=1)) == (6, "final", 0, None)
    assert await at(KNOWN + timedelta(days=9)) == (5, "provisional", 0, None)
    assert await at(KNOWN) == (None, "open", 0, "not_known_yet")
    overview = await api.get("/v1/metrics", params={**GROUP, **SPAN, "as_of": KNOWN.isoformat()})
    assert overview.json()["items"][0]["reason"] == "not_known_yet"


async def test_as_is_adds_up_todays_members_wherever_they_were(api: Client, pool: Pool) -> None:
    await measure(pool)
    for user in ("ada", "bo"):
        await add_person(pool, user, team="north")
    await add_contribution(pool, "ada", week(0), {"M11": (1, 1), "M10@2": (1, 1), "M1:3@4": (1, 1)}, team="south")
    await add_contribution(pool, "bo", week(0), {"M11": (0, 1), "M10@2": (0, 1)})
    await add_contribution(pool, "cy", week(0), {"M11": (1, 1), "M10@2": (1, 1)})
    await add_contribution(pool, "deal\t7", week(0), {"M25": (3, 40)}, kind="record", owner="bo", team="east")
    await add_cells(pool, [("M11", week(0), 1, 2), ("M10", week(0) + timedelta(days=2), 1, 2)])

    as_is = {"attribution": "as_is"}
    weekly = (await values(api, "adoption.weekly_rate", **as_is))[0]
    daily = await values(api, "adoption.daily_rate", window="1d", **as_is)
    connected = await values(api, "access.connected_by", n="3", **as_is)
    quality = (await values(api, "dq.valid_completeness", **as_is))[0]
    await api.patch("/v1/tenants/acme", json={"privacy": {"individual_visibility": "off"}})
    closed = (await values(api, "adoption.weekly_rate", **as_is))[0]

    assert (weekly["num"], weekly["den"]) == (1, 2)
    assert [(item["num"], item["den"]) for item in daily[1:3]] == [(None, None), (1, 2)]
    assert [item["den"] for item in connected] == [1, 1, 1, 1]
    assert (quality["num"], quality["den"]) == (3, 40)
    assert (closed["num"], closed["reason"]) == (None, "suppressed"), "what one mover did would be the difference"


async def test_all_metrics_of_a_group_are_listed_page_by_page(api: Client, pool: Pool) -> None:
    await measure(pool)
    await add_cells(pool, [("M11", week(number), 9, 12) for number in range(4)])
    await add_cells(pool, [("M16:deal", week(1), 30, 40), ("M16:lead", week(1), 30, 40), ("M1:10", week(1), 5, 5)])
    asked = {**GROUP, **SPAN}
    whole = (await api.get("/v1/metrics", params={**asked, "limit": 1000})).json()

    paged: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        more = {"cursor": cursor} if cursor else {}
        answer = (await api.get("/v1/metrics", params={**asked, "limit": 37, **more})).json()
        paged += answer["items"]
        cursor = answer["next"]
        if cursor is None:
            break

    assert whole["next"] is None
    assert paged == whole["items"]
    seen = list(dict.fromkeys(item["metric"] for item in paged))
    assert seen == [m.id for m in METRICS.values() if m.code not in {"M7", "M14"}]
    assert {(i["metric"], i["window"]["start"]) for i in paged if i["num"] == 9} == {
        ("adoption.weekly_rate", str(week(number))) for number in range(4)
    }
    objects = [item["parameter"]["object"] for item in paged if item["metric"] == "behaviour.in_crm_creation"]
    assert objects == ["deal"] * 4 + ["lead"] * 4
    assert {item["window"]["kind"] for item in paged} == {"week"}


@pytest.mark.parametrize(
    ("path", "params", "parameter"),
    [
        pytest.param("", {"dimension": "team"}, "key", id="a dimension without a key"),
        pytest.param("/adoption.weekly_rate", {"key": "north"}, "key", id="a key without a dimension"),
        pytest.param("", {**GROUP, "from": "2026-03-02", "to": "2026-03-01"}, "from", id="from after to"),
        pytest.param("", {**GROUP, "from": "2020-01-01", "to": "2026-03-01"}, "from", id="six years"),
        pytest.param("", {"dimension": "person", "key": "x"}, "dimension", id="another dimension"),
        pytest.param("/adoption.weekly_rate", {"window": "1d"}, "window", id="a weekly rate by day"),
        pytest.param("/adoption.months_at_target", {"window": "week"}, "window", id="months by week"),
        pytest.param("/adoption.weekly_rate", {"n": "3"}, "n", id="a parameter of another metric"),
        pytest.param("/access.connected_by", {"n": "4"}, "n", id="a day that is not counted"),
        pytest.param("/access.connected_by", {"baseline": "week2"}, "baseline", id="another baseline"),
        pytest.param("/adoption.daily_rate", {"baseline": "week1", "window": "1d"}, "baseline", id="a day's baseline"),
        pytest.param("/adoption.level", {"as_of": "2026-02-01T00:00:00Z"}, "as_of", id="a level as of then"),
        pytest.param(
            "/adoption.weekly_rate",
            {"as_of": "2026-02-01T00:00:00Z", "attribution": "as_is"},
            "as_of",
            id="as of then and as it is",
        ),
        pytest.param("/adoption.weekly_rate", {"as_of": "2026-02-01"}, "as_of", id="as of a day"),
    ],
)
async def test_a_question_that_makes_no_sense_is_refused(
    api: Client, path: str, params: dict[str, str], parameter: str
) -> None:
    answer = await api.get(f"/v1/metrics{path}", params=params)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["parameter"] == parameter


async def test_a_refusal_names_what_is_offered(api: Client) -> None:
    answer = await api.get("/v1/metrics/access.connected_by", params={"window": "28d"})

    assert answer.json()["detail"] == "access.connected_by is offered in '1d', 'week', 'month'."
    assert (await api.get("/v1/metrics/adoption.unknown")).status_code == 404


async def test_a_cursor_belongs_to_its_question(api: Client, pool: Pool) -> None:
    await measure(pool)
    first = (await api.get("/v1/metrics", params={**GROUP, **SPAN, "limit": 3})).json()["next"]
    one = (await api.get("/v1/metrics/adoption.weekly_rate", params={**GROUP, **SPAN, "limit": 3})).json()["next"]

    for path, cursor in (("", one), ("/adoption.weekly_rate", first), ("/adoption.cadence_rate", one), ("", "x")):
        answer = await api.get(f"/v1/metrics{path}", params={**GROUP, **SPAN, "limit": 3, "cursor": cursor})
        assert answer.status_code == 422
    again = await api.get("/v1/metrics/adoption.weekly_rate", params={**GROUP, **SPAN, "limit": 3, "cursor": one})
    assert [item["window"]["start"] for item in again.json()["items"]] == [str(week(3))]


async def test_a_bound_key_sees_the_teams_of_its_line_and_no_wider_group(
    api: Client, connect: Connect, pool: Pool
) -> None:
    await measure(pool)
    await add_person(pool, "mia", team="north")
    await add_person(pool, "otto", team="south")
    for group in (("team", "north"), ("team", "south"), ("tenant", "all")):
        await add_cells(pool, [("M11", week(0), 9, 12)], group)
    mia = connect(await key(api, "read", person="mia"))

    assert (await values(mia, "adoption.weekly_rate"))[0]["num"] == 9
    assert await values(mia, "adoption.weekly_rate", key="south") == []
    assert await values(mia, "adoption.weekly_rate", dimension="tenant", key="all") == []
    assert (await mia.get("/v1/metrics", params={**SPAN, "dimension": "team", "key": "south"})).json()["items"] == []


async def test_on_the_event_clock_there_is_nothing_before_the_first_event(api: Client, pool: Pool) -> None:
    await api.patch("/v1/tenants/acme", json={"clock": "event"})
    assert await values(api, "adoption.weekly_rate") == []

    await measure(pool, date(2013, 1, 7))
    await pool.execute("update tally set newest = '2013-01-09 08:00Z'")
    await add_cells(pool, [("M11", date(2013, 1, 7), 9, 12)])

    found = await values(api, "adoption.weekly_rate", **{"from": "2013-01-01", "to": "2026-01-01"})
    assert [(item["window"]["start"], item["state"]) for item in found] == [
        ("2012-12-31", "final"),
        ("2013-01-07", "open"),
    ]
    assert await values(api, "adoption.weekly_rate", **{"from": str(FIRST_DAY), "to": str(FIRST_DAY)})


async def test_a_window_ends_where_the_last_of_its_people_have_ended_it(api: Client, pool: Pool, clock: Clock) -> None:
    await measure(pool)
    await add_cells(pool, [("M11", week(3), 9, 12)])
    await add_person(pool, "noa")
    clock.now = datetime(2026, 3, 2, 6, 0, tzinfo=UTC)
    asked = {"from": str(week(3)), "to": str(week(3))}

    before = (await values(api, "adoption.weekly_rate", **asked))[0]["state"]
    await pool.execute("update person set time_zone = 'America/Los_Angeles'")
    after = (await values(api, "adoption.weekly_rate", **asked))[0]["state"]

    assert (before, after) == ("provisional", "open")


async def test_the_numbers_of_another_tenant_are_not_told(api: Client, pool: Pool) -> None:
    assert (await api.post("/v1/tenants", json={"id": "other", "privacy": {"min_group": 1}})).status_code == 201
    for tenant in ("acme", "other"):
        await measure(pool, tenant=tenant)
    await add_cells(pool, [("M11", week(number), 9, 12) for number in range(4)], tenant="other")

    mine = await values(api, "adoption.weekly_rate")
    paged = (await api.get("/v1/metrics", params={**GROUP, **SPAN, "limit": 1000})).json()["items"]
    theirs = await api.get(
        "/v1/metrics/adoption.weekly_rate", params={**GROUP, **SPAN}, headers={"Uptake-Tenant": "other"}
    )

    assert {item["num"] for item in [*mine, *paged]} == {None}
    assert {item["num"] for item in theirs.json()["items"]} == {9}


@pytest.mark.parametrize(
    "metric", ["adoption.daily_rate", "adoption.level", "adoption.change_vs", "access.connected_by"]
)
async def test_the_ends_of_time_are_answered(api: Client, pool: Pool, metric: str) -> None:
    await measure(pool)
    await add_cells(pool, [("M11", FIRST_DAY, 9, 12), ("M1:1", FIRST_DAY, 9, 12)])
    for asked in (
        {"from": "1900-01-01", "to": "1900-01-03"},
        {"from": "2199-12-30", "to": "2200-12-31"},
        {"to": "1900-01-01"},
        {"from": "2200-12-31"},
    ):
        answer = await api.get(f"/v1/metrics/{metric}", params={**GROUP, **asked})
        assert answer.status_code == 200, (asked, answer.text)
    for instant in ("1900-01-01T00:00:00Z", "2200-12-31T23:59:59+14:00"):
        overview = await api.get("/v1/metrics", params={**GROUP, "as_of": instant})
        assert overview.status_code == 200, overview.text
    for day in ("1900-01-01", "2200-12-31"):
        why = await api.get("/v1/metrics/adoption.daily_rate/explain", params={**GROUP, "at": day})
        assert why.status_code == 200, why.text


async def test_no_duplicates_are_an_answer_only_where_a_source_would_tell_of_them(api: Client, pool: Pool) -> None:
    await measure(pool)
    await add_cells(pool, [("M30", week(0), 0, 50)])

    async def told() -> tuple[Any, ...]:
        first = (await values(api, "dq.duplicate_rate"))[0]
        return first["num"], first["den"], first["value"], first["reason"]

    assert await told() == (None, None, None, "missing_merges")
    sql = "insert into source (id, tenant, kind, secrets) values ($1, 'acme', $1, '{}')"
    await pool.execute(sql, "hubspot")
    assert await told() == (None, None, None, "missing_merges")
    await pool.execute(sql, "pipedrive")
    assert await told() == (0, 50, 0.0, None)


async def test_beside_unused_licences_stands_what_they_cost_a_month(api: Client, pool: Pool) -> None:
    await measure(pool)
    await add_cells(pool, [("M8", week(0), 2, 9), ("M8c", week(0), 998_050, 4_491_000), ("M8", week(1), 2, 9)])

    first, second, *_ = await values(api, "licence.unused_share")

    assert (first["num"], first["beside"]) == (2, {"cost_unused": 99.805})
    assert second["beside"] is None


async def test_of_weeks_before_the_first_event_nothing_was_counted(api: Client, pool: Pool) -> None:
    await measure(pool)
    await pool.execute("delete from measured_week where week < $1", week(1))
    await add_cells(pool, [("M11", week(1), 3, 4), ("M1:3", week(1), 3, 4)])

    weekly = [item["reason"] for item in await values(api, "adoption.weekly_rate")]
    connected = [item["reason"] for item in await values(api, "access.connected_by", n="3")]

    assert weekly[:2] == ["missing_activity", None]
    assert connected[0] == "missing_activity"


async def test_what_adds_up_is_told_with_whole_steps_to_who_sees_no_single_people(
    api: Client, pool: Pool, connect: Connect
) -> None:
    await measure(pool)
    await pool.execute("update tenant set min_group = 3, individual_visibility = 'off'")
    monday = week(4)
    told = [(week(0), 6, 9, week(0)), (week(1), 1, 1, None), (week(2), 1, 1, week(3)), (week(3), 2, 3, week(3))]
    for day, num, den, step in [
        *told,
        (monday, 1, 2, monday + timedelta(days=1)),
        (monday + timedelta(days=1), 1, 2, None),
    ]:
        await add_cells(pool, [("M1:3", day, num, den)])
        await pool.execute("update metric_cell set step = $2 where day = $1", day, step)
    await add_cells(pool, [("M1:5", week(1), 3, 4)])
    asked = {"to": str(monday), "n": "3"}

    reader = connect(await key(api, "read"))
    shown = [(item["num"], item["den"]) for item in await values(reader, "access.connected_by", **asked)]
    (waiting, *_) = await values(reader, "access.connected_by", **asked | {"n": "5", "from": str(week(1))})
    await api.patch("/v1/tenants/acme", json={"privacy": {"min_group": 4}})
    closed = {item["reason"] for item in await values(reader, "access.connected_by", **asked)}
    await pool.execute("update tenant set individual_visibility = 'manager'")
    everything = [(item["num"], item["den"]) for item in await values(reader, "access.connected_by", **asked)]

    assert shown == [(6, 9), (6, 9), (6, 9), (9, 13), (9, 13)]
    assert (waiting["num"], waiting["reason"]) == (None, "suppressed")
    assert closed == {"suppressed"}, "until it is found out what steps of so many people are"
    assert everything == [(6, 9), (7, 10), (8, 11), (10, 14), (11, 16)]
