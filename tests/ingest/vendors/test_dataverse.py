"""Dataverse: from the contexts that its webhooks post to the events that managers count."""

import json
from typing import Any

import pytest

from schemas.sources import Source
from services.ingest.vendors.catalogue import VENDORS
from tests.ingest.deliveries import SECRET, delivery, source, taken, verified
from tests.ingest.vendors.samples_dataverse import (
    DEAL,
    HEADERS,
    MAYA,
    ROBOT,
    SIGNED,
    ZERO,
    choice,
    context,
    entity,
    money,
    pairs,
    reference,
)

SERVICE = "Microsoft.CCaaS.AssignmentEngineVNext.Host (DataverseSvcClient:1.1.0.11)"


def read(body: Any, origin: Source | None = None, **options: Any) -> dict[str, Any]:
    """Return the one event of ``body``."""
    [event], bad = taken(origin or source("dataverse"), delivery(body, headers=HEADERS, **options))

    assert not bad
    return event


def test_a_saved_form_tells_who_changed_which_fields_of_which_record_when() -> None:
    saved = {
        "name": "Grace Hopper's deal",
        "estimatedvalue": money(120000),
        "parentaccountid": reference("account", ROBOT, "Smith & Sons"),
        "customerneed": None,
        "budgetstatus": choice(2),
        "modifiedon": r"/Date(1772442930000)/",
        "modifiedby": reference("systemuser", MAYA, "Maya"),
    }

    event = read(context("Update", saved, labels={"estimatedvalue": "€ 120,000"}))

    assert event["type"] == "crm.record.updated"
    assert event["time"] == "2026-03-02T09:15:30Z"
    assert event["data"] == {
        "user": MAYA,
        "object": "opportunity",
        "record": DEAL,
        "origin": "ui",
        "origin_confidence": "stated",
        "environment": "production",
        "fields": {
            "name": "filled",
            "estimatedvalue": "filled",
            "parentaccountid": "filled",
            "customerneed": "empty",
            "budgetstatus": "filled",
        },
    }


def test_steps_for_the_same_message_tell_of_one_event() -> None:
    other = context(OwningExtension=reference("sdkmessageprocessingstep", ROBOT), Stage=20, Mode=0)

    ids = {read(body)["id"] for body in (context(), other, context())}
    elsewhere = {read(body)["id"] for body in (context("Create"), context(record=ROBOT), context(OrganizationId=ROBOT))}

    assert len(ids) == 1
    assert len(ids | elsewhere) == 4


def test_the_context_that_caused_it_is_not_counted() -> None:
    events, bad = taken(
        source("dataverse"), delivery(context("Create", {"name": "x"}, ParentContext=context("Update")))
    )

    assert [event["type"] for event in events] == ["crm.record.created"]
    assert not bad


def test_a_body_that_was_trimmed_is_an_event_without_fields() -> None:
    trimmed = context("Update")
    for name in ("ParentContext", "InputParameters", "PreEntityImages", "PostEntityImages"):
        del trimmed[name]

    event = read(trimmed)

    assert "fields" not in event["data"]
    assert event["data"]["record"] == DEAL
    assert event["time"] == "2026-03-02T09:15:32Z"


def test_the_headers_say_what_it_was_where_the_body_does_not() -> None:
    event = read(context(MessageName=None, PrimaryEntityName=None))

    assert (event["type"], event["data"]["object"]) == ("crm.record.updated", "opportunity")


@pytest.mark.parametrize(
    ("body", "kind", "more"),
    [
        pytest.param(context("Create", {"name": "x"}), "created", {}, id="a new record is created"),
        pytest.param(
            context("Delete", InputParameters=pairs({"Target": reference("opportunity", DEAL)})),
            "deleted",
            {},
            id="a deleted one is deleted",
        ),
        pytest.param(
            context("Assign", InputParameters=pairs({"Assignee": reference("systemuser", ROBOT)})),
            "updated",
            {"owner": ROBOT, "fields": {"ownerid": "filled"}},
            id="to assign is to update the owner",
        ),
        pytest.param(
            context(
                "SetState",
                PrimaryEntityId=ZERO,
                InputParameters=pairs(
                    {"EntityMoniker": reference("opportunity", DEAL), "State": choice(1), "Status": choice(3)}
                ),
            ),
            "stage_changed",
            {"stage": "won"},
            id="to set the state is to win or to lose",
        ),
        pytest.param(
            context(
                "Merge",
                InputParameters=pairs(
                    {
                        "Target": reference("opportunity", DEAL),
                        "SubordinateId": ROBOT,
                        "UpdateContent": entity("opportunity", ZERO, {"telephone1": "555"}),
                    }
                ),
            ),
            "merged",
            {"fields": {"telephone1": "filled"}},
            id="two records merge into the target",
        ),
        pytest.param(
            context("Update", {"stepname": "4-Close", "statuscode": choice(1)}),
            "stage_changed",
            {"stage": "4-Close"},
            id="an update of the stage is one change of stage",
        ),
        pytest.param(
            context("Update", {"statuscode": choice(5)}, table="incident"),
            "stage_changed",
            {"stage": "5", "object": "case"},
            id="the status of a case is its stage",
        ),
        pytest.param(
            context("Update", {"statuscode": choice(2)}, table="account"),
            "stage_changed",
            {"stage": "2", "object": "account"},
            id="a status is a stage also where the registry does not name it",
        ),
        pytest.param(
            context("Create", table="phonecall"), "created", {"object": "activity"}, id="a call is an activity"
        ),
        pytest.param(context("Retrieve", {}), "viewed", {}, id="to retrieve is to view"),
    ],
)
def test_messages_are_told_by_what_they_do(body: Any, kind: str, more: dict[str, str]) -> None:
    event = read(body)

    assert event["type"] == f"crm.record.{kind}"
    assert event["data"]["record"] == DEAL
    assert more.items() <= event["data"].items()


