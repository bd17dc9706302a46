"""What a rule is. Which predicate judges, and by which parameters, is data; the predicates are pure functions.

``predicate`` names one of the predicates below, ``params`` are its parameters as they stand in the pack. Shares are
whole numbers of a hundred. A rule whose predicate is ``absent`` waits for data that nobody can supply yet.

============== =========== ==========================================================================================
predicate      kind        parameters (``?``: may be left out)
============== =========== ==========================================================================================
person         absence     by: 2 or 3 (working days after the go-live), at: noon or end
joiner         absence     by: 3
one_and_done   absence     after: 5 (expected days)
lapsed         absence     after: 10 (expected days), gaps: 2 (times the own median gap), cadence: 3 of weeks: 4
checkpoint     threshold   n: 1, 3 or 5, below, recovers_at, until: n of the last day, small?: severity from five people
                           on, where there are fewer than ``minimum``
drop           change      metric (or actions_per_active_person), baseline: week1 or trailing4, relative: 10,
                           loss: 2, windows: 2, chance: 20, collapse: 3, collapse_share: 25, collapse_up_to?: 10 (where
                           more were active, one more must be lost), calm: 5, calm_windows: 2
threshold      threshold   metric, of?, below or at_least (a share, or ``target``: the phase's), windows: 2,
                           closes_at (a share, or ``target``), close_windows: 2, over_trailing? (times, of a hundred),
                           targets? (by phase: what ``target`` stands for; left out: the metric's own), window?: week,
                           28d or month (left out: week); the newest in which the metric has settled. ``of`` left
                           out: of all parameters together. It opens as well with rise? points more than four windows
                           before while rise_with? (a metric) rose too, or where companion? (handoff_read) is below
                           companion_below?; that is over at companion_closes_at?
gap            threshold   metric, points: 15, windows: 3, closes_under: 8
norm           threshold   metric, by_week: 4, trend_weeks: 3, targets?
projected      change      metric, days: 14, trend_weeks: 4, targets?
sustained      streak      metric, at_least: 90, months: 6
shift          change      metric, stable_within: 5, lost: 25
champions      threshold   per: 100
sponsors       absence     (a wave in one of the rule's phases names its sponsor)
busy_stale     composite   stale: 30, next_step: 50
parts          composite   rules: [ids; several in one list count as one], at_least: 3, metric: that must be at its
                           target, targets?
silent         sla         (what the source itself is expected to send)
operations     sla         signal: watermark, directory, unmapped, rejects, deliveries, automation or restatement; of
                           these as the signal wants: hours?, share?, count?, points?
absent         any         opens, closes: when it would, in words
============== =========== ==========================================================================================

Names in the braces of a title: ``wave num den`` (checkpoint), ``wave`` (person), ``source since`` (silent), ``group num
den value week base_num base_den base_value`` (drop), ``group metric week value base_value`` (operations, of a
restatement), none (joiner, one_and_done, lapsed, champions, sponsors, other operations, absent), else ``group num den
value limit``. ``group`` is what people call the subject: the name of a wave, team or role, and of the tenant's rollout.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

Kind: TypeAlias = Literal["threshold", "change", "absence", "streak", "sla", "composite"]
SubjectKind: TypeAlias = Literal["user", "team", "role", "wave", "tenant"]
SeverityName: TypeAlias = Literal["info", "warning", "critical", "emergency"]
Json: TypeAlias = "bool | int | str | list[Json] | dict[str, Json] | None"

AUDIENCES: Final = (
    "manager",
    "manager_of_manager",
    "team_lead",
    "champion",
    "crm_owner",
    "sponsor",
    "steering",
    "training_lead",
    "data_owner",
    "finance",
    "support_lead",
    "operations",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule as it is published.

    Rules of one ``family`` share an episode: the louder takes the place of the other. ``phases``: those it is active
    in, empty: all. ``minimum``: the least denominator it judges. ``inputs``: kinds of data it needs, as of metrics.
    ``severity`` is that of a confirmed alert; ``suspected``: how loud it is before; None: nothing is only suspected.
    ``louder``: another severity for a kind of subject, or in a phase. ``title`` holds names in braces that the
    predicate fills in.
    ``inhibited_by``: rules that speak for it while they are open on the same wave, team or the tenant above.
    ``group_by``: what one message to a recipient holds together. ``version`` rises when what it finds changes.
    """

    id: str
    family: str
    kind: Kind
    predicate: str
    title: str
    subjects: tuple[SubjectKind, ...]
    severity: SeverityName
    audience: tuple[str, ...]
    action: str
    seed: str
    rationale: str
    params: Mapping[str, Json] = field(default_factory=lambda: MappingProxyType({}))
    suspected: SeverityName | None = None
    louder: Mapping[str, SeverityName] = field(default_factory=lambda: MappingProxyType({}))
    phases: tuple[str, ...] = ()
    minimum: int = 1
    inputs: tuple[str, ...] = ()
    evidence: tuple[str, ...] = ()
    inhibited_by: tuple[str, ...] = ()
    group_by: tuple[str, ...] = ()
    question: str | None = None
    pack: str = "adoption"
    enabled: bool = True
    version: int = 1
