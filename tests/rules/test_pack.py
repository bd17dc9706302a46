"""The packs that come with the product: which rules are in them, and what every one of them has."""

import json
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from services.rules import grammar
from services.rules.pack import DEFAULT, PackError, Version, merged, parse, patched, problems, reduced, spec_of
from services.rules.pack import SPECS as WRITTEN
from services.rules.sentences import closes, opens
from services.rules.shape import Rule

SCHEMAS = Path(__file__).parents[2] / "schemas"
SCHEMA = json.loads((SCHEMAS / "json/rules.json").read_text(encoding="utf-8"))
PACKS = {name: (SCHEMAS / f"rules/{name}.yaml").read_text(encoding="utf-8") for name in ("adoption", "operations")}
ADOPTION = [
    "user-not-connected-d2",
    "user-never-logged-in-d3",
    "wave-connection-d1-below-target",
    "wave-connection-d3-emergency",
    "wave-connection-d5-below-target",
    "joiner-not-connected-d3",
    "one-and-done-user",
    "user-lapsed",
    "stuck-after-ticket",
    "licence-unused",
    "adoption-drop-vs-week1",
    "depth-drop-vs-week1",
    "adoption-below-phase-target",
    "adoption-drop-trailing",
    "norm-window-soft",
    "team-lagging",
    "role-lagging",
    "composition-shift",
    "phase-gate-at-risk",
    "adoption-sustained-6-months",
    "leadership-not-using",
    "sponsor-absent",
    "manager-inspection-low",
    "export-before-meeting",
    "champion-coverage-low",
    "in-crm-creation-low",
    "pre-meeting-update-gap",
    "data-quality-superficial",
    "data-quality-below-phase-target",
    "placeholder-values-high",
    "stale-close-dates",
    "next-step-missing",
    "handoff-incomplete",
    "duplicates-rising",
    "busy-but-stale",
    "forecast-without-evidence",
    "auto-tasks-ignored",
    "fake-adoption-pattern",
    "legacy-system-active",
    "training-coverage-gate",
    "training-too-early",
    "refresher-overdue",
    "trained-not-using",
    "untrained-in-production",
    "support-sla-breach",
    "support-surge",
    "feedback-unanswered",
    "pulse-low-response",
    "roi-not-positive",
]
OPERATIONS = [
    "source-silent",
    "watermark-stalled",
    "directory-stale",
    "unmapped-actors",
    "reject-rate-high",
    "delivery-failing",
    "suspected-automation",
    "restatement-large",
]


SPOKEN_FOR = {"data-quality-below-phase-target", "stale-close-dates", "next-step-missing"}


def changed(rule: str, **difference: object) -> Rule:
    return merged(DEFAULT, {rule: Version(1, difference)})[rule]  # type: ignore[arg-type]


def test_the_packs_hold_every_rule_of_the_catalogue() -> None:
    assert [rule.id for rule in DEFAULT.values() if rule.pack == "adoption"] == ADOPTION
    assert [rule.id for rule in DEFAULT.values() if rule.pack == "operations"] == OPERATIONS


@pytest.mark.parametrize("name", PACKS)
def test_a_pack_is_valid_by_the_published_schema(name: str) -> None:
    Draft202012Validator(SCHEMA).validate(yaml.safe_load(PACKS[name]))

    assert [rule.id for rule in parse(PACKS[name])] == [rule.id for rule in DEFAULT.values() if rule.pack == name]


def test_the_published_schema_is_what_is_asked_of_a_pack() -> None:
    assert grammar.schema() == SCHEMA, "write json.dumps(grammar.schema(), indent=2) to schemas/json/rules.json"


@pytest.mark.parametrize("rule", DEFAULT.values(), ids=DEFAULT)
def test_a_rule_says_who_should_know_why_it_is_there_and_what_to_do(rule: Rule) -> None:
    assert rule.audience
    assert rule.evidence
    assert rule.group_by
    assert rule.question
    assert min(len(text) for text in (rule.action, rule.seed, rule.rationale)) > 20
    assert opens(rule) != closes(rule)


@pytest.mark.parametrize("rule", DEFAULT.values(), ids=DEFAULT)
def test_a_rule_of_single_people_is_told_to_those_next_to_them_only(rule: Rule) -> None:
    if "user" in rule.subjects:
        assert not {"sponsor", "steering", "finance"} & set(rule.audience)


@pytest.mark.parametrize(
    ("rule", "params"),
    [
        ("user-not-connected-d2", {"by": 2, "at": "noon"}),
        ("user-never-logged-in-d3", {"by": 3, "at": "end"}),
        ("wave-connection-d1-below-target", {"n": 1, "below": 80, "recovers_at": 80, "until": 3}),
        (
            "wave-connection-d3-emergency",
            {"n": 3, "below": 70, "recovers_at": 75, "until": 10, "small": "critical"},
        ),
        ("wave-connection-d5-below-target", {"n": 5, "below": 90, "recovers_at": 90, "until": 10}),
        ("adoption-drop-vs-week1", {"relative": 10, "loss": 2, "windows": 2, "chance": 20, "collapse": 3}),
        ("data-quality-superficial", {"below": 70, "windows": 2, "closes_at": 75}),
        ("next-step-missing", {"below": 70, "closes_at": 78}),
        ("stale-close-dates", {"at_least": 20, "closes_at": 12}),
        ("export-before-meeting", {"at_least": 60, "closes_at": 30}),
        ("placeholder-values-high", {"at_least": 15, "windows": 1, "closes_at": 10, "rise": 5}),
        ("placeholder-values-high", {"rise_with": "dq.valid_completeness"}),
        ("handoff-incomplete", {"below": 80, "windows": 1, "companion": "handoff_read", "companion_below": 60}),
        ("suspected-automation", {"hours": 16, "count": 1000}),
        ("adoption-sustained-6-months", {"at_least": 90, "months": 6}),
    ],
)
def test_a_rule_asks_for_what_practice_asks_for(rule: str, params: dict[str, object]) -> None:
    assert params.items() <= DEFAULT[rule].params.items()


