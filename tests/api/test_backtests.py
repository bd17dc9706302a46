"""Backtests over HTTP: drafts are looked at like rules, the aggregator answers, and a key is told what it may see."""

import asyncio
from typing import Any

import pytest

from services.aggregator.backtests import Backtests
from services.postgres import Pool
from services.rules.pack import DEFAULT
from tests.aggregator.test_watching import LATE, STALE, cells, counted, stale
from tests.api.conftest import Client, Clock, Connect
from tests.api.test_rules import OWN
from tests.patience import until

PATH = "/v1/rules/backtest"
DRAFT = {"id": STALE, "params": {"at_least": 25, "closes_at": 15}}
TEXT = f"""
pack: mine
rules:
- id: {STALE}
  version: 7
  params: {{at_least: 25, closes_at: 15}}
"""


@pytest.fixture
async def teams(pool: Pool, clock: Clock) -> Pool:
    """Write nine weeks of two teams: 30 % of North's close dates are stale, and 22 % of South's."""
    clock.now = LATE
    await counted(pool)
    await cells(pool, [*stale("North", *[30] * 9), *stale("South", *[22] * 9)])
    await cells(pool, stale("all", *[26] * 9, dimension="tenant"))
    return pool


async def tried(api: Client, pool: Pool, **given: Any) -> dict[str, Any]:
    """Ask for a backtest, let the aggregator do it, and return the answer."""
    asked = await api.post(PATH, params={"wait": 0}, json=given)
    assert asked.status_code == 202, asked.text
    assert asked.json()["state"] == "waiting"
    assert await Backtests(pool, lambda: LATE).do_next()
    answer = await api.get(asked.headers["location"], params={"wait": 0})
    assert answer.status_code == 200
    return dict(answer.json())


async def wrong(api: Client, **given: Any) -> list[tuple[str, str]]:
    answer = await api.post(PATH, params={"wait": 0}, json=given)
    assert answer.status_code == 422, answer.text
    return [(each["pointer"], each["detail"]) for each in answer.json()["errors"]]


@pytest.mark.parametrize("given", [{"rules": [DRAFT]}, {"text": TEXT}], ids=["rules", "text"])
async def test_a_draft_is_told_with_what_it_would_have_asked_of_whom(
    api: Client, teams: Pool, given: dict[str, Any]
) -> None:
    answer = await tried(api, teams, **given)

    [episode] = answer["episodes"]
    version = DEFAULT[STALE].version + 1
    assert (episode["rule"], episode["rule_version"], episode["subject"]) == (
        *(STALE, version),
        {"kind": "team", "key": "North"},
    )
    state = {"state": "active", "knowledge": None, "partial": False}
    assert answer["rules"] == [{"id": STALE, "version": version, **state, "opens": 1, "silenced": 0, "closes": 0}]
    [week] = answer["load"]
    assert (week["opens"], week["silenced"], week["roles"]) == (1, 0, {"team_lead": 1})
    assert (answer["state"], answer["error"], answer["left_off"]) == ("finished", None, 0)
    for table in ("alert", "alert_change", "rule_evaluation", "rule_version", "delivery"):
        assert await teams.fetchval(f"select count(*) from {table}") == 0


async def test_without_drafts_the_rules_that_stand_are_tried(api: Client, teams: Pool) -> None:
    await api.put(f"/v1/rules/{STALE}", json={"params": {"at_least": 25, "closes_at": 15}})

    answer = await tried(api, teams)

    assert {each["subject"]["key"] for each in answer["episodes"] if each["rule"] == STALE} == {"North"}
    assert [each["id"] for each in answer["rules"]] == [
        each["id"] for each in (await api.get("/v1/rules")).json()["items"]
    ]
    states = {each["id"]: (each["state"], each["partial"]) for each in answer["rules"]}
    assert states["watermark-stalled"] == ("active", True)
    assert states["training-coverage-gate"][0] == "inactive: missing training"


async def test_days_bound_what_is_told_and_counted(api: Client, teams: Pool) -> None:
    opened = (await tried(api, teams, rules=[DRAFT]))["episodes"][0]["opened_on"]
    after = await tried(api, teams, rules=[DRAFT], **{"from": "2026-04-20"})
    before = await tried(api, teams, rules=[DRAFT], to="2026-03-02")

    assert opened < "2026-04-20"
    assert [len(each["episodes"]) for each in (after, before)] == [1, 0]
    assert (after["rules"][0]["opens"], after["load"], after["from"], after["to"]) == (0, [], "2026-04-20", None)


