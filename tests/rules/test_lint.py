"""A damaged rule is refused, and the place is named."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from services.rules.grammar import PREDICATES, form_of
from services.rules.lint import of_pack
from services.rules.pack import SPECS

SCHEMA = Path(__file__).parents[2] / "schemas/json/rules.json"
VALID = Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))


def lint(spec: dict[str, Any]) -> list[tuple[str, str]]:
    """Return what is wrong with one rule amid those of the packs; places are those in the rule."""
    beside = {name: each for name, each in SPECS.items() if name != spec.get("id")}
    return [
        (pointer.removeprefix("/rules/0"), reason)
        for pointer, reason in of_pack({"pack": "own", "rules": [spec]}, beside)
    ]


def damaged(rule: str, place: str, value: object) -> dict[str, Any]:
    spec: dict[str, Any] = copy.deepcopy(dict(SPECS[rule]))
    part, steps = spec, place.strip("/").split("/")
    for name in steps[:-1]:
        part = part.setdefault(name, {})
    part[steps[-1]] = value
    return spec


ACCESS_BY_FOUR = {**SPECS["next-step-missing"]["params"], "metric": "access.connected_by", "of": "4"}  # type: ignore[dict-item]
RISE = {"rise": 5, "rise_with": "dq.valid_completeness"}
READ = {"companion": "handoff_read", "companion_below": 60, "companion_closes_at": 65}


def with_way(rule: str, way: dict[str, object]) -> dict[str, object]:
    return {**SPECS[rule]["params"], **way}  # type: ignore[dict-item]


DAMAGES = [
    ("a metric nobody knows", "team-lagging", "/params/metric", "adoption.magic", "must be one of"),
    ("a parameter of another predicate", "team-lagging", "/params/below", 80, "is not known here"),
    ("a closing edge inside the opening one", "stale-close-dates", "/params/closes_at", 21, "at or beyond"),
    ("a closing edge below the opening one", "next-step-missing", "/params/closes_at", 69, "at or beyond"),
    ("a closing edge below a phase's target", "adoption-below-phase-target", "/params/closes_at", 85, "at or beyond"),
    ("a recovery below the alarm", "wave-connection-d3-emergency", "/params/recovers_at", 69, "must not lie below"),
    ("a checkpoint after its end", "wave-connection-d1-below-target", "/params/n", 3, "must lie before"),
    ("a drop that closes while it opens", "adoption-drop-vs-week1", "/params/calm", 10, "must be less than relative"),
    ("a gap that closes while it opens", "team-lagging", "/params/closes_under", 15, "must be less than points"),
    ("a share of four people", "adoption-below-phase-target", "/minimum", 4, "must be 5 or more"),
    ("a share of four in a launch", "wave-connection-d1-below-target", "/minimum", 4, "must be 5 or more"),
    ("a share of three meetings", "export-before-meeting", "/minimum", 3, "must be 4 or more"),
    ("an audience nobody is", "team-lagging", "/audience", ["everybody"], "must be one of"),
    ("the people themselves as audience", "user-lapsed", "/audience", ["user"], "must be one of"),
    ("no audience", "team-lagging", "/audience", [], "must be a list of 1"),
    ("a rule that silences itself", "team-lagging", "/inhibited_by", ["team-lagging"], "leads back"),
    ("two that silence each other", "adoption-drop-vs-week1", "/inhibited_by", ["user-lapsed"], "leads back"),
    ("a circle of three", "fake-adoption-pattern", "/inhibited_by", ["stale-close-dates"], "leads back"),
    ("silenced by no rule", "team-lagging", "/inhibited_by", ["no-such-rule"], "is no rule"),
    ("parts that are no rules", "fake-adoption-pattern", "/params/rules", ["no-such-rule"] * 1, "is no rule"),
    ("parts of other subjects", "fake-adoption-pattern", "/params/rules", ["leadership-not-using"], "other subjects"),
    ("more parts than there are", "fake-adoption-pattern", "/params/at_least", 8, "is more than there are"),
    ("a family of another predicate", "team-lagging", "/family", "user-lapsed", "of another predicate"),
    ("logins counted outside the launch", "team-lagging", "/params/metric", "access.never_connected", "of the launch"),
    ("an opening where it is good", "stale-close-dates", "/params/metric", "dq.review_ready", "is good"),
    ("a window that is not counted", "next-step-missing", "/params/window", "month", "must be one of: week"),
    ("a parameter the metric has not", "next-step-missing", "/params/of", "deal", "not known to this metric"),
    ("parts of parts", "fake-adoption-pattern", "/params/rules", ["fake-adoption-pattern"], "has parts itself"),
    ("a checkpoint nobody counts", "data-quality-superficial", "/params", ACCESS_BY_FOUR, "must be one of: 1, 2, 3"),
    ("depth against weeks that have none", "depth-drop-vs-week1", "/params/baseline", "trailing4", "trailing4, one of"),
    ("a rise that nothing joins", "stale-close-dates", "/params/rise", 5, "needs all of: rise, rise_with"),
    (
        "a rise of what is to rise",
        "next-step-missing",
        "/params",
        with_way("next-step-missing", RISE),
        "opens at least",
    ),
    ("a rise in months", "export-before-meeting", "/params", with_way("export-before-meeting", RISE), "in months"),
    ("a companion of others", "next-step-missing", "/params", with_way("next-step-missing", READ), "counted beside"),
    ("a companion that closes open", "handoff-incomplete", "/params/companion_closes_at", 59, "at or beyond"),
    ("a target for no phase", "phase-gate-at-risk", "/params/targets", {"run": 90}, "has no target for"),
    ("a reminder", "team-lagging", "/action", "Remind the people to log in every day.", "must not remind"),
    ("more fields", "team-lagging", "/action", "Talk to them. Require more fields at each stage.", "more fields"),
    ("a ranking", "team-lagging", "/title", "{group}: the least active people of the week", "must not rank"),
    ("a name nothing fills in", "team-lagging", "/title", "{group}: {user} is away", "may have in braces"),
    ("a brace left open", "team-lagging", "/title", "{group: five people", "not closed"),
    ("a title that fills the memory", "team-lagging", "/title", "{num:>999999999}", "may have in braces"),
    ("a title that reads what it should not", "team-lagging", "/title", "{group.__class__}", "may have in braces"),
    ("only suspected without a drop", "team-lagging", "/suspected", "info", "is for a drop"),
    ("suspected louder than confirmed", "adoption-drop-vs-week1", "/suspected", "emergency", "must not be louder"),
    ("louder for whom it never judges", "team-lagging", "/louder", {"wave": "critical"}, "neither a subject"),
    ("a subject the predicate cannot judge", "team-lagging", "/subjects", ["user"], "must be one of"),
    ("a kind the predicate is not of", "team-lagging", "/kind", "streak", "must be one of: threshold"),
    ("waiting for nothing", "support-surge", "/inputs", [], "must say what"),
    ("a signal without its hours", "watermark-stalled", "/params", {"signal": "watermark"}, "is missing"),
    ("two edges", "stale-close-dates", "/params/below", 10, "exactly one of"),
    ("a share of a hundred and one", "stale-close-dates", "/params/at_least", 101, "whole number from 0 to 100"),
    ("yes as a number", "stale-close-dates", "/params/windows", True, "must be a whole number"),
    ("a line break in a title", "team-lagging", "/title", "{group}:\nbehind", "in one line"),
    ("half a character", "team-lagging", "/title", "{group}: \ud800", "printable"),
    ("a twin in a list", "team-lagging", "/audience", ["team_lead", "team_lead"], "in the list twice"),
    ("a part nobody knows", "team-lagging", "/threshold", 80, "is not known here"),
]


@pytest.mark.parametrize(
    ("rule", "place", "value", "reason"), [each[1:] for each in DAMAGES], ids=[e[0] for e in DAMAGES]
)
def test_a_damage_is_refused_with_its_place_and_reason(rule: str, place: str, value: object, reason: str) -> None:
    found = lint(damaged(rule, place, value))

    named = [(pointer, told) for pointer, told in found if reason in told]
    assert named, found
    steps = place.split("/")
    assert all(pointer.split("/")[1] == steps[1] for pointer, _ in named if pointer != "/kind")


def test_reminding_may_be_named_to_be_forbidden() -> None:
    assert lint(damaged("team-lagging", "/action", "Call them today. Do not send a reminder mail.")) == []


def test_a_rule_that_asks_for_everybody_needs_no_sample() -> None:
    assert SPECS["leadership-not-using"]["minimum"] == 1
    assert lint(dict(SPECS["leadership-not-using"])) == []


def test_two_rules_of_one_name_are_refused() -> None:
    spec = dict(SPECS["team-lagging"])

    found = of_pack({"pack": "own", "rules": [spec, spec]}, SPECS)

    assert [(pointer, reason) for pointer, reason in found] == [("/rules/1/id", "is the id of another rule as well")]


def test_a_pack_has_a_name_and_rules_and_nothing_else() -> None:
    body = {"pack": "My pack", "rules": [dict(SPECS["team-lagging"])], "owner": "x"}

    assert [problem.pointer for problem in of_pack(body, SPECS)] == ["/owner", "/pack"]


@pytest.mark.parametrize("body", [None, [], "x", {"rules": "x"}, {"pack": "a", "rules": []}])
def test_what_is_no_pack_is_refused(body: object) -> None:
    assert [problem.pointer for problem in of_pack(body)] == ["/rules"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 200) | st.sampled_from(["target", "team", "user", "week1", "x" * 300]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["metric", "n", "run", "z"]), inner),
    max_leaves=6,
)


@st.composite
def mutants(draw: st.DrawFn) -> tuple[dict[str, Any], str]:
    """Return a rule of a pack with one part replaced, removed or added, and which."""
    spec: dict[str, Any] = copy.deepcopy(dict(SPECS[draw(st.sampled_from(sorted(SPECS)))]))
    inside = isinstance(spec.get("params"), dict) and spec["params"] and draw(st.booleans())
    part = spec["params"] if inside else spec
    name = draw(st.sampled_from([*sorted(part), "z"]))
    if name in part and draw(st.integers(0, 4)) == 0:
        del part[name]
    else:
        part[name] = draw(JSON)
    return spec, "params" if inside else name


@settings(max_examples=120)
@given(mutants())
def test_a_mutant_that_the_schema_refuses_is_refused_with_its_place(mutant: tuple[dict[str, Any], str]) -> None:
    spec, part = mutant
    valid = VALID.is_valid({"pack": "own", "rules": [spec]})
    predicate = spec.get("predicate")
    known = predicate if isinstance(predicate, str) and predicate in PREDICATES else None
    problems = list(form_of(known, explained=True).problems(spec, ""))

    assert valid == (not problems)
    if problems:
        named = [problem.pointer.split("/")[1] for problem in problems]
        assert part in named or (part == "predicate" and {"params", "kind", "subjects"} & set(named))
        assert lint(spec)


@settings(max_examples=100)
@given(mutants())
def test_no_mutant_is_too_much_for_the_lint(mutant: tuple[dict[str, Any], str]) -> None:
    for pointer, reason in lint(mutant[0]):
        assert pointer.startswith(("/", ""))
        assert reason
