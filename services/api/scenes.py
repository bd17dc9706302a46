"""What an answer about a group's metrics rests on: its numbers in a range, and what is known of it beside them.

One snapshot: every part of an answer was true at the same instant.
"""

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final, get_args
from zoneinfo import ZoneInfo

from schemas.sources import tells_merges
from services.api.auth import Caller
from services.api.days import local_day
from services.api.problems import invalid
from services.api.quality import group_views
from services.api.shapes import FIRST_DAY
from services.api.store import contributions, tenants
from services.api.store import metrics as store
from services.api.store.beside import beside
from services.metrics.answers import EXPECTED, Asked, Teller
from services.metrics.catalogue import METRICS, Metric
from services.metrics.levels import MONTHS
from services.metrics.questions import every, questions, spans
from services.metrics.scene import MERGES, Scene, evidence
from services.metrics.shape import EVERYBODY, Interval, week_of
from services.metrics.values import Cells, bases
from services.metrics.windows import Name
from services.postgres import Connection
from services.sight import Curtain
from services.sight.store import lines

DEFAULT: Final = timedelta(days=27)
_DAY: Final = timedelta(days=1)
MOST_DAYS: Final = 800
MOST_SUBJECT_WEEKS: Final = 200_000
"""How many people and weeks are added up anew for a group as it is now."""
_BESIDE: Final = ("X", "A", "off")
MEMBERSHIP: Final = frozenset({"team", "role", "function", "location", "segment"})
"""What a person moves between. Nobody leaves the tenant's total, and a wave is decided by its go-live."""
WINDOWS: Final[tuple[Name, ...]] = get_args(Name)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which numbers of which group are asked for. ``as_of``: as they were known then. ``as_is``: of today's members."""

    dimension: str
    key: str
    window: Name
    first: date
    last: date
    as_of: datetime | None = None
    as_is: bool = False
    reach: timedelta | None = timedelta()
    """How much earlier days are read, to compare with; None: all that was ever counted."""

    @property
    def group(self) -> tuple[str, str]:
        """Return the group."""
        return self.dimension, self.key


@dataclass(frozen=True, slots=True)
class Gathered:
    """Who tells of a group; ``windows``: those asked for, none of the future."""

    wanted: Wanted
    teller: Teller
    windows: Sequence[Interval]
    today: date

    @property
    def cells(self) -> Cells:
        """Return the numbers of the group."""
        return self.teller.cells

    @property
    def scene(self) -> Scene:
        """Return what is known beside them."""
        return self.teller.scene

    def questions(self, metrics: Sequence[Metric], of: str | None = None) -> list[Asked]:
        """Return all that is asked of ``metrics``; ``of``: for this parameter only."""
        if of is None:
            return every(metrics, self.teller, self.wanted.window, self.windows)
        return [asked for metric in metrics for asked in questions(metric, [of], self.wanted.window, self.windows)]


def group_of(dimension: str | None, key: str | None) -> tuple[str, str]:
    """Return the group that is named; none: everybody.

    Raises:
        ProblemError: a dimension without a key, or a tenant by another key than its own.
    """
    if dimension in (None, "tenant"):
        if key not in (None, EVERYBODY):
            raise invalid(f"The one key of 'tenant' is '{EVERYBODY}'; name a dimension for others.", parameter="key")
        return "tenant", EVERYBODY
    if key is None:
        raise invalid(f"Name one {dimension} with 'key'.", parameter="key")
    return str(dimension), key


def windows_of(metric: Metric) -> tuple[str, ...]:
    """Return the windows a metric is offered in."""
    return ("month",) if metric is MONTHS else metric.windows


def offered(metric: Metric, window: Name | None) -> Name:
    """Return the window to show ``metric`` in.

    Raises:
        ProblemError: the metric is not counted for such a window.
    """
    offers = windows_of(metric)
    name = window or ("week" if "week" in offers else offers[0])
    if name not in offers:
        listed = "', '".join(offers)
        raise invalid(f"{metric.id} is offered in '{listed}'.", parameter="window")
    return name  # type: ignore[return-value]


def span_of(first: date | None, last: date | None, today: date | None) -> tuple[date, date]:
    """Return the days asked for, none after ``today``.

    Raises:
        ProblemError: the last lies before the first, or they are too far apart.
    """
    if last is None:
        last = max((day for day in (first, today) if day is not None), default=FIRST_DAY)
    first = first or max(last - DEFAULT, FIRST_DAY)
    if first > last:
        raise invalid("'from' must not lie after 'to'.", parameter="from")
    last = min(last, today) if today is not None else last
    if (last - first).days > MOST_DAYS:
        raise invalid(f"Ask for {MOST_DAYS} days at most.", parameter="from")
    return first, last


