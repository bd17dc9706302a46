"""``/v1/windows``: how many of a group were active in the 1, 7 or 28 days up to a day, as whole numbers and rates."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query
from starlette.responses import Response

from services.api import cursors
from services.api.auth import Caller, Reader
from services.api.days import final_before, local_day, window_state
from services.api.problems import invalid
from services.api.shapes import FIRST_DAY, Cursor, Day, Filter, Limit, Rate, Shown, example, page, rate
from services.api.store import tenants
from services.api.store import windows as store
from services.api.store.metrics import silences
from services.api.store.sessions import reading
from services.api.store.windows import Place, Question
from services.postgres import Connection
from services.sight import Curtain, curtain
from services.sight.store import lines

router = APIRouter(prefix="/v1/windows", tags=["windows"])

DEFAULT: Final = timedelta(days=27)
LONGEST: Final = timedelta(days=max(store.WINDOWS))
_COUNTS: Final = ("licensed", "active", "logged_in", "actions", "active_user_days")


class Window(Shown):
    """One window of one group. Counts and rates are null, with a reason, where the group is too small to be shown.

    The reason ``source_silent`` says that a source was silent in these days: the numbers are what was heard of.
    """

    dimension: str
    key: str
    window: str
    as_of: date
    licensed: int | None = None
    active: int | None = None
    logged_in: int | None = None
    actions: int | None = None
    active_user_days: int | None = None
    active_rate: Rate | None = None
    login_rate: Rate | None = None
    state: str
    revision: int
    reason: str | None = None


class WindowPage(Shown):
    """One page of windows, ordered by dimension, key, window and day."""

    items: list[Window]
    next: str | None = None


SHOWN: Final[dict[str, Any]] = {
    "dimension": "team",
    "key": "North",
    "window": "7d",
    "as_of": "2026-03-08",
    "licensed": 12,
    "active": 9,
    "logged_in": 8,
    "actions": 240,
    "active_user_days": 31,
    "active_rate": {"num": 9, "den": 12, "value": 0.75},
    "login_rate": {"num": 8, "den": 12, "value": 0.6666666666666666},
    "state": "final",
    "revision": 0,
}


@router.get("", response_model=WindowPage, responses=example({"items": [SHOWN], "next": None}))
async def show_all(
    caller: Reader,
    dimension: Literal["tenant", "team", "role"] | None = None,
    key: Filter = None,
    window: Literal["1d", "7d", "28d"] | None = None,
    from_: Annotated[Day | None, Query(alias="from", description="Default: 27 days before `to`.")] = None,
    to: Annotated[Day | None, Query(description="Default: the tenant's today; later days have no windows yet.")] = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> Response:
    """List windows, ordered by dimension, key, window and day. A group without a licensed person is left out."""
    mark = cursors.mark("windows", caller.tenant.id, dimension, key, window, from_, to)
    after = cursors.decode(cursor, mark, Place)
    async with reading(caller.pool) as connection:
        now = await tenants.now_of(connection, caller.tenant, caller.now)
        today = local_day(now, caller.tenant.time_zone) if now else None
        first, last = _span(from_, to, today)
        if now is None or today is None or first > min(last, today):
            return page([], None)
        keys = await _keys(caller, connection, dimension, key)
        question = Question(
            [dimension] if dimension else store.DIMENSIONS,
            keys,
            [int(window.removesuffix("d"))] if window else store.WINDOWS,
            first,
            min(last, today),
        )
        if caller.person is not None:
            question = _of_teams(question)
        items = await store.page(connection, caller.tenant.id, question, _placed(after, question), limit)
        groups = {(place.dimension, place.key) for place, _ in items}
        hidden = await curtain(connection, caller.tenant, first - LONGEST, question.last, groups)
        unheard = await _unheard(connection, caller, now)
    more = cursors.encode(mark, items[limit - 1][0]) if len(items) > limit else None
    final_from = final_before(now, caller.tenant.time_zone)
    return page([_item(*item, hidden, unheard, today, final_from) for item in items[:limit]], more)


def _span(first: date | None, last: date | None, today: date | None) -> tuple[date, date]:
    if last is None:
        last = max((day for day in (first, today) if day is not None), default=FIRST_DAY)
    first = first or last - DEFAULT
    if first > last:
        raise invalid("'from' must not lie after 'to'.", parameter="from")
    return first, last


def _placed(after: Place | None, question: Question) -> Place | None:
    if after is None or (after.days in question.windows and after.dimension in question.dimensions):
        return after
    raise cursors.strange()


async def _keys(caller: Caller, connection: Connection, dimension: str | None, key: str | None) -> list[str] | None:
    """Return the groups to show; None: all. A bound key sees the teams of its line, and no wider group."""
    line = await caller.line(connection)
    if line is None:
        return [key] if key is not None else None
    if dimension not in (None, "team"):
        return []
    teams = await lines.teams(connection, caller.tenant.id, line, await caller.today(connection))
    return [team for team in teams if key in (None, team)]


def _of_teams(question: Question) -> Question:
    return Question(["team"], question.keys, question.windows, question.first, question.last)


async def _unheard(connection: Connection, caller: Caller, now: datetime) -> list[tuple[date, date]]:
    """Return the first and last days on which a source was silent: their numbers are only what was heard of."""
    zone = caller.tenant.time_zone
    return [
        (local_day(silence.since, zone), local_day(silence.until or now, zone))
        for silence in await silences(connection, caller.tenant.id, now)
    ]


def _item(
    place: Place,
    values: tuple[int, ...],
    hidden: Curtain,
    unheard: Sequence[tuple[date, date]],
    today: date,
    final_from: date,
) -> dict[str, Any]:
    *counts, revision = values
    licensed, active, logged_in = counts[:3]
    begin = place.as_of - timedelta(days=place.days - 1)
    closed = hidden.hides((place.dimension, place.key), begin, place.as_of, licensed)
    revision = 0 if closed else revision
    item = {
        "dimension": place.dimension,
        "key": place.key,
        "window": f"{place.days}d",
        "as_of": place.as_of,
        "state": window_state(place.as_of, revision, today=today, final_from=final_from),
        "revision": revision,
    }
    if closed:
        return {**item, **dict.fromkeys((*_COUNTS, "active_rate", "login_rate")), "reason": "suppressed"}
    rates = {"active_rate": rate(active, licensed), "login_rate": rate(logged_in, licensed)}
    if any(start <= place.as_of and begin <= end for start, end in unheard):
        item["reason"] = "source_silent"
    return {**item, **dict(zip(_COUNTS, counts, strict=True)), **rates}
