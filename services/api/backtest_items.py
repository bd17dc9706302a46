"""What a backtest looks like: the episodes of rules, how many, what they would have asked of whom, what they find."""

from datetime import date, datetime
from typing import Any, Final, Literal

from pydantic import Field, StrictInt

from services.api.alerts import Subject
from services.api.shapes import Anything, Day, Given, Identifier, Shown
from services.rules.sweep import MOST


class BacktestGiven(Given):
    """Which rules to try, on which days. Neither ``rules`` nor ``text``: the rules that stand."""

    rules: list[Anything] | None = Field(
        default=None, description="Each as `PUT /v1/rules/{id}` takes it, with its id."
    )
    text: str | None = Field(default=None, max_length=500_000, description="The same in YAML: a list, or a pack.")
    from_: Day | None = Field(default=None, alias="from", description="The first day; null: from the beginning.")
    to: Day | None = Field(default=None, description="The last day; null: until now.")
    knowledge: Literal["now", "then"] = Field(
        default="now", description="`then`: each day is judged by what was known on it; `now`: by all that is known."
    )
    sweep: "SweepGiven | None" = Field(default=None, description="One parameter of a rule at several values.")


class SweepGiven(Given):
    """A parameter, and the values to try. The rule is a draft or one that stands."""

    rule: Identifier
    parameter: str = Field(min_length=1, max_length=40)
    values: list[StrictInt] = Field(min_length=1, max_length=MOST)


class EpisodeShown(Shown):
    """An alert as there would have been one. ``opened_on``, ``closed_on``: the days of the tenant.

    ``told_at``: when people would have been told first.
    """

    id: str
    rule: str
    rule_version: int
    severity: str
    tier: str
    suppressed_by: str | None = None
    subject: Subject
    wave: str | None = None
    title: str
    opened_at: datetime
    opened_on: date
    told_at: datetime
    closed_at: datetime | None = None
    closed_on: date | None = None
    resolution: str | None = None
    window: Any
    evidence: dict[str, Any]
    audience: list[dict[str, Any]]
    action: str
    episode: int


class RuleTried(Shown):
    """What a rule did. ``partial``: only the present is known, or not everything that it rests on.

    ``knowledge``: what of it could not be judged by what was known then, and why; null: nothing.
    """

    id: str
    version: int
    state: str
    knowledge: str | None = None
    partial: bool
    opens: int
    silenced: int
    closes: int


class PersonAsked(Shown):
    """Whom the directory names, and for how many."""

    role: str
    person: str
    opens: int


class Borne(Shown):
    """What people would have got. Messages: emergencies at once, interruptions in working hours, and digests.

    ``alerts``: of how many these tell first. ``over_budget``, ``outside_hours``: alerts that waited for a morning.
    """

    at_once: int
    in_hours: int
    digests: int
    alerts: int
    over_budget: int
    outside_hours: int


class RecipientShown(Borne):
    """What a recipient would have got; null: ``people`` who are not named to this key, together."""

    role: str
    recipient: str | None = None
    people: int


class WeekOfLoad(Shown):
    """What would have been opened in a week, for whom, and what they get. ``unheard``: alerts that reach nobody."""

    week: date
    opens: int
    silenced: int
    roles: dict[str, int]
    people: list[PersonAsked]
    unheard: int
    recipients: list[RecipientShown]


class ValueTried(Borne):
    """What a rule does with a value. ``most_interruptions``: of one recipient in one week."""

    value: int
    opens: int
    silenced: int
    closes: int
    subjects: int
    left_off: int
    most_interruptions: int


class SweepShown(Shown):
    """What a rule does with each value of a parameter."""

    rule: str
    parameter: str
    values: list[ValueTried]


class SizeFound(Shown):
    """The highest level to which a lasting fall from ``base`` is found in so many people, in hundredths; null: none."""

    people: int
    base: int
    to: int | None = None


class TeamFound(SizeFound):
    """The same of a team, of whose people so many were ``active`` in its first week."""

    team: str
    wave: str
    go_live: date
    active: int