async def test_drafts_that_are_not_sound_are_refused_with_every_place(api: Client) -> None:
    own = {**OWN, "id": "reviews", "inhibited_by": ["other"]}

    assert await wrong(
        api, rules=[{"id": STALE, "params": {"at_least": 25, "below": 3}, "kind": "sla"}, {"id": "a/b"}, {}]
    ) == [
        ("/rules/0/kind", "cannot be changed: make a rule of your own"),
        ("/rules/1/id", "must be the id of a rule"),
        ("/rules/2/id", "must be the id of a rule"),
    ]
    assert [place for place, _ in await wrong(api, rules=[{"id": STALE, "params": {"closes_at": 25}}])] == [
        "/rules/0/params/closes_at"
    ]
    assert await wrong(api, rules=[DRAFT, own]) == [("/rules/1/inhibited_by/0", "is no rule")]
    assert await wrong(api, rules=[DRAFT, DRAFT]) == [("/rules/1/id", "is the id of another draft as well")]
    assert await wrong(api, rules=[]) == [("/rules", "must be 1 to 200 rules")]
    assert await wrong(api, text="a: b") == [("/rules", "must be a list of rules")]
    assert (await wrong(api, text="- id: x\n  since: 2026-03-01"))[0][0] == "/rules"
    assert (await wrong(api, text="a: ["))[0][0] == ""
    assert [place for place, _ in await wrong(api, text=TEXT, rules=[])] == ["/text"]
    assert [place for place, _ in await wrong(api, **{"from": "2026-03-02", "to": "2026-03-01"})] == ["/to"]


async def test_drafts_may_name_each_other(api: Client, teams: Pool) -> None:
    one, two = ({**OWN, "id": name, "family": name} for name in ("one", "two"))

    answer = await tried(api, teams, rules=[{**one, "inhibited_by": ["two"]}, two])

    assert {each["id"]: each["version"] for each in answer["rules"]} == {"one": 1, "two": 1}


async def test_the_answer_comes_as_soon_as_it_is_there(api: Client, teams: Pool) -> None:
    asking = asyncio.create_task(api.post(PATH, params={"wait": 60}, json={"rules": [DRAFT]}))
    mine = Backtests(teams, lambda: LATE)
    await until(mine.do_next)
    answer = await asking

    assert (answer.status_code, answer.json()["state"]) == (200, "finished")


async def test_few_may_wait_and_what_failed_says_so(api: Client, pool: Pool) -> None:
    for _ in range(5):
        last = await api.post(PATH, params={"wait": 0}, json={})
    assert (await api.post(PATH, params={"wait": 0}, json={})).status_code == 409
    await pool.execute("update backtest set started_at = now(), finished_at = now(), error = 'It failed.'")

    assert (await api.get(last.headers["location"])).json()["state"] == "failed"
    assert (await api.post(PATH, params={"wait": 0}, json={})).status_code == 202


async def test_with_an_idempotency_key_one_backtest_is_asked_for_however_often(api: Client, pool: Pool) -> None:
    async def ask(days: dict[str, str]) -> tuple[int, str | None]:
        answer = await api.post(PATH, params={"wait": 0}, json=days, headers={"Idempotency-Key": "once"})
        return answer.status_code, answer.headers.get("location")

    first = await ask({"to": "2026-03-01"})
    again = [await ask({"to": "2026-03-01"}) for _ in range(6)]

    assert first[0] == 202
    assert again == [first] * 6
    assert await ask({"to": "2026-03-02"}) == (422, None)
    assert await pool.fetchval("select count(*) from backtest") == 1


async def test_who_may_change_rules_may_try_them_in_the_own_tenant(api: Client, connect: Connect) -> None:
    made = await api.post(PATH, params={"wait": 0}, json={})
    reader = await api.post("/v1/keys", json={"tenant": "acme", "scopes": ["read"]})
    other = connect(tenant="other")
    await other.post("/v1/tenants", json={"id": "other"})

    client = connect(reader.json()["key"])
    assert (await client.post(PATH, params={"wait": 0}, json={})).status_code == 403
    assert (await client.get(made.headers["location"])).status_code == 403
    assert (await other.get(made.headers["location"])).status_code == 404


