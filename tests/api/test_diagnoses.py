"""The diagnosis of an alert, over HTTP: what is known is told with its evidence, what is not is asked."""

from typing import Any

from services.postgres import Pool
from tests.api.conftest import Client
from tests.api.numbers import MONDAY, add_cells, hide, measure, week
from tests.api.test_alerts import add_alert

SPAN = {"from": str(week(0)), "to": str(week(1))}


async def drop(pool: Pool, **columns: Any) -> None:
    window = {"from": str(MONDAY), "to": str(MONDAY)}
    await add_alert(pool, "a1", subject_kind="team", subject_key="north", window=window, **columns)


async def test_what_is_measured_is_told_and_the_rest_is_asked(api: Client, pool: Pool) -> None:
    await measure(pool)
    await drop(pool, audience=[{"role": "team_lead"}, {"role": "crm_owner"}])
    await add_cells(pool, [("M18", MONDAY, 3, 40), ("M25", MONDAY, 60, 100), ("M28", MONDAY, 10, 40)])
    noted = {"id": "layout", "kind": "crm-change", "title": "A new layout", "starts_on": str(MONDAY)}
    elsewhere = {**noted, "id": "south", "teams": ["south"]}
    for annotation in (noted, elsewhere):
        assert (await api.post("/v1/annotations", json=annotation)).status_code == 201

    body = (await api.get("/v1/alerts/a1/diagnosis")).json()

    told = {question["key"]: question["answer"] for question in body["questions"]}
    assert len(told) == 8
    assert told["skipped"].endswith("10 of 40")
    assert told["inspection"].endswith("3 of 40")
    assert (told["owner"], told["reason"], told["workflow"]) == ("team lead", "not measured", "not measured")
    scores = {barrier["barrier"]: barrier["score"] for barrier in body["barriers"]}
    assert scores == {"awareness": None, "desire": None, "knowledge": None, "ability": None, "reinforcement": 0.125}
    assert body["first_barrier"] == "reinforcement"
    assert "training" not in body["suggestion"].lower()
    assert [annotation["id"] for annotation in body["annotations"]] == ["layout"]


async def test_nothing_is_told_of_a_group_whose_numbers_are_hidden(api: Client, pool: Pool) -> None:
    await api.patch("/v1/tenants/acme", json={"privacy": {"min_group": 5}})
    await measure(pool)
    await drop(pool)
    await add_cells(pool, [("M18", MONDAY, 3, 40)])
    await hide(pool, MONDAY, ("team", "north"))

    body = (await api.get("/v1/alerts/a1/diagnosis")).json()

    assert all(question["evidence"] == [] for question in body["questions"])
    assert body["first_barrier"] is None


async def test_an_alert_about_a_person_has_none(api: Client, pool: Pool) -> None:
    await add_alert(pool, "a1")

    assert (await api.get("/v1/alerts/a1/diagnosis")).status_code == 409
    assert (await api.get("/v1/alerts/unknown/diagnosis")).status_code == 404
