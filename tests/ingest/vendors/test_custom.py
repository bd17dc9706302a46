"""A declared mapping: what it reads, what it refuses, and the templates of the guide."""

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from schemas.sources import CustomOptions
from services.ingest.vendors.catalogue import VENDORS
from services.ingest.vendors.shape import MalformedError
from tests.ingest.deliveries import RECEIVED, SECRET, delivery, taken, verified
from tests.ingest.vendors.samples_custom import FRAPPE, FRESHSALES, SUGAR, custom, frappe, freshsales, sent, sugar

GUIDE = Path(__file__).parents[3] / "docs/guides/custom.md"


def text() -> str:
    return "quite private"


def told(body: Any, **options: Any) -> list[dict[str, Any]]:
    events, bad = taken(custom(**options), sent(body))
    assert not bad
    return events


def refused(body: Any, **options: Any) -> list[str]:
    """Return the pointers of what is bad."""
    bad = taken(custom(**options), sent(body))[1]
    assert "private" not in repr(bad)
    return [each.pointer for each in bad]


# The templates of the guide


def test_a_frappe_document_is_an_edit_by_its_modifier_in_the_zone_of_the_site() -> None:
    [event] = told(frappe(text), **FRAPPE)

    assert (event["type"], event["time"]) == ("crm.record.updated", "2026-03-02T09:01:07.123456Z")
    assert event["data"] == {
        "user": "ann@example.com",
        "email": "ann@example.com",
        "object": "opportunity",
        "record": "CRM-OPP-2026-00012",
        "owner": "bob@example.com",
        "origin": "unknown",
        "origin_confidence": "none",
        "environment": "production",
        "fields": {
            "status": "filled",
            "opportunity_amount": "filled",
            "contact_email": "filled",
            "probability": "empty",
        },
    }


def test_each_save_of_a_frappe_document_is_an_event_and_each_repetition_is_none() -> None:
    later = frappe(text, modified="2026-03-02 14:31:08.000000")
    ids = [told(body, **FRAPPE)[0]["id"] for body in (frappe(text), frappe(str), later)]

    assert ids[0] == ids[1] != ids[2]


@pytest.mark.parametrize(
    ("changes", "types"),
    [
        ({}, ["crm.record.updated"]),
        ({"isUpdate": False}, ["crm.record.created"]),
        ({"event": "after_delete", "isUpdate": None}, ["crm.record.deleted"]),
        ({"event": "after_relationship_add", "isUpdate": None}, []),
    ],
)
def test_a_sugar_hook_tells_creation_from_edit_by_two_fields(changes: dict[str, Any], types: list[str]) -> None:
    events = told(sugar(text, **changes), **SUGAR)

    assert [event["type"] for event in events] == types
    assert all(event["data"]["object"] == "account" for event in events)
    assert all(event["time"] == "2026-03-02T01:16:06Z" for event in events)


def test_a_freshsales_workflow_tells_the_stage() -> None:
    [event] = told(freshsales(text), **FRESHSALES)

    assert event["type"] == "crm.record.stage_changed"
    assert (event["data"]["stage"], event["data"]["object"]) == ("Negotiation", "opportunity")
    assert told(freshsales(text, origin="workflow"), **FRESHSALES)[0]["data"]["origin"] == "automation"


@pytest.mark.parametrize(("name", "options"), [("Frappe", FRAPPE), ("SugarCRM", SUGAR), ("Freshsales", FRESHSALES)])
def test_the_guide_shows_the_options_that_are_tested(name: str, options: dict[str, Any]) -> None:
    section = GUIDE.read_text().split(f"\n## {name}")[1].split("\n## ")[0]
    [block] = [found for found in re.findall(r"```json\n(.*?)```", section, re.DOTALL) if '"kind"' in found]

    read = msgspec.convert(json.loads(block)["options"], CustomOptions)
    assert (read.mapping, read.types, read.origins) == (
        options["mapping"],
        options["types"],
        options.get("origins", {}),
    )


# What a mapping reads


def test_places_are_json_pointers_and_constants() -> None:
    mapping = {"type": "=crm.feature.used", "user": "/a~1b/c~0d/1", "feature": "=search", "bulk": "=true", "rows": "=3"}
    [event] = told({"a/b": {"c~d": ["x", "u7"]}}, mapping=mapping)

    assert event["type"] == "crm.feature.used"
    assert event["data"] == {
        "user": "u7",
        "feature": "search",
        "bulk": True,
        "rows": 3,
        "origin": "unknown",
        "origin_confidence": "none",
        "environment": "production",
    }


