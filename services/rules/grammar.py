"""How a rule is written: its parts, and for every predicate the parameters it takes and what it can judge.

What one part says of another is not here but in ``lint``.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple, get_args

from services.metrics.catalogue import METRICS, Metric
from services.metrics.levels import Phase
from services.rules.form import (
    Anything,
    Cases,
    Either,
    Flag,
    Form,
    OneOf,
    Record,
    Schema,
    Several,
    Shared,
    Table,
    Whole,
    Words,
)
from services.rules.shape import AUDIENCES, Kind, SeverityName, SubjectKind

PHASES: Final[tuple[str, ...]] = get_args(Phase)
KINDS: Final[tuple[str, ...]] = get_args(Kind)
SUBJECTS: Final[tuple[str, ...]] = get_args(SubjectKind)
SEVERITIES: Final[tuple[str, ...]] = get_args(SeverityName)
"""From quiet to loud."""
GROUPINGS: Final = ("manager", "rule", "wave", "team", "source", "day", "week", "month")
UNSUPPLIED: Final = ("automatic_tasks", "champions", "feedback", "legacy_source", "managers", "sponsors", "survey")
"""Kinds of data that no metric rests on."""
INPUTS: Final = tuple(sorted({*UNSUPPLIED, *(kind for metric in METRICS.values() for kind in metric.inputs)}))


def judgeable(metric: Metric) -> bool:
    """Tell whether a group has a share of this metric."""
    return metric.unit in ("%", "per 100 users") and metric.combination != "person" and metric.code != "M14"


SHARES: Final = tuple(sorted(name for name, metric in METRICS.items() if judgeable(metric)))
COMPANIONS: Final = ("handoff_read",)
"""What is counted beside a metric and is a share of the same."""
DEPTH: Final = "actions_per_active_person"
"""What a drop can be judged in beside shares of people."""
OF_PEOPLE: Final = ("adoption.cadence_rate", "adoption.daily_rate", "adoption.weekly_rate")
"""Metrics that the same people can be compared in."""
OF_DROPS: Final = {
    "week1": ("adoption.weekly_rate", DEPTH),
    "trailing4": ("adoption.weekly_rate", "adoption.cadence_rate", "behaviour.core_action_rate"),
}
"""What a drop can be judged in, by what it is held against."""
ACCESS: Final = ("access.connected_by", "access.connected_on", "access.joiner_connected_by", "access.never_connected")
"""What logins alone decide."""

ID: Final = Shared("id", Words(3, 64, r"^[a-z0-9]+(-[a-z0-9]+)*$", "lower-case words with hyphens between them"))
_NAME: Final = Words(1, 40, r"^[a-z][a-z0-9_]*$", "a name like worst_teams")
_TEXT: Final = Words(10, 1000)
_SHARE: Final = Whole(0, 100)
_WEEKS: Final = Whole(1, 13)
_AIM: Final = Shared("aim", Either(_SHARE, OneOf(("target",)), "a whole number from 0 to 100, or target"))
_TARGETS: Final = Shared("targets", Table(PHASES, _SHARE))
_METRIC: Final = Shared("metric", OneOf(SHARES))
_SEVERITY: Final = Shared("severity", OneOf(SEVERITIES))


class Predicate(NamedTuple):
    """What a predicate takes, whom it can judge, of which kind its rules are, and what it fills into a title."""

    kinds: tuple[str, ...]
    subjects: tuple[str, ...]
    names: tuple[str, ...]
    params: Form


def _all(names: tuple[str, ...] = (), **parts: Form) -> Record:
    """Return a record of parts that must all be there, but for ``names``."""
    return Record(parts, tuple(name for name in parts if name not in names))


_GROUP: Final = ("group", "num", "den", "value", "limit")
_DROP: Final = ("group", "num", "den", "value", "week", "base_num", "base_den", "base_value")
_HOURS: Final = Whole(1, 720)
_COUNT: Final = Whole(1, 1_000_000)
_SIGNALS: Final = Cases(
    "signal",
    {
        "watermark": _all(hours=_HOURS),
        "directory": _all(share=_SHARE),
        "unmapped": _all(share=_SHARE, count=_COUNT),
        "rejects": _all(share=_SHARE, count=_COUNT),
        "deliveries": _all(hours=_HOURS),
        "automation": _all(hours=Whole(1, 24), count=_COUNT),
        "restatement": _all(points=_SHARE),
    },
)
SIGNAL_NAMES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {"restatement": ("group", "metric", "week", "value", "base_value")}
)
"""What a signal of operations fills into a title; the others fill nothing."""
_DROP_PARAMS: Final = _all(
    ("collapse_up_to",),
    metric=OneOf(tuple(sorted({metric for metrics in OF_DROPS.values() for metric in metrics}))),
    baseline=OneOf(("week1", "trailing4")),
    relative=Whole(1, 100),
    loss=Whole(1, 1000),
    windows=_WEEKS,
    chance=Whole(0, 50),
    collapse=Whole(1, 1000),
    collapse_share=Whole(1, 100),
    collapse_up_to=Whole(1, 1000),
    calm=_SHARE,
    calm_windows=_WEEKS,
)
_THRESHOLD_PARAMS: Final = Record(
    {
        "metric": _METRIC,
        "of": Words(1, 200),
        "below": _AIM,
        "at_least": _AIM,
        "windows": _WEEKS,
        "window": OneOf(("week", "28d", "month")),
        "closes_at": _AIM,
        "close_windows": _WEEKS,
        "over_trailing": Whole(101, 1000),
        "rise": Whole(1, 100),
        "rise_with": _METRIC,
        "companion": OneOf(COMPANIONS),
        "companion_below": _SHARE,
        "companion_closes_at": _SHARE,
        "targets": _TARGETS,
    },
    ("metric", "windows", "closes_at", "close_windows"),
    ("below", "at_least"),
)
_CHECKPOINT_PARAMS: Final = Record(
    {"n": Whole(1, 10), "below": _SHARE, "recovers_at": _SHARE, "until": Whole(2, 21), "small": _SEVERITY},
    ("n", "below", "recovers_at", "until"),
)
_PARTS_PARAMS: Final = _all(
    ("targets",),
    rules=Several(Either(ID, Several(ID, 2), "the id of a rule, or a list of ids"), 1),
    at_least=Whole(1, 50),
    metric=_METRIC,
    targets=_TARGETS,
)

PREDICATES: Final[Mapping[str, Predicate]] = MappingProxyType(
    {
        "person": Predicate(("absence",), ("user",), ("wave",), _all(by=Whole(2, 3), at=OneOf(("noon", "end")))),
        "joiner": Predicate(("absence",), ("user",), (), _all(by=Whole(1, 10))),
        "one_and_done": Predicate(("absence",), ("user",), (), _all(after=Whole(2, 20))),
        "lapsed": Predicate(
            ("absence",),
            ("user",),
            (),
            _all(after=Whole(3, 60), gaps=Whole(1, 10), cadence=Whole(1, 13), weeks=Whole(1, 13)),
        ),
        "checkpoint": Predicate(("threshold",), ("wave",), ("wave", "num", "den"), _CHECKPOINT_PARAMS),
        "drop": Predicate(("change",), ("tenant", "team", "role"), _DROP, _DROP_PARAMS),
        "threshold": Predicate(("threshold",), ("tenant", "wave", "team", "role"), _GROUP, _THRESHOLD_PARAMS),
        "gap": Predicate(
            ("threshold",),
            ("team", "role"),
            _GROUP,
            _all(metric=_METRIC, points=_SHARE, windows=_WEEKS, closes_under=_SHARE),
        ),
        "norm": Predicate(
            ("threshold",),
            ("tenant",),
            _GROUP,
            _all(("targets",), metric=_METRIC, by_week=Whole(2, 13), trend_weeks=Whole(2, 13), targets=_TARGETS),
        ),
        "projected": Predicate(
            ("change",),
            ("tenant",),
            _GROUP,
            _all(("targets",), metric=_METRIC, days=Whole(1, 60), trend_weeks=Whole(3, 13), targets=_TARGETS),
        ),
        "sustained": Predicate(
            ("streak",), ("tenant",), _GROUP, _all(metric=_METRIC, at_least=_SHARE, months=Whole(2, 24))
        ),
        "shift": Predicate(
            ("change",), ("tenant",), _GROUP, _all(metric=OneOf(OF_PEOPLE), stable_within=_SHARE, lost=Whole(1, 100))
        ),
        "champions": Predicate(("threshold",), ("tenant",), (), _all(per=Whole(1, 1000))),
        "sponsors": Predicate(("absence",), ("tenant",), (), Record({})),
        "busy_stale": Predicate(("composite",), ("team",), _GROUP, _all(stale=_SHARE, next_step=_SHARE)),
        "parts": Predicate(("composite",), ("tenant", "team"), _GROUP, _PARTS_PARAMS),
        "silent": Predicate(("sla",), ("tenant",), ("source", "since"), Record({})),
        "operations": Predicate(("sla", "threshold"), ("tenant", "team", "user"), (), _SIGNALS),
        "absent": Predicate(KINDS, SUBJECTS, (), _all(opens=_TEXT, closes=_TEXT)),
    }
)

_PARTS: Final[Mapping[str, Form]] = {
    "id": ID,
    "family": ID,
    "kind": OneOf(KINDS),
    "predicate": OneOf(tuple(PREDICATES)),
    "params": Anything(),
    "title": Words(5, 200),
    "subjects": Several(OneOf(SUBJECTS), 1),
    "severity": _SEVERITY,
    "suspected": _SEVERITY,
    "louder": Table((*SUBJECTS, *PHASES), _SEVERITY),
    "audience": Several(OneOf(AUDIENCES), 1),
    "action": Words(20, 1000),
    "question": Words(5, 300),
    "seed": _TEXT,
    "rationale": _TEXT,
    "phases": Several(OneOf(PHASES)),
    "minimum": Whole(1, 1_000_000),
    "inputs": Several(OneOf(INPUTS)),
    "evidence": Several(_NAME),
    "inhibited_by": Several(ID),
    "group_by": Several(OneOf(GROUPINGS)),
    "enabled": Flag(),
    "version": Whole(1, 1_000_000),
}
REQUIRED: Final = ("id", "kind", "predicate", "title", "subjects", "severity", "audience", "action")
EXPLAINED: Final = ("seed", "rationale")
"""What a pack must say of each rule as well."""


def form_of(predicate: object, *, explained: bool) -> Record:
    """Return how a rule with ``predicate`` is written; ``explained``: with its reasons."""
    known = PREDICATES.get(predicate) if isinstance(predicate, str) else None
    required = (*REQUIRED, *(EXPLAINED if explained else ()))
    if known is None:
        return Record(_PARTS, required)
    return Record({**_PARTS, **_own_parts(known)}, (*required, *_own_required(known)))


def _own_parts(predicate: Predicate) -> dict[str, Form]:
    return {
        "kind": OneOf(predicate.kinds),
        "subjects": Several(OneOf(predicate.subjects), 1),
        "params": predicate.params,
    }


def _own_required(predicate: Predicate) -> tuple[str, ...]:
    return ("params",) if any(predicate.params.problems({}, "")) else ()


_SHARED: Final = (ID, _METRIC, _SEVERITY, _TARGETS, _AIM)


def schema() -> Schema:
    """Return how a pack is written, as JSON Schema."""
    rule = Record(_PARTS, (*REQUIRED, *EXPLAINED)).schema()
    rule["allOf"] = [
        {
            "if": {"properties": {"predicate": {"const": name}}, "required": ["predicate"]},
            "then": {
                "properties": {part: form.schema() for part, form in _own_parts(predicate).items()},
                "required": list(_own_required(predicate)),
            },
        }
        for name, predicate in PREDICATES.items()
    ]
    pack = Record({"pack": ID, "rules": Anything()}, ("pack", "rules")).schema()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "https://uptake.example/schemas/rules.json",
        "title": "Pack of rules",
        "description": (
            "Rules as data: what each is called, when it opens and closes, who should know and what to do next. What "
            "the parts mean: services/rules/shape.py. What one part says of another is looked at by uptake rules lint."
        ),
        **pack,
        "properties": {
            "pack": ID.schema(),
            "rules": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/rule"}},
        },
        "$defs": {"rule": rule, **{shared.name: shared.form.schema() for shared in _SHARED}},
    }