def test_a_message_of_another_kind_is_a_feature_used() -> None:
    event = read(context("Win"))

    assert (event["type"], event["data"]["feature"]) == ("crm.feature.used", "Win")


@pytest.mark.parametrize(
    ("changes", "attributes", "origin", "confidence"),
    [
        ({}, {}, "ui", "stated"),
        ({"app": None}, {}, "unknown", "none"),
        (
            {"app": None, "ParentContext": {"InputParameters": pairs({"x-ms-app-name": "new_Account"})}},
            {},
            "ui",
            "inferred",
        ),
        ({"app": None, "InitiatingUserAgent": "Mozilla/5.0 (X11)"}, {}, "ui", "inferred"),
        ({"app": None, "InitiatingUserAgent": SERVICE}, {}, "api", "inferred"),
        ({"InitiatingUserAgent": SERVICE}, {}, "api", "inferred"),
        ({"Depth": 2}, {}, "automation", "inferred"),
        ({"InitiatingUserId": ROBOT.upper()}, {}, "automation", "inferred"),
        ({}, {"importsequencenumber": 12}, "import", "stated"),
        ({}, {"overriddencreatedon": "/Date(1172442930000)/"}, "import", "stated"),
        ({}, {"importsequencenumber": None}, "ui", "stated"),
        ({}, {"modifiedonbehalfby": reference("systemuser", ROBOT)}, "api", "inferred"),
    ],
)
def test_people_are_told_from_software(
    changes: dict[str, Any], attributes: dict[str, Any], origin: str, confidence: str
) -> None:
    event = read(
        context("Create", {"name": "x", **attributes}, **changes), source("dataverse", application_users=[ROBOT])
    )

    assert (event["data"]["origin"], event["data"]["origin_confidence"]) == (origin, confidence)


def test_who_acts_in_the_name_of_another_is_told_with_both() -> None:
    stranger = {"name": "x", "createdonbehalfby": reference("systemuser", ROBOT)}
    itself = {"name": "x", "modifiedonbehalfby": reference("systemuser", MAYA), "modifiedby": reference("u", ROBOT)}

    for attributes in (stranger, itself):
        event = read(context("Create", attributes))

        assert (event["data"]["user"], event["data"]["on_behalf_of"]) == (MAYA, ROBOT)


def test_the_zero_guid_is_nobody() -> None:
    event = read(
        context(
            "Create",
            {"a": reference("x", ZERO), "processid": ZERO},
            PrimaryEntityId=ZERO,
            record=ZERO,
            InitiatingUserId=ZERO,
        )
    )

    assert "user" not in event["data"]
    assert "record" not in event["data"]
    assert event["data"]["fields"] == {"a": "empty", "processid": "empty"}


