"""What people and software do: the events of the story, by the instant they happen.

Habits are steady: everyone has a review day (Monday or Friday) in every week they are there, so a healthy week never
looks like a loss. Each person draws from a source of chance of their own, so nobody's story moves another's.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from random import Random
from typing import Any, Final
from zoneinfo import ZoneInfo

from services.simulator import cast, plot
from services.simulator.cast import Person, Story
from services.simulator.deals import DEAL, Desk

ZONE: Final = ZoneInfo(plot.TIME_ZONE)
DAY: Final = timedelta(days=1)
SATURDAY: Final = 5

Event = dict[str, Any]

PACE: Final = {
    cast.LEAD: 6.0,
    cast.EXECUTIVE: 4.5,
    "sales_developer": 4.5,
    "service_agent": 4.0,
    "success_manager": 3.5,
}
"""The middle of a person's actions in a day."""
FEWEST: Final = 2
MOST: Final = 30

HOURS: Final = (0.5, 1.0, 1.2, 1.1, 0.5, 0.9, 1.2, 1.1, 0.8)
"""How busy each hour after arrival is: a slow start, and lunch."""

OBJECTS: Final = {
    cast.LEAD: (DEAL, DEAL, DEAL, "account"),
    cast.EXECUTIVE: (DEAL, DEAL, "account", "contact"),
    "sales_developer": ("lead", "contact", "account"),
    "service_agent": ("case", "contact", "case"),
    "success_manager": ("account", "case", "contact"),
}
ACTIONS: Final = (
    ("crm.record.viewed", 40),
    ("crm.record.updated", 26),
    ("crm.record.created", 8),
    ("crm.record.stage_changed", 6),
    ("crm.search.performed", 10),
    ("crm.report.viewed", 4),
    ("crm.task.completed", 6),
)
NAMES: Final = tuple(name for name, _ in ACTIONS)
WEIGHTS: Final = tuple(weight for _, weight in ACTIONS)
STAGES: Final = ("new", "in progress", "waiting")
"""Those of what is no deal."""
REPORTS: Final = ("pipeline-by-stage", "open-cases", "my-week", "forecast")
SERVICE_SOURCES: Final = frozenset(cast.SERVICE)


@dataclass(frozen=True, slots=True)
class Habit:
    """How one person works: the review day they never miss, how often else, and how they sign in."""

    review: int
    share: float
    pace: float
    mobile: float
    login: float


def instant(day: date, seconds: float) -> datetime:
    """Return the UTC instant ``seconds`` after local midnight of ``day``, by the clock on the wall."""
    hour, rest = divmod(round(seconds * 1000), 3_600_000)
    return _full_hour(day, hour) + timedelta(milliseconds=rest)


@cache
def _full_hour(day: date, hour: int) -> datetime:
    return (datetime.combine(day, time(), tzinfo=ZONE) + timedelta(hours=hour)).astimezone(UTC)


def stamp(moment: datetime) -> str:
    """Return ``moment`` in RFC 3339 with milliseconds."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def rng_of(story: Story, name: str) -> Random:
    """Return the source of chance that belongs to ``name`` alone."""
    return Random(f"{story.seed}/{name}")  # noqa: S311 - a simulation wants repeatable chance, not secrets


def habit(story: Story, person: Person) -> Habit:
    """Return the habit of ``person``."""
    rng = rng_of(story, f"habit/{person.user}")
    return Habit(
        review=rng.choice((0, 4)),
        share=1.0 if person.team == plot.MASQUERADE else rng.uniform(0.75, 0.97),
        pace=PACE[person.role] * rng.uniform(0.75, 1.3),
        mobile=rng.choice((0.0, 0.0, 0.1, 0.6)),
        login=rng.choice((0.3, 0.8, 1.0)),
    )


def days(story: Story, person: Person) -> Iterator[date]:
    """Yield the local days on which ``person`` uses the product, in order."""
    if person.comes is None:
        return
    rng, custom = rng_of(story, f"days/{person.user}"), habit(story, person)
    day = person.comes
    while day < plot.LAST_NIGHT:
        chance = rng.random()
        expected = day.weekday() < SATURDAY and day not in plot.HOLIDAYS
        fixed = day == person.comes or (expected and day.weekday() == custom.review)
        if person.present(day) and (fixed or chance < (custom.share if expected else 0.012)):
            yield day
        day += DAY


def of_person(story: Story, person: Person) -> Iterator[Event]:
    """Yield every event of ``person``: training, a pilot's early trial, then the days of use."""
    rng, custom = rng_of(story, f"acts/{person.user}"), habit(story, person)
    clerk, desk = _Clerk(person.user), Desk(story, person)
    if rng.random() < 0.96:  # noqa: PLR2004 - nearly everyone was trained in the week before
        day = person.wave.go_live - timedelta(days=rng.choice((3, 4, 5, 6)))
        module = {"user": person.user, "origin": "ui", "module": "first-steps", "delivery": "classroom"}
        yield clerk.event(instant(day, rng.uniform(9, 16) * 3600), "/learning", "training.module.completed", module)
    if person.pilot:
        for offset in (14, 13, 11):
            yield from _day(clerk, person, custom, desk, person.wave.go_live - timedelta(days=offset), rng)
    if person.synced:
        yield from _synced(clerk, person, rng)
    for day in days(story, person):
        yield from _day(clerk, person, custom, desk, day, rng)