async def test_groups_behind_the_curtain_are_neither_told_nor_counted(api: Client, teams: Pool) -> None:
    await api.patch("/v1/tenants/acme", json={"privacy": {"min_group": 5, "individual_visibility": "off"}})
    before = await tried(api, teams, rules=[{**DRAFT, "params": {"at_least": 20, "closes_at": 15}}])
    await teams.execute(
        """insert into hidden_group (tenant, week, dimension, key, reason)
           select 'acme', week, 'team', 'North', 'small' from measured_week"""
    )

    after = (await api.get(f"{PATH}/{before['id']}", params={"wait": 0})).json()

    assert {each["subject"]["key"] for each in before["episodes"]} == {"North", "South"}
    assert {each["subject"]["key"] for each in after["episodes"]} == {"South"}
    assert [each["rules"][0]["opens"] for each in (before, after)] == [2, 1]


async def test_recipients_are_told_what_they_would_have_got(api: Client, teams: Pool) -> None:
    people = [{"user": "dustin", "email": "dustin@example.com"}, {"user": "ann", "team": "North", "manager": "dustin"}]
    await api.put("/v1/directory/people", json=people)
    draft = {**DRAFT, "severity": "critical"}

    answer = await tried(api, teams, rules=[draft])
    await api.patch("/v1/tenants/acme", json={"privacy": {"individual_visibility": "off"}})
    hidden = (await api.get(f"{PATH}/{answer['id']}", params={"wait": 0})).json()

    nothing = {"at_once": 0, "in_hours": 0, "over_budget": 0}
    got = {"role": "team_lead", "people": 1, **nothing, "digests": 1, "alerts": 1, "outside_hours": 1}
    assert [week["recipients"] for week in answer["load"]] == [[{**got, "recipient": "dustin"}]]
    assert [week["recipients"] for week in hidden["load"]] == [[{**got, "recipient": None}]]
    assert [week["unheard"] for week in answer["load"]] == [0]
    alone = await tried(api, teams, rules=[{**draft, "audience": ["finance"]}])
    assert [(week["unheard"], week["recipients"]) for week in alone["load"]] == [(1, [])]


async def test_a_sweep_tells_what_each_value_would_have_opened(api: Client, teams: Pool) -> None:
    answer = await tried(
        api, teams, rules=[DRAFT], sweep={"rule": STALE, "parameter": "at_least", "values": [20, 25, 31]}
    )

    assert (answer["sweep"]["rule"], answer["sweep"]["parameter"]) == (STALE, "at_least")
    counts = ("value", "opens", "subjects", "closes", "most_interruptions")
    assert [tuple(row[name] for name in counts) for row in answer["sweep"]["values"]] == [
        (20, 2, 2, 0, 0),
        (25, 1, 1, 0, 0),
        (31, 0, 0, 0, 0),
    ]
    assert {each["rule"] for each in answer["episodes"]} == {STALE}
    assert [each["id"] for each in answer["rules"]] == [STALE]


async def test_a_sweep_that_makes_no_sense_is_refused_with_its_place(api: Client, clock: Clock) -> None:
    clock.now = LATE

    def of(**given: Any) -> dict[str, Any]:
        return {"rule": STALE, "parameter": "at_least", "values": [25], **given}

    async def places(**given: Any) -> list[str]:
        return [place for place, _ in await wrong(api, rules=[DRAFT], sweep=of(**given))]

    assert await places(rule="no-rule") == ["/sweep/rule"]
    assert await places(parameter="nothing") == ["/sweep/parameter"]
    assert await places(parameter="metric") == ["/sweep/parameter"]
    assert await places(values=[25, 10, 25, 101]) == ["/sweep/values/1", "/sweep/values/2", "/sweep/values/3"]
    assert await places(values=list(range(10_000))) == ["/sweep/values"]
    assert await places(values=[]) == ["/sweep/values"]
    assert await places(values=[25, "26", True]) == ["/sweep/values/1", "/sweep/values/2"]
    assert await places(values=None) == ["/sweep/values"]
    assert [place for place, _ in await wrong(api, knowledge="later")] == ["/knowledge"]
    assert [place for place, _ in await wrong(api, **{"from": "2026-05-05"})] == ["/from"]
    assert [place for place, _ in await wrong(api, to="2026-05-05")] == ["/to"]


async def test_it_says_what_was_not_known_then_and_what_a_drop_must_be(api: Client, teams: Pool) -> None:
    answer = await tried(api, teams, knowledge="then")

    said = {each["id"]: each["knowledge"] for each in answer["rules"]}
    assert (said["watermark-stalled"], said[STALE]) == ("inactive: only the present is known", None)
    assert answer["knowledge"] == "then"
    [found] = answer["detectable"]
    assert found["rule"] == "adoption-drop-vs-week1"
    assert {"people": 10, "base": 85, "to": 55} in found["sizes"]
    assert found["teams"] == []
