"""The cast: teams, people, and each one's part in the plot: when they first come, are away, or stop."""

import csv
import io
from dataclasses import dataclass, replace
from datetime import date, timedelta
from random import Random
from typing import Any, Final

from services.simulator import plot
from services.simulator.plot import Wave

Span = tuple[date, date]

# fmt: off
TREES: Final = (
    "Acacia", "Alder", "Ash", "Aspen", "Beech", "Birch", "Cedar", "Cherry", "Cypress", "Elder",
    "Elm", "Fir", "Hazel", "Holly", "Juniper", "Larch", "Laurel", "Linden", "Maple", "Oak",
    "Olive", "Pine", "Plum", "Poplar", "Rowan", "Spruce", "Sycamore", "Walnut", "Willow", "Yew",
)
BIRDS: Final = ("Crane", "Dipper", "Falcon", "Finch", "Heron", "Kestrel", "Lark", "Plover", "Swift", "Wren")
"""A tree and a bird make a name: nobody is called so."""
# fmt: on

LEAD: Final = "team_lead"
EXECUTIVE: Final = "account_executive"
SALES: Final = (EXECUTIVE, "sales_developer")
SERVICE: Final = ("service_agent", "success_manager")
SYNC_ACCOUNT: Final = "svc-erp-sync"
IMPORT_ACCOUNT: Final = "svc-list-import"
MACHINES: Final = (SYNC_ACCOUNT, IMPORT_ACCOUNT)

LICENCE_LEAD: Final = timedelta(days=14)
COLUMNS: Final = ("user", "name", "email", "role", "team", "manager", "licensed_from", "licensed_to", "kind")


@dataclass(frozen=True, slots=True)
class Person:
    """One person of the story. ``comes`` is the first day of use, None for never; ``stops`` the first day without."""

    user: str
    name: str
    role: str
    team: str
    manager: str
    wave: Wave
    licensed_from: date
    licensed_to: date | None = None
    comes: date | None = None
    stops: date | None = None
    away: tuple[Span, ...] = ()
    pilot: bool = False
    synced: bool = False

    @property
    def joiner(self) -> bool:
        """Whether the licence began after the wave went live."""
        return self.licensed_from > self.wave.go_live

    def present(self, day: date) -> bool:
        """Whether the person may be seen on ``day``: has come, has not stopped, is not away."""
        return (
            self.comes is not None
            and self.comes <= day
            and (self.stops is None or day < self.stops)
            and not any(first <= day < end for first, end in self.away)
        )


@dataclass(frozen=True, slots=True)
class Story:
    """The plot with its cast, for one seed."""

    seed: int
    people: tuple[Person, ...]

    def team(self, name: str) -> list[Person]:
        """Return the people of team ``name``."""
        return [person for person in self.people if person.team == name]

    def cohort(self, wave: Wave) -> list[Person]:
        """Return who is in ``wave`` and licensed on its go-live day."""
        return [person for person in self.people if person.wave is wave and not person.joiner]


def working_day(start: date, number: int) -> date:
    """Return the ``number``-th working day after ``start``, which is day 0."""
    day = start
    while number:
        day += timedelta(days=1)
        number -= day.weekday() < 5 and day not in plot.HOLIDAYS  # noqa: PLR2004 - Monday is 0, Saturday 5
    return day


def stage(seed: int = plot.SEED) -> Story:
    """Return the story of ``seed``: the plot is always the same, the habits of the people are the seed's."""
    rng = Random(f"cast/{seed}")  # noqa: S311 - a simulation wants repeatable chance, not secrets
    names = [f"{tree} {bird}" for tree in TREES for bird in BIRDS]
    rng.shuffle(names)
    people: list[Person] = []
    for wave in plot.WAVES:
        hired = _hire(wave, names, len(people) + 1)
        people += _leave(_misfortunes(_arrivals(_turnover(hired), wave, rng), wave), wave, rng)
    return Story(seed, tuple(people))


def _hire(wave: Wave, names: list[str], number: int) -> list[Person]:
    """Return the teams of ``wave``; a team reports to its lead, the leads to the lead of the wave's first team."""
    head = f"u{number:03d}"
    hired: list[Person] = []
    for team, size in wave.teams:
        users = [f"u{number + len(hired) + i:03d}" for i in range(size)]
        pair = SALES if wave.teams.index((team, size)) % 2 else SERVICE
        for i, user in enumerate(users):
            manager = users[0] if i else "" if user == head else head
            role = pair[i % 3 == 0] if i else LEAD
            hired.append(Person(user, names.pop(), role, team, manager, wave, wave.go_live - LICENCE_LEAD))
    return hired


