"""What is wrong with rules: parts that do not fit, parts that contradict each other, and what no rule may ever do.

Whoever wrote a rule is told of every place at once. Nothing here knows where rules are kept.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from string import Formatter
from types import MappingProxyType
from typing import Any, Final

from services.metrics.catalogue import METRICS
from services.rules.form import Problem, step
from services.rules.grammar import ACCESS, OF_DROPS, PHASES, PREDICATES, SEVERITIES, SIGNAL_NAMES, form_of
from services.rules.targets import target_of

LEAST_OF_A_SHARE: Final = 5
"""A share of fewer is one person more or less."""
LEAST_MEETINGS: Final = 4
"""A month of weekly meetings."""
_OF_MEETINGS: Final = ("meeting.crm_run_share", "behaviour.export_before_meeting")
_WHOLE: Final = (0, 100)
"""Shares that ask whether anybody, or everybody: those are counts."""
_NUDGE: Final = re.compile(r"\bremind|\breminder|\bnudge|\bping (them|the|every)", re.IGNORECASE)
_MORE_FIELDS: Final = re.compile(r"\b(require|add|ask for) (more|another|additional) fields?\b", re.IGNORECASE)
_RANKING: Final = re.compile(
    r"\bleast active|\bleader ?board|\branking\b|\brank (the|people|users|them)|\bworst (user|person|people|seller)",
    re.IGNORECASE,
)
_NOT: Final = re.compile(r"\b(not|never|no|instead of|before|rather than|without)\b", re.IGNORECASE)
_SENTENCE: Final = re.compile(r"[.!?](?:\s|$)")

Rules = Mapping[str, Mapping[str, Any]]


def of_pack(body: object, beside: Rules = MappingProxyType({})) -> list[Problem]:
    """Return what is wrong with a pack, as it was read. ``beside``: rules of other packs, which it may name."""
    if not isinstance(body, dict) or not isinstance(body.get("rules"), list) or not body["rules"]:
        return [Problem("/rules", "must be a list of rules")]
    found = [*_heading(body)]
    specs = [(step("/rules", number), spec) for number, spec in enumerate(body["rules"])]
    for pointer, spec in specs:
        predicate = spec.get("predicate") if isinstance(spec, dict) else None
        found += form_of(predicate, explained=True).problems(spec, pointer)
    if found:
        return found
    rules = {**beside, **{spec["id"]: spec for _, spec in specs}}
    for number, (pointer, spec) in enumerate(specs):
        if any(spec["id"] == other["id"] for _, other in specs[:number]):
            found.append(Problem(step(pointer, "id"), "is the id of another rule as well"))
        found += of_rule(spec, rules, pointer)
    return found


def _heading(body: Mapping[str, Any]) -> Iterator[Problem]:
    for name in body:
        if name not in ("pack", "rules"):
            yield Problem(step("", name), "is not known here; known: pack, rules")
    if not isinstance(body.get("pack"), str) or re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", body["pack"]) is None:
        yield Problem("/pack", "must be the name of the pack, in lower-case words with hyphens between them")


def of_rule(spec: Mapping[str, Any], rules: Rules, pointer: str = "") -> Iterator[Problem]:
    """Yield what in a rule, whose parts fit, contradicts itself, the other ``rules`` or what no rule may do."""
    params = step(pointer, "params")
    yield from _named(spec, pointer)
    yield from _spoken(spec, pointer)
    yield from _loudness(spec, pointer)
    yield from _others(spec, rules, pointer)
    yield from _condition(spec, params)
    if spec["predicate"] == "absent" and not spec.get("inputs"):
        yield Problem(step(pointer, "inputs"), "must say what the rule waits for")
    yield from _sample(spec, pointer)


def _named(spec: Mapping[str, Any], pointer: str) -> Iterator[Problem]:
    """Look at the names in the title's braces."""
    place, signal = step(pointer, "title"), spec.get("params", {}).get("signal", "")
    names = PREDICATES[spec["predicate"]].names or SIGNAL_NAMES.get(signal, ())
    try:
        pieces = list(Formatter().parse(spec["title"]))
    except ValueError:
        yield Problem(place, "has a brace that is not closed")
        return
    if any(name is not None and (name not in names or form or conversion) for _, name, form, conversion in pieces):
        yield Problem(place, f"may have in braces: {', '.join(names) or 'nothing'}")


