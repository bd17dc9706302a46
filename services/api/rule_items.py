"""Rules and what they said, as the API shows them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from pydantic import Field

from services.api.shapes import Shown
from services.api.store.rules import Kept
from services.metrics.scene import evidence
from services.postgres import Row
from services.rules.form import Problem
from services.rules.inputs import missing
from services.rules.pack import DEFAULT, SPECS, problems, spec_of, specs_with
from services.rules.sentences import closes, opens
from services.rules.shape import Rule
from services.rules.usefulness import Record, share, to_retire
from services.rules.why import HIDDEN, Said, because, why
from services.sight import Curtain, Sight

GROUPS: Final = frozenset({"team", "role", "wave"})


class Usefulness(Shown):
    """What became of a rule's alerts of the last eight weeks that this key may see, those of other alerts left out.

    `action_rate`: the share on which somebody acted; `precision`: the share that people called useful, of those they
    said anything of. `suggestion` is `retire` where next to nobody acts on many.
    """

    alerts: int
    action_rate: float | None = None
    median_hours_to_acknowledge: float | None = None
    closed_within_24h_share: float | None = None
    useful: int
    false: int
    precision: float | None = None
    suggestion: str | None = None


class Unfit(Shown):
    """Why the tenant's own version is not used."""

    pointer: str
    detail: str


class RuleShown(Shown):
    """A rule as it stands for the tenant: `spec` is the whole of it, `difference` what differs from the pack's.

    `state` is `active`, `disabled`, or `inactive: missing ` and the data that nothing was ever told of.
    """

    id: str
    pack: str
    version: int
    pack_version: int | None = None
    state: str
    missing: str | None = None
    opens: str
    closes: str
    spec: dict[str, Any]
    difference: dict[str, Any] | None = None
    changed_by: str | None = None
    changed_at: datetime | None = None
    unfit: list[Unfit] = Field(default_factory=list)
    usefulness: Usefulness
    links: dict[str, str]


class RuleList(Shown):
    """All rules: those of the packs, then the tenant's own."""

    items: list[RuleShown]


class ChangeShown(Shown):
    """A part that is not what it was."""

    pointer: str
    before: Any = None
    after: Any = None


class RuleChanged(RuleShown):
    """A rule, and what was changed of it."""

    changes: list[ChangeShown]


class Window(Shown):
    """The days that were judged, both included."""

    first: date = Field(alias="from")
    last: date = Field(alias="to")


class SubjectShown(Shown):
    """Whom it is about."""

    kind: str
    key: str


class EvaluationShown(Shown):
    """What a rule said of one window of a subject.

    `outcome`: `open`, `pending` (the condition holds, but not for long enough), `clear`, `held` (neither opens nor
    closes), `not_judged`, or `hidden`, where the group is too small to be told of.
    """

    rule: str
    rule_version: int
    subject: SubjectShown
    window: Window
    outcome: str
    reason: str | None = None
    why: str
    num: int | None = None
    den: int | None = None
    value: float | None = None
    baseline: Any = None
    p: float | None = None
    alert: str | None = None
    as_of: datetime
    at: datetime
    revision: int


class EvaluationPage(Shown):
    """One page of what a rule said. `why`: why it says nothing at all, where that is so."""

    items: list[EvaluationShown]
    next: str | None = None
    state: str
    why: str | None = None


SHOWN: Final[dict[str, Any]] = {
    "id": "stale-close-dates",
    "pack": "adoption",
    "version": 2,
    "pack_version": 1,
    "state": "active",
    "missing": None,
    "opens": "open opportunities whose close date has passed: 25 % or more, in 2 weeks in a row",
    "closes": "below 15 %, in 2 weeks in a row",
    "spec": {"id": "stale-close-dates", "predicate": "threshold", "severity": "warning", "minimum": 10},
    "difference": {"params": {"at_least": 25, "closes_at": 15}},
    "changed_by": "k1",
    "changed_at": "2026-03-05T23:00:00Z",
    "unfit": [],
    "usefulness": {
        "alerts": 12,
        "action_rate": 0.75,
        "median_hours_to_acknowledge": 5.5,
        "closed_within_24h_share": 0.0,
        "useful": 3,
        "false": 1,
        "precision": 0.75,
        "suggestion": None,
    },
    "links": {"self": "/v1/rules/stale-close-dates", "evaluations": "/v1/rules/stale-close-dates/evaluations"},
}
EVALUATION: Final[dict[str, Any]] = {
    "rule": "stale-close-dates",
    "rule_version": 2,
    "subject": {"kind": "team", "key": "North"},
    "window": {"from": "2026-03-02", "to": "2026-03-08"},
    "outcome": "pending",
    "reason": None,
    "why": "6 of 20 (30.0 %). The condition holds, but not for long enough yet: ...",
    "num": 6,
    "den": 20,
    "value": 0.3,
    "baseline": None,
    "p": None,
    "alert": None,
    "as_of": "2026-03-09T02:00:00Z",
    "at": "2026-03-09T02:00:01Z",
    "revision": 0,
}


