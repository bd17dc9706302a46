"""``/v1/status``: whether everything acknowledged so far is counted, measured and judged, and what became of it.

``settled`` rests on what the owners of the shards wrote after the question was asked, never on end offsets: the log is
empty behind them, no change of the directory waits, what followed from all this is measured up to today, and the rules
saw the last version and judged whom it concerned.
"""

import asyncio
import math
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from services.api.auth import Reader
from services.api.logins import NEVER, TELL_LOGINS, login_state
from services.api.shapes import Shown, example, reply
from services.api.store import status as store
from services.api.store import tenants
from services.api.store.sessions import reading
from services.postgres import Row

router = APIRouter(prefix="/v1/status", tags=["status"])

EVERY: Final = 0.05
DEFAULT_WAIT: Final = 2.0
"""Long enough for every shard to be asked once."""
RECORDS_SECONDS: Final = 1.0
"""How long records are waited for when all else is settled: a tenant may have many, and they are told as of a week."""
QUIET_AFTER: Final = timedelta(hours=24)


class SourceShown(Shown):
    """A source of events: ``receiving``, or ``quiet`` after a day without an event.

    ``silent``: it usually sends at this time and does not; what happens meanwhile is not known.
    Where logins connect people, a source of logins is ``ok``, ``stale``, or has told of ``none`` yet.
    """

    id: str
    last_event_at: datetime | None
    state: str


class StatusShown(Shown):
    """How far the road has come. ``lag`` counts the shards that are not drained since the question was asked.

    ``dead_letters`` counts all there ever were, ``dead_letters_open`` those that no replay has dealt with.
    """

    settled: bool
    lag: int
    folded: int
    duplicates: int
    conflicts: int
    late: int
    unmapped: int
    dead_letters: int
    dead_letters_open: int
    watermark: datetime | None = None
    sources: list[SourceShown]


SHOWN: Final[dict[str, Any]] = {
    "settled": True,
    "lag": 0,
    "folded": 51_230,
    "duplicates": 12,
    "conflicts": 0,
    "late": 3,
    "unmapped": 7,
    "dead_letters": 0,
    "dead_letters_open": 0,
    "watermark": "2026-03-08T16:59:12Z",
    "sources": [{"id": "crm", "last_event_at": "2026-03-08T16:59:12Z", "state": "receiving"}],
}


def lag(progress: Row, partitions: int) -> int:
    """Return how many shards are not drained since the question was asked."""
    return max((progress["shards"] or partitions) - int(progress["drained"]), 0)


def counted(progress: Row, partitions: int) -> int | None:
    """Return the version at which everything acknowledged before the question is counted; None: not all is."""
    if progress["waiting"] or lag(progress, partitions) > 0:
        return None
    return progress["version"] or 0


@router.get("", response_model=StatusShown, responses=example(SHOWN))
async def show(
    request: Request,
    caller: Reader,
    wait: Annotated[float, Query(ge=0, le=60, description="Seconds to wait until settled.")] = DEFAULT_WAIT,
) -> Response:
    """Show how far the road has come, at once when settled, else when it is or when the time is up."""
    partitions = request.app.state.partitions
    loop = asyncio.get_running_loop()
    until = loop.time() + wait
    spare = math.inf
    wanted: int | None = None
    queued_by: datetime | None = None
    soiled_by: datetime | None = None
    measured_by: datetime | None = None
    wall = caller.now if caller.tenant.clock == "wall" else None
    async with reading(caller.pool) as connection:
        asked_at = await store.moment(connection)
    while True:
        async with reading(caller.pool) as connection:
            progress = await store.progress(
                connection,
                caller.tenant.id,
                asked_at,
                queued_by,
                soiled_by,
                wall,
                records=loop.time() < spare,
                measured_by=measured_by,
            )
            if queued_by is None and lag(progress, partitions) == 0:  # what is queued later has another cause
                queued_by = progress["moment"]
            if wanted is None:  # what is counted later need not be judged
                wanted = counted(progress, partitions)
            measured = not progress["unmeasured"] and (soiled_by is not None or not progress["behind"])
            if soiled_by is None and wanted is not None and not progress["behind"]:  # what is queued later is later
                soiled_by = progress["moment"]
            judged = wanted is not None and (progress["evaluated"] or 0) >= wanted
            if judged and soiled_by is not None:
                spare = min(spare, loop.time() + RECORDS_SECONDS)
            if measured_by is None and measured and soiled_by is not None:  # whom to judge anew is queued by then
                measured_by = progress["moment"]
            done = judged and measured and not progress["unjudged"]
            if done or loop.time() >= until:
                now = await tenants.now_of(connection, caller.tenant, caller.now) or caller.now
                counts = dict(await store.counts(connection, caller.tenant.id))
                by_login = caller.tenant.connected_by == "login"
                found = await store.sources(connection, caller.tenant.id, TELL_LOGINS if by_login else [])
                mute = await store.silent(connection, caller.tenant.id)
                seen = [_source(row, now, mute, by_login=by_login) for row in found]
                return reply({"settled": done, "lag": lag(progress, partitions), **counts, "sources": seen})
        await asyncio.sleep(min(EVERY, max(until - loop.time(), 0)))


def _source(row: Row, now: datetime, mute: Collection[str], *, by_login: bool) -> dict[str, Any]:
    state = "receiving" if (row["last_event_at"] or NEVER) > now - QUIET_AFTER else "quiet"
    if by_login and (row["last_login_at"] or row["logins_until"] or row["kind"] in TELL_LOGINS):
        state = login_state(row, now)
    if row["id"] in mute:
        state = "silent"
    return {"id": row["id"], "last_event_at": row["last_event_at"], "state": state}
