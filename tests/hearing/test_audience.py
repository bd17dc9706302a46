"""Who hears of an alert, and whom they are told of by name."""

from typing import Any

import pytest

from services.hearing.audience import Heard, hearers
from services.hearing.shape import Contact, Louder, Place
from services.hearing.teams import Member, leads, teams_of
from tests.notifier.telling import alert, company

OWNER = {"crm_owner": [Contact("email", "crm@acme.example")]}


def heard(found: list[Heard]) -> dict[str, bool]:
    return {one.recipient: one.named for one in found}


def hearing(*roles: str, **given: Any) -> dict[str, bool]:
    changes = given.pop("company", {})
    return heard(hearers(alert(audience=[{"role": role} for role in roles], **given), company(**changes)))


def without(*gone: str) -> dict[str, Any]:
    people = company().people
    return {"people": {**people, **{user: people[user]._replace(reachable=False) for user in gone}}}


@pytest.mark.parametrize(
    ("role", "who"),
    [
        ("manager", {"mia": True}),
        ("manager_of_manager", {"max": True}),
        ("team_lead", {"mia": True}),
    ],
)
def test_a_role_becomes_whoever_holds_it_today(role: str, who: dict[str, bool]) -> None:
    assert hearing(role) == who


def test_the_manager_at_the_time_of_the_alert_is_not_who_is_told() -> None:
    found = hearers(alert(audience=[{"role": "manager", "person": "sam"}]), company())

    assert heard(found) == {"mia": True}


def test_where_the_manager_is_away_the_one_above_is_told() -> None:
    assert hearing("manager", company=without("mia")) == {"max": True}


def test_a_champion_hears_a_number_and_no_name() -> None:
    assert hearing("champion", company={"champions": {"north": ["cleo"]}}) == {"cleo": False}


def test_a_champion_does_not_hear_of_themselves() -> None:
    assert hearing("champion", company={"champions": {"north": ["ada"]}, "contacts": OWNER}) == {
        "crm@acme.example": False
    }


def test_a_team_without_a_champion_has_those_of_its_function() -> None:
    of_function = {"champions": {"north": []}, "function_champions": {"sales": ["sam"]}}

    assert hearing("champion", company=of_function) == {"sam": False}


def test_the_sponsor_is_the_one_of_the_wave_as_it_is_now() -> None:
    told = alert(audience=[{"role": "sponsor", "person": "max"}], subject_kind="wave", subject_key="north")

    assert heard(hearers(told, company(sponsors={"north": "sam"}))) == {"sam": False}
    assert heard(hearers(told, company())) == {"max": False}


def test_who_leads_the_teams_furthest_behind_hears_of_their_wave() -> None:
    wave = {"subject_kind": "wave", "subject_key": "w", "evidence": {"worst_teams": [{"team": "north"}]}}

    assert hearing("team_lead", **wave) == {"mia": False}


@pytest.mark.parametrize(
    ("contacts", "who"),
    [
        ({"champion": [Contact("email", "c@acme.example")]}, "c@acme.example"),
        (OWNER, "crm@acme.example"),
        ({"operations": [Contact("person", "sam")]}, "sam"),
    ],
    ids=["the contact of the role", "else the owner of the CRM", "else operations"],
)
def test_an_alert_that_finds_nobody_goes_to_whoever_stands_in(contacts: Any, who: str) -> None:
    assert hearing("champion", company={"contacts": contacts}) == {who: False}


def test_a_contact_who_cannot_be_reached_is_passed_over() -> None:
    contacts = {"crm_owner": [Contact("person", "gone")], "operations": [Contact("person", "sam")]}

    assert hearing("champion", company={"contacts": contacts}) == {"sam": False}


def test_where_nobody_may_be_named_a_manager_hears_nothing_and_the_owner_a_number() -> None:
    assert hearing("manager", company={"names_people": False, "contacts": OWNER}) == {"crm@acme.example": False}


def test_an_alert_on_too_few_people_is_told_to_nobody() -> None:
    assert hearing("manager", company={"hidden": {"a1"}, "contacts": OWNER}) == {}


def test_somebody_in_two_roles_is_told_once() -> None:
    assert hearing("manager", "team_lead", "crm_owner", company={"contacts": OWNER}) == {
        "mia": True,
        "crm@acme.example": False,
    }


def test_the_sponsor_is_spared_numbers_while_the_wave_is_an_emergency() -> None:
    wave = Louder("wave-connection-d3-emergency", "north")
    known = {"sponsors": {"north": "sam", "south": "sam"}, "contacts": OWNER, "louder": [wave]}
    told = {"rule": "user-never-logged-in-d3", "company": known}

    assert hearing("manager", "sponsor", **told) == {"mia": True}
    assert hearing("sponsor", **told) == {}
    assert hearing("sponsor", wave="south", **told) == {"sam": False}


def test_lines_that_go_round_end() -> None:
    people = {"ada": Place("mia"), "mia": Place("max"), "max": Place("mia")}

    assert company(people=people).above("ada") == ["mia", "max"]


def member(user: str, manager: str | None, **given: Any) -> Member:
    return Member(
        **{"team": "north", "user_id": user, "manager": manager, "function": None, "champion": False, **given}
    )


@pytest.mark.parametrize(
    ("members", "who"),
    [
        ([("mia", "max"), ("ada", "mia"), ("bea", "mia")], ["mia"]),
        ([("ada", "mia"), ("bea", "sam")], ["mia", "sam"]),
        ([("ada", "mia")], ["mia"]),
        ([("ada", None)], []),
        ([("ada", "bea"), ("bea", "ada")], ["ada", "bea"]),
    ],
    ids=["a manager within", "two managers", "a team of one", "no manager", "a circle"],
)
def test_who_leads_a_team(members: list[tuple[str, str | None]], who: list[str]) -> None:
    assert leads([member(*one) for one in members]) == who


def test_a_team_has_the_function_of_most() -> None:
    found = teams_of(
        [member("a", None, function="x"), member("b", None, function="y"), member("c", None, function="y")]
    )

    assert found.functions == {"north": "y"}
