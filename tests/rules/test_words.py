"""Rules in words, what they need, and whether they are worth their noise."""

import pytest

from services.metrics.catalogue import METRICS
from services.rules.inputs import missing
from services.rules.pack import DEFAULT
from services.rules.sentences import closes, opens
from services.rules.shape import Rule
from services.rules.targets import target_of
from services.rules.usefulness import Record, to_retire
from services.rules.why import Said, why

ALWAYS = frozenset({"activity", "directory"})


@pytest.mark.parametrize(
    ("rule", "opened", "closed"),
    [
        ("user-not-connected-d2", "no activity by noon of D+2", "activity, or the end of the licence"),
        (
            "wave-connection-d3-emergency",
            "fewer than 70 % connected by D+3",
            "75 % connected, or the end of D+10",
        ),
        (
            "stale-close-dates",
            "open opportunities whose close date has passed: 20 % or more, in 2 weeks in a row",
            "below 12 %, in 2 weeks in a row",
        ),
        (
            "adoption-below-phase-target",
            (
                "expected people who were as active as their role wants: below the target of the phase, "
                "in 2 weeks in a row"
            ),
            "the target of the phase or more, in 2 weeks in a row",
        ),
        (
            "placeholder-values-high",
            (
                "filled decision fields that hold a placeholder or an untouched default: 15 % or more, in one week, or "
                "5 points more in four weeks while this rose as well: decision fields that are due and hold a real "
                "value, on open records"
            ),
            "below 10 % without such a rise, in 2 weeks in a row",
        ),
        (
            "handoff-incomplete",
            (
                "won opportunities with every handoff field valid two working days after closing: below 80 %, "
                "in one span of four weeks, or handoff read below 60 %"
            ),
            "85 % or more and handoff read 65 % or more, in 2 spans of four weeks in a row",
        ),
    ],
)
def test_a_rule_tells_when_it_opens_and_closes(rule: str, opened: str, closed: str) -> None:
    assert (opens(DEFAULT[rule]), closes(DEFAULT[rule])) == (opened, closed)


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        (
            Said("pending", None, 6, 20),
            (
                "6 of 20 (30.0 %). The condition holds, but not for long enough yet: open opportunities whose close "
                "date has passed: 20 % or more, in 2 weeks in a row."
            ),
        ),
        (Said("not_judged", "missing_field_states"), "Not judged: data is missing: field states."),
        (
            Said("not_judged", "insufficient_sample", 2, 4),
            "Not judged: there were fewer than the least the rule judges.",
        ),
        (Said("not_judged", "something_new"), "Not judged: something new."),
        (Said("hidden", "suppressed"), "This group is too small to be told of."),
    ],
)
def test_an_evaluation_says_why_it_did_or_did_not_speak(said: Said, sentence: str) -> None:
    assert why(DEFAULT["stale-close-dates"], said) == sentence


@pytest.mark.parametrize(
    ("num", "den", "told"), [(1, 3, "33.3 %"), (2, 3, "66.7 %"), (1, 8, "12.5 %"), (1, 16, "6.3 %"), (0, 5, "0.0 %")]
)
def test_a_share_is_told_to_a_tenth(num: int, den: int, told: str) -> None:
    assert f"({told})" in why(DEFAULT["stale-close-dates"], Said("clear", None, num, den))


@pytest.mark.parametrize("outcome", ["open", "pending", "clear", "held", "not_judged"])
def test_every_rule_has_a_sentence_for_an_outcome(outcome: str) -> None:
    for rule in DEFAULT.values():
        assert why(rule, Said(outcome, "guard", 1, 0)).endswith("."), rule.id


@pytest.mark.parametrize(
    ("rule", "lack"),
    [
        ("user-not-connected-d2", None),
        ("adoption-below-phase-target", None),
        ("source-silent", None),
        ("stale-close-dates", "field_states"),
        ("busy-but-stale", "field_states"),
        ("pre-meeting-update-gap", "field_states"),
        ("export-before-meeting", "meetings"),
        ("in-crm-creation-low", "origin"),
        ("training-coverage-gate", "training"),
        ("support-surge", "support"),
        ("champion-coverage-low", "champions"),
        ("directory-stale", "managers"),
        ("sponsor-absent", "sponsors"),
        ("roi-not-positive", "outcome"),
    ],
)
def test_a_rule_says_which_data_it_waits_for(rule: str, lack: str | None) -> None:
    assert missing(DEFAULT[rule], frozenset(), ALWAYS) == lack


def test_a_rule_is_active_when_its_metric_was_ever_counted() -> None:
    assert missing(DEFAULT["stale-close-dates"], {"M27"}, ALWAYS) is None
    assert missing(DEFAULT["champion-coverage-low"], frozenset(), {*ALWAYS, "champions"}) is None


def test_a_rule_waits_for_a_metric_that_nobody_can_count() -> None:
    coverage = DEFAULT["team-lagging"]
    params = {**coverage.params, "metric": "training.coverage"}

    assert METRICS["training.coverage"].reason == "missing_training"
    assert missing(Rule(**{**_parts(coverage), "params": params}), {"M34"}, ALWAYS) == "training"


def _parts(rule: Rule) -> dict[str, object]:
    return {name: getattr(rule, name) for name in Rule.__dataclass_fields__}


def test_a_rule_has_its_own_targets_or_those_of_its_metric() -> None:
    assert target_of(DEFAULT["adoption-below-phase-target"].params, "stabilization-1") == 80
    assert target_of(DEFAULT["adoption-below-phase-target"].params, "launch") is None
    assert target_of({"metric": "dq.score"}, "stabilization-2") == 80
    assert target_of({"metric": "adoption.cadence_rate"}, "launch") == 90


@pytest.mark.parametrize(
    ("record", "retire"),
    [
        (Record(alerts=20, acted=1, whole=True), True),
        (Record(alerts=10, acted=1, whole=True), False),
        (Record(alerts=9, acted=0, whole=True), False),
        (Record(alerts=20, acted=1, whole=False), False),
        (Record(), False),
    ],
    ids=["one of twenty", "exactly a tenth", "too few to say", "too young to say", "never spoke"],
)
def test_a_rule_that_next_to_nobody_acts_on_is_suggested_to_go(record: Record, retire: bool) -> None:  # noqa: FBT001
    assert to_retire(record) is retire
