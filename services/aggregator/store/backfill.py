"""Backfills: what changed in numbers that were long told, because something came more than 35 days late.

The measurer notes the cells it changed; a stretch of such work is one backfill, which ends when ten minutes bring no
more. Numbers only: no person is named.
"""

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final, NamedTuple

from services.postgres import Connection, Pool

LATE: Final = timedelta(days=35)
ENDS_AFTER: Final = timedelta(minutes=10)
MOST_WEEKS: Final = 520
LARGEST: Final = 20


class Restated(NamedTuple):
    """A number of a group on a day (or in the week that begins on it), before and after; None: there was none."""

    dimension: str
    key: str
    metric: str
    day: date
    before: tuple[int, int] | None
    after: tuple[int, int] | None


_RUNNING: Final = """
select id, report from backfill where tenant = $1 and finished_at is null order by id desc limit 1 for update
"""
_FINISH: Final = """
update backfill set finished_at = $1
where finished_at is null and coalesce((report ->> 'last_at')::timestamptz, started_at) <= $2
"""


async def note(tx: Connection, tenant: str, now: datetime, changes: Iterable[Restated]) -> None:
    """Add to the tenant's running backfill those of ``changes`` that are of days more than 35 days before ``now``.

    For tenants on the wall clock; ``now``: the instant of the pass that made the changes.
    """
    old = [change for change in changes if change.day < (now - LATE).date() and change.before != change.after]
    if not old:
        return
    row = await tx.fetchrow(_RUNNING, tenant)
    report = merged(row["report"] if row is not None else {}, old, now)
    if row is None:
        sql = "insert into backfill (tenant, started_at, report) values ($1, $2, $3)"
        await tx.execute(sql, tenant, now, report)
    else:
        await tx.execute("update backfill set report = $2 where id = $1", row["id"], report)


_NOW: Final = """
select g.place, c.num, c.den from unnest($2::text[], $3::text[], $4::text[], $5::date[]) with ordinality
  as g(dimension, key, metric, day, place)
join metric_cell c on c.tenant = $1 and c.dimension = g.dimension and c.key = g.key and c.metric = g.metric
  and c.day = g.day order by 1
"""


async def measured(
    tx: Connection, tenant: str, now: datetime, changes: Sequence[tuple[str, str, str, date, int, int]]
) -> None:
    """Note numbers that were final and have just been written: dimension, key, metric and day, and what was added."""
    old = [change for change in changes if change[3] < (now - LATE).date()]
    if not old:
        return
    told = await tx.fetch(_NOW, tenant, *(list(column) for column in list(zip(*old, strict=True))[:4]))
    after = {row["place"]: (row["num"], row["den"]) for row in told}
    restated = [
        Restated(*change[:4], (after[n][0] - change[4], after[n][1] - change[5]), after[n])
        for n, change in enumerate(old, start=1)
        if n in after
    ]
    await note(tx, tenant, now, restated)


def merged(report: dict[str, Any], changes: Iterable[Restated], now: datetime) -> dict[str, Any]:
    """Return ``report`` with ``changes`` in it: how many numbers of which days, and which moved furthest."""
    weeks: dict[str, int] = dict(report.get("weeks", {}))
    largest = {
        (each["dimension"], each["key"], each["metric"], each["day"]): each for each in report.get("largest", [])
    }
    count = report.get("cells", 0)
    for change in changes:
        count += 1
        week = (change.day - timedelta(days=change.day.weekday())).isoformat()
        if week in weeks or len(weeks) < MOST_WEEKS:
            weeks[week] = weeks.get(week, 0) + 1
        place = change.dimension, change.key, change.metric, change.day.isoformat()
        told = largest.get(place, {"before": _pair(change.before)})
        largest[place] = {
            **dict(zip(_PLACE, place, strict=True)),
            "before": told["before"],
            "after": _pair(change.after),
        }
    moved = sorted(largest.values(), key=lambda each: (-_moved(each), *(each[name] for name in _PLACE)))
    return {
        "cells": count,
        "weeks": dict(sorted(weeks.items())),
        "largest": moved[:LARGEST],
        "last_at": now.isoformat(),
    }


_PLACE: Final = ("dimension", "key", "metric", "day")


def _pair(told: tuple[int, int] | None) -> list[int] | None:
    return None if told is None else list(told)


def _moved(change: dict[str, Any]) -> float:
    """Return by how many people or things a number moved, the rate first where both are rates."""
    before, after = change["before"] or [0, 0], change["after"] or [0, 0]
    if before[1] and after[1]:
        return abs(float(after[0] / after[1] - before[0] / before[1]))
    return 1.0 if before[1] or after[1] else 0.0


async def finish(pool: Pool, now: datetime) -> None:
    """End the backfills that nothing was added to for a while."""
    await pool.execute(_FINISH, now, now - ENDS_AFTER)
