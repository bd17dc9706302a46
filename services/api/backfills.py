"""``/v1/backfills``: which numbers that were long told changed, because events came more than 35 days late."""

from datetime import date, datetime
from typing import Any, Final

from fastapi import APIRouter
from starlette.responses import Response

from services.api import cursors
from services.api.auth import Reader
from services.api.shapes import Cursor, Limit, Shown, example, page
from services.api.store import backfills as store
from services.api.store.sessions import reading
from services.postgres import Row

router = APIRouter(prefix="/v1/backfills", tags=["status"])


class Restatement(Shown):
    """A number of a group before and after, as [num, den]; null: there was none."""

    dimension: str
    key: str
    metric: str
    day: date
    before: list[int] | None = None
    after: list[int] | None = None


class BackfillShown(Shown):
    """A stretch of late work. ``weeks``: how many numbers changed, by the Monday of the week they are of.

    ``largest``: those that moved furthest, but for groups too small to be shown. No alerts are opened for such a past.
    """

    id: int
    started_at: datetime
    finished_at: datetime | None = None
    cells: int
    weeks: dict[str, int]
    largest: list[Restatement]


class BackfillPage(Shown):
    """One page of backfills, the newest first."""

    items: list[BackfillShown]
    next: str | None = None


SHOWN: Final[dict[str, Any]] = {
    "id": 1,
    "started_at": "2026-03-08T07:00:00Z",
    "finished_at": "2026-03-08T07:12:00Z",
    "cells": 14,
    "weeks": {"2026-01-05": 14},
    "largest": [
        {
            "dimension": "team",
            "key": "North",
            "metric": "M11",
            "day": "2026-01-05",
            "before": [9, 12],
            "after": [11, 12],
        }
    ],
}


@router.get("", response_model=BackfillPage, responses=example({"items": [SHOWN], "next": None}))
async def show_all(caller: Reader, cursor: Cursor = None, limit: Limit = 100) -> Response:
    """List backfills, the newest first. A key bound to a person sees none: they are of the whole tenant."""
    question = cursors.mark("backfills", caller.tenant.id)
    before = cursors.decode(cursor, question, int)
    if caller.person is not None:
        return page([], None)
    async with reading(caller.pool) as connection:
        rows = await store.page(connection, caller.tenant.id, before, limit + 1)
    more = cursors.encode(question, rows[limit - 1]["id"]) if len(rows) > limit else None
    return page([_shown(row, caller.tenant.min_group) for row in rows[:limit]], more)


def _shown(row: Row, min_group: int) -> dict[str, Any]:
    report = row["report"]
    largest = [each for each in report.get("largest", []) if _may_be_told(each, min_group)]
    return {
        "id": row["id"],
        "started_at": row["started_at"],
        "finished_at": row["finished_at"],
        "cells": report.get("cells", 0),
        "weeks": report.get("weeks", {}),
        "largest": largest,
    }


def _may_be_told(change: dict[str, Any], min_group: int) -> bool:
    """Tell whether both numbers are of groups large enough, and neither is one that a hidden group follows from."""
    sizes = [pair[1] for pair in (change["before"], change["after"]) if pair is not None]
    return change["dimension"] == "tenant" and min(sizes, default=0) >= min_group