@pytest.mark.parametrize(
    ("attributes", "operation", "time"),
    [
        ({"modifiedon": "/Date(1506384247000)/"}, "/Date(1506409448000-0700)/", "2017-09-26T00:04:07Z"),
        ({"createdon": r"\/Date(1506384247000)\/"}, "/Date(1506409448000-0700)/", "2017-09-26T00:04:07Z"),
        ({"createdon": "2026-03-02T09:00:00Z"}, None, "2026-03-02T09:00:00Z"),
        ({}, "/Date(1506409448000-0700)/", "2017-09-26T07:04:08Z"),
        ({}, "/Date(1772475332000-0700)/", "2026-03-02T11:15:32Z"),
        ({}, "/Date(1772453100000+0000)/", "2026-03-02T12:05:00Z"),
        ({"modifiedon": "/Date(-62135596800000)/"}, "/Date(1772442932000)/", "2026-03-02T09:15:32Z"),
        ({"modifiedon": "/Date(999999999999999+1400)/"}, "/Date(99999999999999999)/", None),
        ({"modifiedon": 1772442932000}, {"ms": 1}, None),
        ({}, "/Date(1772999932000+0530)/", None),
        ({}, "", None),
    ],
    ids=[
        "the record's own time comes first",
        "also where it was escaped twice",
        "ISO text is understood",
        "milliseconds are UTC whatever the offset says",
        "unless they would lie in the future",
        "a clock may be a little ahead",
        "a time before all times is none",
        "nor is one after all times",
        "nor a bare number",
        "what lies in the future with and without its offset is none",
        "no date at all",
    ],
)
def test_the_time_is_the_most_likely_one(attributes: dict[str, Any], operation: Any, time: str | None) -> None:
    assert read(context("Create", attributes, OperationCreatedOn=operation)).get("time") == time


def test_escaped_slashes_are_slashes() -> None:
    body = json.dumps(context("Create", {"createdon": "/Date(1506384247000)/"})).replace("/", "\\/")

    assert read(body)["time"] == "2017-09-26T00:04:07Z"


@pytest.mark.parametrize("image", ["PostEntityImages", "PreEntityImages", None])
def test_an_agent_who_comes_into_the_contact_center_has_logged_in(image: str | None) -> None:
    agent = {"msdyn_agentid": reference("systemuser", MAYA)}
    status = {"msdyn_isagentloggedin": True, **({} if image else agent)}
    images = {image: pairs({"image": entity("msdyn_agentstatus", DEAL, agent)})} if image else {}

    event = read(context("Update", status, table="msdyn_agentstatus", InitiatingUserId=ROBOT, **images))

    assert (event["type"], event["data"]["user"], event["data"]["origin"]) == ("crm.session.login", MAYA, "ui")


@pytest.mark.parametrize("status", [False, None, "true", 1, {}])
def test_another_presence_says_nothing(status: object) -> None:
    body = context("Update", {"msdyn_isagentloggedin": status}, table="msdyn_agentstatus")

    assert taken(source("dataverse"), delivery(body)) == ([], [])


def test_an_agent_status_that_names_nobody_is_shown_to_the_operator() -> None:
    body = context("Update", {"msdyn_isagentloggedin": True}, table="msdyn_agentstatus")

    events, [bad] = taken(source("dataverse"), delivery(body))

    assert not events
    assert "msdyn_agentid" in bad.reason


def test_a_change_of_a_user_is_the_work_of_who_made_it() -> None:
    event = read(context("Update", {"isdisabled": True}, table="systemuser", record=ROBOT))

    assert (event["data"]["user"], event["data"]["record"], event["data"]["object"]) == (MAYA, ROBOT, "systemuser")


@pytest.mark.parametrize(
    ("proof", "good"),
    [
        ({"headers": SIGNED}, True),
        ({"headers": {"x-uptake-secret": SECRET[:-1] + "E"}}, False),
        ({"headers": {"x-other": SECRET}}, False),
        ({"query": f"code={SECRET}".encode()}, True),
        ({"query": f"a=1&tenant-key={SECRET}".encode()}, True),
        ({"query": f"{SECRET}=1".encode()}, False),
        ({"query": b"&".join([b"a=1"] * 40 + [f"code={SECRET}".encode()])}, False),
        ({"secret": SECRET}, True),
        ({"secret": SECRET + "x"}, False),
        ({}, False),
    ],
)
def test_the_secret_opens_by_header_query_or_path(proof: dict[str, Any], good: bool) -> None:  # noqa: FBT001
    assert verified(source("dataverse"), delivery(context(), **proof)) is good


def test_a_secret_with_any_characters_opens_as_it_is_and_escaped() -> None:
    origin = source("dataverse", "a+b/ü=")

    assert verified(origin, delivery(context(), query="code=a+b/ü=".encode()))
    assert verified(origin, delivery(context(), query=b"code=a%2Bb%2F%C3%BC%3D"))
    assert verified(origin, delivery(context(), headers={"x-uptake-secret": "a+b/ü=".encode().decode("latin-1")}))


def test_the_header_may_have_another_name() -> None:
    origin = source("dataverse", header="X-Acme-Key")

    assert verified(origin, delivery(context(), headers={"x-acme-key": SECRET}))
    assert not verified(origin, delivery(context(), headers=SIGNED))


def test_dataverse_is_never_told_to_slow_down_in_words_that_lose_events() -> None:
    manners = VENDORS["dataverse"].manners

    assert (manners.overloaded.status, manners.limited.status) == (503, 503)
    assert (manners.accepted.status, manners.unauthorized.status, manners.malformed.status) == (200, 401, 400)
