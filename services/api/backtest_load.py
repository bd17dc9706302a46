"""What a backtest would have asked of people: who would have got what, by the same decisions as of what is sent.

The directory is that of today, and everybody is told by mail. Whoever sees no single persons is told of roles.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from functools import partial
from typing import Any, Final

from schemas.subscriptions import PeopleOptions
from services.hearing.looking import Staff, staff
from services.hearing.pace import Budget
from services.hearing.rehearsal import COUNTED, Bounds, Load, rehearse, turns, unheard
from services.hearing.shape import Alert
from services.hearing.store import house
from services.metrics.shape import week_of
from services.postgres import Connection
from services.rules.load import Days, Spoken, by_week
from services.sight import Curtain, Sight, sees

_OPTIONS: Final = PeopleOptions()
_GROUPS: Final = Sight(individuals=False)


@dataclass(frozen=True, slots=True)
class Stage:
    """Before whom a rehearsal is held. ``seen``: what the key sees; ``until``: how long messages are waited for."""

    staff: Staff
    seen: Sight
    days: Days
    until: datetime

    @property
    def first_day_of_week(self) -> int:
        """1: Monday."""
        return self.staff.house.first_day_of_week

    def load(self, episodes: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Return the weeks of ``episodes``: what opens in each, and who gets what."""
        chosen = self._chosen(episodes)
        opened = by_week(map(spoken, chosen), self.days, self.first_day_of_week)
        rows = {row["week"]: self._named(row) for row in opened}
        nothing: dict[str, Any] = {"opens": 0, "silenced": 0, "roles": {}, "people": []}
        shares = self._shares(chosen)
        lost = self._lost(chosen)
        weeks = sorted({*rows, *(share.week for share in shares)})
        return [
            {
                "week": week,
                **(rows.get(week) or nothing),
                "unheard": lost[week],
                "recipients": self._rows({share: counts for share, counts in shares.items() if share.week == week}),
            }
            for week in weeks
        ]

    def summary(self, episodes: Sequence[Mapping[str, Any]]) -> dict[str, int]:
        """Return what ``episodes`` ask of everybody together, and of the one they interrupt most in a week."""
        shares = self._shares(self._chosen(episodes))
        total = sum(shares.values(), Counter[str]())
        busiest = Counter[tuple[date, str]]()
        for share, counts in shares.items():
            busiest[share.week, share.recipient] += counts["at_once"] + counts["in_hours"]
        return {**{name: total[name] for name in COUNTED}, "most_interruptions": max(busiest.values(), default=0)}

    def _named(self, row: Mapping[str, Any]) -> dict[str, Any]:
        return {**row, "people": [each for each in row["people"] if self._names(each["person"])]}

    def _chosen(self, episodes: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        return [each for each in episodes if self.days.hold(date.fromisoformat(each["opened_on"]))]

    def _shares(self, episodes: Iterable[Mapping[str, Any]]) -> dict[Load, Counter[str]]:
        hours = partial(
            self.staff.hours, opens=time.fromisoformat(_OPTIONS.opens), closes=time.fromisoformat(_OPTIONS.closes)
        )
        bounds = Bounds(Budget(_OPTIONS.per_day, _OPTIONS.per_week), first_day_of_week=self.first_day_of_week)
        happening = [turn for each in episodes for turn in turns(alert_of(each), _instant(each["told_at"]))]
        return rehearse(happening, self.staff.directory, hours, bounds, self.until)

    def _lost(self, episodes: Sequence[Mapping[str, Any]]) -> Counter[date]:
        """Return by the week in which they open how many reach nobody."""
        alone = {alert.id for alert in unheard(map(alert_of, episodes), self.staff.directory)}
        opened = (date.fromisoformat(each["opened_on"]) for each in episodes if each["id"] in alone)
        return Counter(week_of(day, self.first_day_of_week) for day in opened)

    def _rows(self, shares: Mapping[Load, Counter[str]]) -> list[dict[str, Any]]:
        """Return the shares of a week; those of whom the key does not see are one for each role."""
        found: dict[tuple[str, str | None], Counter[str]] = {}
        for share, counts in shares.items():
            name = share.recipient if self._names(share.recipient) else None
            found.setdefault((share.role, name), Counter()).update({**counts, "people": 1})
        ordered = sorted(found.items(), key=lambda row: (row[0][0], row[0][1] or ""))
        return [
            {"role": role, "recipient": name, "people": counts["people"], **{each: counts[each] for each in COUNTED}}
            for (role, name), counts in ordered
        ]

    def _names(self, recipient: str) -> bool:
        return self.seen.individuals and (self.seen.people is None or recipient in self.seen.people)


async def stage(
    connection: Connection,
    tenant: str,
    episodes: Sequence[Mapping[str, Any]],
    seen: Sight,
    curtain: Curtain,
    days: Days,
    today: date,
    until: datetime,
) -> Stage:
    """Return the stage for ``episodes``, of which small groups are told to nobody where nobody is named."""
    alerts = [alert_of(each) for each in episodes]
    known = await staff(connection, tenant, await house(connection, tenant), alerts, today)
    if not known.directory.names_people:
        groups = [each for each in episodes if each["subject"]["kind"] != "user"]
        hidden = frozenset(each["id"] for each in groups if not sees(_GROUPS, each, curtain))
        known = replace(known, directory=replace(known.directory, hidden=hidden))
    return Stage(known, seen, days, until)


def spoken(episode: Mapping[str, Any]) -> Spoken:
    """Return what an episode counts for."""
    heard = tuple((each["role"], each.get("person")) for each in episode["audience"])
    opened, closed = date.fromisoformat(episode["opened_on"]), episode["closed_on"]
    ended = None if closed is None else date.fromisoformat(closed)
    return Spoken(episode["rule"], opened, ended, episode["suppressed_by"] is not None, heard)


def alert_of(episode: Mapping[str, Any]) -> Alert:
    """Return an episode as an alert that people are told of."""
    closed = episode["closed_at"]
    return Alert(
        **{name: episode[name] for name in ("id", "rule", "severity", "tier", "suppressed_by", "wave", "title")},
        **{name: episode[name] for name in ("resolution", "evidence", "audience", "action")},
        state="open" if closed is None else "resolved",
        subject_kind=episode["subject"]["kind"],
        subject_key=episode["subject"]["key"],
        opened_at=_instant(episode["opened_at"]),
        resolved_at=None if closed is None else _instant(closed),
        escalation=0,
    )


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
