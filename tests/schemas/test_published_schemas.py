"""The published schemas describe what is really sent, appended and told."""

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from jsonschema import Draft202012Validator, ValidationError
from referencing import Registry, Resource

from schemas import topics
from schemas.alerts import item
from schemas.events import decode, encode
from services.ingest.normalise import normalise
from services.simulator import events, stage

SCHEMAS = Path(__file__).parents[2] / "schemas"
FOLDER = SCHEMAS / "json"
NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))
TYPES = [name for name in NAMES if "." in name]

LOADED = {name: json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8")) for name in NAMES}
REGISTRY: Registry = Registry().with_resources((body["$id"], Resource.from_contents(body)) for body in LOADED.values())


def validator(name: str) -> Draft202012Validator:
    return Draft202012Validator(LOADED[name], registry=REGISTRY, format_checker=Draft202012Validator.FORMAT_CHECKER)


@pytest.fixture(scope="module")
def told() -> list[dict[str, Any]]:
    return list(islice(events(stage()), 0, None, 101))


@pytest.fixture(scope="module")
def asyncapi() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((SCHEMAS / "asyncapi.yaml").read_text(encoding="utf-8"))
    return loaded


@pytest.mark.parametrize("name", NAMES)
def test_a_published_schema_is_a_json_schema_and_is_named_as_its_file(name: str) -> None:
    Draft202012Validator.check_schema(LOADED[name])

    assert LOADED[name]["$id"].endswith(f"/{name}.json")
    assert LOADED[name]["title"]


@pytest.mark.parametrize("name", TYPES)
def test_the_schema_of_a_type_takes_that_type_only(name: str) -> None:
    data = {"user": "u1", "object": "account", "record": 7, "task": "follow-up", "module": "first-steps"}
    event = {"specversion": "1.0", "id": "1", "source": "/crm", "type": name, "data": data}

    assert validator(name).is_valid(event)
    assert not validator(name).is_valid({**event, "type": "crm.other"})


def test_every_simulated_event_is_valid_by_the_schema_of_its_type(told: list[dict[str, Any]]) -> None:
    validators = {kind: validator(kind) for kind in {event["type"] for event in told}}
    for event in told:
        validators[event["type"]].validate(event)

    assert len(validators) >= 8


def test_every_simulated_event_is_valid_as_a_record_on_the_topic(told: list[dict[str, Any]]) -> None:
    check = validator("record")
    for event in told:
        normalised = normalise(event, datetime(2026, 1, 1, tzinfo=UTC))
        assert isinstance(normalised, dict)
        record = encode("demo", normalised)
        check.validate(json.loads(record.value))

        assert decode(record.value).id == event["id"]


def test_a_record_with_a_field_value_in_it_is_not_valid() -> None:
    record = {"specversion": "1.0", "id": "1", "source": "/crm", "type": "crm.record.updated", "tenant": "demo"}

    validator("record").validate({**record, "data": {"fields": {"next_step": "filled"}}})
    with pytest.raises(ValidationError, match="call her on Monday"):
        validator("record").validate({**record, "data": {"fields": {"next_step": "call her on Monday"}}})


@pytest.mark.parametrize("missing", ["specversion", "id", "source", "type"])
def test_an_event_needs_what_cloudevents_requires(missing: str) -> None:
    event = {"specversion": "1.0", "id": "1", "source": "/crm", "type": "crm.session.login"}

    assert validator("event").is_valid(event)
    assert not validator("event").is_valid({name: value for name, value in event.items() if name != missing})


def test_an_event_without_a_user_and_of_an_unknown_type_is_no_error() -> None:
    assert validator("event").is_valid(
        {
            "specversion": "1.0",
            "id": "1",
            "source": "/crm",
            "type": "acme.coffee.made",
            "data": {"user": None, "cups": 2},
        }
    )


def test_an_alert_as_everybody_sees_it_is_valid() -> None:
    opened_at = datetime(2026, 3, 5, 23, tzinfo=UTC)
    told = item(
        {
            "id": "5b0c6c6d7a2f4e1b9a30",
            "rule": "wave-connection-d3-emergency",
            "rule_version": 1,
            "severity": "emergency",
            "tier": "confirmed",
            "state": "open",
            "suppressed_by": None,
            "subject_kind": "wave",
            "subject_key": "north",
            "wave": "north",
            "title": "North: 6 of 12 people connected by D+3, fewer than 70 %",
            "opened_at": opened_at,
            "updated_at": opened_at,
            "resolved_at": None,
            "resolution": None,
            "window": {"from": "2026-03-02", "to": "2026-03-05", "n": 3},
            "evidence": {"num": 6, "den": 12, "value": 0.5, "threshold": 0.7},
            "audience": [{"role": "sponsor", "person": "u1"}],
            "action": "The sponsor speaks today with the managers of the teams furthest behind.",
            "acknowledged_at": opened_at,
            "snoozed_until": None,
            "assignee": "u2",
            "plan_on": date(2026, 3, 9),
            "escalation": 1,
            "useful": None,
            "episode": 1,
            "revision": 0,
        }
    )
    check = validator("alert")
    sent = json.loads(msgspec.json.encode(told))
    check.validate(sent)

    assert sent.keys() == LOADED["alert"]["properties"].keys()
    assert not check.is_valid({**sent, "state": "perhaps"})


def test_asyncapi_names_the_topics_that_the_services_use(asyncapi: dict[str, Any]) -> None:
    addresses = {channel["address"] for channel in asyncapi["channels"].values()}

    assert asyncapi["asyncapi"] == "3.0.0"
    assert addresses == {topics.EVENTS, topics.DEAD_LETTERS, topics.ALERTS}


def test_asyncapi_asks_for_the_headers_that_a_record_carries(asyncapi: dict[str, Any]) -> None:
    headers = asyncapi["components"]["messages"]["event"]["headers"]
    event = {"specversion": "1.0", "id": "1", "source": "/crm", "type": "crm.session.login", "data": {}}
    carried = {name: value.decode() for name, value in encode("demo", event).headers}

    Draft202012Validator(headers).validate(carried)
    assert set(encode("demo", {**event, "time": "2026-01-01T00:00:00Z"}).headers[-1:]) == {
        ("ce_time", b"2026-01-01T00:00:00Z")
    }


def test_every_reference_in_asyncapi_leads_somewhere(asyncapi: dict[str, Any]) -> None:
    references = list(references_in(asyncapi))
    for reference in references:
        if reference.startswith("#/"):
            target: Any = asyncapi
            for name in reference.removeprefix("#/").split("/"):
                target = target[name]
        else:
            assert (SCHEMAS / reference).is_file(), reference

    assert len(references) >= 8


def references_in(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"]
        for value in node.values():
            yield from references_in(value)
    elif isinstance(node, list):
        for value in node:
            yield from references_in(value)