class Detectable(Shown):
    """What a rule finds within four weeks in four of five cases. ``base`` and ``to``: the share of active people."""

    rule: str
    sizes: list[SizeFound]
    teams: list[TeamFound]


class BacktestShown(Shown):
    """A backtest. ``as_of``: what is known up to then was judged. ``left_off``: so many older episodes are not told."""

    id: str
    state: Literal["waiting", "running", "finished", "failed"]
    asked_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    error: str | None = None
    first: date | None = Field(default=None, alias="from")
    to: date | None = None
    knowledge: Literal["now", "then"] = "now"
    as_of: datetime | None = None
    rules: list[RuleTried]
    load: list[WeekOfLoad]
    sweep: SweepShown | None = None
    detectable: list[Detectable]
    episodes: list[EpisodeShown]
    left_off: int = 0


ASKED: Final[dict[str, Any]] = {
    "rules": [{"id": "stale-close-dates", "params": {"at_least": 25, "closes_at": 15}}],
    "from": "2026-03-01",
    "to": "2026-04-30",
    "knowledge": "then",
    "sweep": {"rule": "stale-close-dates", "parameter": "at_least", "values": [20, 25, 30]},
}
NOTHING: Final[dict[str, Any]] = {
    "as_of": None,
    "rules": [],
    "load": [],
    "sweep": None,
    "detectable": [],
    "episodes": [],
    "left_off": 0,
}
"""What is known of a backtest before it has a result."""
_BORNE: Final = {"at_once": 0, "in_hours": 0, "digests": 1, "alerts": 1, "over_budget": 0, "outside_hours": 0}
WAITING: Final[dict[str, Any]] = {
    "id": "bt_3f0c6c6d7a2f4e1b",
    "state": "waiting",
    "asked_at": "2026-05-04T12:00:00Z",
    "started_at": None,
    "finished_at": None,
    "error": None,
    "from": "2026-03-01",
    "to": "2026-04-30",
    "knowledge": "then",
    **NOTHING,
}
SHOWN: Final[dict[str, Any]] = {
    **WAITING,
    "state": "finished",
    "started_at": "2026-05-04T12:00:00Z",
    "finished_at": "2026-05-04T12:00:01Z",
    "as_of": "2026-05-04T12:00:00Z",
    "rules": [
        {
            "id": "stale-close-dates",
            "version": 2,
            "state": "active",
            "knowledge": "approximate: weeks in which other people counted are left out",
            "partial": False,
            "opens": 1,
            "silenced": 0,
            "closes": 0,
        }
    ],
    "load": [
        {
            "week": "2026-03-16",
            "opens": 1,
            "silenced": 0,
            "roles": {"team_lead": 1},
            "people": [{"role": "team_lead", "person": "dustin", "opens": 1}],
            "unheard": 0,
            "recipients": [
                {"role": "team_lead", "recipient": "dustin", "people": 1, **_BORNE},
            ],
        }
    ],
    "sweep": {
        "rule": "stale-close-dates",
        "parameter": "at_least",
        "values": [
            {
                "value": 25,
                "opens": 1,
                "silenced": 0,
                "closes": 0,
                "subjects": 1,
                "left_off": 0,
                **_BORNE,
                "most_interruptions": 0,
            }
        ],
    },
    "episodes": [
        {
            "id": "5b0c6c6d7a2f4e1b9a30",
            "rule": "stale-close-dates",
            "rule_version": 2,
            "severity": "warning",
            "tier": "confirmed",
            "suppressed_by": None,
            "subject": {"kind": "team", "key": "North"},
            "wave": None,
            "title": "North: 30 of 100 open opportunities have a close date that has passed",
            "opened_at": "2026-03-16T02:00:00Z",
            "opened_on": "2026-03-16",
            "told_at": "2026-03-16T02:00:00Z",
            "closed_at": None,
            "closed_on": None,
            "resolution": None,
            "window": {"from": "2026-03-02", "to": "2026-03-15"},
            "evidence": {"num": 30, "den": 100, "value": 0.3},
            "audience": [{"role": "team_lead", "person": "dustin"}],
            "action": "Walk through the list in the next pipeline meeting.",
            "episode": 1,
        }
    ],
}