async def sees(caller: Caller, connection: Connection, dimension: str, key: str) -> bool:
    """Return whether the caller may ask about a group: a bound key about the teams of its line, and no wider group."""
    line = await caller.line(connection)
    if line is None:
        return True
    if dimension != "team":
        return False
    return key in await lines.teams(connection, caller.tenant.id, line, await caller.today(connection))


async def now_of(caller: Caller, connection: Connection) -> tuple[datetime, date] | None:
    """Return the tenant's now and today; None: it has not begun."""
    now = await tenants.now_of(connection, caller.tenant, caller.now)
    return None if now is None else (now, local_day(now, caller.tenant.time_zone))


async def gather(
    caller: Caller, connection: Connection, wanted: Wanted, now: datetime, metrics: Iterable[Metric] | None = None
) -> Gathered:
    """Return what answers about ``metrics`` (None: all) rest on."""
    tenant = caller.tenant
    first_day = tenant.first_day_of_week
    windows = spans(wanted.window, wanted.first, wanted.last, first_day)
    start = min((span.start for span in windows), default=wanted.first) - (wanted.reach or timedelta())
    end = max((span.end for span in windows if span.end), default=wanted.last)
    today = local_day(now, tenant.time_zone)
    counted = {basis.code: basis for metric in metrics or METRICS.values() for basis in bases(metric)}
    question = store.Question(
        wanted.dimension,
        wanted.key,
        start,
        min(end, local_day(_until(caller, wanted, now), tenant.time_zone) + _DAY),
        whole=[code for code, metric in counted.items() if wanted.reach is None or metric.combination == "cumulative"],
        only=None if metrics is None else [*counted, *_BESIDE, EXPECTED, *_companions(counted.values())],
        as_of=wanted.as_of,
        stepped=_shy(caller),
    )
    read = _as_is(caller, connection, question, today) if wanted.as_is else store.cells(connection, tenant.id, question)
    span = date.min if question.whole else week_of(start, first_day), end
    return Gathered(wanted, Teller(await read, await _scene(caller, connection, wanted, now, span)), windows, today)


def _shy(caller: Caller) -> bool:
    """Tell whether nothing may be told from which single persons follow, by what is told as of other days."""
    return caller.tenant.min_group > 1 and not caller.sees_individuals


def _until(caller: Caller, wanted: Wanted, now: datetime) -> datetime:
    """Return the tenant's now at the time that is asked for: days after it are counted by nobody yet."""
    return now if wanted.as_of is None or caller.tenant.clock != "wall" else min(now, wanted.as_of)


def _companions(metrics: Iterable[Metric]) -> list[str]:
    return [code for metric in metrics for code in metric.companions.values()]


async def _as_is(caller: Caller, connection: Connection, question: store.Question, today: date) -> Cells:
    people = await store.members(connection, caller.tenant.id, question.dimension, [question.key], today)
    weeks = (question.end - question.start).days // 7 + 1
    if len(people) * weeks > MOST_SUBJECT_WEEKS:
        raise invalid("The group is too large for so many weeks as it is now: ask for fewer.", parameter="from")
    return await contributions.as_is(connection, caller.tenant.id, people, question)


async def _scene(
    caller: Caller, connection: Connection, wanted: Wanted, now: datetime, span: tuple[date, date]
) -> Scene:
    tenant = caller.tenant
    known = await beside(connection, tenant.id, wanted.group, span, now)
    weeks = known.hidden
    if wanted.as_of is not None and _shy(caller):
        weeks += await store.regrouped(connection, tenant.id, wanted.group, wanted.as_of)
    hidden = frozenset((week, *wanted.group) for week in weeks)
    curtain = Curtain(tenant.min_group, tenant.first_day_of_week, known.weeks, hidden)
    seen, kinds = evidence(known.codes)
    return Scene(
        now=_until(caller, wanted, now),
        zones=_zones((tenant.time_zone, *known.zones)),
        first_day_of_week=tenant.first_day_of_week,
        min_group=tenant.min_group,
        measured=known.weeks[1] if known.weeks else None,
        since=known.weeks[0] if known.weeks else None,
        seen=seen,
        kinds=kinds | {MERGES} if tells_merges(known.kinds, told=known.merged) else kinds,
        active=known.active,
        approved=wanted.dimension == "tenant"
        or (await group_views(connection, caller, known.approved_at, known.version)).enabled,
        past=wanted.as_of is not None,
        individuals=caller.sees_individuals and caller.person is None,
        named=caller.sees_individuals,
        closed=wanted.as_is and not caller.sees_individuals,
        hides=functools.partial(curtain.hides, wanted.group),
        silences=known.silences,
    )


@functools.cache
def _zones(names: tuple[str, ...]) -> tuple[ZoneInfo, ...]:
    return tuple(dict.fromkeys(map(ZoneInfo, names)))
