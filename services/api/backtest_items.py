"""What a backtest looks like: the episodes of the rules, how many, and whom they would have asked for an answer."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Final, Literal

from pydantic import Field

from services.api.alerts import Subject
from services.api.rule_items import Supply, ordered
from services.api.shapes import Day, Given, Shown
from services.postgres import Row
from services.rules.load import Days, Spoken, by_rule, by_week
from services.rules.shape import Rule


class BacktestGiven(Given):
    """Which rules to try, on which days. Neither ``rules`` nor ``text``: the rules that stand."""

    rules: list[dict[str, Any]] | None = Field(
        default=None, description="Each as `PUT /v1/rules/{id}` takes it, with its id."
    )
    text: str | None = Field(default=None, max_length=500_000, description="The same in YAML: a list, or a pack.")
    from_: Day | None = Field(default=None, alias="from", description="The first day; null: from the beginning.")
    to: Day | None = Field(default=None, description="The last day; null: until now.")


class EpisodeShown(Shown):
    """An alert as there would have been one. ``opened_on``, ``closed_on``: the days of the tenant."""

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
    closed_at: datetime | None = None
    closed_on: date | None = None
    resolution: str | None = None
    window: Any
    evidence: dict[str, Any]
    audience: list[dict[str, Any]]
    action: str
    episode: int


class RuleTried(Shown):
    """What a rule did. ``partial``: only the present is known, or not everything that it rests on."""

    id: str
    version: int
    state: str
    partial: bool
    opens: int
    silenced: int
    closes: int


class PersonAsked(Shown):
    """Somebody who would have been told, and of how many."""

    role: str
    person: str
    opens: int


class WeekOfLoad(Shown):
    """What would have been opened in a week, and of how many each role and person would have been told."""

    week: date
    opens: int
    silenced: int
    roles: dict[str, int]
    people: list[PersonAsked]


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
    as_of: datetime | None = None
    rules: list[RuleTried]
    load: list[WeekOfLoad]
    episodes: list[EpisodeShown]
    left_off: int = 0


ASKED: Final[dict[str, Any]] = {
    "rules": [{"id": "stale-close-dates", "params": {"at_least": 25, "closes_at": 15}}],
    "from": "2026-03-01",
    "to": "2026-04-30",
}
WAITING: Final[dict[str, Any]] = {
    "id": "bt_3f0c6c6d7a2f4e1b",
    "state": "waiting",
    "asked_at": "2026-05-04T12:00:00Z",
    "started_at": None,
    "finished_at": None,
    "error": None,
    "from": "2026-03-01",
    "to": "2026-04-30",
    "as_of": None,
    "rules": [],
    "load": [],
    "episodes": [],
    "left_off": 0,
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
        }
    ],
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


def shown(
    row: Row, episodes: Sequence[Mapping[str, Any]], rules: Mapping[str, Rule], supply: Supply, first_day_of_week: int
) -> dict[str, Any]:
    """Return a backtest as JSON shows it, counted from the ``episodes`` that the key may see."""
    request, result = row["request"], row["result"]
    told = {
        **{name: row[name] for name in ("id", "asked_at", "started_at", "finished_at", "error")},
        "state": _state(row),
        **{name: request.get(name) for name in ("from", "to")},
        "as_of": None,
        "rules": [],
        "load": [],
        "episodes": [],
        "left_off": 0,
    }
    if result is None:
        return told
    days = Days(_day(request.get("from")), _day(request.get("to")))
    spoken = [_spoken(each) for each in episodes]
    asked = request.get("rules") or rules
    return {
        **told,
        "as_of": result["as_of"],
        "rules": _rules([rule for rule in ordered(rules) if rule.id in asked], spoken, days, result, supply),
        "load": by_week(spoken, days, first_day_of_week),
        "episodes": list(episodes),
        "left_off": result["left_off"],
    }


def _state(row: Row) -> str:
    if row["finished_at"] is not None:
        return "finished" if row["error"] is None else "failed"
    return "waiting" if row["started_at"] is None else "running"


def _rules(
    rules: Sequence[Rule], spoken: Sequence[Spoken], days: Days, result: Mapping[str, Any], supply: Supply
) -> list[dict[str, Any]]:
    counts = by_rule(spoken, days)
    return [
        {
            "id": rule.id,
            "version": rule.version,
            "state": supply.state(rule)[0],
            "partial": rule.id in result["partial"],
            **{name: counts[rule.id][name] if rule.id in counts else 0 for name in ("opens", "silenced", "closes")},
        }
        for rule in rules
    ]


def _spoken(episode: Mapping[str, Any]) -> Spoken:
    heard = tuple((each["role"], each.get("person")) for each in episode["audience"])
    opened, closed = date.fromisoformat(episode["opened_on"]), _day(episode["closed_on"])
    return Spoken(episode["rule"], opened, closed, episode["suppressed_by"] is not None, heard)


def _day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)