def _turnover(people: list[Person]) -> list[Person]:
    """End and begin the licences of leavers and joiners: the last person of their team."""
    ending, starting = dict(plot.LEAVERS), dict(plot.JOINERS)
    last = {person.team: person.user for person in people}
    out = []
    for person in people:
        part = person
        if last[person.team] == person.user and person.team in ending:
            stops = person.wave.week(ending[person.team])
            part = replace(person, licensed_to=stops - timedelta(days=1), stops=stops)
        elif last[person.team] == person.user and person.team in starting:
            begins = person.wave.week(starting[person.team])
            part = replace(person, licensed_from=begins, comes=begins)
        out.append(part)
    return out


def _arrivals(people: list[Person], wave: Wave, rng: Random) -> list[Person]:
    """Give everyone a first day: the teams of a chapter early, the others in the order of chance."""
    special = {plot.COLLAPSE, plot.EROSION, plot.DIP, plot.OFFLINE}
    order = [person.user for person in people if not person.joiner and person.team != plot.NEVER_CAME]
    rng.shuffle(order)
    team_of = {person.user: person.team for person in people}
    order.sort(key=lambda user: team_of[user] not in special)
    synced = next((user for user in reversed(order) if team_of[user] == plot.SYNCED), None)
    pilots = order[: -plot.PILOTS - 1 : -1] if wave is plot.THIRD else []
    absent = {synced, *pilots[:1]}
    days = [working_day(wave.go_live, n) for n, count in sorted(wave.arrivals.items()) for _ in range(count)]
    first = dict(zip((user for user in order if user not in absent), days, strict=True))
    return [
        replace(
            person,
            comes=first.get(person.user, person.comes),
            pilot=person.user in pilots,
            synced=person.user == synced,
        )
        for person in people
    ]


def _misfortunes(people: list[Person], wave: Wave) -> list[Person]:
    """Take out of use whom the collapse, the erosion and the dip take; leads and the first to come stay."""
    parts: dict[str, Person] = {}
    members = {team: [p for p in people if p.team == team and p.role != LEAD] for team, _ in wave.teams}
    for person in members.get(plot.COLLAPSE, [])[: plot.COLLAPSE_LOST]:
        parts[person.user] = replace(person, stops=wave.week(plot.COLLAPSE_WEEK))
    for person, week in zip(members.get(plot.EROSION, []), plot.EROSION_STOPS, strict=False):
        parts[person.user] = replace(person, stops=wave.week(week))
    for person in members.get(plot.DIP, [])[: plot.DIP_LOST]:
        span = (wave.week(plot.DIP_WEEKS[0]), wave.week(plot.DIP_WEEKS[-1] + 1))
        parts[person.user] = replace(person, away=(span,))
    return [parts.get(person.user, person) for person in people]


def _leave(people: list[Person], wave: Wave, rng: Random) -> list[Person]:
    """Give whole weeks of leave, never to two of a team at once and none where a chapter is told."""
    busy = {plot.COLLAPSE, plot.EROSION, plot.DIP, plot.NEVER_CAME}
    ends = dict(plot.LEAVERS)
    spans: dict[str, Span] = {}
    for team, _ in wave.teams:
        if team in busy:
            continue
        members = [p.user for p in people if p.team == team and p.comes and not p.joiner and p.stops is None]
        rng.shuffle(members)
        weeks = range(4, min(wave.weeks, ends.get(team, 99) - 1) + 1, 2)
        for user, week in zip(members, weeks, strict=False):
            spans[user] = (wave.week(week), wave.week(week + 1))
    return [replace(p, away=(spans[p.user],)) if p.user in spans else p for p in people]


def people_csv(story: Story) -> str:
    """Return the directory as CSV: the people, then the software accounts, which have no licence."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for person in story.people:
        email = f"{person.name.lower().replace(' ', '.')}@example.com"
        ends = person.licensed_to.isoformat() if person.licensed_to else ""
        row = (person.user, person.name, email, person.role, person.team, person.manager, person.licensed_from)
        writer.writerow((*row, ends, "human"))
    for account in MACHINES:
        writer.writerow((account, account, "", "", "", "", "", "", "service"))
    return out.getvalue()


def wave_bodies() -> list[dict[str, Any]]:
    """Return what declares the waves: one body for ``POST /v1/waves`` each."""
    return [
        {
            "id": wave.id,
            "name": wave.name,
            "go_live": wave.go_live.isoformat(),
            "scope": {"teams": [team for team, _ in wave.teams]},
        }
        for wave in plot.WAVES
    ]
