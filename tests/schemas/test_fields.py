"""The field registry: what makes sense in it, and what the usual CRMs say without one."""

from typing import Any

import msgspec
import pytest

from schemas import places
from schemas.field_checks import problems
from schemas.fields import DEFAULT, FieldPolicy, FieldRegistry, ObjectFields, folded
from schemas.sources import KINDS, CustomOptions, tells_merges
from services.metrics.policies import policies

NAMES_OF_CRMS = {
    "Opportunity": "opportunity",
    "0-3": "opportunity",
    "crm.lead": "opportunity",
    "deal": "opportunity",
    "DEALS": "opportunity",
    "Potentials": "opportunity",
    "Lead": "lead",
    "0-1": "contact",
    "res.partner": "account",
    "incident": "case",
    "mail.activity": "activity",
}
ENDS = [
    ("Closed Won", "won"),
    ("closedwon", "won"),
    ("won", "won"),
    ("Closed Lost", "lost"),
    ("Closed-Lost to Competition", "lost"),
    ("lost", "lost"),
    ("open", "open"),
    ("Prospecting", "open"),
    ("contractsent", "open"),
    ("4", "open"),
]


def test_the_usual_registry_makes_sense_and_survives_json() -> None:
    assert problems(DEFAULT) == []
    assert msgspec.convert(msgspec.to_builtins(DEFAULT), FieldRegistry) == DEFAULT
    for name, noun in NAMES_OF_CRMS.items():
        assert DEFAULT.nouns[name.casefold()] == noun


@pytest.mark.parametrize(("stage", "meaning"), ENDS)
def test_the_usual_stages_say_how_a_deal_ended(stage: str, meaning: str) -> None:
    assert policies(DEFAULT)["opportunity"].meaning(folded(stage)) == meaning


def test_a_registry_of_before_still_stands() -> None:
    old = {"objects": {"deal": {"names": ["Deal"], "stage": ["s"], "decision": ["a"], "due_stage": "Negotiation"}}}
    registry = msgspec.convert(old, FieldRegistry)

    assert problems(registry) == []
    policy = policies(registry)["deal"]
    assert [slot.names for slot in policy.decision] == [("a",)]
    assert [policy.is_due("negotiation", stage, "open") for stage in ("negotiation", "other", None)] == [
        True,
        False,
        False,
    ]
    assert policy.is_due("negotiation", None, "won")


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"stages": ["New", "new"]}, "/stages"),
    ({"stages": ["New"], "won": ["NEW"]}, "/stages"),
    ({"stages": ["New"], "due_stage": "Old"}, "/due_stage"),
    ({"stages": ["New"], "fields": {"a/b": FieldPolicy(due_stage="x")}}, "/fields/a~1b/due_stage"),
    ({"stages": ["New"], "commit_stage": "x", "evidence": ["e"]}, "/commit_stage"),
    ({"commit_stage": "won"}, "/commit_stage"),
    ({"stage": ["Field"], "owner": ["field"]}, ""),
    ({"stage": ["status"], "outcome": {"Status": {"won": "won"}}}, ""),
    ({"fields": {"a": FieldPolicy(names=["X"]), "b": FieldPolicy(names=["x"])}}, "/fields"),
    ({"fields": {"a": FieldPolicy(), "b": FieldPolicy(names=["A"])}}, "/fields"),
    ({"next_step_days": 0}, "/next_step_days"),
    ({"next_step_days": 366}, "/next_step_days"),
    ({"link": "http://acme.example/{record}"}, "/link"),
]


@pytest.mark.parametrize(("given", "pointer"), WRONG)
def test_what_makes_no_sense_is_named_by_its_place(given: dict[str, Any], pointer: str) -> None:
    found = problems(FieldRegistry(objects={"a~/b": ObjectFields(**given)}))

    assert [problem.pointer for problem in found] == [f"/objects/a~0~1b{pointer}"]


RIGHT: list[dict[str, Any]] = [
    {"stages": ["New"], "won": ["Won"], "due_stage": "WON"},
    {"stages": ["New"], "due_stage": "closed", "commit_stage": "new", "evidence": ["e"]},
    {"names": ["Deal", "deal"], "stage": ["s", "S"], "next_step_days": 365},
]


