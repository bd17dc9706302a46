"""What is kept of fields: states, and the facts that the registry declares. Odoo and HubSpot stand for all CRMs."""

from typing import Any

import pytest

from schemas.fields import DEFAULT, FieldPolicy, FieldRegistry, ObjectFields
from schemas.sources import Source
from services.ingest.normalise import normalise
from services.ingest.vendors.shape import record_event
from tests.builders import NOON

SOURCE = Source("crm", "acme", "custom")
OWN = FieldRegistry(
    objects={
        "deal": ObjectFields(
            stage=["phase"],
            won=["Gewonnen"],
            outcome={"state": {"1": "won", "true": "won", "verloren": "lost", "offen": "open"}},
            forecast=["category"],
            decision=["budget", "source"],
            fields={"source": FieldPolicy(placeholders=["Sonstiges", "später"], defaults=["Web"])},
        )
    },
    placeholders=["folgt"],
)


def kept(values: dict[str, Any], fields: FieldRegistry = OWN, noun: str = "deal", **told: Any) -> dict[str, Any]:
    """Return ``data`` on the log of an update with ``values``."""
    made = record_event(
        SOURCE, fields, id="1", kind="updated", time=NOON, user="ada", object=noun, record="7", values=values, **told
    )
    event = normalise(made, NOON)
    assert isinstance(event, dict)
    return dict(event["data"])


@pytest.mark.parametrize(
    ("value", "category"),
    [
        ("Commit", "Commit"),
        (" Best Case ", "Best Case"),
        (3, "3"),
        ("", None),
        ("tbd", None),
        (True, None),
        ("x" * 65, None),
    ],
)
def test_a_forecast_category_is_kept_where_it_is_declared(value: object, category: str | None) -> None:
    assert kept({"category": value}).get("forecast") == category
    assert "forecast" not in kept({"category": value}, DEFAULT)


def test_a_category_that_is_posted_is_a_word_and_no_text() -> None:
    raw = {"specversion": "1.0", "id": "1", "source": "s", "type": "crm.record.updated"}

    def posted(value: object) -> Any:
        event = normalise({**raw, "data": {"forecast": value}}, NOON)
        assert isinstance(event, dict)
        assert normalise(event, NOON) == event
        return event["data"].get("forecast")

    assert [posted(value) for value in ("Commit", 4, "x" * 64, "x" * 65, "")] == [
        "Commit",
        "4",
        "x" * 64,
        "filled",
        None,
    ]


@pytest.mark.parametrize(
    ("values", "stage"),
    [
        ({"state": 1}, "won"),
        ({"state": True}, "won"),
        ({"state": " VERLOREN "}, "lost"),
        ({"state": "something else"}, None),
        ({"state": "offen"}, "open"),
        ({"state": "offen", "phase": "Angebot"}, "Angebot"),
        ({"phase": "Angebot", "state": "1"}, "won"),
        ({"phase": "gewonnen", "state": "1"}, "gewonnen"),
        ({"phase": "Angebot"}, "Angebot"),
    ],
)
def test_a_field_that_says_how_a_deal_ended_gives_its_stage(values: dict[str, Any], stage: str | None) -> None:
    assert kept(values).get("stage") == stage


@pytest.mark.parametrize(
    ("noun", "values", "stage"),
    [
        ("deal", {"status": "won", "stage_id": 4}, "won"),
        ("deal", {"status": "open", "stage_id": 4}, "4"),
        ("crm.lead", {"won_status": "lost"}, "lost"),
        ("opportunity", {"statecode": 1}, "won"),
        ("Opportunity", {"StageName": "Closed Won", "IsWon": True}, "Closed Won"),
        ("0-3", {"hs_is_closed_won": "true"}, "won"),
    ],
)
def test_the_usual_crms_say_how_a_deal_ended(noun: str, values: dict[str, Any], stage: str) -> None:
    assert kept(values, DEFAULT, noun)["stage"] == stage


@pytest.mark.parametrize(
    ("field", "value", "state"),
    [
        ("budget", "Other", "placeholder"),
        ("budget", 0, "placeholder"),
        ("budget", 0.0, "placeholder"),
        ("budget", "01/01/2099", "placeholder"),
        ("budget", " FOLGT ", "placeholder"),
        ("budget", 10, "filled"),
        ("budget", False, "filled"),
        ("budget", ["a"], "filled"),
        ("source", "sonstiges", "placeholder"),
        ("source", "Spater", "placeholder"),
        ("source", "web", "default"),
        ("source", None, "empty"),
        ("another", "Other", "filled"),
        ("another", 0, "filled"),
    ],
)
def test_a_value_that_answers_nothing_is_told_apart_where_something_rests_on_it(
    field: str, value: object, state: str
) -> None:
    assert kept({field: value})["fields"] == {field: state}


@pytest.mark.parametrize(
    ("value", "day"),
    [
        ("2026-05-01", "2026-05-01"),
        ("2026-05-01T22:00:00Z", "2026-05-01"),
        ("1777593600000", "2026-05-01"),
        (1777593600000, "2026-05-01"),
        ("99999999999999", "5138-11-16"),
        ("20260501", "2026-05-01"),
        ("next week", None),
        ("", None),
    ],
)
def test_a_close_date_is_kept_however_it_is_written(value: object, day: str | None) -> None:
    assert kept({"closedate": value}, DEFAULT, "0-3").get("close_date") == day