def _spoken(spec: Mapping[str, Any], pointer: str) -> Iterator[Problem]:
    """Look for what a rule must never say or ask for."""
    for sentence in _SENTENCE.split(spec["action"]):
        if _NUDGE.search(sentence) and not _NOT.search(sentence):
            yield Problem(step(pointer, "action"), "must not remind people: say what takes the obstacle away")
        if _MORE_FIELDS.search(sentence) and not _NOT.search(sentence):
            yield Problem(step(pointer, "action"), "must not ask for more fields: retire or move some first")
    for part in ("title", "action"):
        if _RANKING.search(spec[part]):
            yield Problem(step(pointer, part), "must not rank people")


def _loudness(spec: Mapping[str, Any], pointer: str) -> Iterator[Problem]:
    if (suspected := spec.get("suspected")) is not None:
        place = step(pointer, "suspected")
        if spec["predicate"] not in ("drop", "absent"):
            yield Problem(place, "is for a drop: nothing else is only suspected")
        elif SEVERITIES.index(suspected) > SEVERITIES.index(spec["severity"]):
            yield Problem(place, "must not be louder than what is confirmed")
    for word in spec.get("louder", {}):
        active = spec.get("phases") or PHASES
        if word not in spec["subjects"] and word not in active:
            yield Problem(step(step(pointer, "louder"), word), "is neither a subject of the rule nor a phase it is in")


def _others(spec: Mapping[str, Any], rules: Rules, pointer: str) -> Iterator[Problem]:
    """Look at what the rule says of other rules."""
    for number, name in enumerate(spec.get("inhibited_by", [])):
        place = step(step(pointer, "inhibited_by"), number)
        if name not in rules:
            yield Problem(place, "is no rule")
        elif name == spec["id"] or spec["id"] in _silencers(name, rules):
            yield Problem(place, "leads back to this rule: the two would silence each other")
    family = spec.get("family", spec["id"])
    for other in rules.values():
        if other.get("family", other["id"]) == family and other["predicate"] != spec["predicate"]:
            yield Problem(step(pointer, "family"), "is shared with a rule of another predicate")
            break
    if spec["predicate"] == "parts":
        yield from _parts(spec, rules, step(pointer, "params"))


def _silencers(name: str, rules: Rules) -> set[str]:
    """Return every rule that silences ``name``, directly or through others."""
    found: set[str] = set()
    ahead = [name]
    while ahead:
        for other in rules.get(ahead.pop(), {}).get("inhibited_by", []):
            if other not in found:
                found.add(other)
                ahead.append(other)
    return found


def _parts(spec: Mapping[str, Any], rules: Rules, pointer: str) -> Iterator[Problem]:
    listed = spec["params"]["rules"]
    for number, entry in enumerate(listed):
        place = step(step(pointer, "rules"), number)
        for name in [entry] if isinstance(entry, str) else entry:
            if name not in rules:
                yield Problem(place, "is no rule")
            elif name == spec["id"] or rules[name]["predicate"] == "parts":
                yield Problem(place, "must not be a rule that has parts itself")
            elif not set(rules[name]["subjects"]) & set(spec["subjects"]):
                yield Problem(place, "is a rule for other subjects")
    if spec["params"]["at_least"] > len(listed):
        yield Problem(step(pointer, "at_least"), "is more than there are rules")


def _condition(spec: Mapping[str, Any], pointer: str) -> Iterator[Problem]:
    """Look at whether the rule can open, and closes beyond where it opens."""
    params = spec.get("params", {})
    for lower, upper, reason in _ORDER.get(spec["predicate"], ()):
        if lower in params and upper in params and not params[lower] < params[upper]:
            yield Problem(step(pointer, lower), reason)
    if spec["predicate"] == "checkpoint" and params["recovers_at"] < params["below"]:
        yield Problem(step(pointer, "recovers_at"), "must not lie below where the rule opens")
    if spec["predicate"] == "drop" and params["metric"] not in OF_DROPS[params["baseline"]]:
        listed = ", ".join(OF_DROPS[params["baseline"]])
        yield Problem(step(pointer, "metric"), f"must be, against {params['baseline']}, one of: {listed}")
    if params.get("metric") in METRICS:
        yield from _metric(spec, params, pointer)
    if spec["predicate"] == "threshold":
        yield from _band(spec, params, pointer)
        yield from _otherwise(params, pointer)


