"""``/v1/metrics/{metric}/explain``: who is in a number and who is left out, and why.

Names are shown as the tenant allows; to a bound key those of its line. Whoever looks is written down.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated, Any, Final, NamedTuple

import msgspec
from fastapi import APIRouter, Query
from starlette.responses import Response

from services.api import cursors, scenes
from services.api.auth import Caller, Reader
from services.api.metric_items import SHOWN, ValueShown, item
from services.api.metrics import Dimension, known, parameter_of
from services.api.problems import invalid, not_found
from services.api.scenes import Gathered, Wanted
from services.api.shapes import Cursor, Day, Filter, Limit, Shown, example, reply
from services.api.store import contributions, people
from services.api.store.sessions import reading, writing
from services.metrics import explained
from services.metrics.answers import Answer, Asked
from services.metrics.catalogue import Metric
from services.metrics.explained import Share
from services.metrics.levels import LEVELS
from services.metrics.windows import Name, bounds
from services.postgres import Connection

router = APIRouter(prefix="/v1/metrics", tags=["metrics"])

ROUTE: Final = "/v1/metrics/explain"
_CLOSED: Final = frozenset({"suppressed", "not_approved"})
_DAY: Final = timedelta(days=1)


class DayShown(Shown):
    """What was counted on one day of the window; null, with a reason: that cannot be told."""

    day: date
    num: int | None = None
    den: int | None = None
    reason: str | None = None


class LeftOut(Shown):
    """Somebody of whom nothing was expected, and why."""

    user: str
    reason: str


class RecordShown(Shown):
    """What one record adds to the number."""

    object: str
    record: str
    owner: str | None = None
    num: int
    den: int


class Explained(ValueShown):
    """A value and what it is made of.

    ``numerator`` and ``denominator``: people, of records ``records``. Null, with ``individuals`` false: the tenant does
    not show single persons to this key.
    """

    individuals: bool
    numerator: list[str] | None = None
    denominator: list[str] | None = None
    left_out: list[LeftOut] | None = None
    records: list[RecordShown] | None = None
    days: list[DayShown] | None = None
    next: str | None = None


EXPLAINED: Final[dict[str, Any]] = {
    **SHOWN,
    "num": 2,
    "den": 3,
    "value": 0.6666666666666666,
    "individuals": True,
    "numerator": ["anna", "bo"],
    "denominator": ["anna", "bo", "cy"],
    "left_out": [{"user": "dora", "reason": "on_leave"}],
    "records": None,
    "days": [],
    "next": None,
}


@dataclass(frozen=True, slots=True)
class Look:
    """Which subjects are looked at: those after ``after``, ``limit`` of them, of ``line`` only (None: everybody's)."""

    after: str
    limit: int
    line: Sequence[str] | None


class Found(NamedTuple):
    """The answer, the people it names, and the subject after which the next page begins."""

    body: dict[str, Any]
    named: Sequence[str] = ()
    last: str | None = None


@router.get("/{metric}/explain", response_model=Explained, responses=example(EXPLAINED))
async def show(
    metric: str,
    caller: Reader,
    *,
    dimension: Dimension | None = None,
    key: Filter = None,
    window: Name | None = None,
    at: Annotated[Day | None, Query(description="A day of the window, or its last. Default: today.")] = None,
    n: Filter = None,
    object: Filter = None,  # noqa: A002 - the parameter's name
    feature: Filter = None,
    task: Filter = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Response:
    """Show who is in a number and who is left out. An answer that names somebody is written to the access log."""
    wanted, group = known(metric), scenes.group_of(dimension, key)
    if wanted in LEVELS or wanted.combination == "person":
        where = "by its gates" if wanted in LEVELS else "at /v1/people/{user}"
        raise invalid(f"{wanted.id} is explained {where}.", parameter="metric")
    name, told = scenes.offered(wanted, window), {"n": n, "object": object, "feature": feature, "task": task}
    of = _one(wanted, parameter_of(wanted, told))
    mark = cursors.mark("explain", caller.tenant.id, metric, group, name, at, of)
    after = cursors.decode(cursor, mark, str) or ""
    async with reading(caller.pool) as connection:
        begun = await scenes.now_of(caller, connection)
        if begun is None or not await scenes.sees(caller, connection, *group):
            raise not_found()
        day = min(at or begun[1], begun[1])
        gathered = await scenes.gather(caller, connection, Wanted(*group, name, day, day), begun[0], [wanted])
        asked = Asked(wanted, of, name, bounds(name, day, caller.tenant.first_day_of_week))
        look = Look(after, limit, await caller.line(connection))
        found = await _explained(caller, connection, gathered, asked, look)
    if found.named:
        async with writing(caller.pool) as connection:
            await people.log_accesses(connection, caller.tenant.id, caller.principal.key_id, ROUTE, found.named)
    return reply({**found.body, "next": None if found.last is None else cursors.encode(mark, found.last)})


def _one(metric: Metric, of: str | None) -> str | None:
    """Return the one thing that is asked for.

    Raises:
        ProblemError: the metric is counted for several, and none is named.
    """
    if metric.parameter is not None and of is None and metric.code != "M14":
        raise invalid(f"Name what is explained with '{metric.parameter.name}'.", parameter=metric.parameter.name)
    return of


async def _explained(caller: Caller, connection: Connection, gathered: Gathered, asked: Asked, look: Look) -> Found:
    told = gathered.teller.answer(asked._replace(metric=_shown_as(asked.metric)))
    body = msgspec.structs.asdict(item(told, gathered.wanted.group, caller.tenant.time_zone))
    body["metric"] = asked.metric.id
    body["individuals"] = caller.sees_individuals
    if told.reason in _CLOSED:
        return Found(body)
    span = asked.span._replace(end=min(asked.span.end or date.max, gathered.today + _DAY))
    counted = asked._replace(metric=explained.counted(asked.metric), span=span)
    days = [gathered.teller.answer(day) for day in explained.days_of(counted)]
    body["days"] = [_day(day) for day in days]
    if not caller.sees_individuals:
        return Found(body)
    shares, last = await _shares(caller, connection, gathered, counted, look)
    if asked.metric.subject == "person":
        named = {share.subject for share in shares if share.num or share.den or share.reason}
        return Found({**body, **_people(shares)}, sorted(named), last)
    named = {share.owner for share in shares if share.owner and (share.num or share.den)}
    return Found(
        {**body, "records": [_record(share) for share in shares if share.num or share.den]}, sorted(named), last
    )


def _shown_as(metric: Metric) -> Metric:
    """Return the metric whose value is shown: of a change, what changes."""
    return explained.counted(metric) if metric.code == "M14" else metric


def _day(told: Answer) -> dict[str, Any]:
    return {"day": told.asked.span.start, "num": told.num, "den": told.den, "reason": told.reason}


async def _shares(
    caller: Caller, connection: Connection, gathered: Gathered, asked: Asked, look: Look
) -> tuple[list[Share], str | None]:
    kind, group = asked.metric.subject, gathered.wanted.group
    weeks = explained.weeks(asked, gathered.cells, caller.tenant.first_day_of_week)
    subjects = await contributions.subjects(
        connection,
        caller.tenant.id,
        group,
        kind=kind,
        weeks=weeks,
        after=look.after,
        limit=look.limit + 1,
        line=look.line,
    )
    lines = await contributions.lines_of(
        connection, caller.tenant.id, group[0], kind=kind, weeks=weeks, chosen=subjects[: look.limit]
    )
    last = subjects[look.limit - 1] if len(subjects) > look.limit else None
    return explained.shares(asked, group, lines), last


def _people(shares: Sequence[Share]) -> dict[str, Any]:
    return {
        "numerator": [share.subject for share in shares if share.num > 0],
        "denominator": [share.subject for share in shares if share.den > 0],
        "left_out": [{"user": share.subject, "reason": share.reason} for share in shares if share.reason],
    }


def _record(share: Share) -> dict[str, Any]:
    name, _, record = share.subject.partition("\t")
    return {"object": name, "record": record, "owner": share.owner, "num": share.num, "den": share.den}
