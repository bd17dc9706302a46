"""Small groups behind a curtain, and alerts as a key may see them. Pure: what is hidden is given.

A number of several days is told when the group is hidden in none of the weeks they lie in, and has enough people by
itself. So what two windows differ in tells nothing that the groups of one week do not. Weeks that were not measured yet
count as the last one that was; before there is any, nobody is told but of the tenant as a whole.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from services.metrics.shape import DAYS_A_WEEK, week_of

NAMES: Final = "people"
"""Where evidence names single persons."""
TEAMS: Final = "worst_teams"
OWN_TEAM: Final = "team_connected"
_GROUPS: Final = frozenset({"team", "role", "wave"})
_WEEK: Final = timedelta(days=DAYS_A_WEEK)


@dataclass(frozen=True, slots=True)
class Curtain:
    """What is hidden of a tenant. ``weeks``: the first and the last that were measured; None: not one."""

    least: int
    first_day_of_week: int = 1
    weeks: tuple[date, date] | None = None
    hidden: frozenset[tuple[date, str, str]] = frozenset()

    def hides(self, group: tuple[str, str], first: date, last: date, people: int | None = None) -> bool:
        """Return whether numbers of ``group`` over the days ``first`` to ``last`` stay hidden.

        ``people``: how many the number itself is of, where that is known.
        """
        if self.least <= 1:
            return False
        if people is not None and people < self.least:
            return True
        if self.weeks is None:
            return group[0] != "tenant"
        if not self.hidden:
            return False
        week, end = (
            min(max(week_of(day, self.first_day_of_week), self.weeks[0]), self.weeks[1]) for day in (first, last)
        )
        while week <= end:
            if (week, *group) in self.hidden:
                return True
            week += _WEEK
        return False


@dataclass(frozen=True, slots=True)
class Sight:
    """What a key may see: single persons or not, and of a bound key the people and teams (None: all).

    ``person``: whom the key is bound to.
    """

    individuals: bool
    people: frozenset[str] | None = None
    teams: frozenset[str] | None = None
    person: str | None = None


def sees(sight: Sight, alert: Mapping[str, Any], curtain: Curtain) -> bool:
    """Return whether a key may know of ``alert``, as it is published."""
    kind, key = alert["subject"]["kind"], alert["subject"]["key"]
    if sight.people is not None:
        own = sight.people if kind == "user" else sight.teams if kind == "team" else ()
        if own is None or key not in own:
            return False
    if sight.individuals or (kind == "user" and key == sight.person):
        return True
    if kind == "user":
        return False
    return kind not in _GROUPS or not curtain.hides((kind, key), *span(alert), alert["evidence"].get("den"))


def told(alert: Mapping[str, Any], curtain: Curtain, *, individuals: bool) -> dict[str, Any]:
    """Return ``alert`` without hidden teams in its evidence, or names where no single persons are shown."""
    evidence = dict(alert["evidence"])
    days = span(alert) if {TEAMS, OWN_TEAM} & evidence.keys() else (date.min, date.min)
    if TEAMS in evidence:
        named = [(team, ("team", str(team["team"]))) for team in evidence[TEAMS]]
        evidence[TEAMS] = [team for team, group in named if not curtain.hides(group, *days, team["den"])]
    own = evidence.get(OWN_TEAM)
    if own and curtain.hides(("team", str(evidence.get("team"))), *days, own["den"]):
        evidence[OWN_TEAM] = None
    if individuals:
        return {**alert, "evidence": evidence}
    if isinstance(evidence.get(NAMES), list):  # of some rules it is their number
        del evidence[NAMES]
    return {**alert, "evidence": evidence, **({"assignee": None} if alert.get("assignee") else {})}


def named(alert: Mapping[str, Any]) -> set[str]:
    """Return the people that an alert names."""
    if alert["subject"]["kind"] == "user":
        return {alert["subject"]["key"]}
    names = alert["evidence"].get(NAMES)
    return set(names) if isinstance(names, list) else set()  # of some rules it is their number


def groups_of(alert: Mapping[str, Any]) -> set[tuple[str, str]]:
    """Return the groups of which it must be known whether they are hidden before ``alert`` is told."""
    subject, evidence = alert["subject"], alert["evidence"]
    found = {("team", str(team["team"])) for team in evidence.get(TEAMS) or ()}
    if evidence.get(OWN_TEAM):
        found.add(("team", str(evidence.get("team"))))
    if subject["kind"] in _GROUPS:
        found.add((subject["kind"], subject["key"]))
    return found


def span(alert: Mapping[str, Any]) -> tuple[date, date]:
    """Return the first and the last day that ``alert`` is about."""
    first, last = (date.fromisoformat(str(alert["window"][end])) for end in ("from", "to"))
    return first, last