@pytest.mark.parametrize("given", RIGHT)
def test_what_makes_sense_is_taken(given: dict[str, Any]) -> None:
    assert problems(FieldRegistry(objects={"deal": ObjectFields(**given)})) == []


def test_two_kinds_of_record_are_called_differently() -> None:
    two = FieldRegistry(
        objects={"deal": ObjectFields(names=["Chance"]), "lead": ObjectFields(names=["chance", "DEAL"])}
    )

    assert [problem.pointer for problem in problems(two)] == ["/objects/deal/names", "/objects/lead/names"]


@pytest.mark.parametrize(
    "template",
    [
        "",
        "https://acme.my.salesforce.com/{record}",
        "https://acme.crm.dynamics.com/main.aspx?etn={object}&id={record}&pagetype=entityrecord",
        "https://odoo.example:8443/web#id={record}&model={object}",
    ],
)
def test_a_template_leads_to_a_record(template: str) -> None:
    assert places.problem(template) is None


@pytest.mark.parametrize(
    "template",
    [
        "http://acme.example/{record}",
        "javascript:alert({record})",
        "//acme.example/{record}",
        "https://user:secret@acme.example/{record}",
        "https://user@acme.example/{record}",
        "https://acme.example\\@evil.example/{record}",
        "https:///{record}",
        "https://{record}/",
        "https://{object}.example/{record}",
        "https://acme.example/",
        "https://acme.example/{id}/{record}",
        "https://acme.example/{record",
        "https://acme.example/{record!r}{record}",
        "https://acme.example/ {record}",
        "https://acme.example/\n{record}",
        "https://acme.example/é{record}",
        'https://acme.example/"{record}',
        "https://acme.example/" + "x" * 500 + "{record}",
    ],
)
def test_what_is_no_template_is_refused(template: str) -> None:
    assert places.problem(template)


def test_what_stands_in_an_address_is_escaped() -> None:
    assert places.link("https://a.example/{object}/{record}?r={record}", "crm.lead", "../{object}?&#/é") == (
        "https://a.example/crm.lead/..%2F%7Bobject%7D%3F%26%23%2F%C3%A9?r=..%2F%7Bobject%7D%3F%26%23%2F%C3%A9"
    )
    assert places.link("", "x", "1") is None


def test_every_kind_of_source_takes_a_template_and_refuses_what_is_none() -> None:
    for kind in KINDS.values():
        assert msgspec.convert({"link": "https://a.example/{record}"}, kind.options).link
        with pytest.raises(msgspec.ValidationError, match="link must begin with https"):
            msgspec.convert({"link": "http://a.example/{record}"}, kind.options)
    with pytest.raises(msgspec.ValidationError, match="items must be a JSON pointer"):
        msgspec.convert({"items": "x"}, CustomOptions)


def test_what_answers_nothing_is_folded_before_it_is_compared() -> None:
    registry = FieldRegistry(
        objects={
            "deal": ObjectFields(
                decision=["Budget"],
                fields={"Budget": FieldPolicy(names=["b1", "B2"], placeholders=["À voir"], defaults=["1"])},
            )
        }
    )

    assert folded(" Não É ") == "nao e"
    assert registry.idle.keys() == {("deal", "b1"), ("deal", "b2")}
    states = registry.idle["deal", "b1"]
    assert (states["a voir"], states["1"], states["other"], states["01/01/2099"]) == (
        "placeholder",
        "default",
        "placeholder",
        "placeholder",
    )


@pytest.mark.parametrize(
    ("kinds", "told", "known"),
    [
        ([], False, False),
        ([], True, True),
        (["custom"], False, False),
        (["custom", "segment"], True, True),
        (["hubspot"], True, False),
        (["salesforce-cdc", "custom"], True, False),
        (["pipedrive"], False, True),
        (["pipedrive", "hubspot"], False, True),
        (["of-a-newer-version"], False, False),
    ],
)
def test_that_nothing_was_merged_is_known_only_where_somebody_would_tell(
    kinds: list[str],
    *,
    told: bool,
    known: bool,
) -> None:
    assert tells_merges(kinds, told=told) is known
