"""Each format from its published shape to the events on the log: who came, who did not, and nothing else."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from schemas.events import decode
from schemas.sources import KINDS, Source
from services.ingest.logins.catalogue import FORMATS, Sender, Taken, take
from services.ingest.vendors.shape import MalformedError
from tests.ingest.deliveries import RECEIVED, delivery, source, taken
from tests.ingest.logins.exports import ROWS, USERS, audit, elf, export, history, hubspot, odoo, pipedrive, table


def read(form: str, *rows: dict[str, Any], origin: Source | None = None) -> Taken:
    return take(FORMATS[form], Sender("acme", origin), export(form, *rows), RECEIVED)


def events(found: Taken) -> list[dict[str, Any]]:
    for record in found.records:
        decode(record.value)
    return [json.loads(record.value) for record in found.records]


def counts(found: Taken) -> tuple[int, int, int]:
    return len(found.records), len(found.refused), found.skipped


@pytest.mark.parametrize("form", ROWS)
def test_a_published_row_is_the_login_of_its_user_at_its_time(form: str) -> None:
    [event] = events(read(form))

    assert event["type"] == "crm.session.login"
    assert event["source"] == f"/logins/{form}"
    assert event["time"].startswith("2026-03-02T08:15:30")
    assert event["data"]["user"] == USERS[form]
    assert event["data"].keys() <= {"user", "email", "origin", "origin_confidence", "environment"}


def test_every_format_is_covered() -> None:
    assert ROWS.keys() == FORMATS.keys()


@pytest.mark.parametrize("form", ROWS)
def test_nothing_but_the_login_leaves_the_row(form: str) -> None:
    told = b"".join(record.value for record in read(form).records)

    for leak in (b"103.108", b"Mozilla", b"Lovelace", b"paris", b"bY5Wfv8t", b"+33"):
        assert leak not in told


@pytest.mark.parametrize("form", ROWS)
def test_importing_twice_gives_the_same_events(form: str) -> None:
    later = datetime(2026, 4, 1, tzinfo=UTC)
    again = take(FORMATS[form], Sender("acme"), export(form), later)

    assert again.records == read(form).records


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_named_source_is_the_source_of_the_events(kind: str) -> None:
    [event] = events(read("csv", origin=source(kind)))

    assert event["source"] == "/hooks/crm"


NOT_A_LOGIN = {
    "a token by OAuth": (
        "salesforce-login",
        elf(URI="/services/oauth2/token", LOGIN_TYPE="i", BROWSER_TYPE="Go-http-client/1.1"),
    ),
    "OAuth with a browser": ("salesforce-login", elf(LOGIN_TYPE="i")),
    "an API client": ("salesforce-login", elf(URI="/services/Soap/u/36.0", LOGIN_TYPE="", BROWSER_TYPE="Java")),
    "an administrator as somebody": ("salesforce-login", elf(EVENT_TYPE="LoginAs")),
    "a delegated user": ("salesforce-login", elf() | {"DELEGATED_USER_ID": "0055j00000AT6I2"}),
    "remote access": ("salesforce-login-history", history(LoginType="Remote Access 2.0")),
    "a mobile sync": ("salesforce-login-history", history(Application="Data Loader")),
    "web services": ("dataverse-audit", audit(action=65)),
    "auditing began": ("dataverse-audit", audit(action=112)),
    "auditing ended": ("dataverse-audit", audit(action=113)),
    "on behalf of another": ("dataverse-audit", audit(_callinguserid_value="11112222-0d3a-ed11-9db0-000d3a5c5f55")),
    "a user who never came": ("pipedrive-users", pipedrive(last_login=None)),
    "a user with no date": ("pipedrive-users", pipedrive(last_login="0000-00-00 00:00:00")),
    "OdooBot": ("odoo-logins", odoo(create_uid=[1, "OdooBot"])),
    "a stranger at HubSpot": ("hubspot-logins", hubspot(loginSucceeded=False, userId=None, email=None)),
}


@pytest.mark.parametrize(("form", "row"), NOT_A_LOGIN.values(), ids=NOT_A_LOGIN)
def test_what_is_no_login_of_a_person_is_skipped_and_counted(form: str, row: dict[str, Any]) -> None:
    assert counts(read(form, row)) == (0, 0, 1)


FAILED = {
    "salesforce-login": elf(LOGIN_STATUS="LOGIN_ERROR_INVALID_PASSWORD"),
    "salesforce-login-history": history(Status="Failed: Invalid Password"),
    "hubspot-logins": hubspot(loginSucceeded=False),
}


@pytest.mark.parametrize(("form", "row"), FAILED.items(), ids=FAILED)
def test_a_refused_login_is_a_failed_one(form: str, row: dict[str, Any]) -> None:
    found = read(form, row)

    assert [event["type"] for event in events(found)] == ["crm.session.login_failed"]
    assert found.newest is None


BAD = {
    "no request id": ("salesforce-login", elf(REQUEST_ID=""), "/REQUEST_ID"),
    "no time": ("salesforce-login", elf(TIMESTAMP="2026", TIMESTAMP_DERIVED=""), "/TIMESTAMP_DERIVED"),
    "no month": ("salesforce-login", elf(TIMESTAMP="20261302081530.650", TIMESTAMP_DERIVED=""), "/TIMESTAMP_DERIVED"),
    "no row id": ("salesforce-login-history", history(Id=""), "/Id"),
    "no user": ("salesforce-login-history", history(UserId=""), "/UserId"),
    "no login time": ("salesforce-login-history", history(LoginTime="soon"), "/LoginTime"),
    "no action": ("dataverse-audit", audit(action=None), "/action"),
    "no object": ("dataverse-audit", audit(_objectid_value="ada"), "/_objectid_value"),
    "no audit id": ("dataverse-audit", audit(auditid=None), "/auditid"),
    "no audit time": ("dataverse-audit", audit(createdon=5), "/createdon"),
    "no HubSpot id": ("hubspot-logins", hubspot(id=None), "/id"),
    "no outcome": ("hubspot-logins", hubspot(loginSucceeded="maybe"), "/loginSucceeded"),
    "no HubSpot user": ("hubspot-logins", hubspot(userId=None, email=""), "/userId"),
    "no HubSpot time": ("hubspot-logins", hubspot(loginAt=None), "/loginAt"),
    "a name for a user": ("odoo-logins", odoo(create_uid="Ada Lovelace"), "/create_uid"),
    "no date": ("odoo-logins", odoo(create_date=False), "/create_date"),
    "no Pipedrive id": ("pipedrive-users", pipedrive(id=None), "/id"),
    "no Pipedrive time": ("pipedrive-users", pipedrive(last_login="soon"), "/last_login"),
    "nobody": ("csv", {"user": "", "email": ""}, "/user"),
    "never": ("csv", {"user": "ada", "time": ""}, "/time"),
    "the future": ("csv", {"user": "ada", "time": "2027-03-02T08:15:30Z"}, "/time"),
}


@pytest.mark.parametrize(("form", "row", "pointer"), BAD.values(), ids=BAD)
def test_a_bad_row_is_named_and_costs_no_neighbour(form: str, row: dict[str, Any], pointer: str) -> None:
    found = read(form, ROWS[form]() | row, ROWS[form]())

    assert counts(found) == (1, 1, 0)
    [(place, told)] = found.refused
    assert (place, told.pointer) == (0, pointer)


def test_a_login_by_single_sign_on_counts_where_it_is_declared() -> None:
    rows = elf(LOGIN_TYPE="5", URI="/"), elf(LOGIN_TYPE="5", URI="/", REQUEST_ID="other")
    declared = source("salesforce-cdc", login_types=["SAML Idp Initiated SSO"])

    assert counts(read("salesforce-login", *rows)) == (0, 0, 2)
    assert counts(read("salesforce-login", *rows, origin=declared)) == (2, 0, 0)
    assert counts(read("salesforce-login", elf(), origin=declared)) == (0, 0, 1)


@pytest.mark.parametrize(
    ("form", "kind", "options"),
    [
        ("salesforce-login", "salesforce-cdc", {"software_users": ["0055j00000AT6I1"]}),
        ("salesforce-login-history", "salesforce-cdc", {"software_users": ["0055j00000AT6I1AAL"]}),
        ("dataverse-audit", "dataverse", {"application_users": ["2F3C8ECD-0D3A-ED11-9DB0-000D3A5C5F55"]}),
        ("odoo-logins", "odoo", {"software_users": ["7"]}),
    ],
)
def test_users_that_are_software_do_not_log_in(form: str, kind: str, options: dict[str, Any]) -> None:
    assert counts(read(form, origin=source(kind, **options))) == (0, 0, 1)


def test_fifteen_characters_and_eighteen_are_the_same_user() -> None:
    short = elf(USER_ID_DERIVED="", REQUEST_ID="other", TIMESTAMP_DERIVED="")
    first, second = events(read("salesforce-login", elf(), short))

    assert first["data"]["user"] == second["data"]["user"]
    assert first["time"] == second["time"] == "2026-03-02T08:15:30.65Z"


def test_a_login_of_the_stream_and_of_the_history_is_one() -> None:
    origin = source("salesforce-cdc")
    told = {
        "EventIdentifier": "0cf1c8f8",
        "LoginHistoryId": "0Ya5j00000AbCdE",
        "UserId": "0055j00000AT6I1AAL",
        "EventDate": "2026-03-02T08:15:30.000Z",
        "LoginType": "Application",
        "Status": "Success",
        "Application": "Browser",
    }
    envelope = {"detail-type": "LoginEventStream", "detail": {"payload": told}}
    [streamed], _ = taken(origin, delivery(envelope, headers={"x-api-key": "s"}))
    [imported] = events(read("salesforce-login-history", history(Id="0Ya5j00000AbCdE"), origin=origin))

    assert imported == streamed


def test_a_login_of_the_automation_rule_and_of_the_export_is_one() -> None:
    origin = source("odoo")
    body = {"_model": "res.users.log", "_id": 51, "id": 51, "create_uid": 7, "create_date": "2026-03-02 08:15:30"}
    [pushed], _ = taken(origin, delivery(body, path="logins/login"))
    [imported] = events(read("odoo-logins", origin=origin))

    assert imported == pushed


@pytest.mark.parametrize(
    "row",
    [
        {"id": "51", "create_uid/.id": "7", "create_date": "2026-03-02 08:15:30"},
        {"id": "__export__.res_users_log_51_1a2b", "create_uid": "Ada (7)", "create_date": "2026-03-02 08:15:30"},
        {".id": "51", "create_uid/id": "__export__.res_users_7_9f8e7d6c", "create_date": "2026-03-02 08:15:30"},
        {"ID": "51", "Created by/ID": "7", "Created on": "2026-03-02 08:15:30"},
    ],
    ids=["database ids", "names with ids", "external ids", "labels"],
)
def test_odoo_names_users_in_several_ways(row: dict[str, str]) -> None:
    found = take(FORMATS["odoo-logins"], Sender("acme"), table(row).encode(), RECEIVED)

    assert found.records == read("odoo-logins").records


def test_a_row_without_the_column_application_is_judged_by_its_type() -> None:
    row = {name: value for name, value in history().items() if name != "Application"}

    assert counts(read("salesforce-login-history", row)) == (1, 0, 0)


def test_the_newest_login_is_told() -> None:
    rows = [{"user": "ada", "time": f"2026-03-02T0{hour}:00:00Z"} for hour in (7, 9, 8)]

    assert read("csv", *rows).newest == datetime(2026, 3, 2, 9, tzinfo=UTC)


@pytest.mark.parametrize("form", FORMATS)
def test_a_table_of_another_kind_is_refused_by_the_column_it_lacks(form: str) -> None:
    with pytest.raises(MalformedError, match=f"lacks the column .* of {form}"):
        take(FORMATS[form], Sender("acme"), b"colour,size\nred,5\n", RECEIVED)