@dataclass(frozen=True, slots=True)
class Supply:
    """What data a tenant supplies: the metrics that are counted of it, by code, and the kinds of data."""

    seen: frozenset[str]
    kinds: frozenset[str]

    @classmethod
    def of(cls, codes: Iterable[str], named: Iterable[str]) -> "Supply":
        """Return what the codes of counts prove to be there, beside what the directory names."""
        seen, kinds = evidence(codes)
        return cls(seen, kinds.union(named))

    def state(self, rule: Rule) -> tuple[str, str | None]:
        """Return whether a rule is active, and what it lacks."""
        if not rule.enabled:
            return "disabled", None
        lack = missing(rule, self.seen, self.kinds)
        return ("active", None) if lack is None else (f"inactive: missing {lack}", lack)


def silent(state: str, lack: str | None) -> str | None:
    """Return why a rule says nothing at all; None: it does."""
    if state == "active":
        return None
    reason = because("disabled" if lack is None else f"missing_{lack}")
    return f"This rule judges nothing: {reason}."


def shown(rule: Rule, kept: Mapping[str, Kept], record: Record, supply: Supply) -> dict[str, Any]:
    """Return a rule as JSON shows it; ``kept``: the newest version of every rule that the tenant ever changed."""
    state, lack = supply.state(rule)
    own = kept.get(rule.id)
    packed = DEFAULT.get(rule.id)
    return {
        "id": rule.id,
        "pack": rule.pack,
        "version": rule.version,
        "pack_version": None if packed is None else packed.version,
        "state": state,
        "missing": lack,
        "opens": opens(rule),
        "closes": closes(rule),
        "spec": spec_of(rule),
        "difference": None if own is None or packed is None else own.version.spec,
        "changed_by": None if own is None else own.actor,
        "changed_at": None if own is None else own.at,
        "unfit": [{"pointer": pointer, "detail": reason} for pointer, reason in unfit(rule.id, kept)],
        "usefulness": _usefulness(record),
        "links": {"self": f"/v1/rules/{rule.id}", "evaluations": f"/v1/rules/{rule.id}/evaluations"},
    }


def unfit(rule: str, kept: Mapping[str, Kept]) -> list[Problem]:
    """Return why the tenant's version of a rule cannot be used amid the packs of today."""
    spec = kept[rule].version.spec if rule in kept else None
    if spec is None:
        return []
    return problems(rule, spec, specs_with({name: each.version for name, each in kept.items()}))


def ordered(rules: Mapping[str, Rule]) -> list[Rule]:
    """Return rules in the order of the packs, then the tenant's own."""
    return [rules[name] for name in SPECS] + [rules[name] for name in sorted(rules) if name not in SPECS]


def _usefulness(record: Record) -> dict[str, Any]:
    shares = {
        "action_rate": share(record.acted, record.alerts),
        "closed_within_24h_share": share(record.brief, record.alerts),
        "precision": share(record.useful, record.useful + record.useless),
    }
    return {
        "alerts": record.alerts,
        **{name: None if value is None else float(value) for name, value in shares.items()},
        "median_hours_to_acknowledge": record.median_hours,
        "useful": record.useful,
        "false": record.useless,
        "suggestion": "retire" if to_retire(record) else None,
    }


def said(row: Row, rule: Rule, sight: Sight, hidden: Curtain) -> dict[str, Any]:
    """Return an evaluation as this key may see it: of a hidden group without its numbers."""
    kind, key, span = row["subject_kind"], row["subject_key"], (row["window_from"], row["window_to"])
    closed = not sight.individuals and kind in GROUPS and hidden.hides((kind, key), *span, row["den"])
    numbers = dict.fromkeys(("num", "den", "baseline", "p", "alert")) if closed else row
    outcome, reason = (HIDDEN, "suppressed") if closed else (row["outcome"], row["reason"])
    num, den = numbers["num"], numbers["den"]
    return {
        "rule": row["rule"],
        "rule_version": row["rule_version"],
        "subject": {"kind": kind, "key": key},
        "window": {"from": span[0], "to": span[1]},
        "outcome": outcome,
        "reason": reason,
        "why": why(rule, Said(outcome, reason, num, den)),
        "num": num,
        "den": den,
        "value": num / den if num is not None and den else None,
        "baseline": numbers["baseline"],
        "p": numbers["p"],
        "alert": numbers["alert"],
        **{name: row[name] for name in ("as_of", "at", "revision")},
    }