_ORDER: Final[Mapping[str, Sequence[tuple[str, str, str]]]] = {
    "checkpoint": (("n", "until", "must lie before the last day, until"),),
    "drop": (("calm", "relative", "must be less than relative: the rule closes beyond where it opens"),),
    "gap": (("closes_under", "points", "must be less than points: the rule closes beyond where it opens"),),
    "shift": (("stable_within", "lost", "must be less than lost"),),
}


def _metric(spec: Mapping[str, Any], params: Mapping[str, Any], pointer: str) -> Iterator[Problem]:
    metric, of = METRICS[params["metric"]], params.get("of")
    allowed = None if metric.parameter is None else metric.parameter.allowed
    if of is not None and metric.parameter is None:
        yield Problem(step(pointer, "of"), "is not known to this metric")
    elif allowed is not None and of not in allowed:
        yield Problem(step(pointer, "of"), f"must be one of: {', '.join(allowed)}")
    if params.get("window", "week") not in metric.windows and metric.combination != "absent":
        yield Problem(step(pointer, "window"), f"must be one of: {', '.join(metric.windows)}")
    launch = {"preparation", "launch"}
    if metric.id in ACCESS and not (spec.get("phases") and set(spec["phases"]) <= launch):
        yield Problem(step(pointer, "metric"), "counts who got in: that is judged in the phases of the launch only")
    aimed = {name for name in ("below", "at_least", "closes_at") if params.get(name) == "target"}
    if aimed or spec["predicate"] in ("norm", "projected", "parts"):
        without = [phase for phase in spec.get("phases") or PHASES if target_of(params, phase) is None]
        if without:
            yield Problem(step(pointer, "targets"), f"has no target for: {', '.join(without)}")


def _band(spec: Mapping[str, Any], params: Mapping[str, Any], pointer: str) -> Iterator[Problem]:
    opens = "below" if "below" in params else "at_least"
    better = METRICS[params["metric"]].direction
    if better == ("up" if opens == "at_least" else "down"):
        yield Problem(step(pointer, opens), "opens where the metric is good")
    for phase in spec.get("phases") or PHASES:
        edge, back = (_share(params, name, phase) for name in (opens, "closes_at"))
        if edge is None or back is None:
            continue
        if back < edge if opens == "below" else back > edge:
            yield Problem(step(pointer, "closes_at"), "must lie at or beyond where the rule opens")
            break


_WAYS: Final = (("rise", "rise_with"), ("companion", "companion_below", "companion_closes_at"))
"""The parts of each other way to open."""


def _otherwise(params: Mapping[str, Any], pointer: str) -> Iterator[Problem]:
    """Look at the other ways to open."""
    for parts in _WAYS:
        given = [name for name in parts if name in params]
        if given and len(given) < len(parts):
            yield Problem(step(pointer, given[0]), f"needs all of: {', '.join(parts)}")
        elif given and params.get("window") == "month":
            yield Problem(step(pointer, given[0]), "is not looked for in months")
    if "rise" in params and "below" in params:
        yield Problem(step(pointer, "rise"), "is for a rule that opens at least somewhere")
    if "companion" in params and params["companion"] not in METRICS[params["metric"]].companions:
        yield Problem(step(pointer, "companion"), "is not counted beside this metric")
    if params.get("companion_closes_at", 100) < params.get("companion_below", 0):
        yield Problem(step(pointer, "companion_closes_at"), "must lie at or beyond where the rule opens")


def _share(params: Mapping[str, Any], name: str, phase: str) -> int | None:
    value = params[name]
    return target_of(params, phase) if value == "target" else int(value)


def _sample(spec: Mapping[str, Any], pointer: str) -> Iterator[Problem]:
    """Refuse shares of so few that one more or less decides."""
    params, predicate = spec.get("params", {}), spec["predicate"]
    if predicate not in ("checkpoint", "drop", "threshold", "gap", "norm", "projected", "sustained", "shift", "parts"):
        return
    least = LEAST_MEETINGS if params.get("metric") in _OF_MEETINGS else LEAST_OF_A_SHARE
    counts = predicate == "threshold" and params.get("below", params.get("at_least")) in _WHOLE
    if not counts and spec.get("minimum", 1) < least:
        yield Problem(step(pointer, "minimum"), f"must be {least} or more: a share of fewer says nothing")