def of_machines(story: Story) -> Iterator[Event]:
    """Yield what software, unknown users and nobody at all did: bursts at night, and a trickle by day."""
    rng = rng_of(story, "machines")
    sync, imports, nobody = _Clerk(cast.SYNC_ACCOUNT), _Clerk(cast.IMPORT_ACCOUNT), _Clerk("job")
    strangers = [_Clerk(f"ext-{number:02d}") for number in range(1, 10)]
    day = plot.FIRST_DAY
    while day <= plot.LAST_NIGHT:
        yield from _burst(sync, day, 1.0, rng.randint(30, 90), rng)
        yield from _burst(nobody, day, 2.5, 4, rng)
        if day.weekday() in {1, 4} and day < plot.LAST_NIGHT:
            yield from _burst(imports, day, 23.2, 130, rng)
        if day.weekday() < SATURDAY and day < plot.LAST_NIGHT:
            for clerk in rng.sample(strangers, 3):
                yield from _burst(clerk, day, rng.uniform(9, 16), 3, rng)
        day += DAY


class _Clerk:
    """Numbers the events of one actor."""

    def __init__(self, actor: str) -> None:
        self.actor = actor
        self._count = 0

    def event(self, moment: datetime, source: str, kind: str, data: dict[str, Any]) -> Event:
        self._count += 1
        return {
            "specversion": "1.0",
            "id": f"{self.actor}-{self._count:05d}",
            "source": source,
            "type": kind,
            "time": stamp(moment),
            "datacontenttype": "application/json",
            "data": data,
        }


def _day(clerk: _Clerk, person: Person, custom: Habit, desk: Desk, day: date, rng: Random) -> Iterator[Event]:
    mobile = rng.random() < custom.mobile or day.weekday() >= SATURDAY
    source = "/crm/mobile" if mobile else "/crm/service" if person.role in SERVICE_SOURCES else "/crm/sales"
    common = {"user": person.user, "origin": "mobile" if mobile else "ui"}
    start = rng.uniform(8.1, 9.8) * 3600
    if rng.random() < custom.login:
        yield clerk.event(instant(day, start - 20), source, "crm.session.login", {**common, "method": "sso"})
    while desk.new:
        yield clerk.event(instant(day, start - 10), source, "crm.record.created", {**common, **desk.new.pop()})
    middle = custom.pace / 2 if mobile else custom.pace
    count = min(max(round(rng.lognormvariate(math.log(middle), 0.45)), FEWEST), MOST)
    hours = rng.choices(range(len(HOURS)), HOURS, k=count - 1)
    moments = [start, *sorted(start + (hour + rng.random()) * 3600 * 0.88 for hour in hours)]
    for moment, kind in zip(moments, rng.choices(NAMES, WEIGHTS, k=count), strict=True):
        yield clerk.event(instant(day, moment), source, kind, {**common, **_detail(kind, person, desk, rng)})


def _detail(kind: str, person: Person, desk: Desk, rng: Random) -> dict[str, Any]:
    if kind == "crm.search.performed":
        return {}
    if kind == "crm.report.viewed":
        return {"report": rng.choice(REPORTS)}
    if kind == "crm.task.completed":
        return {"task": "follow-up", "automatic": rng.random() < 0.3}  # noqa: PLR2004 - a third are made by rules
    kept = rng.choice(OBJECTS[person.role])
    if kept == DEAL:
        deal = None if kind == "crm.record.created" else desk.turn(kind, rng)
        if deal is not None:
            return deal
        kept = "account"
    detail: dict[str, Any] = {"object": kept, "record": f"{kept[:3]}-{rng.randrange(1200):04d}"}
    if kind == "crm.record.stage_changed":
        detail["stage"] = rng.choice(STAGES)
    elif kind == "crm.record.created" and kept == "contact":
        detail["fields"] = desk.filled("email", "phone")
    return detail


def _synced(clerk: _Clerk, person: Person, rng: Random) -> Iterator[Event]:
    """Software acts in the person's name every working morning: activity, but nobody came."""
    day = person.wave.go_live
    while day < plot.LAST_NIGHT:
        if day.weekday() < SATURDAY:
            data = {
                "user": person.user,
                "origin": "sync",
                "object": "contact",
                "record": f"con-{rng.randrange(900):04d}",
            }
            moment = instant(day, 6 * 3600 + rng.random() * 60)
            yield clerk.event(moment, "/integration/erp", "crm.record.updated", data)
        day += DAY


def _burst(clerk: _Clerk, day: date, hour: float, count: int, rng: Random) -> Iterator[Event]:
    start = hour * 3600 + rng.uniform(0, 600)
    machine = clerk.actor in cast.MACHINES
    stranger = clerk.actor.startswith("ext-")
    source = "/crm/sales" if stranger else "/integration/erp"
    origin = "ui" if stranger else "import" if clerk.actor == cast.IMPORT_ACCOUNT else "sync"
    user = clerk.actor if machine or stranger else None
    for number in range(count):
        moment = instant(day, start + number * (40.0 if stranger else 0.4))
        data = {"user": user, "origin": origin, "object": "account", "record": f"acc-{rng.randrange(1200):04d}"}
        yield clerk.event(moment, source, "crm.record.updated", data)