def test_the_targets_of_use_rise_with_the_phase() -> None:
    targets = DEFAULT["adoption-below-phase-target"].params["targets"]

    assert dict(targets) == {  # type: ignore[call-overload]
        "stabilization-1": 80,
        "stabilization-2": 85,
        "maturity": 90,
        "excellence": 90,
        "run": 90,
    }


def test_what_speaks_for_what_is_drawn_without_a_circle() -> None:
    silenced = {rule.id: rule.inhibited_by for rule in DEFAULT.values() if rule.inhibited_by}

    for rule in ("wave-connection-d1-below-target", "wave-connection-d5-below-target", "adoption-below-phase-target"):
        assert "wave-connection-d3-emergency" in silenced[rule]
    for rule, by in silenced.items():
        assert ("data-quality-superficial" in by) == (rule in SPOKEN_FOR), rule
    assert "adoption-drop-vs-week1" in silenced["user-lapsed"]


@pytest.mark.parametrize("rule", DEFAULT.values(), ids=DEFAULT)
def test_a_rule_that_is_read_and_given_back_differs_in_nothing(rule: Rule) -> None:
    assert reduced(rule.id, spec_of(rule)) == {}


def test_a_tenants_difference_goes_over_the_packs_rule() -> None:
    rule = changed("stale-close-dates", params={"at_least": 30}, audience=["data_owner"])

    assert rule.params["at_least"] == 30
    assert rule.params["closes_at"] == 12
    assert rule.audience == ("data_owner",)
    assert rule.title == DEFAULT["stale-close-dates"].title


def test_null_takes_a_part_away() -> None:
    assert changed("adoption-drop-vs-week1", suspected=None).suspected is None
    assert patched({"a": {"b": 1, "c": 2}}, {"a": {"b": None}}) == {"a": {"c": 2}}


def test_every_version_and_every_return_has_a_number_of_its_own() -> None:
    first = merged(DEFAULT, {"team-lagging": Version(1, {"minimum": 10})})["team-lagging"]
    back = merged(DEFAULT, {"team-lagging": Version(2, None)})["team-lagging"]

    assert (DEFAULT["team-lagging"].version, first.version, back.version) == (1, 2, 3)
    assert (back.minimum, back.params) == (8, DEFAULT["team-lagging"].params)


def test_a_tenants_own_rule_stands_beside_those_of_the_packs() -> None:
    own = {**WRITTEN["stale-close-dates"], **dict.fromkeys(("family", "seed", "rationale")), "id": "stale-deals"}

    rules = merged(DEFAULT, {"stale-deals": Version(4, own)})

    assert (rules["stale-deals"].pack, rules["stale-deals"].version) == ("own", 4)
    assert rules["stale-deals"].family == "stale-deals"
    assert "stale-deals" not in merged(DEFAULT, {"stale-deals": Version(5, None)})


def test_a_version_that_a_newer_pack_has_made_wrong_is_not_used() -> None:
    rule = changed("stale-close-dates", params={"at_least": 5})

    assert rule.params == DEFAULT["stale-close-dates"].params


@pytest.mark.parametrize("part", ["id", "family", "kind", "predicate", "version"])
def test_what_a_rule_is_cannot_be_changed(part: str) -> None:
    assert [problem.pointer for problem in problems("team-lagging", {part: "x"}, WRITTEN)] == [f"/{part}"]


def test_a_rule_without_its_reasons_is_refused_in_a_pack() -> None:
    spec = {name: value for name, value in WRITTEN["team-lagging"].items() if name not in ("seed", "rationale")}

    with pytest.raises(PackError) as told:
        parse(json.dumps({"pack": "adoption", "rules": [{**spec, "inhibited_by": []}]}))

    assert told.value.errors == [("/rules/0/seed", "is missing"), ("/rules/0/rationale", "is missing")]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("rules: [\n", "line 2, column 1: "),
        ("pack: a\npack: b", "line 2, column 1: this name stands here twice"),
        ("- !!python/object:os.system x", "line 1, column 3: could not determine a constructor"),
        ("&a [*a]", "line 1, column 5: an alias"),
        ("[" * 100_000, "line 1, column 11: too many levels"),
        ("a: \x00", ""),
        ("", "must be a list of rules"),
    ],
    ids=["cut off", "a name twice", "code", "a circle", "a deep hole", "NUL", "nothing"],
)
def test_what_is_no_pack_is_refused_with_its_place(text: str, reason: str) -> None:
    with pytest.raises(PackError) as told:
        parse(text)

    assert reason in told.value.errors[0][1]
