"""HubSpot: what its batches become, and whose signatures open."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from schemas.events import HUMAN_ORIGINS
from schemas.fields import DEFAULT, FieldRegistry, ObjectFields
from schemas.sources import HubspotOptions
from services.ingest.vendors.catalogue import VENDORS
from services.ingest.vendors.shape import MalformedError
from services.ingest.vendors.signatures import hubspot_v1, hubspot_v2, hubspot_v3
from tests.ingest.deliveries import RECEIVED, delivery, taken, verified
from tests.ingest.vendors.samples_hubspot import CLIENT, NOW, OCCURRED, PUBLISHED, URL, change, edit, portal, signed

FORM = ["dealname", "amount", "closedate", "description", "dealtype", "hs_priority", "hs_next_step", "city"]
EXAMPLE = "https://www.example.com/webhook_uri"
PYTHON_BODY = b"{'example_field':'example_value'}"
NODE_BODY = b'{"example_field":"example_value"}'


def told(*changes: Any, **options: Any) -> list[dict[str, Any]]:
    events, bad = taken(portal(**options), signed(list(changes)))
    assert not bad
    return events


def refused(*changes: Any, **options: Any) -> list[str]:
    """Return the pointers of what is bad."""
    return [bad.pointer for bad in taken(portal(**options), signed(list(changes)))[1]]


def human(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [event for event in events if event["data"]["origin"] in HUMAN_ORIGINS and "user" in event["data"]]


# What a batch becomes


def test_an_import_a_form_of_eight_fields_and_an_automation_are_one_human_action() -> None:
    events = told(
        *(edit(name, "some", changeSource="IMPORT", sourceId="userId:45678", objectId=7) for name in FORM),
        *(edit(name, "some", occurredAt=OCCURRED + 40 * number) for number, name in enumerate(FORM)),
        edit("hs_lastmodifieddate", "1772445600000", changeSource="AUTOMATION_PLATFORM", sourceId="enrollmentId:1"),
    )

    [action] = human(events)
    assert len(events) == 3
    assert (action["type"], action["data"]["user"], action["data"]["object"]) == (
        "crm.record.updated",
        "45678",
        "opportunity",
    )
    assert action["data"]["fields"] == dict.fromkeys(FORM, "filled")
    assert action["time"] == "2026-03-02T10:00:00Z"
    assert action["data"]["record"] == "65059681032"


def test_however_a_form_is_batched_and_repeated_it_is_one_identity_and_time() -> None:
    form = [edit(name, "x", occurredAt=OCCURRED + 1000 * number) for number, name in enumerate(FORM)]
    again = [{**each, "attemptNumber": 3} for each in reversed(form)]
    batches = [form, form[:3], form[3:], form[7:], again]

    [identities, times] = zip(*((told(*batch)[0]["id"], told(*batch)[0]["time"]) for batch in batches), strict=True)
    assert len(set(identities)) == len(set(times)) == 1
    assert told(*form) == told(*again)


@pytest.mark.parametrize(
    "other",
    [
        {"objectId": 8},
        {"portalId": 9},
        {"sourceId": "userId:1"},
        {"changeSource": "MOBILE_IOS"},
        {"changeSource": "CRM_UI_BULK_ACTION"},
        {"occurredAt": OCCURRED + 60_000},
        {"kind": "contact.propertyChange"},
    ],
    ids=["record", "portal", "actor", "origin", "in bulk", "minute", "object"],
)
def test_another_record_portal_actor_origin_minute_or_object_is_another_session(other: dict[str, Any]) -> None:
    assert len({event["id"] for event in told(edit(), edit(**other))}) == 2


def test_the_last_value_of_a_property_in_a_session_is_its_state() -> None:
    later = edit("amount", "", occurredAt=OCCURRED + 2000)

    assert told(later, edit("amount", "10"))[0]["data"]["fields"] == {"amount": "empty"}


def test_a_moved_stage_is_an_event_of_its_own() -> None:
    [stage, rest] = told(edit("dealname"), edit("dealstage", "contractsent", occurredAt=OCCURRED + 1234))

    assert (stage["type"], stage["data"]["stage"]) == ("crm.record.stage_changed", "contractsent")
    assert stage["time"] == "2026-03-02T10:00:01.234Z"
    assert rest["data"]["fields"] == {"dealname": "filled"}


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("deal.propertyChange", "dealstage"),
        ("ticket.propertyChange", "hs_pipeline_stage"),
        ("contact.propertyChange", "lifecyclestage"),
        ("company.propertyChange", "lifecyclestage"),
    ],
)
def test_every_stage_property_of_hubspot_tells_the_stage(kind: str, name: str) -> None:
    [event] = told(edit(name, "customer", kind=kind))

    assert (event["type"], event["data"]["stage"]) == ("crm.record.stage_changed", "customer")


@pytest.mark.parametrize(
    ("kind", "type_"),
    [
        ("deal.creation", "crm.record.created"),
        ("deal.deletion", "crm.record.deleted"),
        ("deal.merge", "crm.record.merged"),
        ("deal.restore", "crm.record.updated"),
        ("deal.associationChange", "crm.record.updated"),
        ("contact.privacyDeletion", "privacy.deletion.requested"),
        ("conversation.privacyDeletion", "privacy.deletion.requested"),
        ("conversation.newMessage", "crm.record.updated"),
        ("event.completed", "hubspot.event.completed"),
        ("deal.somethingNew", "hubspot.deal.somethingNew"),
    ],
)
def test_each_subscription_has_its_event(kind: str, type_: str) -> None:
    [event] = told(change(kind, fromObjectId=5))

    assert event["type"] == type_


def test_two_events_of_one_id_and_different_subscriptions_are_two() -> None:
    first, second = change("deal.creation", eventId=1), change("contact.creation", eventId=1, subscriptionId=2)

    assert len({event["id"] for event in told(first, second, {**first, "attemptNumber": 1})}) == 2


def test_a_request_for_erasure_names_the_record_and_nobody_acts() -> None:
    [event] = told(change("contact.privacyDeletion"))

    assert event["data"] == {
        "object": "contact",
        "record": "65059681032",
        "origin": "automation",
        "origin_confidence": "stated",
        "environment": "production",
    }


def test_a_merge_tells_the_record_that_is_left() -> None:
    assert told(change("contact.merge", newObjectId=4, primaryObjectId=1))[0]["data"]["record"] == "4"
    assert told(change("contact.merge", primaryObjectId=1))[0]["data"]["record"] == "1"


def test_both_kinds_of_subscription_name_one_object() -> None:
    old, new = edit(), edit(kind="object.propertyChange", objectTypeId="0-3")

    assert told(old)[0]["id"] == told(new)[0]["id"]
    assert told(new)[0]["data"]["object"] == "opportunity"


@pytest.mark.parametrize("name", ["deal", "0-3"])
def test_a_registry_may_name_an_object_by_name_or_by_type(name: str) -> None:
    registry = FieldRegistry(objects={"chance": ObjectFields(names=[name], stage=["my_stage"])})
    [event], _ = taken(portal(), signed([edit("my_stage", "won")]), fields=registry)

    assert (event["type"], event["data"]["object"], event["data"]["stage"]) == (
        "crm.record.stage_changed",
        "chance",
        "won",
    )


def test_activities_are_activities() -> None:
    [event] = told(change("object.creation", objectTypeId="0-48"))

    assert (event["type"], event["data"]["object"]) == ("crm.record.created", "activity")


def test_redacted_is_filled_and_tells_no_fact() -> None:
    [edited] = told(edit("hubspot_owner_id", "REDACTED", isSensitive=True), edit("closedate", "REDACTED"))
    [moved] = told(edit("dealstage", "REDACTED"))

    assert edited["data"]["fields"] == {"hubspot_owner_id": "filled", "closedate": "filled"}
    assert not {"owner", "close_date"} & edited["data"].keys()
    assert "stage" not in moved["data"]


def test_owner_and_close_date_are_kept_as_facts() -> None:
    [event] = told(edit("hubspot_owner_id", "3001"), edit("closedate", "2026-06-30"))

    assert (event["data"]["owner"], event["data"]["close_date"]) == ("3001", "2026-06-30")


@pytest.mark.parametrize(
    ("change_source", "origin", "confidence"),
    [
        ("CRM_UI", "ui", "stated"),
        ("MOBILE_ANDROID", "mobile", "stated"),
        ("IMPORT", "import", "stated"),
        ("INTEGRATION", "api", "stated"),
        ("SALESFORCE", "sync", "stated"),
        ("CALCULATED", "automation", "stated"),
        ("AUTO_ASSOCIATE_BY_DOMAIN", "automation", "stated"),
        ("MERGE_CONTACTS", "automation", "stated"),
        ("CRM", "unknown", "none"),
        ("SOMETHING_NEW", "unknown", "none"),
        (None, "unknown", "none"),
        (7, "unknown", "none"),
        ([], "unknown", "none"),
    ],
)
def test_the_origin_is_what_the_change_source_says(change_source: Any, origin: str, confidence: str) -> None:
    [event] = told(edit(changeSource=change_source))

    assert (event["data"]["origin"], event["data"]["origin_confidence"]) == (origin, confidence)
    assert "bulk" not in event["data"]


def test_a_bulk_action_at_the_screen_is_told_as_bulk() -> None:
    [event] = told(edit(changeSource="CRM_UI_BULK_ACTION"))

    assert (event["data"]["origin"], event["data"]["bulk"]) == ("ui", True)


@pytest.mark.parametrize(
    "source_id", ["CompanyInsightsPropertyMappings", "userId:", "userId:1x", "xuserId:1", "userId:1\n", 12, None, {}]
)
def test_only_a_source_id_of_a_user_names_a_person(source_id: Any) -> None:
    assert "user" not in told(edit(sourceId=source_id))[0]["data"]


def test_large_ids_keep_every_digit() -> None:
    [event] = told(edit(objectId=2**53 + 1, sourceId=f"userId:{2**53 + 1}"))

    assert event["data"]["record"] == event["data"]["user"] == "9007199254740993"


# Bad items and bad bodies


@pytest.mark.parametrize("name", ["portalId", "occurredAt", "subscriptionType", "objectId", "propertyName"])
@pytest.mark.parametrize("value", [None, True, 1.5, [], {}, ""], ids=repr)
def test_a_wrong_type_costs_its_item_only_and_is_pointed_at(name: str, value: Any) -> None:
    events, bad = taken(portal(), signed([edit(**{name: value}), edit()]))

    assert [each.pointer for each in bad] == [f"/0/{name}"]
    assert len(events) == 1


@pytest.mark.parametrize("item", [None, 1, "x", [], 1.5, True], ids=repr)
def test_what_is_no_object_is_a_bad_item(item: Any) -> None:
    assert refused(item) == ["/0"]


def test_events_of_other_portals_are_bad_items() -> None:
    events, bad = taken(portal(portal="62515"), signed([edit(), edit(portalId=1), edit("amount", portalId=2)]))

    assert [event["data"]["fields"] for event in events] == [{"dealname": "filled"}]
    assert [each.pointer for each in bad] == ["/1/portalId", "/2/portalId"]


@pytest.mark.parametrize("when", [-1, 0, 10**11, NOW + 11 * 60_000, 2**53, 2**64, -(2**63)], ids=str)
def test_a_time_that_cannot_be_costs_its_item_and_not_its_session(when: int) -> None:
    events, bad = taken(portal(), signed([edit("amount", occurredAt=when), edit()]))

    assert [each.pointer for each in bad] == ["/0/occurredAt"]
    assert events[0]["data"]["fields"] == {"dealname": "filled"}


@pytest.mark.parametrize(
    "body", ["", "{}", "null", "[", '[{"eventId":1', "[NaN]", "[Infinity]", '"x"', "\xff", "[" * 100_000]
)
def test_a_body_that_is_no_array_is_malformed(body: str) -> None:
    with pytest.raises(MalformedError):
        taken(portal(), delivery(body.encode("latin-1")))


def test_a_malformed_body_is_not_refused_since_hubspot_would_repeat_it() -> None:
    assert VENDORS["hubspot"].manners.malformed.status == 200


def test_more_events_than_anyone_sends_are_malformed() -> None:
    with pytest.raises(MalformedError):
        taken(portal(), delivery([1] * 2501))


# Signatures


@pytest.mark.parametrize(
    ("made", "published"),
    [
        (hubspot_v1(CLIENT, PUBLISHED.encode()), "232db2615f3d666fe21a8ec971ac7b5402d33b9a925784df3ca654d05f4817de"),
        (hubspot_v1(CLIENT, PYTHON_BODY), "69fc6631a867edd4f9e9e627fc5c1148e3fbdd8b21837b6d2b8901c1fa57f750"),
        (
            hubspot_v2(CLIENT, "GET", EXAMPLE, b""),
            "eee2dddcc73c94d699f5e395f4b9d454a069a6855fbfa152e91e88823087200e",
        ),
        (
            hubspot_v2(CLIENT, "POST", EXAMPLE, NODE_BODY),
            "9569219f8ba981ffa6f6f16aa0f48637d35d728c7e4d93d0d52efaa512af7900",
        ),
        (
            hubspot_v2(CLIENT, "POST", EXAMPLE, PYTHON_BODY),
            "4fe4e3a7d3cf09db53be39d0a58130e2aaba074ec123a9e355b876a689a1c383",
        ),
        (
            hubspot_v3(CLIENT, "POST", EXAMPLE, PYTHON_BODY, "15000000"),
            "HPW73RUtKmcYoEDADG0s6MmGFWUzWJKAW07r8RDgcQw=",
        ),
    ],
    ids=["guide v1", "python v1", "guide v2", "node v2", "python v2", "python v3"],
)
def test_signatures_agree_with_those_that_hubspot_publishes(made: str, published: str) -> None:
    assert made == published


def test_a_published_delivery_opens_at_the_published_time() -> None:
    headers = {
        "x-hubspot-signature-v3": "HPW73RUtKmcYoEDADG0s6MmGFWUzWJKAW07r8RDgcQw=",
        "x-hubspot-request-timestamp": "15000000",
    }
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=15_000_000)

    assert verified(portal(), delivery(PYTHON_BODY, headers=headers, url=EXAMPLE, at=at))
    assert not verified(portal(), delivery(PYTHON_BODY, headers=headers, url=EXAMPLE))


@pytest.mark.parametrize("version", ["v1", "v2", "v3"])
def test_both_active_secrets_open_and_no_third(version: str) -> None:
    made = signed([edit()], version=version)

    assert verified(portal("new-secret", CLIENT, signature=version), made)
    assert verified(portal(CLIENT, "new-secret", signature=version), made)
    assert not verified(portal("new-secret", "", signature=version), made)


@pytest.mark.parametrize("version", ["v1", "v2", "v3"])
def test_one_changed_byte_closes(version: str) -> None:
    made = signed([edit()], version=version)
    name = "x-hubspot-signature-v3" if version == "v3" else "x-hubspot-signature"
    here = portal(signature=version)

    assert verified(here, made)
    for place in range(len(made.headers[name])):
        text = made.headers[name]
        spoiled = f"{text[:place]}{'1' if text[place] != '1' else '2'}{text[place + 1 :]}"
        assert not verified(here, msgspec.structs.replace(made, headers={**made.headers, name: spoiled}))
    assert not verified(here, msgspec.structs.replace(made, body=made.body + b" "))


@pytest.mark.parametrize("field", ["method", "url"])
@pytest.mark.parametrize("version", ["v2", "v3"])
def test_method_and_address_are_signed(version: str, field: str) -> None:
    made = msgspec.structs.replace(signed([edit()], version=version), **{field: "https://elsewhere.example.com/"})

    assert not verified(portal(signature=version), made)


@pytest.mark.parametrize(
    ("required", "left"),
    [
        ("v3", ["x-hubspot-signature", "x-hubspot-signature-version"]),
        ("v3", ["x-hubspot-signature", "x-hubspot-signature-version", "x-hubspot-request-timestamp"]),
        ("v2", ["x-hubspot-signature", "x-hubspot-signature-version"]),
        ("v2", ["x-hubspot-signature-v3", "x-hubspot-request-timestamp"]),
        ("v1", ["x-hubspot-signature-v3", "x-hubspot-request-timestamp"]),
        ("v1", ["x-hubspot-signature"]),
    ],
)
def test_no_other_version_opens_than_the_one_required(required: str, left: list[str]) -> None:
    made = signed([edit()])
    headers = {name: value for name, value in made.headers.items() if name in left}

    assert verified(portal(), made)
    assert not verified(portal(signature=required), msgspec.structs.replace(made, headers=headers))


@pytest.mark.parametrize(
    ("at", "opens"),
    [(NOW, True), (NOW - 300_000, True), (NOW + 300_000, True), (NOW - 300_001, False), (NOW + 300_001, False)],
    ids=["now", "five minutes old", "five minutes ahead", "older", "further ahead"],
)
def test_the_time_may_differ_by_five_minutes_either_way(at: int, opens: bool) -> None:  # noqa: FBT001 - a case
    assert verified(portal(), signed([edit()], at=at)) is opens


@pytest.mark.parametrize(
    "timestamp",
    ["", "NaN", "nan", "Infinity", "1e12", "-1", "+1772452800000", " 1772452800000", "9" * 400, "١٢", "0x1"],
)
def test_a_time_that_is_no_number_closes_even_when_it_is_signed(timestamp: str) -> None:
    made = signed([edit()])
    digest = hmac.digest(CLIENT.encode(), f"POST{URL}".encode() + made.body + timestamp.encode(), hashlib.sha256)
    headers = {
        "x-hubspot-signature-v3": base64.b64encode(digest).decode(),
        "x-hubspot-request-timestamp": timestamp,
    }

    assert not verified(portal(), msgspec.structs.replace(made, headers=headers))


def test_the_listed_escapes_may_be_signed_decoded_and_no_others() -> None:
    raw = "https://in.example.com/v1/hooks/crm?a=%3A%2F%3f%40%21%24%27%28%29%2A%2C%3B&b=%20%26%3D%2541"
    decoded = "https://in.example.com/v1/hooks/crm?a=:/?@!$'()*,;&b=%20%26%3D%2541"
    too_far = "https://in.example.com/v1/hooks/crm?a=:/?@!$'()*,;&b= &=%41"

    opens = [
        verified(portal(), msgspec.structs.replace(signed([edit()], url=as_signed), url=raw))
        for as_signed in (raw, decoded, too_far)
    ]
    assert opens == [True, True, False]


def test_a_replayed_delivery_opens_within_its_time_and_changes_nothing() -> None:
    made = signed([edit(), change("deal.creation")])
    later = msgspec.structs.replace(made, received_at=RECEIVED + timedelta(minutes=4))
    too_late = msgspec.structs.replace(made, received_at=RECEIVED + timedelta(minutes=6))

    assert verified(portal(), later)
    assert taken(portal(), made)[0] == taken(portal(), later)[0]
    assert not verified(portal(), too_late)


@pytest.mark.parametrize("header", ["é" * 44, "", "=" * 44, "x" * 100_000])
def test_a_signature_of_any_shape_is_only_refused(header: str) -> None:
    made = signed([edit()])
    headers = {**made.headers, "x-hubspot-signature-v3": header, "x-hubspot-signature": header}
    spoiled = msgspec.structs.replace(made, headers=headers)

    assert not any(verified(portal(signature=version), spoiled) for version in ("v1", "v2", "v3"))


def test_only_a_known_version_can_be_required() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"signature": "v4"}, HubspotOptions)


def test_the_published_body_is_a_created_contact() -> None:
    events, bad = taken(portal(), delivery(PUBLISHED))

    assert not bad
    assert (events[0]["type"], events[0]["data"]["record"], events[0]["data"]["origin"]) == (
        "crm.record.created",
        "123",
        "unknown",
    )
    assert json.loads(PUBLISHED)[0]["occurredAt"] == 1564113600000
    assert events[0]["time"] == "2019-07-26T04:00:00Z"
    assert DEFAULT.nouns["contact"] == "contact"