@pytest.mark.parametrize("user", ["/a/2", "/a/-1", "/a/x", "/a/01x", "/b/c", "/a/0/c", "/"])
def test_where_nothing_stands_an_attribute_is_left_out(user: str) -> None:
    assert "user" not in told({"a": ["x", "y"]}, mapping={"type": "=a.b", "user": user})[0]["data"]


@pytest.mark.parametrize("value", [True, False, 1.5, [], {}, ["x"]], ids=repr)
@pytest.mark.parametrize("name", ["user", "record", "owner", "stage", "object", "email", "report", "task"])
def test_what_names_something_is_text_or_a_whole_number(name: str, value: Any) -> None:
    assert refused({"a": {"b": value}}, mapping={"type": "=crm.record.updated", name: "/a/b"}) == ["/a/b"]


def test_large_ids_keep_every_digit_and_larger_than_64_bits_are_refused() -> None:
    mapping = {"type": "=crm.record.updated", "record": "/a"}

    assert told({"a": 2**53 + 1}, mapping=mapping)[0]["data"]["record"] == "9007199254740993"
    assert len(refused({"a": 2**63}, mapping=mapping)) == 1
    assert len(refused({"a": 2**70}, mapping=mapping)) == 1


@pytest.mark.parametrize(
    ("written", "time"),
    [
        ("2026-03-02T10:00:00Z", "2026-03-02T10:00:00Z"),
        ("2026-03-02T11:00:00+01:00", "2026-03-02T10:00:00Z"),
        ("2026-03-02 11:00:00", "2026-03-02T10:00:00Z"),
        ("2026-03-02T11:00", "2026-03-02T10:00:00Z"),
        (1772445600, "2026-03-02T10:00:00Z"),
        (1772445600.25, "2026-03-02T10:00:00.25Z"),
        (1772445600123, "2026-03-02T10:00:00.123Z"),
        ("1772445600", "2026-03-02T10:00:00Z"),
        ("1772445600123", "2026-03-02T10:00:00.123Z"),
    ],
)
def test_times_are_iso_8601_or_counted_since_1970(written: Any, time: str) -> None:
    [event] = told({"t": written}, mapping={"type": "=a.b", "time": "/t"}, time_zone="Europe/Paris")

    assert event["time"] == time


@pytest.mark.parametrize("written", ["2026-03-02 11:00:00", "", None])
def test_without_a_zone_a_time_without_an_offset_is_refused_and_an_empty_one_is_the_arrival(written: Any) -> None:
    bad = refused({"t": written}, mapping={"type": "=a.b", "time": "/t"})

    assert bad == (["/t"] if written else [])


@pytest.mark.parametrize(
    "written", ["soon", True, [], {}, 1e300, -1e300, 2**63, "0001-01-01T00:00:00", "9" * 13], ids=repr
)
def test_what_is_no_instant_is_refused(written: Any) -> None:
    assert len(refused({"t": written}, mapping={"type": "=a.b", "time": "/t"}, time_zone="Asia/Tokyo")) == 1


@pytest.mark.parametrize(
    ("given", "origin", "confidence"),
    [("web", "ui", "stated"), ("api", "api", "stated"), ("x", "automation", "inferred"), (None, "unknown", "none")],
)
def test_origins_are_translated_and_their_confidence_is_told(given: Any, origin: str, confidence: str) -> None:
    mapping = {"type": "=a.b", "origin": "/o"}
    [event] = told({"o": given}, mapping=mapping, origins={"web": "ui", "api": "api", "*": "automation"})

    assert (event["data"]["origin"], event["data"]["origin_confidence"]) == (origin, confidence)


def test_a_constant_origin_is_inferred_and_one_that_nobody_knows_is_unknown() -> None:
    [constant] = told({}, mapping={"type": "=a.b", "origin": "=ui"})
    [strange] = told({"o": "magic"}, mapping={"type": "=a.b", "origin": "/o"})

    assert (constant["data"]["origin"], constant["data"]["origin_confidence"]) == ("ui", "inferred")
    assert (strange["data"]["origin"], strange["data"]["origin_confidence"]) == ("unknown", "none")


def test_bad_items_cost_no_neighbour_and_are_pointed_at_from_the_body() -> None:
    body = {"rows": [freshsales(text), freshsales(text, event="sold"), None, freshsales(text, fields=text())]}
    events, bad = taken(custom(**FRESHSALES, items="/rows"), sent(body))

    assert len(events) == 1
    assert [each.pointer for each in bad] == ["/rows/1/event", "/rows/2/event", "/rows/3/fields"]


def test_an_event_without_an_id_is_known_by_its_text_and_time() -> None:
    mapping = {"type": "=a.b", "time": "/t", "user": "/u"}
    first = {"t": "2026-03-02T10:00:00Z", "u": "a"}
    copy = dict(reversed(first.items()))
    bodies = [first, copy, {**first, "u": "b"}]

    ids = [told(body, mapping=mapping)[0]["id"] for body in bodies]
    assert ids[0] == ids[1] != ids[2]


def test_without_a_time_the_same_text_is_the_same_event_within_one_minute() -> None:
    here = custom(mapping={"type": "=crm.session.login", "user": "/u"})
    moments = [RECEIVED, RECEIVED + timedelta(seconds=59), RECEIVED + timedelta(seconds=60)]

    ids = [taken(here, sent({"u": "a"}, at=moment))[0][0]["id"] for moment in moments]
    assert ids[0] == ids[1] != ids[2]


def test_an_identity_of_which_a_part_is_missing_is_none() -> None:
    mapping = {"type": "=a.b", "id": "/record /changed", "user": "/u"}
    bodies: list[dict[str, Any]] = [{"record": 7, "u": "a"}, {"record": 7, "u": "b"}, {"record": 7, "changed": 1}]
    again = {"record": 7, "changed": 1, "u": "c"}

    ids = [told(body, mapping=mapping)[0]["id"] for body in [*bodies, again]]
    assert len(set(ids)) == 3
    assert ids[2] == ids[3]


def test_without_a_mapping_a_body_has_the_shape_of_the_contract() -> None:
    one = {"id": "e-1", "type": "crm.session.login", "time": "2026-03-02T10:00:00Z", "data": {"user": "u1"}}
    first, again = told([one, {**one, "extra": 1}])

    assert first["id"] == again["id"]
    assert (first["type"], first["time"], first["data"]["user"]) == ("crm.session.login", "2026-03-02T10:00:00Z", "u1")


@pytest.mark.parametrize("body", ["", "{", "1", '"x"', "null", "NaN", '{"rows":NaN}'])
def test_a_body_that_is_no_event_is_malformed(body: str) -> None:
    with pytest.raises(MalformedError):
        taken(custom(), sent(body))


@pytest.mark.parametrize("body", [{}, {"rows": None}, {"rows": {}}, {"rows": "x"}, [], {"rows": [1] * 2501}], ids=len)
def test_a_body_without_the_array_or_with_too_much_in_it_is_malformed(body: Any) -> None:
    with pytest.raises(MalformedError):
        taken(custom(items="/rows"), sent(body))


# Secrets and options


def test_the_secret_stands_in_the_named_header_or_at_the_end_of_the_address() -> None:
    here = custom(header="X-My-Secret")

    assert verified(here, delivery({}, headers={"x-my-secret": SECRET}))
    assert verified(here, delivery({}, secret=SECRET))
    assert verified(custom("next-secret", SECRET), delivery({}, secret=SECRET))
    for wrong in (None, "", "x", SECRET[:-1], f"{SECRET} "):
        assert not verified(here, delivery({}, secret=wrong, headers={"x-my-secret": wrong or ""}))
    assert not verified(here, delivery({}, headers={"x-uptake-secret": SECRET}))
    assert not verified(custom(""), delivery({}, secret="", headers={"x-uptake-secret": ""}))


def test_answers_are_plain() -> None:
    manners = VENDORS["custom"].manners

    assert (manners.accepted.status, manners.unauthorized.status, manners.malformed.status) == (200, 401, 400)


@pytest.mark.parametrize(
    "options",
    [
        {"items": "rows"},
        {"mapping": {"user": "/a"}},
        {"mapping": {"type": "type"}},
        {"mapping": {"type": "=Not A Type"}},
        {"mapping": {"type": "/t", "colour": "/c"}},
        {"mapping": {"type": "/t", "user": "/a~2"}},
        {"mapping": {"type": "/t", "fields": "=x"}},
        {"mapping": {"type": "/t /u v"}},
        {"types": {"a": "no type"}},
        {"time_zone": "Mars/Olympus"},
        {"time_zone": "../../etc/passwd"},
        {"surprise": True},
    ],
    ids=str,
)
def test_options_that_could_never_be_read_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(options, CustomOptions)
